"""Which injection each row of a behaviour sweep's raw table belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from snakesteer.tables.two_choice import Part


def behaviour_parts(
    job: Mapping[str, Any],
    settings: Mapping[str, Any],
    raw: pd.DataFrame,
    resampled: pd.DataFrame | None = None,
) -> Iterator[Part]:
    """The parts of one job's raw table, one per injection.

    `job` has the layer label and the injections as planned; `settings` the sweep's kind and split;
    `resampled` is the job's raw table with resamples of its vectors.
    """
    for injection in job["injections"]:
        names = injection["vectors"]
        yield Part(
            kind=settings["kind"],
            vector=names[0] if len(names) == 1 else "all",
            layer=job["layer"],
            split=settings["split"],
            raw=_of(raw, injection),
            resampled=None if resampled is None else _of(resampled, injection),
            direction=injection.get("direction"),
            combine=injection.get("combine", ""),
            weighted=injection.get("weighted", False),
        )


def _of(raw: pd.DataFrame, injection: Mapping[str, Any]) -> pd.DataFrame:
    return raw[raw["injection"] == injection["label"]]
