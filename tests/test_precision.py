"""A stated precision is kept, and its interval covers what it says."""

from __future__ import annotations

import numpy as np
import pytest

from snakesteer.bootstrap import percentile_interval, resampled_accuracies
from snakesteer.errors import StudyError
from snakesteer.precision import documents_needed, half_width


def corpus(generator: np.random.Generator, documents: int) -> tuple[np.ndarray, np.ndarray]:
    """Hits of documents of very different lengths and difficulties, steered and unsteered."""
    tokens = generator.integers(20, 400, documents)
    difficulty = generator.beta(9, 11, documents)
    unsteered = generator.binomial(tokens, difficulty)
    survives = generator.beta(6, 4, documents)
    return generator.binomial(unsteered, survives), unsteered


def test_half_width_is_that_of_the_paired_bootstrap():
    hits, unsteered = corpus(np.random.default_rng(1), 300)
    counts = np.stack([unsteered, hits])
    accuracies = resampled_accuracies(counts, np.ones_like(counts), resamples=4000)
    low, high = percentile_interval(accuracies[:, 1] / accuracies[:, 0])
    assert half_width(hits, unsteered) == pytest.approx((high - low) / 2, rel=0.05)


def test_stated_precision_and_coverage_hold():
    """Pilot, then the number that it asks for: 1,000 studies of one population."""
    generator = np.random.default_rng(13)
    precision, covered, kept, asked = 0.03, 0, 0, []
    truth_hits, truth_unsteered = corpus(generator, 400_000)
    truth = truth_hits.sum() / truth_unsteered.sum()
    for _ in range(1000):
        hits, unsteered = corpus(generator, 32)
        needed = documents_needed(hits, unsteered, precision)
        more = corpus(generator, needed - 32)
        hits, unsteered = (
            np.concatenate(pair) for pair in zip((hits, unsteered), more, strict=True)
        )
        reached = half_width(hits, unsteered)
        covered += abs(hits.sum() / unsteered.sum() - truth) <= reached
        kept += reached <= precision
        asked.append(needed)
    assert 0.93 <= covered / 1000 <= 0.97
    assert kept / 1000 >= 0.85
    ideal = 4000 * (half_width(*corpus(generator, 4000)) / precision) ** 2
    assert ideal < np.mean(asked) < 2 * ideal


def test_a_pilot_that_says_nothing_is_no_pilot():
    for hits in (np.array([3]), np.array([0, 0])):
        with pytest.raises(StudyError, match="pilot"):
            documents_needed(hits, hits, 0.01)
    assert documents_needed(np.array([5, 5, 5]), np.array([5, 5, 5]), 0.01) == 3
