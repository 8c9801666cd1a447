"""Raw rows of questions whose propensities are given, and the jobs of their tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from snakesteer.sweeps.job import Injected, Placed
from snakesteer.tables.job import TableJob

COEFFICIENTS = (-2.0, -1.0, 0.0, 1.0, 2.0)


def injected(
    vector: str,
    layer: int = 3,
    coefficients: Sequence[float] = COEFFICIENTS,
    draw: int | None = None,
) -> Injected:
    return Injected((Placed(vector, (layer,)),), tuple(coefficients), draw=draw)


def rows(injection: Injected, propensities: np.ndarray, behaviour: str = "myopia") -> pd.DataFrame:
    """The raw rows of two_choice of one injection; `propensities` are [questions, coefficients]."""
    found = []
    for place, coefficient in enumerate(injection.coefficients or ()):
        for number, value in enumerate(propensities[:, place]):
            found.append(
                {
                    "measure": "two_choice",
                    "injection": injection.label,
                    "coefficient": coefficient,
                    "behaviour": behaviour,
                    "question": f"{number:05d}",
                    "answer": "A",
                    "outcome": "match" if value > 0 else "other",
                    "logit_matching": value + 1.5,
                    "logit_not_matching": 1.5,
                    "choice_mass": 0.9,
                    "probability": 1 / (1 + np.exp(-value)),
                }
            )
    return pd.DataFrame(found)


def job(sweep: str, jobs: Sequence[Sequence[Injected]], split: str = "test") -> TableJob:
    """What the job of a table of two_choice gets."""
    return TableJob(
        sweep=sweep,
        measure="two_choice",
        of="two_choice",
        kind="grid",
        jobs=tuple(map(tuple, jobs)),
        split=split,
        collapse=0.95,
    )


def questions(
    count: int, answers: Mapping[int, tuple[str, str]] | None = None, split: str = "test"
) -> pd.DataFrame:
    """Questions whose matching answer is A, of every second one B."""
    made = []
    for number in range(count):
        matching, other = (answers or {}).get(number, ("A", "B") if number % 2 == 0 else ("B", "A"))
        prompt = f"Number {number}?\n (A) yes\n (B) no\nI choose ("
        made.append(
            {
                "question": f"{number:05d}",
                "split": split,
                "prompt": prompt,
                "matching": matching,
                "not_matching": other,
            }
        )
    return pd.DataFrame(made)
