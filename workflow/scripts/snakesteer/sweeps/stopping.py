"""When a curve of a sweep ends: pure functions of what its points measured.

Each returns how many places to advance in the list of coefficients; 0 ends the curve.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class SkillStopping:
    """Early stopping of a skill sweep (paper: skill experiments, "early stopping").

    Shares are of the first corpus's top-1 accuracy at coefficient 0: a point below `stop` is the
    last; after one below `leap_below` the next is `leap` places on.
    """

    stop: float = 0.05
    leap_below: float = 0.15
    leap: int = 5

    def advance(self, relative_top1: float) -> int:
        """Places to advance after a point with this relative accuracy; 0 ends the curve."""
        if relative_top1 < self.stop:
            return 0
        return self.leap if relative_top1 < self.leap_below else 1


@dataclass(frozen=True)
class GridStopping:
    """End of a column of a grid search (paper: grid search): after a point at which one answer
    makes up more than the share `collapse` (mode collapse) and more than any does unsteered, or
    with more than `faulty` faulty answers.
    """

    collapse: float = 0.95
    faulty: int = 10

    def advance(self, answers: Sequence[str], faulty: int, unsteered: Sequence[str]) -> int:
        """1, or 0 after a point with these answers, `faulty` of which were neither choice.

        `unsteered` are the answers at coefficient 0 to the same questions.
        """
        limit = max(self.collapse, _largest_share(unsteered))
        return 0 if _largest_share(answers) > limit or faulty > self.faulty else 1


def _largest_share(answers: Sequence[str]) -> float:
    [(_, most)] = Counter(answers).most_common(1)
    return most / len(answers)
