"""Which injection each row of a behaviour sweep's raw table belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from snakesteer.behaviour_tables import Part


def behaviour_parts(
    job: Mapping[str, Any], settings: Mapping[str, Any], raw: pd.DataFrame
) -> Iterator[Part]:
    """The parts of one job's raw table, one per injection.

    `job` has the layer label and the injections as planned; `settings` the sweep's kind and split.
    """
    for injection in job["injections"]:
        names = injection["vectors"]
        yield Part(
            kind=settings["kind"],
            vector=names[0] if len(names) == 1 else "all",
            layer=job["layer"],
            split=settings["split"],
            raw=raw[raw["injection"] == injection["label"]],
            direction=injection.get("direction"),
            combine=injection.get("combine", ""),
            weighted=injection.get("weighted", False),
        )
