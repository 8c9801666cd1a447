"""Several vectors injected as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np


def combine(
    vectors: Sequence[np.ndarray],
    how: Literal["mean", "sum"],
    weights: Sequence[float] | None = None,
) -> np.ndarray:
    """One vector, float32, from several of one shape, each times its weight (paper: combined
    steering)."""
    weights = [1.0] * len(vectors) if weights is None else weights
    weighted = [weight * vector for weight, vector in zip(weights, vectors, strict=True)]
    total = np.sum(weighted, axis=0, dtype=np.float64)
    return np.asarray(total / len(vectors) if how == "mean" else total, np.float32)
