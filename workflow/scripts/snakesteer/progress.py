"""Progress of a long job as plain lines in its log."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TextIO


@dataclass
class Progress:
    """Counts work done and writes a line with rate and remaining time every few seconds.

    `total` is an upper bound in `unit`s: a curve that stops early does less.
    """

    total: int
    unit: str
    every: float = 5.0
    stream: TextIO | None = None
    done: int = 0
    _started: float = field(default_factory=time.monotonic)
    _written: float = field(default_factory=time.monotonic)

    def step(self, amount: int) -> None:
        """Count `amount` units as done."""
        self.done += amount
        if time.monotonic() - self._written >= self.every:
            self._written = time.monotonic()
            rate = self.done / (self._written - self._started)
            left = round((self.total - self.done) / rate)
            self.note(
                f"{self.done:,} of at most {self.total:,} {self.unit}, {rate:,.0f} a second, "
                f"at most {left // 60}:{left % 60:02d} left"
            )

    def note(self, text: str) -> None:
        """Write one line."""
        print(text, file=self.stream or sys.stderr, flush=True)

    def finish(self) -> None:
        """Write what was done and how long it took."""
        seconds = time.monotonic() - self._started
        rate = self.done / max(seconds, 1e-9)
        self.note(f"{self.done:,} {self.unit} in {seconds:.1f} s, {rate:,.0f} a second")
