"""Samples in chunks: as many as one shared pass over the lower layers may keep the states of.

All curves and coefficients are measured on a chunk before the next one's states take its place.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, Self

from snakesteer.engine.batches import MOST_PADDING, Batch, Forks, batches_of
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.probe import checked_path, leads
from snakesteer.engine.steering import Injection, Place, keep
from snakesteer.storage.points import digest

KEPT_BYTES = 1e9


class Samples(Protocol):
    """Samples of one source as a measure reads them, a frozen dataclass."""

    @property
    def names(self) -> Sequence[str]: ...

    @property
    def sequences(self) -> Sequence[Sequence[int]]: ...

    @property
    def marks(self) -> Mapping[str, Sequence[int]]:
        """By name the place in each sequence from which something begins."""
        ...

    def taken(self, places: Sequence[int]) -> Self:
        """Those at these places alone."""
        ...


@dataclass(frozen=True, eq=False)
class Chunk:
    """Consecutive samples of one corpus or behaviour, as the measure of this name reads them."""

    measure: str
    source: str
    samples: Samples

    @cached_property
    def content(self) -> str:
        """What tells these samples from any others, whatever is marked in them."""
        fields = {name: value for name, value in vars(self.samples).items() if name != "marks"}
        return digest(*fields.values())

    @cached_property
    def marked(self) -> str:
        """What tells what is marked in them."""
        return digest(self.samples.marks)

    def shares(self, other: Chunk) -> bool:
        """Whether the tokens of both are the same, and marked alike."""
        return self is other or alike(self.samples, other.samples)


def alike(one: Samples, other: Samples) -> bool:
    """Whether the tokens of both are the same, and marked alike."""
    of_one, of_other = ((texts.sequences, texts.marks, _forks(texts)) for texts in (one, other))
    return of_one == of_other


def _forks(samples: Samples) -> Sequence[Forks]:
    """Where the branches of each sequence begin, nothing where all are single texts."""
    forks: Sequence[Forks] = getattr(samples, "forks", ())
    return forks if any(forks) else ()


def chunks_of(
    model: LanguageModel,
    measure: str,
    samples: Mapping[str, Samples],
    places: Mapping[str, range],
    kept_bytes: float,
    beside: Mapping[str, Sequence[float]],
    most: int | None = None,
) -> list[Chunk]:
    """Chunks of each source's samples at its `places`, of which at most `kept_bytes` are kept each.

    These are the states and, by source, what is kept `beside` those of each sample. A chunk has at
    most `most` samples. Samples of one name that follow each other share a chunk; those of which
    more is kept are a chunk of their own. What a batch of few tokens may pad beyond the share
    `MOST_PADDING` is not counted.
    """
    size = model.dtype.itemsize * model.hidden * (1 + MOST_PADDING)
    chunks = []
    for source, some in places.items():
        given = samples[source]
        starts, held = [some.start], 0.0
        for _, of_one in itertools.groupby(some, key=given.names.__getitem__):
            several = [*of_one]
            kept = 0.0
            for place in several:
                kept += len(given.sequences[place]) * size + beside[source][place]
            full = most is not None and several[0] - starts[-1] >= most
            if held and (held + kept > kept_bytes or full):
                starts.append(several[0])
                held = 0.0
            held += kept
        for start, end in itertools.pairwise([*starts, some.stop]):
            if start < end:
                chunks.append(Chunk(measure, source, given.taken(range(start, end))))
    return chunks


def sharing(chunks: Sequence[Chunk]) -> list[list[Chunk]]:
    """The chunks, those of the same tokens together."""
    groups: list[list[Chunk]] = []
    for chunk in chunks:
        for group in groups:
            if group[0].shares(chunk):
                group.append(chunk)
                break
        else:
            groups.append([chunk])
    return groups


@dataclass
class Prepared:
    """The batches of the chunk that is being measured, with the states of one layer kept.

    Only one chunk's states are kept at a time; they go up from layer to layer, and chunks of the
    same tokens share them. `path` is what the study asks for, see `engine.steering`.
    """

    model: LanguageModel
    batch_tokens: int
    path: str
    _paths: dict[tuple[tuple[Place, str, str], ...], str] = field(default_factory=dict)
    _steps: dict[tuple[int, int], bool] = field(default_factory=dict)
    _chunk: Chunk | None = None
    _layer: int = -1
    _batches: list[Batch] = field(default_factory=list)

    def path_of(self, injection: Injection) -> str:
        """The path that is exact for injections at these places, by these operators."""
        alike = tuple((part.place, part.operator.__name__, part.code) for part in injection.parts)
        if alike not in self._paths:
            self._paths[alike] = checked_path(self.model, injection, self.path)
        return self._paths[alike]

    def batches(self, chunk: Chunk, injection: Injection) -> list[Batch]:
        """The chunk's batches, to be steered by this injection.

        The blocks that it leaves untouched run unless the states that are kept have passed them.
        """
        kept = injection.untouched if self.path_of(injection) == "shared" else -1
        if self._chunk is None or not self._chunk.shares(chunk) or not self._leads_to(kept):
            self._batches = []  # before others take their place
            samples = chunk.samples
            self._batches = batches_of(
                self.model, samples.sequences, self.batch_tokens, samples.marks, _forks(samples)
            )
            self._layer = -1
        self._chunk = chunk
        if self._layer < kept:
            keep(self.model, self._batches, kept)
            self._layer = kept
        return self._batches

    def _leads_to(self, kept: int) -> bool:
        """Whether the states that are kept are those of this layer, or lead to them."""
        if kept < self._layer:
            return False
        if self._layer in (-1, kept):
            return True
        step = (self._layer, kept)
        if step not in self._steps:
            self._steps[step] = leads(self.model, *step)
        return self._steps[step]
