"""Samples of two classes, for methods that tell them apart layer by layer.

Of a behaviour the classes are the matching and the other answers, of corpora what is added and what
is subtracted; documents of several corpora are one class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from snakesteer.core.errors import StudyError
from snakesteer.vectors.layers import at_layer, by_layer
from snakesteer.vectors.samples import ByRole, Samples, Weights

# Role, tensor, and whether the class is the one that the vector points to.
_CLASSES = (
    ("of", "matching", True),
    ("add", "activations", True),
    ("of", "not_matching", False),
    ("subtract", "activations", False),
)
ALIKE = 1e-12  # of the largest activation: what rounding alone makes of equal means

# Of the samples of one layer [n, hidden], which of them are of the first class [n], and how often
# each counts [n]: a direction [hidden].
Separate = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class _Part:
    samples: Samples
    tensor: str
    first: bool
    counts: np.ndarray | None


def separated(
    samples: ByRole,
    weights: Weights | None,
    separate: Separate,
    *,
    paired: bool = False,
    at_least: int = 1,
) -> np.ndarray:
    """Vectors [n_layers, hidden], or with weights [draws, n_layers, hidden], float32.

    With `paired` the samples are those of one behaviour, each less the mean of its pair. A layer at
    which the two classes have one mean gets zeros. Raises StudyError for fewer samples than
    `at_least` in a class, for samples of different models, and for NaN or infinity.
    """
    parts = _parts(samples, weights)
    shapes = {part.samples.shapes()[part.tensor][1:] for part in parts}
    if len(shapes) > 1:
        raise StudyError(
            f"The samples of a vector have the shapes {sorted(shapes)}; use activations of one "
            "model."
        )
    first = np.concatenate([np.full(part.samples.rows, part.first) for part in parts])
    fewest = min(first.sum(), (~first).sum())
    if fewest < at_least:
        raise StudyError(
            f"A class has {fewest} samples, but the method needs {at_least} of each; give it more."
        )
    counts = [part.counts for part in parts if part.counts is not None]

    def load(layer: int) -> np.ndarray:
        read = [at_layer(part.samples, part.tensor, layer) for part in parts]
        if paired:
            matching, other = read
            half = (matching - other) / 2
            read = [half, -half]
        return np.concatenate(read)

    def fit(x: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        return np.stack([_unless_alike(separate, x, first, each) for each in drawn])

    [(n_layers, _)] = shapes
    return by_layer(n_layers, load, np.concatenate(counts, axis=1) if counts else None, fit)


def _parts(samples: ByRole, weights: Weights | None) -> list[_Part]:
    parts = []
    for role, tensor, first in _CLASSES:
        for i, each in enumerate(samples.get(role, ())):
            parts.append(_Part(each, tensor, first, None if weights is None else weights[role][i]))
    return parts


def _unless_alike(
    separate: Separate, x: np.ndarray, first: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    drawn = counts > 0
    x, first, counts = x[drawn], first[drawn], counts[drawn].astype(np.float64)
    difference = mean(x[first], counts[first]) - mean(x[~first], counts[~first])
    if np.abs(difference).max() <= ALIKE * np.abs(x).max():
        return np.zeros(x.shape[1])
    return separate(x, first, counts)


def mean(x: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean [hidden] of samples [n, hidden] that count so often each [n]."""
    total: np.ndarray = counts @ x / counts.sum()
    return total
