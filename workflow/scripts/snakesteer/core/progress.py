"""Progress of a long job as plain lines in its log."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from typing import TextIO

# Seconds since the start -> seconds between lines until then: a few hundred lines in a day.
INTERVALS = {60.0: 5.0, 3600.0: 60.0, math.inf: 300.0}


@dataclass
class Progress:
    """Counts tokens done and writes a line with rate and remaining time every so often.

    Every 5 s in the first minute, every minute in the first hour, then every 5 minutes.
    """

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

    def skip(self, tokens: int) -> None:
        """Take off `tokens` that need not be done, as an earlier job has done them."""
        self.total -= tokens

    def step(self, tokens: int) -> None:
        """Count `tokens` as done."""
        self.done += tokens
        now = time.monotonic()
        elapsed = now - self._started
        if now - self._written >= next(every for end, every in INTERVALS.items() if elapsed <= end):
            self._written = now
            rate = self.done / elapsed
            left = round(max(self.total - self.done, 0) / rate)
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
