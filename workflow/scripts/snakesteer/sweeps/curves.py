"""The points of a sweep: which are measured, in which order, and where a curve ends.

A point is one coefficient of one curve on one block of samples. A block is as many documents or
questions as one shared pass over the lower layers may keep; all curves and coefficients are
measured on it before the next block's states take its place.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from snakesteer.core.errors import Overflow
from snakesteer.engine.batches import MOST_PADDING, Batch
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.probe import checked_path
from snakesteer.engine.steering import Injection, prepare
from snakesteer.storage.points import Points

KEPT_BYTES = 1e9


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive samples of one corpus or behaviour: their places in it and their tokens."""

    source: str
    places: range
    sequences: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Curve:
    """An injection and the coefficients it is evaluated at, on the samples of `sources`.

    The first source alone decides where the curve ends.
    """

    injection: Injection
    coefficients: tuple[float, ...]
    sources: tuple[str, ...]


Rows = Callable[[Injection, float, Block, list[Batch]], pa.Table]
"""Evaluates one point, coefficient × injection on the block in these batches: a row per sample."""

Measure = Callable[[Curve, Block, float], pa.Table]
"""Measures one point. It must remember what it measured: a point may be asked for twice."""

Advance = Callable[[pa.Table, pa.Table, float], int]
"""(first source at coefficient 0, first source at this one, this coefficient) ->
how many places to advance in the list of coefficients; 0 ends the curve. None visits them all."""


def blocks_of(
    model: LanguageModel,
    source: str,
    sequences: Sequence[Sequence[int]],
    places: range,
    kept_bytes: float,
) -> list[Block]:
    """Blocks of the sequences at `places`, each with states of at most `kept_bytes`.

    A sequence whose states alone are more is a block of its own. What a batch of few tokens may pad
    beyond the share `MOST_PADDING` is not counted.
    """
    size = model.dtype.itemsize * model.hidden * (1 + MOST_PADDING)
    starts, held = [places.start], 0.0
    for place in places:
        states = len(sequences[place]) * size
        if held and held + states > kept_bytes:
            starts.append(place)
            held = 0.0
        held += states
    ends = [*starts[1:], places.stop]
    return [
        Block(source, range(start, end), sequences[start:end])
        for start, end in zip(starts, ends, strict=True)
        if end > start
    ]


@dataclass
class Prepared:
    """The batches of the block that is being measured, steered at `layer` and above.

    Only one block's states are kept at a time. `path` is the checked one, see `engine`.
    """

    model: LanguageModel
    layer: int
    batch_tokens: int
    path: str
    _block: Block | None = None
    _batches: list[Batch] = field(default_factory=list)

    @classmethod
    def of(
        cls, model: LanguageModel, curves: Sequence[Curve], batch_tokens: int, path: str
    ) -> Prepared:
        """For curves on the same blocks: the layers up to the lowest injection run once for all."""
        lowest = min(curve.injection.layers[0] for curve in curves)
        return cls(model, lowest, batch_tokens, checked_path(model, lowest, path))

    def batches(self, block: Block) -> list[Batch]:
        """The block's batches, its shared pass run unless it was the last one asked for."""
        if self._block is not block:
            self._batches = []
            self._batches = prepare(
                self.model,
                block.sequences,
                self.layer,
                batch_tokens=self.batch_tokens,
                path=self.path,
            )
            self._block = block
        return self._batches


def tables_of(
    curves: Sequence[Curve],
    blocks: Sequence[Block],
    prepared: Prepared,
    points: Points,
    content: Callable[[Block], str],
    found: Callable[[Block], None],
    rows: Rows,
    advance: Advance | None,
) -> list[pa.Table]:
    """Measure the curves on the blocks, but for the `points` that are there.

    `content` tells a block's samples from any others; `found` is told the block of every point that
    an earlier job has made. Returns a table for each curve: the rows of
    every coefficient that it visits, source by source, in the order of the samples.
    """
    identity, content = functools.cache(Injection.digest), functools.cache(content)

    def measure(curve: Curve, block: Block, coefficient: float) -> pa.Table:
        coefficient += 0.0  # there is one zero
        point = {
            "path": prepared.path,
            "injection": identity(curve.injection) if coefficient else None,
            "source": block.source,
            "samples": content(block),
            "coefficient": coefficient,
        }
        return points.table(
            point,
            lambda: rows(curve.injection, coefficient, block, prepared.batches(block)),
            lambda: found(block),
        )

    return [
        pa.concat_tables(
            measure(curve, block, coefficient)
            for coefficient in coefficients
            for source in curve.sources
            for block in _of(blocks, source)
        )
        for curve, coefficients in zip(
            curves, visited(curves, blocks, measure, advance), strict=True
        )
    ]


def visited(
    curves: Sequence[Curve], blocks: Sequence[Block], measure: Measure, advance: Advance | None
) -> list[list[float]]:
    """Measure the curves on the blocks; returns the coefficients that each curve visits.

    Which they are is a function of the points alone: early stopping is replayed over all blocks of
    the curve's first source together. On the way there a block follows those before it, and goes
    ahead where it alone would go on. So points may be measured that no curve visits in the end, but
    a block that is prepared measures all that is known to be wanted of it, and is prepared again
    only for coefficients that a later one has shown to be wanted. A block that overflows ahead of
    the others goes no further; the job ends on that if the curve comes there.
    """
    ahead: list[list[int]] = [[] for _ in curves]
    for block in blocks:
        for curve, places in zip(curves, ahead, strict=True):
            if block.source == curve.sources[0]:
                with _ahead_only(_of(blocks, block.source), advance):
                    for place in places:
                        measure(curve, block, curve.coefficients[place])
                    last = places.pop() if places else 0
                    for place in _walk(curve, [block], measure, advance, last):
                        places.append(place)
    ended = [
        list(_ended(curve, _of(blocks, curve.sources[0]), places, measure, advance))
        for curve, places in zip(curves, ahead, strict=True)
    ]
    for block in blocks:
        for curve, coefficients in zip(curves, ended, strict=True):
            if block.source in curve.sources[1:]:
                for coefficient in coefficients:
                    measure(curve, block, coefficient)
    return ended


def _ended(
    curve: Curve,
    blocks: Sequence[Block],
    ahead: list[int],
    measure: Measure,
    advance: Advance | None,
) -> Iterator[float]:
    """The coefficients visited when the curve is judged on all these blocks.

    Where that leads beyond what the first block measured, all blocks measure the rest of what any
    of them has measured, `ahead` (places), block by block.
    """
    everywhere: set[int] = set()
    with _ahead_only(blocks, advance):
        everywhere.update(_walk(curve, blocks[:1], measure, advance))
    for place in _walk(curve, blocks, measure, advance):
        if place not in everywhere:
            rest = [place, *(later for later in ahead if later > place)]
            everywhere.update(rest)
            for block in blocks:
                with _ahead_only(blocks, advance):
                    for later in rest:
                        measure(curve, block, curve.coefficients[later])
        yield curve.coefficients[place]


def _ahead_only(
    blocks: Sequence[Block], advance: Advance | None
) -> contextlib.AbstractContextManager[None]:
    """Passes over an overflow of one block where all of them may end the curve before it."""
    undecided = advance and len(blocks) > 1
    return contextlib.suppress(Overflow) if undecided else contextlib.nullcontext()


def _of(blocks: Sequence[Block], source: str) -> list[Block]:
    return [block for block in blocks if block.source == source]


def _walk(
    curve: Curve,
    blocks: Sequence[Block],
    measure: Measure,
    advance: Advance | None,
    place: int = 0,
) -> Iterator[int]:
    """The places of the coefficients visited from `place` on, judged on these blocks.

    A place is yielded before its points are measured.
    """
    while place < len(curve.coefficients):
        yield place
        coefficient = curve.coefficients[place]
        here = pa.concat_tables([measure(curve, block, coefficient) for block in blocks])
        step = 1
        if advance:
            unsteered = pa.concat_tables([measure(curve, block, 0.0) for block in blocks])
            step = advance(unsteered, here, coefficient)
        if not step:
            return
        place += step
