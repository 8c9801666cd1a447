"""The points of a sweep: which are measured, in which order, and where a curve ends.

A point is one coefficient of one curve on one block of samples. A block is as many documents or
questions as one shared pass over the lower layers may keep; all curves and coefficients are
measured on it before the next block's states take its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from snakesteer.batches import MOST_PADDING, Batch
from snakesteer.engine import Injection, prepare
from snakesteer.models import LanguageModel

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


Measure = Callable[[Curve, Block, float], pa.Table]
"""Measures one point. It must remember what it measured: a point may be asked for twice."""

Advance = Callable[[pa.Table, pa.Table, float], int]
"""(first source at the curve's first coefficient, first source at this one, this coefficient) ->
how many places to advance in the list of coefficients; 0 ends the curve."""


def blocks_of(
    model: LanguageModel,
    source: str,
    sequences: Sequence[Sequence[int]],
    places: range,
    kept_bytes: float,
) -> list[Block]:
    """Blocks of the sequences at `places`, each with states of at most `kept_bytes`.

    A sequence whose states alone are more is a block of its own.
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

    Only one block's states are kept at a time.
    """

    model: LanguageModel
    layer: int
    batch_tokens: int
    path: str
    _block: Block | None = None
    _batches: list[Batch] = field(default_factory=list)

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


def visited(
    curves: Sequence[Curve], blocks: Sequence[Block], measure: Measure, advance: Advance
) -> list[list[float]]:
    """Measure the curves on the blocks; returns the coefficients that each curve visits.

    Which they are is a function of the points alone: early stopping is replayed over all blocks of
    the curve's first source together. On the way there the first block goes ahead and the others
    follow it, so points may be measured that no curve visits in the end, but no block is prepared
    for one coefficient at a time.
    """
    guessed: dict[int, list[float]] = {}
    for block in blocks:
        for number, curve in enumerate(curves):
            if block.source == curve.sources[0]:
                if number in guessed:
                    for coefficient in guessed[number]:
                        measure(curve, block, coefficient)
                else:
                    guessed[number] = list(_walk(curve, [block], measure, advance))
    ended = [
        list(_walk(curve, _of(blocks, curve.sources[0]), measure, advance)) for curve in curves
    ]
    for block in blocks:
        for curve, coefficients in zip(curves, ended, strict=True):
            if block.source in curve.sources[1:]:
                for coefficient in coefficients:
                    measure(curve, block, coefficient)
    return ended


def rows_of(
    curve: Curve, blocks: Sequence[Block], source: str, coefficient: float, measure: Measure
) -> pa.Table:
    """The rows of one source at one coefficient, in the order of its samples."""
    return pa.concat_tables([measure(curve, block, coefficient) for block in _of(blocks, source)])


def _of(blocks: Sequence[Block], source: str) -> list[Block]:
    return [block for block in blocks if block.source == source]


def _walk(
    curve: Curve, blocks: Sequence[Block], measure: Measure, advance: Advance
) -> Iterator[float]:
    """The coefficients visited when the curve is judged on these blocks."""
    place = 0
    while place < len(curve.coefficients):
        coefficient = curve.coefficients[place]
        yield coefficient
        first, here = (
            pa.concat_tables([measure(curve, block, at) for block in blocks])
            for at in (curve.coefficients[0], coefficient)
        )
        step = advance(first, here, coefficient)
        if not step:
            return
        place += step
