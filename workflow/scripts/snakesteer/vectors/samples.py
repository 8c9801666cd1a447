"""The samples that vectors are made from, and means over them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from snakesteer.core.errors import StudyError
from snakesteer.storage.files import read_provenance, read_rows, read_shapes
from snakesteer.storage.layers import read_position
from snakesteer.vectors.rounding import finite


@dataclass(frozen=True)
class Samples:
    """Documents or questions with their activations [n_samples, n_layers, hidden], by tensor name.

    They are `held` in a safetensors file of this path, or as arrays; those of a behaviour are two,
    `matching` and `not_matching`, those of a corpus one, `activations`. What is held may be of
    several positions, [n_samples, positions, n_layers, hidden]: of these, `place` takes one.
    """

    held: str | Mapping[str, np.ndarray]
    place: int | None = None

    @property
    def positions(self) -> tuple[int, ...] | None:
        """The positions that are held, counted from the texts' ends (-1 is the last token), of
        those read at several."""
        _, *axes, _, _ = next(iter(self._shapes().values()))
        if not axes:
            return None
        made = read_provenance(self.held) if isinstance(self.held, str) else {}
        listed = made.get("settings", {}).get("positions")
        # Any other axis is that of the tokens from somewhere on to the end.
        return tuple(listed if isinstance(listed, list) else range(-axes[0], 0))

    def at(self, place: int) -> Self:
        """The same at one of several positions, a number from 0; of one position as they are."""
        return self if self.positions is None else replace(self, place=place)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor."""
        own = self._shapes()
        if self.place is None:
            return own
        return {name: (rows, *shape) for name, (rows, _, *shape) in own.items()}

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        if isinstance(self.held, str):
            return read_shapes(self.held)
        return {name: array.shape for name, array in self.held.items()}

    @property
    def rows(self) -> int:
        """How many samples there are."""
        return next(iter(self.shapes().values()))[0]

    def parts(self, tensor: str) -> Iterator[np.ndarray]:
        """The activations of one tensor, of some samples at a time."""
        if not isinstance(self.held, str):
            held = self.held[tensor]
            yield held if self.place is None else held[:, self.place]
        elif self.place is None:
            yield from read_rows(self.held, tensor)
        else:
            yield from read_position(self.held, tensor, self.place)


def of_files(files: Mapping[str, Sequence[str]]) -> ByRole:
    """Samples by role, from files of activations by role."""
    return {role: [Samples(path) for path in paths] for role, paths in files.items()}


# Samples by role, as the entry of a vector names them, and how often each of them counts:
# [draws, n_samples] for each of the samples.
ByRole = Mapping[str, Sequence[Samples]]
Weights = Mapping[str, Sequence[np.ndarray]]


def mean(samples: Samples, tensor: str, weights: np.ndarray | None = None) -> np.ndarray:
    """Mean activation [n_layers, hidden], or [draws, n_layers, hidden] with weights, float32.

    Sums are taken in float64, sample after sample. Raises StudyError when there are no samples, or
    for NaN or infinity.
    """
    total: Any = np.float64(0)
    count = 0
    for part in samples.parts(tensor):
        if weights is None:
            total = total + part.sum(axis=0, dtype=np.float64)
        else:
            drawn = weights[:, count : count + len(part)].astype(np.float64)
            total = total + np.tensordot(drawn, part.astype(np.float64), axes=1)
        count += len(part)
    if not count:
        raise StudyError("There are no activations to take the mean of; the corpus is empty.")
    return finite(total / (count if weights is None else weights.sum(axis=1)[:, None, None]))


def means(samples: ByRole, role: str, tensor: str, weights: Weights | None) -> list[np.ndarray]:
    """The mean activation of each of the samples of one role, as `mean` gives it."""
    given = samples.get(role, ())
    counts = [None] * len(given) if weights is None else weights.get(role, ())
    return [mean(each, tensor, count) for each, count in zip(given, counts, strict=True)]
