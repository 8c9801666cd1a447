"""A sweep evaluated again with each resample of its vectors: what it evaluated itself, no more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pyarrow as pa

from snakesteer.sweeps.injections import Steering
from snakesteer.sweeps.runner import Asked


def again(
    measures: Sequence[Asked], steerings: Iterable[Steering], base: pa.Table
) -> tuple[list[Asked], list[Steering]]:
    """The same measures on the samples, and the same injections at the coefficients, that they
    have in `base`, the sweep's own table; there is an injection for each measure.
    """
    columns = (base[name].to_pylist() for name in ("measure", "injection", "coefficient"))
    evaluated = set(zip(*columns, strict=True))
    repeated = []
    for steering in steerings:
        for name, sources in steering.sources.items():
            coefficients = tuple(
                coefficient
                for coefficient in steering.coefficients
                if (name, steering.label, coefficient) in evaluated
            )
            own = replace(steering, coefficients=coefficients, sources={name: sources})
            repeated.append(own)
    return [_on_the_same(measure, base) for measure in measures], repeated


def _on_the_same(measure: Asked, base: pa.Table) -> Asked:
    columns = ("measure", measure.plugin.SOURCE, measure.plugin.SAMPLE)
    read = set(zip(*(base[name].to_pylist() for name in columns), strict=True))
    samples = {}
    for source, given in measure.samples.items():
        places = []
        for place, name in enumerate(given.names):
            if (measure.name, source, name) in read:
                places.append(place)
        samples[source] = given.taken(places)
    return replace(measure, samples=samples, stopping=None, precision=None)


def joined(tables: Sequence[pa.Table], resamples: int) -> pa.Table:
    """Tables of each resample, as many for each, one after the other; column `resample` counts."""
    each = len(tables) // resamples
    return pa.concat_tables(
        table.append_column("resample", pa.array([place // each] * table.num_rows, pa.int64()))
        for place, table in enumerate(tables)
    )
