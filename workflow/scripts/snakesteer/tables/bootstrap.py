"""Document-clustered bootstrap of accuracies, paired between coefficients."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from snakesteer.core.student_t import t_quantile

RESAMPLES = 1000
SEED = 13
_RESAMPLES_AT_ONCE = 100


def resampled_accuracies(
    hits: np.ndarray,
    tokens: np.ndarray,
    resamples: int = RESAMPLES,
    seed: int | np.random.Generator = SEED,
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
    samples: np.ndarray, documents: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """95 % percentile interval over the first axis of `samples` [resamples, n]; NaN where any is.

    `documents` [n] says how many documents each column's samples are drawn from. A bootstrap of few
    documents spreads too little, and a normal ignores that its spread is estimated. So the
    percentiles are taken further out: at Φ(∓ sqrt(n / (n - 1)) t), with Student's t of n - 1
    degrees (Hesterberg, What Teachers Should Know About the Bootstrap, 2015, section 4.3).
    """
    ends = np.full((2, samples.shape[1]), np.nan)
    for place, count in enumerate(documents.tolist()):
        if count > 1:
            distance = math.sqrt(count / (count - 1)) * t_quantile(count - 1)
            tail = NormalDist().cdf(-distance)
            ends[:, place] = np.quantile(samples[:, place], [tail, 1 - tail])
    return ends[0], ends[1]
