"""What a sweep that measures next-token accuracy is asked for, and when its curves end."""

from __future__ import annotations

from dataclasses import dataclass

from snakesteer.core.records import unless_said
from snakesteer.prompts.which_tokens import Counted


@dataclass(frozen=True)
class Stopping:
    """Early stopping of a curve (paper: skill experiments, "early stopping").

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
class Settings:
    """What is asked beside what every measure is."""

    stopping: Stopping | None = None
    counted: Counted = unless_said("all")
