"""Sum of mean activations minus a sum of others (paper: skill vectors)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snakesteer.core.errors import StudyError
from snakesteer.vectors.rounding import finite, rounded
from snakesteer.vectors.samples import ByRole, Weights, means


def fit(samples: ByRole, settings: Mapping[str, Any], weights: Weights | None = None) -> np.ndarray:
    """The sum of the means of the samples `add` minus that of `subtract`; either may be none.

    In another `dtype` than float32 both sums and their difference are rounded to it. Raises
    StudyError for samples of different models, or none.
    """
    added, subtracted = operands(samples, settings, weights)
    return rounded(finite(added - subtracted), settings["dtype"])


def operands(
    samples: ByRole, settings: Mapping[str, Any], weights: Weights | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The two sums, [n_layers, hidden] or with weights [draws, n_layers, hidden] each."""
    add, subtract = (means(samples, role, "activations", weights) for role in ("add", "subtract"))
    shapes = {mean.shape for mean in [*add, *subtract]}
    if len(shapes) != 1:
        raise StudyError(
            f"The means of a vector have the shapes {sorted(shapes)}; use means of one model."
            if shapes
            else "A vector has no means to add or subtract; name at least one."
        )
    [shape] = shapes
    added, subtracted = (
        np.asarray(np.sum([np.zeros(shape), *part], axis=0, dtype=np.float64))
        for part in (add, subtract)
    )
    if settings["dtype"] == "float32":
        return added, subtracted
    return rounded(added, settings["dtype"]), rounded(subtracted, settings["dtype"])
