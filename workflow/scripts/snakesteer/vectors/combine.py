"""A vector made of other vectors: their weighted sum or mean, without a component."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snakesteer.vectors.combining import combine
from snakesteer.vectors.nested import fitted
from snakesteer.vectors.rounding import finite
from snakesteer.vectors.samples import ByRole, Weights


def fit(samples: ByRole, settings: Mapping[str, Any], weights: Weights | None = None) -> np.ndarray:
    """The `vectors` with their `weights` combined as `how` says: `sum` or `mean`.

    With `without` the last of them is no part of it: what points along it is taken out.
    """
    vectors = fitted(samples, settings, weights)
    parts = vectors[:-1] if settings["without"] else vectors
    made = combine(parts, settings["how"], settings["weights"])
    return finite(without(made, vectors[-1]) if settings["without"] else made)


def without(vectors: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Vectors [..., n_layers, hidden] less their component along another, layer by layer.

    Where the other vector is zero there is nothing to take out.
    """
    vectors, other = vectors.astype(np.float64), other.astype(np.float64)
    squares = (other**2).sum(axis=-1, keepdims=True)
    along = (vectors * other).sum(axis=-1, keepdims=True)
    shares = np.divide(along, squares, out=np.zeros_like(squares), where=squares > 0)
    return np.asarray(vectors - shares * other)
