"""Vectors that a vector is made of, each fitted to its own of the samples.

Settings list the other vectors' settings under `vectors`, and under `samples`, for each of them, by
role, which of the samples of the role `samples` are its own. So samples that two of them share are
there once, and are drawn once in a resample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from snakesteer.core import plugins
from snakesteer.vectors.samples import ByRole, Weights

Item = TypeVar("Item")


def fitted(
    samples: ByRole, settings: Mapping[str, Any], weights: Weights | None = None
) -> list[np.ndarray]:
    """The vectors in order, [n_layers, hidden] or with weights [draws, n_layers, hidden] each."""
    vectors = []
    for of, places in zip(settings["vectors"], settings["samples"], strict=True):
        drawn = None if weights is None else _own(weights["samples"], places)
        fit = plugins.load("vectors", of["method"]).fit
        vectors.append(fit(_own(samples["samples"], places), of, drawn))
    return vectors


def _own(given: Sequence[Item], places: Mapping[str, Sequence[int]]) -> dict[str, list[Item]]:
    return {role: [given[place] for place in of_role] for role, of_role in places.items()}
