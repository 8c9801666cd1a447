"""Intervals against published values and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from snakesteer.statistics import mean_interval, wilson_interval


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_has_the_published_values(successes, trials, low, high):
    np.testing.assert_allclose(wilson_interval(successes, trials), (low, high), atol=5e-5)


def test_wilson_interval_is_symmetric_within_zero_and_one_and_undefined_without_trials():
    hits = np.arange(31)
    low, high = wilson_interval(hits, 30)
    np.testing.assert_allclose(low, 1 - high[::-1], atol=1e-15)
    assert low[0] == 0 and high[-1] == 1
    assert (low <= hits / 30).all() and (hits / 30 <= high).all()
    assert np.isnan(wilson_interval(0, 0)).all()


def test_mean_interval_is_the_normal_one():
    low, high = mean_interval(2.0, 3.0, 36)
    np.testing.assert_allclose((low, high), (2 - 1.959964 / 2, 2 + 1.959964 / 2), atol=1e-6)
