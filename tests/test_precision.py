"""A stated precision is kept, and its interval covers what it says."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from snakesteer.core.errors import StudyError
from snakesteer.core.student_t import t_quantile
from snakesteer.sweeps.precision import documents_needed, half_width, standard_error
from snakesteer.tables.bootstrap import percentile_interval, resampled_accuracies
from snakesteer.tables.next_token import Curve, skill_table


def corpus(generator: np.random.Generator, documents: int) -> tuple[np.ndarray, np.ndarray]:
    """Hits of documents of very different lengths and difficulties, steered and unsteered."""
    tokens = generator.integers(20, 400, documents)
    difficulty = generator.beta(9, 11, documents)
    unsteered = generator.binomial(tokens, difficulty)
    survives = generator.beta(6, 4, documents)
    return generator.binomial(unsteered, survives), unsteered


@pytest.mark.parametrize("documents", [12, 40, 300])
def test_half_width_is_that_of_the_paired_bootstrap(documents):
    hits, unsteered = corpus(np.random.default_rng(1), documents)
    counts = np.stack([unsteered, hits])
    accuracies = resampled_accuracies(counts, np.ones_like(counts), resamples=4000)
    ratios = accuracies[:, [1]] / accuracies[:, [0]]
    (low,), (high,) = percentile_interval(ratios, np.array([documents]))
    assert half_width(hits, unsteered) == pytest.approx((high - low) / 2, rel=0.06)


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


@pytest.mark.parametrize("precision", [0.1, 0.03])
def test_just_so_many_documents_are_asked_for_as_the_precision_takes(precision):
    """The pilot's spread at its upper end, and Student's t of the number that is asked for."""
    hits, unsteered = corpus(np.random.default_rng(4), 12)
    needed = documents_needed(hits, unsteered, precision)
    upper = (1 - 2 / (9 * 11) - 1.281552 * (2 / (9 * 11)) ** 0.5) ** -1.5
    error = standard_error(hits, unsteered) * upper * 12**0.5
    reached, before = (t_quantile(n - 1) * error / n**0.5 for n in (needed, needed - 1))
    assert reached <= precision < before


def test_a_pilot_that_says_nothing_is_no_pilot():
    for hits in (np.array([3]), np.array([0, 0])):
        with pytest.raises(StudyError, match="pilot"):
            documents_needed(hits, hits, 0.01)
    assert documents_needed(np.array([5, 5, 5]), np.array([5, 5, 5]), 0.01) == 3


@pytest.mark.long
def test_tables_cover_what_they_say_when_every_coefficient_has_its_own_documents():
    """At 1 few documents change at all, so that the pilot alone is enough; at 2 and 3 many do."""
    generator = np.random.default_rng(14)

    def population(documents: int) -> dict[float, np.ndarray]:
        tokens = generator.integers(20, 400, documents)
        unsteered = generator.binomial(tokens, generator.beta(9, 11, documents))
        changed = generator.random(documents) < 0.3
        lost = generator.binomial(unsteered, 0.02 * changed)
        mild, strong = (generator.beta(*shape, documents) for shape in ((40, 4), (6, 4)))
        return {
            0.0: unsteered,
            1.0: unsteered - lost,
            2.0: generator.binomial(unsteered, mild),
            3.0: generator.binomial(unsteered, strong),
        }

    everything = population(400_000)
    truth = {c: hits.sum() / everything[0.0].sum() for c, hits in everything.items()}
    precision, trials = 0.02, 300
    near, covered, asked = Counter(), Counter(), Counter()
    for trial in range(trials):
        hits = population(1500)
        enough = {c: documents_needed(hits[c][:32], hits[0.0][:32], precision) for c in truth}
        enough[0.0] = max(enough.values())
        assert enough[0.0] < 1500
        asked.update(enough)
        raw = pd.concat(
            pd.DataFrame({"top1": hits[c][:count]}).assign(document=range(count), coefficient=c)
            for c, count in enough.items()
        ).reset_index(drop=True)
        raw = raw.assign(corpus="code", tokens=400, nll=1.0, top10=0, kept=0)
        raw = raw.assign(kept_top1=0, kept_top10=0)
        table = skill_table("s", "code", [Curve("v", "1", raw)], resamples=200, seed=trial)
        for row in table.to_dict("records"):
            c = row["coefficient"]
            near[c] += abs(row["relative_top1"] - truth[c]) <= precision
            covered[c] += row["relative_top1_low"] <= truth[c] <= row["relative_top1_high"]
    assert asked[1.0] == 32 * trials < asked[2.0] < asked[3.0]
    for c in (1.0, 2.0, 3.0):
        assert near[c] / trials >= 0.94
    for c in (2.0, 3.0):
        assert 0.91 <= covered[c] / trials <= 0.98
