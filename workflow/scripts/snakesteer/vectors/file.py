"""A vector from a file of another tool, which was read into the samples beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snakesteer.vectors.samples import ByRole, Weights, mean


def fit(samples: ByRole, settings: Mapping[str, Any], weights: Weights | None = None) -> np.ndarray:
    """The vector of the file, the one sample that there is; the same in every draw."""
    (file,) = samples["file"]
    return mean(file, "vector", None if weights is None else weights["file"][0])
