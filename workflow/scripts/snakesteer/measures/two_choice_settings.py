"""What a sweep of two-choice questions is asked for, and when its curves end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from snakesteer.core.records import unless_said


@dataclass(frozen=True)
class Stopping:
    """End of a column of a grid search (paper: grid search): after a point with more than `faulty`
    faulty answers, or with mode collapse: one answer's share exceeds `collapse` and the share of
    any answer unsteered.
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


@dataclass(frozen=True)
class Settings:
    """What is asked beside what every measure is.

    The probability of the matching answer is among the answers in `letters`, or, without any, among
    a question's own two.
    """

    stopping: Stopping | None = None
    answer_prefix: str = unless_said("")
    letters: tuple[str, ...] = unless_said(())
