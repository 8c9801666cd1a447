"""A vector brought to a length at every layer; its direction stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snakesteer.core.errors import StudyError
from snakesteer.vectors.nested import fitted
from snakesteer.vectors.rounding import finite
from snakesteer.vectors.samples import ByRole, Samples, Weights

ACTIVATIONS = ("activations", "matching", "not_matching")


def fit(samples: ByRole, settings: Mapping[str, Any], weights: Weights | None = None) -> np.ndarray:
    """The first of the `vectors`, as long at every layer as `norm` says; zeros stay zeros.

    `norm` is a number; or `others`, the mean length of the other `vectors` (CAA); or `{share: …}`,
    that share of the mean length of the activations behind the vector. Raises StudyError for a
    share where it is made of none.
    """
    vector, *others = fitted(samples, settings, weights)
    norm = settings["norm"]
    wanted: Any
    if norm == "others":
        wanted = np.mean([lengths(other) for other in others], axis=0)
    elif isinstance(norm, Mapping):
        wanted = norm["share"] * mean_length(samples, weights)
    else:
        wanted = norm
    return to_length(vector, wanted)


def lengths(vectors: np.ndarray) -> np.ndarray:
    """The lengths [..., n_layers] of vectors [..., n_layers, hidden], float64."""
    return np.asarray(np.linalg.norm(vectors.astype(np.float64), axis=-1))


def to_length(vectors: np.ndarray, wanted: np.ndarray | float) -> np.ndarray:
    """Vectors [..., n_layers, hidden] of the lengths wanted [..., n_layers], float32."""
    found = lengths(vectors)
    factors = np.divide(wanted, found, out=np.zeros_like(found), where=found > 0)
    return finite(vectors * factors[..., None])


def mean_length(samples: ByRole, weights: Weights | None) -> np.ndarray:
    """The mean length of activations at each layer: [n_layers], or with weights [draws, n_layers].

    Raises StudyError for samples without activations.
    """
    totals, counts = [], []
    for role, given in samples.items():
        for i, each in enumerate(given):
            drawn = np.ones((1, each.rows)) if weights is None else weights[role][i]
            for tensor in set(ACTIVATIONS) & each.shapes().keys():
                totals.append(drawn @ _lengths_of(each, tensor))
                counts.append(drawn.sum(axis=1))
    if not totals:
        raise StudyError(
            "A vector from a file has no activations to scale it to; give `scale` a number, or "
            "another vector's norm."
        )
    found = np.sum(totals, axis=0) / np.sum(counts, axis=0)[:, None]
    return np.asarray(found[0] if weights is None else found)


def _lengths_of(samples: Samples, tensor: str) -> np.ndarray:
    """The lengths [n_samples, n_layers] of the activations of one tensor."""
    return np.concatenate([lengths(part) for part in samples.parts(tensor)])
