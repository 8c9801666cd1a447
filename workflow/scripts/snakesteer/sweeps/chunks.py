"""Samples in chunks: as many as one shared pass over the lower layers may keep the states of.

All curves and coefficients are measured on a chunk before the next one's states take its place.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, Self

from snakesteer.engine.batches import MOST_PADDING, Batch
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.steering import prepare
from snakesteer.storage.points import digest

KEPT_BYTES = 1e9


class Samples(Protocol):
    """Samples of one source as a measure reads them, a frozen dataclass."""

    @property
    def names(self) -> Sequence[str]: ...

    @property
    def sequences(self) -> Sequence[Sequence[int]]: ...

    def taken(self, places: Sequence[int]) -> Self:
        """Those at these places alone."""
        ...


@dataclass(frozen=True, eq=False)
class Chunk:
    """Consecutive samples of one corpus or behaviour."""

    source: str
    samples: Samples

    @cached_property
    def content(self) -> str:
        """What tells these samples from any others."""
        return digest(*vars(self.samples).values())


def chunks_of(
    model: LanguageModel,
    samples: Mapping[str, Samples],
    places: Mapping[str, range],
    kept_bytes: float,
) -> list[Chunk]:
    """Chunks of each source's samples at its `places`, with states of at most `kept_bytes` each.

    A sample whose states alone are more is a chunk of its own. What a batch of few tokens may pad
    beyond the share `MOST_PADDING` is not counted.
    """
    size = model.dtype.itemsize * model.hidden * (1 + MOST_PADDING)
    chunks = []
    for source, some in places.items():
        given = samples[source]
        starts, held = [some.start], 0.0
        for place in some:
            states = len(given.sequences[place]) * size
            if held and held + states > kept_bytes:
                starts.append(place)
                held = 0.0
            held += states
        for start, end in itertools.pairwise([*starts, some.stop]):
            if start < end:
                chunks.append(Chunk(source, given.taken(range(start, end))))
    return chunks


@dataclass
class Prepared:
    """The batches of the chunk that is being measured, steered at `layer` and above.

    Only one chunk's states are kept at a time. `path` is the checked one, see `engine.steering`.
    """

    model: LanguageModel
    layer: int
    batch_tokens: int
    path: str
    _chunk: Chunk | None = None
    _batches: list[Batch] = field(default_factory=list)

    def batches(self, chunk: Chunk) -> list[Batch]:
        """The chunk's batches, its shared pass run unless it was the last one asked for."""
        if self._chunk is not chunk:
            self._batches = []
            self._batches = prepare(
                self.model,
                chunk.samples.sequences,
                self.layer,
                batch_tokens=self.batch_tokens,
                path=self.path,
            )
            self._chunk = chunk
        return self._batches
