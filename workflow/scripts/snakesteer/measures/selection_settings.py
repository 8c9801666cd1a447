"""Which scores a selection keeps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snakesteer.core.records import unless_said


@dataclass(frozen=True)
class Bound:
    """Scores `above` a number, or `below` it; either is given, and the number itself is outside."""

    above: float | None = unless_said(None)
    below: float | None = unless_said(None)

    def __str__(self) -> str:
        """In words, "above 0"."""
        return f"below {self.below:g}" if self.above is None else f"above {self.above:g}"

    def passed(self, scores: np.ndarray) -> np.ndarray:
        """Which of the scores [n_scores] are inside, true or false for each."""
        inside: np.ndarray = scores < self.below if self.above is None else scores > self.above
        return inside
