"""The raw tables of a sweep, injection by injection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from snakesteer.sweeps.job import Injected, injections_of


def by_injection(
    settings: Mapping[str, Any], raw: Sequence[pd.DataFrame], resampled: Sequence[pd.DataFrame]
) -> Iterator[tuple[Injected, pd.DataFrame, pd.DataFrame | None]]:
    """Each injection with its rows, and if there are any those with resamples of its vectors.

    `raw` are the tables of a sweep's jobs, `resampled` those with resamples, if it has them;
    `settings` name the measure (`of`) and the injections of all `jobs`.
    """
    jobs = zip(injections_of(settings), raw, resampled or [None] * len(raw), strict=True)
    for injections, own, again in jobs:
        for injected in injections:
            found = _rows(own, injected, settings["of"])
            assert found is not None
            yield injected, found, _rows(again, injected, settings["of"])


def _rows(table: pd.DataFrame | None, injected: Injected, measure: str) -> pd.DataFrame | None:
    if table is None:
        return None
    return table[(table["injection"] == injected.label) & (table["measure"] == measure)]
