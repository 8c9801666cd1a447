"""A sweep evaluated again with each resample of its vectors: what it evaluated itself, no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import ModuleType

import pyarrow as pa

from snakesteer.sweeps.chunks import Samples
from snakesteer.sweeps.injections import Steering


def again(
    measure: ModuleType,
    steerings: Iterable[Steering],
    samples: Mapping[str, Samples],
    base: pa.Table,
) -> tuple[list[Steering], dict[str, Samples]]:
    """The same injections at the coefficients, and the samples, that they have in `base`.

    `base` is the sweep's own table.
    """
    pairs = set(zip(base["injection"].to_pylist(), base["coefficient"].to_pylist(), strict=True))
    at_these = []
    for steering in steerings:
        runs = (tuple(c for c in run if (steering.label, c) in pairs) for run in steering.runs)
        at_these.append(replace(steering, runs=tuple(run for run in runs if run)))
    columns = (base[column].to_pylist() for column in (measure.SOURCE, measure.SAMPLE))
    evaluated = set(zip(*columns, strict=True))
    on_these = {}
    for source, given in samples.items():
        places = [place for place, name in enumerate(given.names) if (source, name) in evaluated]
        on_these[source] = given.taken(places)
    return at_these, on_these


def joined(tables: Sequence[pa.Table], resamples: int) -> pa.Table:
    """Tables of each resample, as many for each, one after the other; column `resample` counts."""
    each = len(tables) // resamples
    return pa.concat_tables(
        table.append_column("resample", pa.array([place // each] * table.num_rows, pa.int64()))
        for place, table in enumerate(tables)
    )
