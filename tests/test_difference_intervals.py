"""Intervals of differences against those that Newcombe published."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from snakesteer.tables.difference_intervals import square_and_add
from snakesteer.tables.intervals import wilson_interval


def share(successes: list[int], trials: list[int]) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Shares with Wilson's intervals."""
    low, high = wilson_interval(successes, trials)
    return pd.Series(np.divide(successes, trials)), pd.Series(low), pd.Series(high)


def test_differences_of_shares_have_the_intervals_of_newcombe() -> None:
    """Statistics in Medicine 17 (1998), p. 873-890, table II, method 10."""
    first = share([56, 9, 6, 5, 0, 10], [70, 10, 7, 56, 10, 10])
    second = share([48, 3, 2, 0, 0, 0], [80, 10, 7, 29, 20, 10])
    difference, low, high = square_and_add(first, second)
    assert low.tolist() == pytest.approx(
        [0.0524, 0.1705, 0.0582, -0.0381, -0.1611, 0.6075], abs=1e-4
    )
    assert high.tolist() == pytest.approx([0.3339, 0.8090, 0.8062, 0.1926, 0.2775, 1.0], abs=1e-4)
    assert (difference == first[0] - second[0]).all()


def test_a_difference_from_what_is_certain_keeps_its_interval() -> None:
    value, low, high = (pd.Series([number]) for number in (0.9, 0.85, 0.97))
    one = pd.Series([1.0])
    found = [float(end.iloc[0]) for end in square_and_add((value, low, high), (one, one, one))]
    assert found == pytest.approx([-0.1, -0.15, -0.03])
