"""Steering vectors from samples drawn anew: how far a vector is a matter of its documents.

A vector is made from means over documents or questions. A bootstrap resample draws as many of them
again, with replacement, from the activations that are there, so that no model runs; a control that
permutes is permuted anew as well. A sweep is then run with each resample, and the spread of its
outcomes is the part of their uncertainty that comes from the vector.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from snakesteer.storage.files import read_rows, read_shape
from snakesteer.vectors import methods


def generator(seed: int, vector: str) -> np.random.Generator:
    """What draws the samples of one vector: independent of those of another with the same seed."""
    own = int.from_bytes(hashlib.sha256(vector.encode()).digest()[:8], "big")
    return np.random.default_rng([seed, own])


def times_drawn(draw: np.random.Generator, n_samples: int, resamples: int) -> np.ndarray:
    """How often each sample is drawn in each resample: counts [resamples, n_samples]."""
    return draw.multinomial(n_samples, np.full(n_samples, 1 / n_samples), size=resamples)


def means(parts: Iterable[np.ndarray], drawn: np.ndarray) -> np.ndarray:
    """Mean activations [resamples, n_layers, hidden] float64.

    `parts` are activations [n, n_layers, hidden], some samples at a time; `drawn` is
    [resamples, n_samples] as `times_drawn` gives it.
    """
    total: Any = 0.0
    start = 0
    for part in parts:
        weights = drawn[:, start : start + len(part)].astype(np.float64)
        total = total + np.tensordot(weights, part.astype(np.float64), axes=1)
        start += len(part)
    return total / drawn.sum(axis=1)[:, None, None]


def resampled(settings: Mapping[str, Any], files: Mapping[str, Sequence[str]]) -> np.ndarray:
    """Resampled vectors [resamples, n_layers, hidden] from files of activations by role.

    The roles are `contrast`, or `add` and `subtract`; samples of one file are drawn together.
    Raises StudyError as `vectors.skill` and `vectors.contrast` do.
    """
    draw = generator(settings["seed"], settings["vector"])

    def drawn_means(path: str, *tensors: str) -> list[np.ndarray]:
        drawn = times_drawn(draw, read_shape(path, tensors[0])[0], settings["resamples"])
        return [means(read_rows(path, tensor), drawn) for tensor in tensors]

    if "contrast" in files:
        return contrast(*drawn_means(files["contrast"][0], "matching", "not_matching"))
    add, subtract = (
        [drawn_means(path, "activations")[0] for path in files.get(role, [])]
        for role in ("add", "subtract")
    )
    return skill(add, subtract, settings)


def contrast(matching: np.ndarray, not_matching: np.ndarray) -> np.ndarray:
    """Resampled contrast vectors [resamples, n_layers, hidden] from resampled means of both."""
    pairs = zip(matching, not_matching, strict=True)
    return np.stack([methods.contrast(one[None], other[None]) for one, other in pairs])


def skill(
    add: Sequence[np.ndarray], subtract: Sequence[np.ndarray], settings: Mapping[str, Any]
) -> np.ndarray:
    """Resampled skill vectors [resamples, n_layers, hidden] from resampled means.

    `settings` are `resamples`, `seed`, `permute` and `dtype`, as of `vectors.skill`.
    """
    return np.stack(
        [
            methods.skill(
                [mean[i] for mean in add],
                [mean[i] for mean in subtract],
                settings["permute"],
                [settings["seed"], i],
                settings["dtype"],
            )
            for i in range(settings["resamples"])
        ]
    )
