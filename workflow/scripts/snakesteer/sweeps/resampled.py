"""A sweep evaluated again with each resample of its vectors: what it evaluated itself, no more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from snakesteer.sweeps.injections import Steering

Documents = Mapping[str, Sequence[tuple[str, str]]]


def skill_again(
    settings: Mapping[str, Any], documents: Documents, base: pa.Table
) -> tuple[dict[str, Any], Documents]:
    """Settings and (id, text) documents by corpus, of the coefficients and documents in `base`.

    `base` is the skill sweep's own table.
    """
    evaluated = set(zip(base["corpus"].to_pylist(), base["document"].to_pylist(), strict=True))
    again = {"coefficients": base["coefficient"].unique().to_pylist()}
    again |= dict.fromkeys(("tokens", "precision", "stopping"))
    return {**settings, **again}, {
        corpus: [(name, text) for name, text in some if (corpus, name) in evaluated]
        for corpus, some in documents.items()
    }


def steerings_again(given: Iterable[Steering], base: pa.Table) -> Iterator[Steering]:
    """The same injections at just the coefficients that they have in `base`.

    `base` is the behaviour sweep's own table.
    """
    pairs = set(zip(base["injection"].to_pylist(), base["coefficient"].to_pylist(), strict=True))
    for steering in given:
        runs = (tuple(c for c in run if (steering.label, c) in pairs) for run in steering.runs)
        yield replace(steering, runs=tuple(run for run in runs if run))


def joined(tables: Sequence[pa.Table], resamples: int) -> pa.Table:
    """Tables of each resample, as many for each, one after the other; column `resample` counts."""
    each = len(tables) // resamples
    return pa.concat_tables(
        table.append_column("resample", pa.array([place // each] * table.num_rows, pa.int64()))
        for place, table in enumerate(tables)
    )
