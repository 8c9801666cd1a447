"""The interval of a difference, from those of the two values, and whether it includes 0."""

from __future__ import annotations

import numpy as np
import pandas as pd


def square_and_add(
    first: tuple[pd.Series, pd.Series, pd.Series], second: tuple[pd.Series, pd.Series, pd.Series]
) -> tuple[pd.Series, pd.Series, pd.Series]:
    """First minus second, as value, low and high; each of them is given so, [n].

    The distances to the ends are added in squares, which for shares with Wilson's intervals is
    Newcombe's method (1998, method 10). It is exact where the second is certain, and wider than
    need be where both vary over the same items. NaN where an end is.
    """
    (value, low, high), (other, other_low, other_high) = first, second
    difference = value - other
    down, up = np.hypot(value - low, other_high - other), np.hypot(high - value, other - other_low)
    return difference, difference - down, difference + up


def may_be_zero(low: pd.Series, high: pd.Series) -> pd.Series:
    """Whether each interval includes 0, [n], as nullable booleans: NA where it lacks an end."""
    apart = (low > 0) | (high < 0)
    return (~apart).astype("boolean").mask(low.isna() | high.isna())
