"""Which points of its curves a sweep measures, in which order, and where a curve ends.

A point is one coefficient of one curve on one chunk of samples.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from snakesteer.core.errors import Overflow
from snakesteer.engine.steering import Injection
from snakesteer.sweeps.chunks import Chunk

Advance = Callable[[pa.Table, pa.Table], int]
"""(first source unsteered, first source at a coefficient) ->
how many places to advance in the list of coefficients; 0 ends the curve. None visits them all."""


@dataclass(frozen=True)
class Curve:
    """An injection and the coefficients it is evaluated at, by a measure, on samples of `sources`.

    The first source alone decides where the curve ends, by `advance`.
    """

    injection: Injection
    coefficients: tuple[float | None, ...]
    measure: str
    sources: tuple[str, ...]
    advance: Advance | None = None

    @cached_property
    def identity(self) -> str:
        """What tells its injection from any other."""
        return self.injection.digest()

    def begins_on(self, chunk: Chunk) -> bool:
        """Whether the chunk is of its first source."""
        return (chunk.measure, chunk.source) == (self.measure, self.sources[0])

    def goes_on_to(self, chunk: Chunk) -> bool:
        """Whether the chunk is of another one of its sources."""
        return chunk.measure == self.measure and chunk.source in self.sources[1:]


Measure = Callable[[Curve, Chunk, float | None], pa.Table]
"""Measures one point. It must remember what it measured: a point may be asked for twice."""


def visited(
    curves: Sequence[Curve], chunks: Sequence[Sequence[Chunk]], measure: Measure
) -> list[list[float | None]]:
    """Measure the curves on the chunks; returns the coefficients that each curve visits.

    Chunks of the same tokens stand together.

    Which they are is a function of the points alone: the rule is replayed over all chunks of the
    curve's first source together. On the way there a chunk follows those before it, and goes ahead
    where it alone would go on. So some measured points might not be visited by any curve in the
    end. In return, a prepared chunk measures every coefficient known to be needed, and is prepared
    again only for coefficients that a later chunk shows to be needed. A chunk that overflows ahead
    of the others goes no further; the job ends on that if the curve comes there. On each chunk the
    curves that leave fewer layers untouched come first.
    """
    walks = []
    for curve in curves:
        first = filter(curve.begins_on, itertools.chain.from_iterable(chunks))
        walks.append(Walk(curve, list(first), measure))
    upwards = sorted(range(len(curves)), key=lambda number: curves[number].injection.untouched)
    wanted = [[0] for _ in curves]
    for shared in chunks:
        for number in upwards:
            for chunk in filter(curves[number].begins_on, shared):
                wanted[number] = walks[number].ahead(chunk, wanted[number])
    ended = [walk.together(places) for walk, places in zip(walks, wanted, strict=True)]
    for shared in chunks:
        for number in upwards:
            for chunk in filter(curves[number].goes_on_to, shared):
                for coefficient in ended[number]:
                    measure(curves[number], chunk, coefficient)
    return ended


@dataclass(frozen=True)
class Walk:
    """A curve on the chunks of its first source. Places are those of its list of coefficients."""

    curve: Curve
    chunks: Sequence[Chunk]
    measure: Measure

    def ahead(self, chunk: Chunk, wanted: Sequence[int]) -> list[int]:
        """Measure a chunk at the places wanted, and on from the last as it alone would go on.

        Returns all these places. One is listed before it is measured, so that it is among them if
        it overflows.
        """
        places = list(wanted)
        with self._passing_over():
            for place in wanted[:-1]:
                self._point(chunk, place)
            following = self._next(places[-1], [chunk])
            while following is not None:
                places.append(following)
                following = self._next(following, [chunk])
        return places

    def together(self, wanted: Sequence[int]) -> list[float | None]:
        """The coefficients visited when the curve is judged on all chunks together.

        All chunks have measured the places that the first one went on to. Beyond them, every chunk
        measures all that is wanted of any, so that it is prepared once more and no oftener.
        """
        everywhere = set(self.ahead(self.chunks[0], [0]))
        coefficients = []
        place: int | None = 0
        while place is not None:
            if place not in everywhere:
                rest = [place, *(later for later in wanted if later > place)]
                everywhere.update(rest)
                for chunk in self.chunks:
                    with self._passing_over():
                        for later in rest:
                            self._point(chunk, later)
            coefficients.append(self.curve.coefficients[place])
            place = self._next(place, self.chunks)
        return coefficients

    def _next(self, place: int, chunks: Sequence[Chunk]) -> int | None:
        """The place after this one, judged on these chunks, which are measured here; None at the
        end."""
        coefficient = self.curve.coefficients[place]
        here = pa.concat_tables([self._point(chunk, place) for chunk in chunks])
        step = 1
        unsteered = self.curve.injection.unsteered
        if self.curve.advance and coefficient != unsteered:
            before = [self.measure(self.curve, chunk, unsteered) for chunk in chunks]
            step = self.curve.advance(pa.concat_tables(before), here)
        following = place + step
        return following if step and following < len(self.curve.coefficients) else None

    def _point(self, chunk: Chunk, place: int) -> pa.Table:
        return self.measure(self.curve, chunk, self.curve.coefficients[place])

    def _passing_over(self) -> contextlib.AbstractContextManager[None]:
        """Passes over an overflow of one chunk where all of them may end the curve before it."""
        undecided = self.curve.advance and len(self.chunks) > 1
        return contextlib.suppress(Overflow) if undecided else contextlib.nullcontext()
