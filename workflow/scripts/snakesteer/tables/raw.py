"""The raw tables of a sweep, injection by injection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from snakesteer.sweeps.job import Injected
from snakesteer.tables.job import TableJob


def by_injection(
    job: TableJob, raw: Sequence[pd.DataFrame], resampled: Sequence[pd.DataFrame]
) -> Iterator[tuple[Injected, pd.DataFrame, pd.DataFrame | None]]:
    """Each injection with its rows, and if there are any those with resamples of its vectors.

    `raw` are the tables of a sweep's jobs, `resampled` those with resamples, if it has them.
    """
    jobs = zip(job.jobs, raw, resampled or [None] * len(raw), strict=True)
    for injections, own, again in jobs:
        for injected in injections:
            found = _rows(own, injected, job.of)
            assert found is not None
            yield injected, found, _rows(again, injected, job.of)


def unsteered_rows(coefficients: np.ndarray) -> np.ndarray:
    """Which of one curve's rows, [n], are the unsteered model's: those of no coefficient (NaN), or
    of 0 where every row has one.
    """
    without = np.isnan(coefficients)
    return without if without.any() else coefficients == 0


def _rows(table: pd.DataFrame | None, injected: Injected, measure: str) -> pd.DataFrame | None:
    if table is None:
        return None
    return table[(table["injection"] == injected.label) & (table["measure"] == measure)]
