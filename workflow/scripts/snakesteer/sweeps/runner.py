"""A sweep: any measure, under every injection and coefficient, on the same samples or on others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from snakesteer.core.errors import StudyError
from snakesteer.core.progress import Progress
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.probe import checked_path
from snakesteer.engine.steering import injection
from snakesteer.storage.points import Points
from snakesteer.sweeps.chunks import KEPT_BYTES, Chunk, Prepared, Samples, chunks_of
from snakesteer.sweeps.curves import Advance, Curve, visited
from snakesteer.sweeps.injections import Steering
from snakesteer.sweeps.job import Precision
from snakesteer.sweeps.precision import documents_needed

INJECTION = pa.field("injection", pa.string())

Places = Mapping[str, range]
"""Which samples of each source, by their places in it."""


def run(
    model: LanguageModel,
    measure: ModuleType,
    steerings: Sequence[Steering],
    samples: Mapping[str, Samples],
    *,
    batch_tokens: int,
    read_on: int | None = None,
    precision: Precision | None = None,
    stopping: Any = None,
    path: str = "shared",
    kept_bytes: float = KEPT_BYTES,
    points: Points | None = None,
    progress: Progress | None = None,
) -> list[pa.Table]:
    """Measure under every injection and coefficient (`measures` says what a measure is).

    The lower layers run once for all of them, up to the lowest layer of any. The first source of a
    steering decides where its runs end by the measure's `stopping`, which coefficient 0 never
    triggers. With `read_on`, every coefficient visited has other samples, the next ones that hold
    so many tokens. With a `precision`, only as many of each source's samples are evaluated as it
    takes at the coefficients visited, and the pilot's samples decide which those are. `path`: see
    `engine.steering`. `kept_bytes` bounds the states kept at a time, and so the chunk of samples
    that a point is about; `points` are those there already.

    Returns a table for each steering, a row per run, coefficient, source and sample, in this order:
    the measure's columns, and `injection` (the steering's label). Raises StudyError when there is
    no coefficient to evaluate; when, with `read_on` or a `precision`, a run does not begin with 0;
    when there are no next samples; for a sample beyond the model's context, and for NaN or
    infinity.
    """
    curves, owners = [], []
    for number, steering in enumerate(steerings):
        steered = injection(model, steering.parts)
        for coefficients in filter(None, steering.runs):
            owners.append(number)
            curves.append(Curve(steered, tuple(map(float, coefficients)), steering.sources))
    if not curves:
        raise StudyError("No injection has a coefficient to ask under; name at least one of each.")
    if (read_on or precision) and any(curve.coefficients[0] != 0 for curve in curves):
        raise StudyError("Coefficients that others are held against must begin with 0: add it.")
    lowest = min(curve.injection.layers[0] for curve in curves)
    prepared = Prepared(model, lowest, batch_tokens, checked_path(model, lowest, path))
    sweep = _Sweep(
        measure, samples, prepared, kept_bytes, points or Points(), progress or Progress()
    )
    sweep.progress.start(sweep.most_tokens(curves, read_on))
    advance = partial(measure.advance, stopping) if stopping else None
    every = {source: range(len(given.sequences)) for source, given in samples.items()}
    if read_on:
        measured = [_read_on(sweep, curve, read_on, advance) for curve in curves]
    elif precision:
        measured = _precise(sweep, curves, every, precision, advance)
    else:
        measured = sweep.tables(curves, every, advance)
    sweep.progress.finish()
    tables = []
    for number, steering in enumerate(steerings):
        own = [table for table, owner in zip(measured, owners, strict=True) if owner == number]
        table = pa.concat_tables([measure.SCHEMA.empty_table(), *own])
        labels = pa.array([steering.label] * table.num_rows, INJECTION.type)
        tables.append(table.append_column(INJECTION, labels))
    return tables


@dataclass(frozen=True)
class _Sweep:
    """What all points of a sweep have in common."""

    measure: ModuleType
    samples: Mapping[str, Samples]
    prepared: Prepared
    kept_bytes: float
    points: Points
    progress: Progress

    def tokens(self, samples: Samples) -> int:
        return sum(map(self.measure.counted, samples.sequences))

    def most_tokens(self, curves: Sequence[Curve], read_on: int | None) -> int:
        """How many tokens all points count for, if no curve ends early."""
        each = {source: read_on or self.tokens(given) for source, given in self.samples.items()}
        return sum(
            each[source] * len(curve.coefficients) for curve in curves for source in curve.sources
        )

    def tables(
        self, curves: Sequence[Curve], places: Places, advance: Advance | None
    ) -> list[pa.Table]:
        """A table for each curve: the rows of every coefficient that it visits, source by source,
        in the order of the samples at these places."""
        chunks = chunks_of(self.prepared.model, self.samples, places, self.kept_bytes)
        tables = []
        for curve, coefficients in zip(
            curves, visited(curves, chunks, self.point, advance), strict=True
        ):
            parts = [
                self.point(curve, chunk, coefficient)
                for coefficient in coefficients
                for source in curve.sources
                for chunk in chunks
                if chunk.source == source
            ]
            tables.append(pa.concat_tables(parts))
        return tables

    def point(self, curve: Curve, chunk: Chunk, coefficient: float) -> pa.Table:
        """The rows of one point, measured unless they are there."""
        coefficient += 0.0  # there is one zero
        point = {
            "path": self.prepared.path,
            "injection": curve.identity if coefficient else None,
            "source": chunk.source,
            "samples": chunk.content,
            "coefficient": coefficient,
        }

        def rows() -> pa.Table:
            batches = self.prepared.batches(chunk)
            return self.measure.rows(
                self.prepared.model,
                curve.injection,
                coefficient,
                chunk.source,
                chunk.samples,
                batches,
                self.progress,
            )

        return self.points.table(
            point, rows, lambda: self.progress.skip(self.tokens(chunk.samples))
        )

    def of(self, source: str, table: pa.Table) -> pa.Table:
        """The rows of one source."""
        return table.filter(pc.field(self.measure.SOURCE) == source)


def _read_on(sweep: _Sweep, curve: Curve, tokens: int, advance: Advance | None) -> pa.Table:
    """The table of a curve whose every coefficient has other samples (paper: skill sweep)."""
    read = dict.fromkeys(curve.sources, 0)
    tables: list[pa.Table] = []
    place = 0
    while place < len(curve.coefficients):
        coefficient = curve.coefficients[place]
        places = {
            source: _next_samples(sweep, source, start, tokens, coefficient)
            for source, start in read.items()
        }
        read = {source: some.stop for source, some in places.items()}
        tables += sweep.tables([replace(curve, coefficients=(coefficient,))], places, None)
        step = 1
        if advance and coefficient != 0:
            unsteered, here = (sweep.of(curve.sources[0], tables[at]) for at in (0, -1))
            step = advance(unsteered, here)
        if not step:
            break
        place += step
    return pa.concat_tables(tables)


def _next_samples(sweep: _Sweep, source: str, start: int, tokens: int, coefficient: float) -> range:
    """The samples from `start` on that hold so many tokens."""
    sequences = sweep.samples[source].sequences
    held = 0
    for place in range(start, len(sequences)):
        held += sweep.measure.counted(sequences[place])
        if held >= tokens:
            return range(start, place + 1)
    measure = sweep.measure
    raise StudyError(
        f"{measure.SECTION}.{source} has no {measure.SAMPLE}s left for coefficient "
        f"{coefficient:g}: its {len(sequences)} are read, {tokens:,} tokens at every coefficient; "
        "ask for more of them, or for fewer tokens."
    )


def _precise(
    sweep: _Sweep,
    curves: Sequence[Curve],
    every: Places,
    precision: Precision,
    advance: Advance | None,
) -> list[pa.Table]:
    """Each curve's table, over as many of `every` source's samples as the precision takes.

    After the pilot the samples are taken in steps, each by the coefficients that go so far.
    """
    pilot = {source: some[: precision.pilot] for source, some in every.items()}
    tables = sweep.tables(curves, pilot, advance)
    coefficients = [table["coefficient"].unique().to_pylist() for table in tables]
    parts = [[table] for table in tables]
    for source, some in every.items():
        ends = _ends(sweep, precision, tables, source, len(some))
        most = max(ends.values())
        step = most if precision.by == "curve" else precision.step
        for start in range(len(pilot[source]), most, step):
            further = []
            for curve, own in zip(curves, coefficients, strict=True):
                going = tuple(coefficient for coefficient in own if ends[coefficient] > start)
                further.append(replace(curve, coefficients=going, sources=(source,)))
            places = {source: range(start, min(start + step, most))}
            for part, table in zip(parts, sweep.tables(further, places, None), strict=True):
                part.append(table)
    return [
        _in_order(pa.concat_tables(part), {sweep.measure.SOURCE: [*every], "coefficient": own})
        for part, own in zip(parts, coefficients, strict=True)
    ]


def _ends(
    sweep: _Sweep, precision: Precision, pilot: Sequence[pa.Table], source: str, available: int
) -> dict[float, int]:
    """By coefficient of the pilot, how many samples of a source the precision takes."""
    ends: dict[float, int] = {}
    for table in pilot:
        here = sweep.of(source, table)
        hits = {
            coefficient: sweep.measure.hits(here.filter(pc.field("coefficient") == coefficient))
            for coefficient in here["coefficient"].unique().to_pylist()
        }
        for coefficient, steered in hits.items():
            needed = documents_needed(steered, hits[0.0], precision.half_width)
            ends[coefficient] = max(ends.get(coefficient, 0), needed)
    most, piloted = max(ends.values()), min(precision.pilot, available)
    sweep.progress.note(
        f"precision {precision.half_width:g} takes {most} {sweep.measure.SAMPLE}s of {source}, by "
        f"a pilot of {piloted}"
        + (f"; the budget holds only {available}" if most > available else "")
    )
    if precision.by == "curve":
        return dict.fromkeys(ends, min(most, available))
    ends[0.0] = most
    for coefficient, needed in ends.items():
        steps = math.ceil((needed - piloted) / precision.step)
        ends[coefficient] = min(piloted + steps * precision.step, available)
    return ends


def _in_order(table: pa.Table, orders: Mapping[str, Sequence[Any]]) -> pa.Table:
    """The rows by the values of these columns, the last one first, else in their own order."""
    places = [
        pc.index_in(table[column], pa.array(values)).to_numpy() for column, values in orders.items()
    ]
    return table.take(np.lexsort(places)).combine_chunks()
