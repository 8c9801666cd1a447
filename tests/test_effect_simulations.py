"""What intervals and tests of effects promise, in simulations.

A share that is found in `TIMES` simulations is told apart from what is promised by the binomial of
that number: tolerances are four of its standard errors.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from effect_rows import COEFFICIENTS

from snakesteer.tables.intervals import wilson_interval
from snakesteer.tables.null import ALPHA, _row, benjamini_hochberg, holm, place_among
from snakesteer.tables.paired import (
    COUNTED,
    HITS,
    difference_of_shares,
    mean_of_differences,
    over_points,
)
from snakesteer.tables.slopes import mean_over, slopes

pytestmark = pytest.mark.long

TIMES = 4000


def tolerance(share: float) -> float:
    return 4 * float(np.sqrt(share * (1 - share) / TIMES))


def covered(truth: float, interval: Callable[[np.random.Generator], tuple[float, float]]) -> float:
    generator = np.random.default_rng(11)
    hits = 0
    for _ in range(TIMES):
        low, high = interval(generator)
        hits += low <= truth <= high
    return hits / TIMES


@pytest.mark.parametrize("items", [20, 60, 200])
@pytest.mark.parametrize("wrong", [0.1, 0.3, 0.5])
def test_shares_of_slopes_below_0_are_covered(items: int, wrong: float) -> None:
    """Items drawn from a population of which so many move the wrong way, measured with noise that
    leaves their sign as it is. Wilson's coverage is 95 % on the mean over shares, and goes down to
    some 93 % at single ones of few items."""

    def interval(generator: np.random.Generator) -> tuple[float, float]:
        sign = np.where(generator.uniform(size=items) < wrong, -1, 1)
        steep = sign * (0.5 + generator.exponential(size=items))
        noise = generator.uniform(-0.2, 0.2, size=(items, len(COEFFICIENTS)))
        found = slopes(np.array(COEFFICIENTS), steep[:, None] * COEFFICIENTS + noise)
        low, high = wilson_interval((found < 0).sum(), items)
        return float(low), float(high)

    assert covered(wrong, interval) > 0.93 - tolerance(0.93)


@pytest.mark.parametrize("items", [10, 40])
def test_mean_slopes_are_covered(items: int) -> None:
    def interval(generator: np.random.Generator) -> tuple[float, float]:
        steep = 0.4 + generator.normal(size=(items, 1))
        noise = generator.normal(size=(items, len(COEFFICIENTS)))
        found = slopes(np.array(COEFFICIENTS), steep * COEFFICIENTS + noise)
        return mean_over(found)[1:]

    assert covered(0.4, interval) == pytest.approx(0.95, abs=tolerance(0.95))


def test_balanced_means_are_covered_where_kinds_are_unlike() -> None:
    """Of two kinds, of other numbers, means and deviations, the mean of the two means."""

    def interval(generator: np.random.Generator) -> tuple[float, float]:
        values = [generator.normal(1, 2, size=40), generator.normal(0, 0.5, size=12)]
        return mean_over(np.concatenate(values), ["a"] * 40 + ["b"] * 12)[1:]

    assert covered(0.5, interval) == pytest.approx(0.95, abs=tolerance(0.95))


@pytest.mark.parametrize("items", [30, 100])
@pytest.mark.parametrize("shared", [0.0, 0.7, 0.95])
def test_paired_differences_of_shares_are_covered(items: int, shared: float) -> None:
    """Outcomes of both sides agree on a share of the items beyond chance. Newcombe's intervals are
    at or above 95 % on the mean (his table III), wider where nearly all agree."""
    shares = (0.7, 0.6)

    def interval(generator: np.random.Generator) -> tuple[float, float]:
        common = generator.uniform(size=items)
        apart = generator.uniform(size=items)
        other = np.where(generator.uniform(size=items) < shared, common, apart)
        first, second = (common < shares[0]).astype(float), (other < shares[1]).astype(float)
        return difference_of_shares(first, second)

    assert covered(0.1, interval) > 0.94 - tolerance(0.94)


@pytest.mark.parametrize("items", [10, 80])
def test_paired_differences_of_means_are_covered(items: int) -> None:
    def interval(generator: np.random.Generator) -> tuple[float, float]:
        easy = generator.normal(size=items, scale=3)
        first = easy + 0.2 + generator.normal(size=items)
        return mean_of_differences(first - easy - generator.normal(size=items))

    assert covered(0.2, interval) == pytest.approx(0.95, abs=tolerance(0.95))


def test_the_mean_difference_of_a_curve_is_covered() -> None:
    """Points over the same items are no independent ones, which the interval over items knows."""

    def interval(generator: np.random.Generator) -> tuple[float, float]:
        of_item = generator.normal(size=(1, 40))
        apart = 0.1 + of_item + generator.normal(size=(6, 40), scale=0.3)
        return mean_of_differences(apart.mean(axis=0))

    assert covered(0.1, interval) == pytest.approx(0.95, abs=tolerance(0.95))


@pytest.mark.parametrize("documents", [16, 60])
def test_paired_differences_of_ratios_over_documents_are_covered(documents: int) -> None:
    """Accuracies of two models on the same documents, of which some are harder for both."""
    generator = np.random.default_rng(12)
    times, hits = TIMES // 4, 0
    for _ in range(times):
        tokens = generator.integers(100, 400, size=documents)
        hard = generator.beta(6, 6, size=documents)
        sides = []
        for share in (0.8, 0.7):
            counts = generator.binomial(tokens, share * hard)
            sides.append(pd.DataFrame({HITS: counts, COUNTED: tokens}))
        low, high = over_points(pd.DataFrame({"items": sides[:1], "items_against": sides[1:]})) or (
            np.nan,
            np.nan,
        )
        hits += low <= 0.1 * 0.5 <= high
    assert hits / times == pytest.approx(0.95, abs=4 * float(np.sqrt(0.95 * 0.05 / times)))


@pytest.mark.parametrize("draws", [5, 19])
def test_differences_from_a_band_are_covered(draws: int) -> None:
    """From the mean of all that a control may draw. Half-widths in squares count the noise of items
    in the draws twice, so that the interval may be wider than need be."""

    def interval(generator: np.random.Generator) -> tuple[float, float]:
        own = 1.0 + generator.normal(size=40)
        drawn = generator.normal(size=(draws, 1)) + generator.normal(size=(draws, 40))
        apart = own - drawn.mean(axis=0)
        over_items = (apart.mean(), *mean_of_differences(apart))
        row = _row(own.mean(), drawn.mean(axis=1), over_items, "paired")
        return float(row["difference_low"]), float(row["difference_high"])  # type: ignore[arg-type]

    assert covered(1.0, interval) > 0.95 - tolerance(0.95)


@pytest.mark.parametrize("draws", [19, 39, 100])
@pytest.mark.parametrize("kind", ["normal", "skewed", "far from 0"])
def test_false_positives_of_a_rank_are_as_many_as_it_says(draws: int, kind: str) -> None:
    """Under the null the vector is one more draw, however these are distributed."""
    generator = np.random.default_rng(5)
    positives = 0
    for _ in range(TIMES):
        effects = generator.normal(size=draws + 1)
        if kind == "skewed":
            effects = np.exp(effects)
        if kind == "far from 0":
            effects += 10
        positives += place_among(effects[0], effects[1:])[1] <= ALPHA
    allowed = np.floor(ALPHA * (draws + 1)) / (draws + 1)
    assert positives / TIMES == pytest.approx(allowed, abs=tolerance(allowed))


def test_false_positives_of_a_family_are_as_many_as_holm_says() -> None:
    """Of twelve effects that are all null, that any is found; where half are none, that any of the
    others is, and the share of the false among those that Benjamini and Hochberg find."""
    generator = np.random.default_rng(6)
    draws, tests = 400, 12
    any_null, any_false, false_share = 0, 0, 0.0
    times = TIMES // 4
    for _ in range(times):
        effects = generator.normal(size=(tests, draws + 1))
        p = np.array([place_among(row[0], row[1:])[1] for row in effects])
        any_null += bool((holm(p) <= ALPHA).any())
        effects[: tests // 2, 0] += 6
        p = np.array([place_among(row[0], row[1:])[1] for row in effects])
        any_false += bool((holm(p)[tests // 2 :] <= ALPHA).any())
        found = benjamini_hochberg(p) <= ALPHA
        false_share += found[tests // 2 :].sum() / max(found.sum(), 1)
    error = 4 * np.sqrt(ALPHA * (1 - ALPHA) / times)
    assert any_null / times < ALPHA + error
    assert any_false / times < ALPHA + error
    assert false_share / times < ALPHA + error
