"""Intervals against published values and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from snakesteer.core.student_t import t_quantile
from snakesteer.tables.intervals import mean_interval, wilson_interval
from snakesteer.tables.vector_intervals import vector_interval


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


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [
        # Abramowitz and Stegun, table 26.10; the last is the normal's with 1 / (4 freedom) added.
        (1, 12.706),
        (2, 4.303),
        (3, 3.182),
        (4, 2.776),
        (7, 2.365),
        (15, 2.131),
        (30, 2.042),
        (120, 1.980),
        (5000, 1.9604),
    ],
)
def test_t_quantile_has_the_published_values(freedom, quantile):
    assert t_quantile(freedom) == pytest.approx(quantile, abs=5e-4)


def test_mean_interval_is_students():
    counts = np.array([36, 8, 1])
    low, high = mean_interval(np.full(3, 2.0), np.array([3.0, 3.0, np.nan]), counts)
    half = np.array([2.0301 * 3 / 6, 2.3646 * 3 / 8**0.5, np.nan])
    np.testing.assert_allclose((low, high), (2 - half, 2 + half), atol=1e-4)


@pytest.mark.parametrize("resamples", [2, 4, 10])
def test_intervals_over_few_resampled_vectors_cover_what_they_say(resamples):
    generator = np.random.default_rng(3)
    values = generator.normal(size=20_000)
    low, high = vector_interval(values, values + generator.normal(size=(resamples, 20_000)))
    assert ((low <= 0) & (high >= 0)).mean() == pytest.approx(0.95, abs=0.005)
