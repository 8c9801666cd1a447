"""How long the activations are that vectors are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snakesteer.vectors.samples import Samples
from snakesteer.vectors.scaled import ACTIVATIONS, lengths


@dataclass(frozen=True)
class Lengths:
    """The lengths of some activations summed at each layer, [n_layers], or of several positions
    [positions, n_layers]; and of how many."""

    total: np.ndarray
    count: int


def summed(samples: Samples) -> Lengths:
    """The lengths of all activations of some samples, of a behaviour those at both answers."""
    total, count = np.float64(0), 0
    for tensor in ACTIVATIONS:
        if tensor in samples.shapes():
            for part in samples.parts(tensor):
                total = total + lengths(part).sum(axis=0)
                count += len(part)
    return Lengths(np.asarray(total), count)


def activation_norms(made_of: Sequence[Lengths]) -> np.ndarray | None:
    """The mean length of activations [n_layers], where some are of several positions [positions,
    n_layers]; None of none. It is the one that `scale: {share: …}` has a share of."""
    if not made_of:
        return None
    total = sum(each.total for each in made_of)
    return np.asarray(total / sum(each.count for each in made_of))


def with_norms(
    rows: Iterator[Mapping[str, Any]], norms: np.ndarray | None, positions: Sequence[int] | None
) -> Iterator[dict[str, Any]]:
    """The rows of a vector in numbers with `activation_norm`, that of their layer and position."""
    for row in rows:
        if norms is None:
            yield {**row, "activation_norm": None}
        elif positions is None or norms.ndim == 1:
            yield {**row, "activation_norm": float(norms[row["layer"]])}
        else:
            place = list(positions).index(row["position"])
            yield {**row, "activation_norm": float(norms[place, row["layer"]])}
