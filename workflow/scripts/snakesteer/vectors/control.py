"""A control: another vector, shuffled, so that it points nowhere in particular."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.vectors.positions import seed_at
from snakesteer.vectors.rounding import finite, rounded
from snakesteer.vectors.samples import ByRole, Weights


def fit(samples: ByRole, settings: Mapping[str, Any], weights: Weights | None = None) -> np.ndarray:
    """The vector of the settings `of`, of the same samples, shuffled over the hidden dimension.

    Every layer, position and draw is shuffled by itself, seeded. `how: permuted` shuffles the
    vector, which keeps its length; `how: operands` shuffles both of what it is the difference of,
    independently, as the authors did, which gives a longer vector. Raises StudyError where the
    method of the vector has no operands.
    """
    of = settings["of"]
    method = plugins.load("vectors", of["method"])
    seed = seed_at(settings["seed"], samples)
    if settings["how"] == "permuted":
        return _shuffled(seed, method.fit(samples, of, weights))[0]
    if not hasattr(method, "operands"):
        raise StudyError(
            f"The method {of['method']} has no operands to shuffle; give its control "
            "`how: permuted`."
        )
    added, subtracted = _shuffled(seed, *method.operands(samples, of, weights))
    return rounded(finite(added - subtracted), of.get("dtype", "float32"))


def _shuffled(seed: Sequence[int], *arrays: np.ndarray) -> list[np.ndarray]:
    """Arrays [n_layers, hidden], or each draw of [draws, n_layers, hidden], shuffled."""
    if arrays[0].ndim == 2:
        return _by_layer(np.random.default_rng(seed), arrays)
    draws = []
    for i, drawn in enumerate(zip(*arrays, strict=True)):
        draws.append(_by_layer(np.random.default_rng([*seed, i]), drawn))
    return [np.stack(each) for each in zip(*draws, strict=True)]


def _by_layer(draw: np.random.Generator, arrays: Iterable[np.ndarray]) -> list[np.ndarray]:
    return [draw.permuted(array, axis=1) for array in arrays]
