"""Steering vectors from samples drawn anew: how far a vector is a matter of its documents.

A vector is made from documents or questions. A bootstrap resample draws as many of them again, with
replacement, from the activations that are there, so that no model runs; a control is shuffled anew
as well. A sweep is then run with each resample, and the spread of its outcomes is the part of their
uncertainty that comes from the vector.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from snakesteer.vectors.samples import ByRole


def generator(seed: int, vector: str) -> np.random.Generator:
    """What draws the samples of one vector: independent of those of another with the same seed."""
    own = int.from_bytes(hashlib.sha256(vector.encode()).digest()[:8], "big")
    return np.random.default_rng([seed, own])


def times_drawn(draw: np.random.Generator, n_samples: int, resamples: int) -> np.ndarray:
    """How often each sample is drawn in each resample: counts [resamples, n_samples]."""
    return draw.multinomial(n_samples, np.full(n_samples, 1 / n_samples), size=resamples)


def resampled(
    fit: Callable[..., np.ndarray], samples: ByRole, settings: Mapping[str, Any]
) -> np.ndarray:
    """Resampled vectors [resamples, n_layers, hidden] of a method, given by its `fit`.

    `settings` are the method's and `vector` (its name), `resamples` and `seed`. Documents are drawn
    from each of the samples by itself, and questions with both their answers.
    """
    draw = generator(settings["seed"], settings["vector"])

    def drawn(rows: int) -> np.ndarray:
        return times_drawn(draw, rows, settings["resamples"])

    weights = {role: [drawn(each.rows) for each in given] for role, given in samples.items()}
    return fit(samples, settings, weights)
