"""The bootstrap of documents against a naive one and simulations."""

from __future__ import annotations

import numpy as np

from snakesteer.bootstrap import percentile_interval, resampled_accuracies


def test_resampled_accuracies_equal_a_naive_bootstrap_of_the_same_draws():
    generator = np.random.default_rng(0)
    tokens = generator.integers(50, 500, size=(3, 17))
    hits = generator.binomial(tokens, 0.4)
    samples = resampled_accuracies(hits, tokens, resamples=130, seed=5)

    # The module draws a hundred resamples at a time from one generator.
    generator = np.random.default_rng(5)
    draws = [generator.integers(17, size=(size, 17)) for size in (100, 30)]
    naive = [
        [sum(hits[c, d] for d in draw) / sum(tokens[c, d] for d in draw) for c in range(3)]
        for draw in np.concatenate(draws)
    ]
    np.testing.assert_allclose(samples, naive, rtol=1e-14)


def test_resampled_accuracies_are_undefined_for_one_document():
    assert np.isnan(resampled_accuracies(np.ones((2, 1)), np.ones((2, 1)), resamples=3)).all()


def _documents(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two coefficients on 60 documents whose own difficulty varies; accuracy falls to .6."""
    tokens = np.repeat(generator.integers(50, 400, size=(1, 60)), 2, axis=0)
    difficulty = generator.uniform(0.2, 0.8, size=60)
    return generator.binomial(tokens, np.stack([difficulty, 0.6 * difficulty])), tokens


def test_paired_interval_covers_the_true_ratio_and_is_far_narrower_than_an_unpaired_one():
    generator = np.random.default_rng(1)
    covered, paired_widths, unpaired_widths = 0, [], []
    for trial in range(200):
        hits, tokens = _documents(generator)
        samples = resampled_accuracies(hits, tokens, resamples=200, seed=trial)
        low, high = percentile_interval(samples[:, 1] / samples[:, 0])
        covered += low <= 0.6 <= high
        paired_widths.append(high - low)
        other = resampled_accuracies(hits, tokens, resamples=200, seed=trial + 1000)
        low, high = percentile_interval(samples[:, 1] / other[:, 0])
        unpaired_widths.append(high - low)
    assert 0.88 <= covered / 200 <= 0.99
    assert np.mean(paired_widths) < 0.4 * np.mean(unpaired_widths)


def test_documents_seen_at_one_coefficient_only_are_treated_as_unpaired():
    generator = np.random.default_rng(2)
    hits, tokens = _documents(generator)
    apart = np.zeros((2, 120))
    apart_tokens = np.zeros((2, 120))
    for coefficient in (0, 1):
        own = slice(60 * coefficient, 60 * (coefficient + 1))
        apart[coefficient, own], apart_tokens[coefficient, own] = (
            hits[coefficient],
            tokens[coefficient],
        )
    samples = resampled_accuracies(apart, apart_tokens, resamples=2000)
    assert abs(np.corrcoef(samples.T)[0, 1]) < 0.1
    paired = resampled_accuracies(hits, tokens, resamples=2000)
    assert np.corrcoef(paired.T)[0, 1] > 0.8
    np.testing.assert_allclose(samples.std(axis=0), paired.std(axis=0), rtol=0.15)
