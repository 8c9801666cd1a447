"""Intervals over resampled vectors, beside those over documents or questions."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.core.student_t import t_quantile

LOW, HIGH = "_vector_low", "_vector_high"


def vector_interval(values: np.ndarray, resampled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Student's 95 % interval of outcomes, [n], from those with each resample, [resamples, n].

    The standard error is the resamples' standard deviation, about their own mean; what few of them
    leave unsure of it is in the t.
    """
    half = t_quantile(len(resampled) - 1) * resampled.std(axis=0, ddof=1)
    return values - half, values + half


def with_intervals(
    table: pd.DataFrame, intervals: Literal["items", "vectors", "both"]
) -> pd.DataFrame:
    """A table whose columns `…_low` and `…_high` show another uncertainty than that over items.

    `both` adds the half-widths of the two in squares. Raises StudyError for a table without
    resampled vectors.
    """
    if intervals == "items":
        return table
    names = [name.removesuffix(LOW) for name in table if name.endswith(LOW)]
    if not names:
        raise StudyError(
            f"a figure with `intervals: {intervals}` needs sweeps with `resamples`; these have none"
        )
    changed = {}
    for name in names:
        value = table[name]
        for own, over_vectors, sign in (("_low", LOW, -1), ("_high", HIGH, 1)):
            end = table[f"{name}{over_vectors}"]
            if intervals == "both":
                end = value + sign * np.hypot(end - value, table[f"{name}{own}"] - value)
            changed[f"{name}{own}"] = end
    return table.assign(**changed)
