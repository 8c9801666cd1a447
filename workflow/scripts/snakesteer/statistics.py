"""Intervals: Wilson for shares, normal for means, document-clustered bootstrap for accuracies."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

CONFIDENCE = 0.95
RESAMPLES = 1000
SEED = 13
_RESAMPLES_AT_ONCE = 100


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
    mean: ArrayLike, deviation: ArrayLike, count: ArrayLike, confidence: float = CONFIDENCE
) -> tuple[np.ndarray, np.ndarray]:
    """Normal interval of a mean from the sample standard deviation (n - 1) and the count."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    mean = np.asarray(mean, dtype=float)
    half = z * np.asarray(deviation, dtype=float) / np.sqrt(np.asarray(count, dtype=float))
    return mean - half, mean + half


def resampled_accuracies(
    hits: np.ndarray, tokens: np.ndarray, resamples: int = RESAMPLES, seed: int = SEED
) -> np.ndarray:
    """Accuracies of bootstrap samples of whole documents.

    `hits` and `tokens` are [n_coefficients, n_documents] counts; a document that was not evaluated
    at a coefficient has 0 tokens there. Every resample draws documents with replacement once, for
    all coefficients together, so a ratio of two columns of the result is paired wherever the
    documents are shared. Returns [resamples, n_coefficients]; NaN with fewer than two documents.
    """
    n_coefficients, n_documents = hits.shape
    accuracies = np.full((resamples, n_coefficients), np.nan)
    if n_documents < 2:
        return accuracies
    generator = np.random.default_rng(seed)
    hits_by_document = hits.T.astype(float)
    tokens_by_document = tokens.T.astype(float)
    for start in range(0, resamples, _RESAMPLES_AT_ONCE):
        size = min(_RESAMPLES_AT_ONCE, resamples - start)
        drawn = generator.integers(n_documents, size=(size, n_documents))
        drawn += n_documents * np.arange(size)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=size * n_documents)
        weights = weights.reshape(size, n_documents).astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            accuracies[start : start + size] = (weights @ hits_by_document) / (
                weights @ tokens_by_document
            )
    return accuracies


def percentile_interval(
    samples: np.ndarray, confidence: float = CONFIDENCE
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval over the first axis of `samples`; NaN where any sample is NaN."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(samples, [tail, 1 - tail], axis=0)
    return low, high
