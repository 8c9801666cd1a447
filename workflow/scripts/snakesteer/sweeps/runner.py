"""A sweep: any measure, under every injection and coefficient, on the same samples or on others."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from snakesteer.core.errors import Overflow, StudyError, naming
from snakesteer.core.labels import coefficient_label
from snakesteer.core.progress import Progress
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.positions import ALL, refuse_outside
from snakesteer.engine.steering import Injection, injection
from snakesteer.measures import together
from snakesteer.measures.scoring import PREFIX, Scorer, scored
from snakesteer.storage.points import Points
from snakesteer.sweeps.chunks import (
    KEPT_BYTES,
    Chunk,
    Prepared,
    Samples,
    alike,
    chunks_of,
    sharing,
)
from snakesteer.sweeps.curves import Advance, Curve, visited
from snakesteer.sweeps.injections import Steering
from snakesteer.sweeps.job import Precision
from snakesteer.sweeps.precision import documents_needed

INJECTION = pa.field("injection", pa.string())
MEASURE = pa.field("measure", pa.string())

Places = Mapping[str, range]
"""Which samples of each source, by their places in it."""


@dataclass(frozen=True)
class Asked:
    """A measure of a sweep by its `name` there, and the samples of each source that it reads.

    `measures` says what the plugin is; `code` tells what it does from any other. With `read_on`
    every coefficient visited has other samples, the next ones that hold so many tokens. With a
    `precision`, only as many of each source's samples are evaluated as it takes at the coefficients
    visited, and the pilot's samples decide which those are. `scores` are those of its texts, each
    with what tells its code from any other.
    """

    name: str
    plugin: ModuleType
    samples: Mapping[str, Samples]
    stopping: Any = None
    read_on: int | None = None
    precision: Precision | None = None
    code: str = ""
    scores: Mapping[Scorer, str] = field(default_factory=dict)

    @property
    def advance(self) -> Advance | None:
        """The rule by which its curves end early."""
        return partial(self.plugin.advance, self.stopping) if self.stopping else None

    def tokens(self, samples: Samples) -> int:
        """How many tokens samples count for."""
        if hasattr(samples, "reads"):
            return int(samples.reads)
        return sum(map(self.plugin.counted, samples.sequences))

    def arranged(self, model: LanguageModel) -> Asked:
        """The same of samples as this model reads them."""
        if not hasattr(self.plugin, "arranged"):
            return self
        samples = {}
        for source, given in self.samples.items():
            samples[source] = self.plugin.arranged(model, source, given)
        return replace(self, samples=samples)

    def of(self, source: str, table: pa.Table) -> pa.Table:
        """The rows of one source."""
        return table.filter(pc.field(self.plugin.SOURCE) == source)


def run(
    model: LanguageModel,
    measures: Sequence[Asked],
    steerings: Sequence[Steering],
    *,
    batch_tokens: int,
    path: str = "shared",
    kept_bytes: float = KEPT_BYTES,
    points: Points | None = None,
    progress: Progress | None = None,
) -> list[pa.Table]:
    """Measure under every injection and coefficient.

    The lower layers run once for all of them: the states of one layer are kept, and go up to the
    next one that is injected at. The first source of a steering decides where it ends by the
    measure's `stopping`, which the unsteered model never triggers, on either side of 0 by itself.
    `path`: see `engine.steering`. `kept_bytes` bounds the states kept at a time, and so the chunk
    of samples that a point is about; `points` are those there already.

    Returns a table for each steering, with a row per measure, coefficient, source and sample, in
    this order. Its columns are those of all measures (each fills its own), `injection` (the
    steering's label) and `measure` (its name). Raises StudyError if there is no coefficient to
    evaluate, if no samples are left, or if, with `read_on` or a `precision`, a curve does not begin
    unsteered. It does so as well for a sample beyond the model's context or without a steered
    position, and for NaN or infinity.

    Columns, a row for each measure, injection, coefficient, source and sample:
        coefficient
        injection (text): What tells the injection from the others of its sweep: vector, draw, where
            it is read, and layer.
        measure (text): The measure's name in the sweep.
        resample (whole number, only in a sweep with resampled vectors): The resample, from 0.
    """
    curves, owners = [], []
    by_name = {measure.name: measure for measure in measures}
    for number, steering in enumerate(steerings):
        with naming(steering.label):
            steered = injection(model, steering.parts)
        for name, sources in steering.sources.items():
            _refuse_outside(steered, by_name[name], sources)
            advance = by_name[name].advance
            for coefficients in _runs(
                steering.coefficients, steered.unsteered, ends_early=advance is not None
            ):
                owners.append((number, name))
                curves.append(Curve(steered, coefficients, name, sources, advance))
    if not curves:
        raise StudyError(
            "No injection has a coefficient; name at least one injection with a coefficient."
        )
    prepared = Prepared(model, batch_tokens, path)
    sweep = _Sweep(
        {name: asked.arranged(model) for name, asked in by_name.items()},
        prepared,
        kept_bytes,
        points or Points(),
        progress or Progress(),
    )
    sweep.progress.start(sweep.most_tokens(curves))
    measured = sweep.curves(curves)
    sweep.progress.finish()
    tables = []
    for number, steering in enumerate(steerings):
        parts = []
        for measure in measures:
            owned = (number, measure.name)
            own = [table for table, of in zip(measured, owners, strict=True) if of == owned]
            tables_of_it = [measure.plugin.SCHEMA.empty_table(), *own]
            table = pa.concat_tables(tables_of_it, promote_options="default")
            for column, label in ((INJECTION, steering.label), (MEASURE, measure.name)):
                labels = pa.array([label] * table.num_rows, column.type)
                table = table.append_column(column, labels)
            parts.append(table)
        tables.append(pa.concat_tables(parts, promote_options="default"))
    return tables


def _refuse_outside(steered: Injection, asked: Asked, sources: Sequence[str]) -> None:
    """Raise StudyError for positions that a sample does not have."""
    for positions in {part.positions for part in steered.parts} - {ALL}:
        for source in sources:
            given = asked.samples[source]
            measure = asked.plugin
            sample, section = getattr(given, "of", None) or (measure.SAMPLE, measure.SECTION)
            names = [f"{sample} {name} of {section}.{source}" for name in given.names]
            refuse_outside(positions, given.sequences, given.marks, names)


def _runs(
    coefficients: Sequence[float | None], unsteered: float | None, *, ends_early: bool
) -> list[tuple[float | None, ...]]:
    """The coefficients in lists that end by themselves.

    Where one may end early they go outward from 0, the nearest first, and if they have both signs
    `unsteered` (0 or None), those from 0 up and those below 0 are a list each.
    """
    given = [None if value is None else float(value) + 0.0 for value in coefficients]
    runs: list[tuple[float | None, ...]] = [tuple(given)]
    if ends_early:
        steered = [value for value in given if value is not None and value != unsteered]
        outward = sorted(steered, key=abs)
        above = tuple(value for value in outward if value >= 0)
        below = tuple(value for value in outward if value < 0)
        first = (unsteered,) if unsteered in given else ()
        runs = [first, above, below] if above and below else [(*first, *outward)]
    return [run for run in runs if run]


@dataclass(frozen=True)
class _Sweep:
    """What all points of a sweep have in common."""

    measures: Mapping[str, Asked]
    prepared: Prepared
    kept_bytes: float
    points: Points
    progress: Progress

    def most_tokens(self, curves: Sequence[Curve]) -> int:
        """How many tokens all points count for, if no curve ends early."""
        most = 0
        for curve in curves:
            asked = self.measures[curve.measure]
            for source in curve.sources:
                each = asked.read_on or asked.tokens(asked.samples[source])
                most += each * len(curve.coefficients)
        return most

    def curves(self, curves: Sequence[Curve]) -> list[pa.Table]:
        """The table of each curve: the curves of all measures whose samples are fixed are measured
        together, chunk by chunk, each of the others by itself."""
        for curve in curves:
            asked = self.measures[curve.measure]
            unsteered = curve.injection.unsteered
            if (asked.read_on or asked.precision) and curve.coefficients[0] != unsteered:
                raise StudyError(
                    "Coefficients are compared with the unsteered model; begin with it."
                )
        fixed = [curve for curve in curves if not self.measures[curve.measure].read_on]
        pilots = {}
        for name, asked in self.measures.items():
            pilots[name] = {
                source: range(len(given.sequences)) for source, given in asked.samples.items()
            }
            if asked.precision:
                for source, every in pilots[name].items():
                    pilots[name][source] = every[: asked.precision.pilot]
        at_once = iter(self.tables(fixed, pilots))
        tables = []
        for curve in curves:
            asked = self.measures[curve.measure]
            if asked.read_on:
                tables.append(_read_on(self, curve, asked, asked.read_on))
            elif asked.precision:
                tables.append(_precise(self, curve, asked, asked.precision, next(at_once)))
            else:
                tables.append(next(at_once))
        return tables

    def tables(self, curves: Sequence[Curve], places: Mapping[str, Places]) -> list[pa.Table]:
        """A table for each curve: the rows of every coefficient that it visits, source by source,
        in the order of the samples at these places, by measure."""
        chunks = []
        for name, some in places.items():
            samples = self.measures[name].samples
            beside = {source: self._kept_beside(samples[source]) for source in some}
            model = self.prepared.model
            most = getattr(self.measures[name].plugin, "MOST_SAMPLES", None)
            chunks += chunks_of(model, name, samples, some, self.kept_bytes, beside, most)
        shared = sharing(chunks)
        near: dict[Chunk, list[Chunk]] = {}
        for group in shared:
            for chunk in group:
                near[chunk] = [other for other in group if other.measure != chunk.measure]

        def measure(curve: Curve, chunk: Chunk, coefficient: float | None) -> pa.Table:
            wanted = []
            for other in near[chunk]:
                if any(_wants(one, other, curve, coefficient) for one in curves):
                    wanted.append(other)
            return self.point(curve, chunk, coefficient, wanted)

        tables = []
        found = visited(curves, shared, measure)
        for curve, coefficients in zip(curves, found, strict=True):
            parts = []
            for coefficient in coefficients:
                for source in curve.sources:
                    for chunk in chunks:
                        if (chunk.measure, chunk.source) == (curve.measure, source):
                            parts.append(self.scored(curve, chunk, coefficient))
            tables.append(pa.concat_tables(parts))
        return tables

    def _kept_beside(self, samples: Samples) -> list[float]:
        """Bytes that measures of the same texts keep of each sample beside its states."""
        kept = [0.0] * len(samples.sequences)
        for asked in self.measures.values():
            if not hasattr(asked.plugin, "kept_bytes"):
                continue
            for texts in asked.samples.values():
                if alike(texts, samples):
                    for place, sequence in enumerate(samples.sequences):
                        kept[place] += asked.plugin.kept_bytes(self.prepared.model, texts, sequence)
        return kept

    def point(
        self, curve: Curve, chunk: Chunk, coefficient: float | None, near: Sequence[Chunk] = ()
    ) -> pa.Table:
        """The rows of one point, measured unless they are there.

        Those of chunks `near` it, of the same texts, are measured with it where both measures read
        logits alone.
        """
        asked = self.measures[chunk.measure]
        if getattr(asked.plugin, "SEVERAL", False):
            return self._one_of_several(curve, chunk, coefficient)

        def rows() -> pa.Table:
            batches = self.prepared.batches(chunk, curve.injection)
            steering = (curve.injection, coefficient)
            others = [other for other in near if self._joins(other, curve, coefficient)]
            if not others or not hasattr(asked.plugin, "Reader"):
                return asked.plugin.rows(
                    self.prepared.model,
                    *steering,
                    chunk.source,
                    chunk.samples,
                    batches,
                    self.progress,
                )
            readers = [self._reader(each) for each in (chunk, *others)]
            order, found = together.read(
                self.prepared.model, *steering, readers, batches, self.progress
            )
            for other, reader, part in zip(others, readers[1:], found[1:], strict=True):
                with contextlib.suppress(Overflow):  # told where one of its own curves comes to it
                    table = reader.table(*steering, order, part, self.progress)
                    self.points.add(self._said(curve, other, coefficient), table)
            return readers[0].table(*steering, order, found[0], self.progress)

        return self.points.table(
            self._said(curve, chunk, coefficient),
            rows,
            lambda: self.progress.skip(asked.tokens(chunk.samples)),
        )

    def _one_of_several(self, curve: Curve, chunk: Chunk, coefficient: float | None) -> pa.Table:
        """The rows of one point; all that the curve lacks on the chunk are measured with it."""
        asked = self.measures[chunk.measure]

        def rows() -> pa.Table:
            wanted: list[float | None] = []
            for value in curve.coefficients:
                if value == coefficient or self._said(curve, chunk, value) not in self.points:
                    wanted.append(value)
            measured = asked.plugin.rows(
                self.prepared.model,
                curve.injection,
                wanted,
                chunk.source,
                chunk.samples,
                self.kept_bytes,
                self.progress,
            )
            own = None
            for value, table in zip(wanted, measured, strict=True):
                if value == coefficient:
                    own = table
                else:
                    self.points.add(self._said(curve, chunk, value), table)
            assert own is not None
            return own

        return self.points.table(
            self._said(curve, chunk, coefficient),
            rows,
            lambda: self.progress.skip(asked.tokens(chunk.samples)),
        )

    def scored(self, curve: Curve, chunk: Chunk, coefficient: float | None) -> pa.Table:
        """The rows of one point, which is there, with the scores of its texts, if it has any."""
        asked = self.measures[chunk.measure]
        table = self.point(curve, chunk, coefficient)
        for scorer, code in asked.scores.items():
            written = asked.plugin.written(chunk.samples, table)
            found = self.points.table(
                self._said(curve, chunk, coefficient)
                | {"score": [scorer.scorer, scorer.settings, code]},
                partial(scored, scorer, written, self.prepared.model),
            )
            for part, column in scorer.columns.items():
                table = table.append_column(f"{PREFIX}{column}", found[part])
        return table

    def _said(self, curve: Curve, chunk: Chunk, coefficient: float | None) -> dict[str, Any]:
        """What tells a point from any other."""
        asked = self.measures[chunk.measure]
        steered = curve.injection.steers(coefficient)
        return {
            "path": self.prepared.path_of(curve.injection),
            "injection": [curve.identity, chunk.marked] if steered else None,
            "measure": [asked.plugin.__name__, asked.code],
            "source": chunk.source,
            "samples": chunk.content,
            "coefficient": coefficient,
        }

    def _joins(self, chunk: Chunk, curve: Curve, coefficient: float | None) -> bool:
        """Whether a point can be measured with another one of the same texts, and is to be."""
        reads_logits = hasattr(self.measures[chunk.measure].plugin, "Reader")
        return reads_logits and self._said(curve, chunk, coefficient) not in self.points

    def _reader(self, chunk: Chunk) -> together.Reader:
        plugin = self.measures[chunk.measure].plugin
        reader: together.Reader = plugin.Reader(self.prepared.model, chunk.source, chunk.samples)
        return reader


def _wants(curve: Curve, chunk: Chunk, like: Curve, coefficient: float | None) -> bool:
    """Whether a curve has this coefficient on the chunk, under the injection of another curve."""
    on_it = curve.measure == chunk.measure and chunk.source in curve.sources
    return on_it and coefficient in curve.coefficients and curve.identity == like.identity


def _read_on(sweep: _Sweep, curve: Curve, asked: Asked, tokens: int) -> pa.Table:
    """The table of a curve whose every coefficient has other samples (paper: skill sweep)."""
    read = dict.fromkeys(curve.sources, 0)
    tables: list[pa.Table] = []
    place = 0
    while place < len(curve.coefficients):
        coefficient = curve.coefficients[place]
        places = {
            source: _next_samples(asked, source, start, tokens, coefficient)
            for source, start in read.items()
        }
        read = {source: some.stop for source, some in places.items()}
        here = replace(curve, coefficients=(coefficient,), advance=None)
        tables += sweep.tables([here], {asked.name: places})
        step = 1
        if curve.advance and coefficient != curve.injection.unsteered:
            step = curve.advance(*(asked.of(curve.sources[0], tables[at]) for at in (0, -1)))
        if not step:
            break
        place += step
    return pa.concat_tables(tables)


def _next_samples(
    asked: Asked, source: str, start: int, tokens: int, coefficient: float | None
) -> range:
    """The samples from `start` on that hold so many tokens."""
    sequences = asked.samples[source].sequences
    held = 0
    for place in range(start, len(sequences)):
        held += asked.plugin.counted(sequences[place])
        if held >= tokens:
            return range(start, place + 1)
    measure = asked.plugin
    raise StudyError(
        f"{measure.SECTION}.{source} has no {measure.SAMPLE}s left for "
        f"{coefficient_label(coefficient)}: all {len(sequences)} were read, {tokens:,} tokens at "
        "every coefficient; ask for more of them, or for fewer tokens."
    )


def _precise(
    sweep: _Sweep, curve: Curve, asked: Asked, precision: Precision, piloted: pa.Table
) -> pa.Table:
    """A curve's table, over as many of its sources' samples as the precision takes.

    After the pilot, whose table is there, the samples are taken in steps, each by the coefficients
    that go so far.
    """
    coefficients = piloted["coefficient"].unique().to_pylist()
    parts = [piloted]
    for source in curve.sources:
        available = len(asked.samples[source].sequences)
        pilot = asked.of(source, piloted)
        ends = _ends(sweep, asked, precision, pilot, source, curve.injection.unsteered)
        most = max(ends.values())
        step = most if precision.by == "curve" else precision.step
        for start in range(min(precision.pilot, available), most, step):
            going = tuple(coefficient for coefficient in coefficients if ends[coefficient] > start)
            further = replace(curve, coefficients=going, sources=(source,), advance=None)
            places = {source: range(start, min(start + step, most))}
            parts += sweep.tables([further], {asked.name: places})
    orders = {asked.plugin.SOURCE: curve.sources, "coefficient": coefficients}
    return _in_order(pa.concat_tables(parts), orders)


def _ends(
    sweep: _Sweep,
    asked: Asked,
    precision: Precision,
    pilot: pa.Table,
    source: str,
    unsteered: float | None,
) -> dict[float | None, int]:
    """By coefficient of the pilot, how many samples of a source the precision takes."""
    available = len(asked.samples[source].sequences)
    hits = {}
    for coefficient in pilot["coefficient"].unique().to_pylist():
        of_it = pc.index_in(pilot["coefficient"], pa.array([coefficient], pa.float64())).is_valid()
        hits[coefficient] = asked.plugin.hits(pilot.filter(of_it))
    ends = {
        coefficient: documents_needed(steered, hits[unsteered], precision.half_width)
        for coefficient, steered in hits.items()
    }
    most, piloted = max(ends.values()), min(precision.pilot, available)
    sweep.progress.note(
        f"precision {precision.half_width:g} needs {most} {asked.plugin.SAMPLE}s of {source}, "
        f"estimated from a pilot of {piloted}"
        + (f"; the budget holds only {available}" if most > available else "")
    )
    if precision.by == "curve":
        return dict.fromkeys(ends, min(most, available))
    ends[unsteered] = most
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
