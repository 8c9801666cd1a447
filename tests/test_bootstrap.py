"""The bootstrap of documents against a naive one and simulations."""

from __future__ import annotations

import numpy as np
import pytest

from snakesteer.tables.bootstrap import percentile_interval, resampled_accuracies


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


def interval(samples: np.ndarray, documents: int) -> tuple[np.ndarray, np.ndarray]:
    return percentile_interval(samples[:, None], np.array([documents]))


def test_percentiles_lie_further_out_with_fewer_documents():
    """Hesterberg (2015), table 4: the tail of a nominal 2.5 % at n = 10, 20, 40 and 100."""
    samples = np.repeat(np.linspace(0, 1, 100_001)[:, None], 5, axis=1)
    low, high = percentile_interval(samples, np.array([10, 20, 40, 100, 1]))
    np.testing.assert_allclose(low[:4], [0.0086, 0.0159, 0.0203, 0.0231], atol=1e-4)
    np.testing.assert_allclose(high[:4], 1 - low[:4])
    assert np.isnan(low[4]) and np.isnan(high[4])


def _relative(
    generator: np.random.Generator, documents: int, lengths: str
) -> tuple[np.ndarray, np.ndarray]:
    """Hits unsteered and steered of documents whose difficulties vary, [2, documents]."""
    if lengths == "equal":
        tokens = np.full(documents, 200)
    else:
        tokens = np.minimum(40 * (1 + generator.pareto(1.3, documents)), 4000).astype(int)
    unsteered = generator.binomial(tokens, generator.beta(9, 11, documents))
    steered = generator.binomial(unsteered, generator.beta(6, 4, documents))
    return unsteered, steered


@pytest.mark.long
@pytest.mark.parametrize("lengths", ["equal", "heavy-tailed"])
@pytest.mark.parametrize("documents", [8, 16, 24, 48, 120, 450])
def test_intervals_cover_what_they_say_over_few_documents_too(documents: int, lengths: str):
    generator = np.random.default_rng(documents)
    unsteered, steered = _relative(generator, 2_000_000, lengths)
    truth, covered, trials = steered.sum() / unsteered.sum(), 0, 2000
    for _ in range(trials):
        hits = np.stack(_relative(generator, documents, lengths))
        samples = resampled_accuracies(hits, np.ones_like(hits), seed=generator)
        (low,), (high,) = interval(samples[:, 1] / samples[:, 0], documents)
        covered += low <= truth <= high
    assert 0.91 <= covered / trials <= 0.965


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
        (low,), (high,) = interval(samples[:, 1] / samples[:, 0], 60)
        covered += low <= 0.6 <= high
        paired_widths.append(high - low)
        other = resampled_accuracies(hits, tokens, resamples=200, seed=trial + 1000)
        (low,), (high,) = interval(samples[:, 1] / other[:, 0], 60)
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
