"""Intervals: Wilson for shares, Student's for means."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from snakesteer.core.student_t import t_quantile

CONFIDENCE = 0.95


def wilson_interval(
    successes: ArrayLike, trials: ArrayLike, confidence: float = CONFIDENCE
) -> tuple[np.ndarray, np.ndarray]:
    """Wilson score interval of a share, elementwise; NaN where there are no trials.

    Returns (low, high), each in [0, 1] and of the broadcast shape of the arguments.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    successes = np.asarray(successes, dtype=float)
    trials = np.asarray(trials, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = successes / trials
        shrink = 1 + z**2 / trials
        centre = (share + z**2 / (2 * trials)) / shrink
        half = z * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2)) / shrink
    # At shares 0 and 1 the interval ends exactly there; rounding must not move it.
    low = np.where(successes == 0, 0.0 * centre, centre - half)
    high = np.where(successes == trials, 1.0 + 0.0 * centre, centre + half)
    return low, high


def mean_interval(
    mean: np.ndarray, deviation: np.ndarray, count: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Student's 95 % interval of means, [n], from sample standard deviations (n - 1) and counts.

    NaN for a mean of one, whose deviation is.
    """
    distance = np.array([t_quantile(max(int(number) - 1, 1)) for number in count])
    half = distance * deviation / np.sqrt(count)
    return mean - half, mean + half
