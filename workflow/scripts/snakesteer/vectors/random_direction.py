"""A control: a random direction, as long as another vector at every layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snakesteer.core import plugins
from snakesteer.vectors.positions import seed_at
from snakesteer.vectors.samples import ByRole, Weights
from snakesteer.vectors.scaled import lengths, to_length


def fit(samples: ByRole, settings: Mapping[str, Any], weights: Weights | None = None) -> np.ndarray:
    """Normal numbers of the settings' `seed`, of the lengths of the vector `of`.

    Every layer, position and draw has a direction of its own.
    """
    of = settings["of"]
    vectors = plugins.load("vectors", of["method"]).fit(samples, of, weights)
    seed, shape = seed_at(settings["seed"], samples), vectors.shape[-2:]
    seeds = [seed] if weights is None else [[*seed, i] for i in range(len(vectors))]
    drawn = np.stack([np.random.default_rng(each).normal(size=shape) for each in seeds])
    return to_length(drawn[0] if weights is None else drawn, lengths(vectors))
