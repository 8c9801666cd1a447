"""First principal component of the differences between two answers (representation engineering).

Centred, it is the direction in which the differences vary most around their mean, as in
scikit-learn's PCA and `repeng`. Not centred, it is the direction in which they are largest, as in
`steering-vectors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snakesteer.core.errors import StudyError
from snakesteer.vectors.classes import mean
from snakesteer.vectors.layers import at_layer, by_layer
from snakesteer.vectors.samples import ByRole, Weights

VARY = 1e-7  # of the differences' size: below it, what varies is their rounding


def fit(samples: ByRole, settings: Mapping[str, Any], weights: Weights | None = None) -> np.ndarray:
    """Of length 1 at every layer, on the side of the mean difference; `centred` is a setting.

    A layer at which no difference shows gets zeros. Raises StudyError for fewer questions than 1,
    or centred 2, and where no layer shows any difference.
    """
    (questions,) = samples["of"]
    needed = 2 if settings["centred"] else 1
    if questions.rows < needed:
        raise StudyError(
            f"There are {questions.rows} pairs of answers, and pca needs {needed}; give it more "
            "questions."
        )
    (_, n_layers, _) = questions.shapes()["matching"]

    def load(layer: int) -> np.ndarray:
        matching, other = (
            at_layer(questions, tensor, layer) for tensor in ("matching", "not_matching")
        )
        return matching - other

    def fitted(differences: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return np.stack([component(differences, each, settings["centred"]) for each in counts])

    return by_layer(n_layers, load, None if weights is None else weights["of"][0], fitted)


def component(differences: np.ndarray, counts: np.ndarray, centred: bool) -> np.ndarray:
    """First principal component [hidden] of differences [n, hidden] that count so often each."""
    drawn = counts > 0
    differences, counts = differences[drawn], counts[drawn].astype(np.float64)
    middle = mean(differences, counts)
    share = np.sqrt(counts / counts.sum())[:, None]
    spread = share * (differences - middle if centred else differences)
    if np.linalg.norm(spread) <= VARY * np.linalg.norm(share * differences):
        return np.zeros(differences.shape[1])
    if len(spread) < spread.shape[1]:
        direction = spread.T @ np.linalg.eigh(spread @ spread.T).eigenvectors[:, -1]
    else:
        direction = np.linalg.eigh(spread.T @ spread).eigenvectors[:, -1]
    direction /= np.linalg.norm(direction)
    return direction if direction @ middle >= 0 else -direction
