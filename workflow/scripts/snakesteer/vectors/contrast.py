"""Mean activation with the matching answer minus that with the other one (paper: behaviours)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snakesteer.core.errors import StudyError
from snakesteer.vectors.rounding import finite
from snakesteer.vectors.samples import ByRole, Weights, means


def fit(samples: ByRole, settings: Mapping[str, Any], weights: Weights | None = None) -> np.ndarray:
    """The mean of `matching` minus that of `not_matching`, of the questions `of`.

    Raises StudyError where the two have different shapes.
    """
    matching, not_matching = operands(samples, settings, weights)
    return finite(matching - not_matching)


def operands(
    samples: ByRole, settings: Mapping[str, Any], weights: Weights | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The two means, [n_layers, hidden] or with weights [draws, n_layers, hidden] each."""
    (questions,) = samples["of"]
    shapes = questions.shapes()
    if shapes["matching"] != shapes["not_matching"]:
        raise StudyError(
            f"Matching activations have the shape {shapes['matching']}, the others "
            f"{shapes['not_matching']}; extract both from the same questions and model."
        )
    (matching,) = means(samples, "of", "matching", weights)
    (not_matching,) = means(samples, "of", "not_matching", weights)
    return matching.astype(np.float64), not_matching.astype(np.float64)
