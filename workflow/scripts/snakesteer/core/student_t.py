"""Quantiles of Student's t, which a normal's are too near for few samples."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

_BISECTIONS = 60


@cache
def t_quantile(freedom: int, confidence: float = 0.95) -> float:
    """The t with P(|T| <= t) = `confidence` for Student's T with `freedom` >= 1 degrees."""
    low, high = 0.0, math.pi / 2
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if _share_within(middle, freedom) < confidence:
            low = middle
        else:
            high = middle
    return math.sqrt(freedom) * math.tan(low)


def t_p_value(t: float, freedom: int) -> float:
    """P(|T| >= |t|) for Student's T with `freedom` >= 1 degrees."""
    return 1 - _share_within(math.atan(abs(t) / math.sqrt(freedom)), freedom)


def _share_within(angle: float, freedom: int) -> float:
    """P(|T| <= sqrt(freedom) tan(angle)): Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    odd = freedom % 2
    step = np.arange(1, (freedom - odd) // 2)
    ratios = 2 * step / (2 * step + 1) if odd else (2 * step - 1) / (2 * step)
    series = math.sin(angle) * (1 + np.cumprod(ratios * math.cos(angle) ** 2).sum())
    if not odd:
        return float(series)
    return 2 / math.pi * (angle + (float(series) * math.cos(angle) if freedom > 1 else 0.0))
