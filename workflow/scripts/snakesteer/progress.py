"""Progress of a long job as plain lines in its log."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TextIO


@dataclass
class Progress:
    """Counts tokens done and writes a line with rate and remaining time every few seconds."""

    every: float = 5.0
    stream: TextIO | None = None
    total: int = 0
    done: int = 0
    seconds: float = 0.0
    _started: float = 0.0
    _written: float = 0.0

    def start(self, total: int) -> None:
        """Begin, or go on with more; `total` tokens are an upper bound: curves may stop early."""
        self.total += total
        if not self._started:
            self._started = self._written = time.monotonic()

    def step(self, tokens: int) -> None:
        """Count `tokens` as done."""
        self.done += tokens
        if time.monotonic() - self._written >= self.every:
            self._written = time.monotonic()
            rate = self.done / (self._written - self._started)
            left = round((self.total - self.done) / rate)
            self.note(
                f"{self.done:,} of at most {self.total:,} tokens, {rate:,.0f} a second, "
                f"at most {left // 60}:{left % 60:02d} left"
            )

    def note(self, text: str) -> None:
        """Write one line."""
        print(text, file=self.stream or sys.stderr, flush=True)

    def finish(self) -> None:
        """Write what was done and how long it took."""
        self.seconds = time.monotonic() - self._started
        rate = self.done / max(self.seconds, 1e-9)
        self.note(f"{self.done:,} tokens in {self.seconds:.1f} s, {rate:,.0f} a second")
