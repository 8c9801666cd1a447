"""Ranges of coefficients against numpy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakesteer.study.coefficients import Range

ENDS = st.floats(-1e6, 1e6).map(lambda value: round(value, 6))


@given(ENDS, ENDS, st.integers(2, 200))
def test_a_linear_range_is_numpys(start: float, stop: float, points: int) -> None:
    if abs(start - stop) < 1e-3:
        return
    spaced = np.linspace(start, stop, points)
    spaced[abs(spaced) < 1e-12 * max(abs(start), abs(stop))] = 0
    expected = [float(f"{value:.12g}") for value in spaced]
    assert Range(start=start, stop=stop, points=points).values() == expected


@pytest.mark.parametrize("points", [2, 7, 50])
def test_a_logarithmic_range_is_numpys(points: int) -> None:
    values = Range(start=0.1, stop=1000, points=points, spacing="logarithmic").values()
    assert values == [float(f"{value:.12g}") for value in np.geomspace(0.1, 1000, points)]
