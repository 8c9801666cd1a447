"""A vector made several times, of samples that count differently or of a control's own chance.

Resamples: a vector is made from documents or questions. A bootstrap resample draws as many of them
again, with replacement, from the activations that are there, so that no model runs; a control is
shuffled anew as well. A sweep is then run with each resample, and the spread of its outcomes is the
part of their uncertainty that comes from the vector.

Draws: a control is drawn several times of the same samples, for a band in place of one line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from snakesteer.vectors.positions import at_each
from snakesteer.vectors.samples import ByRole, Weights


def several(
    fit: Callable[..., np.ndarray], samples: ByRole, settings: Mapping[str, Any]
) -> np.ndarray:
    """A method's vectors [times, n_layers, hidden], by its `fit`, one for each of `weights`; of
    samples at several positions [times, positions, n_layers, hidden].

    `settings` are the method's and those of `weights`.
    """
    return at_each(fit, samples, settings, weights(samples, settings))


def weights(samples: ByRole, settings: Mapping[str, Any]) -> Weights:
    """How often each of the samples counts each time, [times, n_samples] for each of them.

    With `draws` in the settings, each once in so many draws. With `resamples`, as often as it is
    drawn by the `seed` and the name of the `vector`: documents from each corpus by itself, and
    questions with both their answers.
    """
    found: dict[str, list[np.ndarray]] = {}
    draw = None if "draws" in settings else generator(settings["seed"], settings["vector"])
    for role, given in samples.items():
        found[role] = []
        for each in given:
            if draw is None:
                found[role].append(np.ones((settings["draws"], each.rows)))
            else:
                found[role].append(times_drawn(draw, each.rows, settings["resamples"]))
    return found


def generator(seed: int, vector: str) -> np.random.Generator:
    """What draws the samples of one vector: independent of those of another with the same seed."""
    own = int.from_bytes(hashlib.sha256(vector.encode()).digest()[:8], "big")
    return np.random.default_rng([seed, own])


def times_drawn(draw: np.random.Generator, n_samples: int, resamples: int) -> np.ndarray:
    """How often each sample is drawn in each resample: counts [resamples, n_samples]."""
    return draw.multinomial(n_samples, np.full(n_samples, 1 / n_samples), size=resamples)
