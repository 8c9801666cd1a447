"""Fitting a layer at a time, for methods that need all samples of a layer at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from snakesteer.core.errors import StudyError
from snakesteer.storage.layers import read_layer
from snakesteer.vectors.rounding import finite
from snakesteer.vectors.samples import Samples

# Of the samples of one layer [n, hidden] and how often each counts in each draw [draws, n]:
# a direction for each draw [draws, hidden], float64.
Fit = Callable[[np.ndarray, np.ndarray], np.ndarray]


def at_layer(samples: Samples, tensor: str, layer: int) -> np.ndarray:
    """The activations of one layer, [n_samples, hidden] float64; StudyError for NaN or infinity."""
    held, place = samples.held, samples.place
    if isinstance(held, str):
        read = read_layer(held, tensor, layer, place)
    else:
        read = held[tensor][:, layer] if place is None else held[tensor][:, place, layer]
    read = read.astype(np.float64)
    if not np.isfinite(read).all():
        raise StudyError(
            f"An activation is NaN or infinite at layer {layer}; check the texts that the model "
            "reads, or use another `dtype`."
        )
    return read


def by_layer(
    n_layers: int,
    load: Callable[[int], np.ndarray],
    counts: np.ndarray | None,
    fit: Fit,
) -> np.ndarray:
    """Vectors [n_layers, hidden], or with counts [draws, n_layers, hidden], float32.

    `load` gives the samples of a layer, which count once each without `counts` [draws, n]. Raises
    StudyError where a vector is zero at every layer.
    """
    fitted = []
    for layer in range(n_layers):
        samples = load(layer)
        fitted.append(fit(samples, np.ones((1, len(samples))) if counts is None else counts))
    vectors = finite(np.stack(fitted, axis=1))
    if not vectors.any(axis=(1, 2)).all():
        raise StudyError(
            "The samples show no direction at any layer, as they are all the same; check the "
            "tokens whose activations are read."
        )
    return vectors[0] if counts is None else vectors
