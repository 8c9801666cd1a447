"""Slopes of single questions against a case worked out by hand, and numpy's least squares."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from effect_rows import COEFFICIENTS, injected, job, questions, rows

from snakesteer.tables import slopes as module
from snakesteer.tables.intervals import wilson_interval
from snakesteer.tables.offered import offered
from snakesteer.tables.slopes import (
    ITEM_COLUMNS,
    SLOPE_COLUMNS,
    Effects,
    EffectsJob,
    effects,
    halves,
    mean_over,
    spearman_brown,
)

# Four questions at the coefficients -1, 0 and 1. Slope by hand: (value at 1 - value at -1) / 2.
BY_HAND = np.array([[-1.0, 0.5, 2.0], [0.0, 0.0, 1.0], [1.0, 3.0, 0.0], [2.0, -1.0, -4.0]])
SLOPES = [1.5, 0.5, -0.5, -3.0]


def by_hand(balanced: bool = False) -> Effects:
    own = injected("myopia", coefficients=(-1, 0, 1))
    asked = EffectsJob((job("grid", [[own]]),), ("myopia",), balanced=balanced)
    return effects(asked, [[rows(own, BY_HAND)]], [questions(4)])


def test_the_case_by_hand() -> None:
    found = by_hand()
    assert list(found.items) == ITEM_COLUMNS and list(found.slopes) == SLOPE_COLUMNS
    np.testing.assert_allclose(found.items["slope"], SLOPES, rtol=1e-14)
    assert found.items["unsteered"].tolist() == [0.5, 0.0, 3.0, -1.0]
    assert set(found.items["coefficients"]) == {"-1, 0, 1"}
    whole = found.slopes.iloc[0]
    assert (whole["by"], whole["items"], whole["anti"]) == ("all", 4, 2)
    assert whole["mean"] == pytest.approx(-0.375)
    # Deviation of the slopes is sqrt(11.1875 / 3); Student's t for 3 degrees is 3.182446.
    half = 3.182446 * np.sqrt(11.1875 / 3) / 2
    assert whole["mean_low"] == pytest.approx(-0.375 - half, rel=1e-6)
    assert whole["mean_high"] == pytest.approx(-0.375 + half, rel=1e-6)
    assert (whole["anti_share_low"], whole["anti_share_high"]) == tuple(wilson_interval(2, 4))
    assert np.isnan(whole["reliability"])  # of three coefficients no half has two


def test_means_by_answer_and_by_the_option_that_is_first() -> None:
    slopes = by_hand().slopes
    parts = {(row["by"], row["of"]): row["mean"] for row in slopes.to_dict("records")}
    assert parts["answer", "A"] == parts["first", "matching"] == pytest.approx(0.5)
    assert parts["answer", "B"] == parts["first", "other"] == pytest.approx(-1.25)


def test_a_balanced_mean_counts_every_kind_alike() -> None:
    """Three questions of A and one of B: the mean of their means, with Welch's interval."""
    own = injected("myopia", coefficients=(-1, 0, 1))
    asked = EffectsJob((job("grid", [[own]]),), ("myopia",), balanced=True)
    of_three = questions(4, {1: ("A", "B")})
    whole = effects(asked, [[rows(own, BY_HAND)]], [of_three]).slopes.iloc[0]
    assert whole["mean"] == pytest.approx((0.5 - 3) / 2) and whole["balanced"]
    assert np.isnan(whole["mean_low"])  # of B there is one


def test_balanced_intervals_are_welchs() -> None:
    stats = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(3)
    one, other = generator.normal(size=30), generator.normal(size=14, scale=3)
    mean, low, high = mean_over(np.concatenate([one, other]), ["a"] * 30 + ["b"] * 14)
    welch = stats.ttest_ind(one, -other, equal_var=False).confidence_interval(0.95)
    assert mean == pytest.approx((one.mean() + other.mean()) / 2)
    # Degrees of freedom are rounded down.
    assert (2 * low, 2 * high) == pytest.approx((welch.low, welch.high), rel=1e-2)


def test_slopes_are_those_of_numpy_whatever_the_coefficients() -> None:
    generator = np.random.default_rng(0)
    at = np.array([-3.0, -0.5, 0.0, 0.1, 4.0, 9.0])
    values = generator.normal(size=(7, 6))
    np.testing.assert_allclose(module.slopes(at, values), np.polyfit(at, values.T, 1)[0])
    assert np.isnan(module.slopes(at[:1], values[:, :1])).all()
    assert np.isnan(module.slopes(np.array([1.0, 1.0]), values[:, :2])).all()


def test_halves_of_the_coefficients_agree_where_questions_are_straight_lines() -> None:
    generator = np.random.default_rng(1)
    steep = generator.normal(size=(40, 1))
    own = injected("myopia")
    asked = EffectsJob((job("grid", [[own]]),), ("myopia",), seed=5)
    straight = effects(asked, [[rows(own, steep * COEFFICIENTS)]], [questions(40)])
    whole = straight.slopes.iloc[0]
    assert whole["halves_correlation"] == pytest.approx(1) == whole["reliability"]
    first, second = (np.array(COEFFICIENTS)[half] for half in halves(np.array(COEFFICIENTS), 5))
    assert sorted([*first, *second]) == list(COEFFICIENTS)
    said = (", ".join(f"{value:g}" for value in half) for half in (first, second))
    assert whole["halves"] == f"{' | '.join(said)} (seed 5)"


def test_of_two_neighbours_one_is_in_each_half() -> None:
    at = np.arange(7.0)
    drawn = {tuple(halves(at, seed)[0]) for seed in range(200)}
    assert len(drawn) == 16  # three pairs, and the last by itself
    for first, second in (halves(at, seed) for seed in range(20)):
        assert sorted([*first, *second]) == list(range(7))
        assert [sorted([place // 2 for place in half])[:3] for half in (first, second)] == [
            [0, 1, 2]
        ] * 2
    assert not len(halves(at[:3], 0)[0]) and not len(halves(at[:3], 0)[1])


def test_halves_agree_as_the_two_slopes_are_correlated() -> None:
    generator = np.random.default_rng(2)
    values = generator.normal(size=(60, 5)) + generator.normal(size=(60, 1)) * COEFFICIENTS
    own = injected("myopia")
    asked = EffectsJob((job("grid", [[own]]),), ("myopia",))
    whole = effects(asked, [[rows(own, values)]], [questions(60)]).slopes.iloc[0]
    at = np.array(COEFFICIENTS)
    slopes = [np.polyfit(at[half], values[:, half].T, 1)[0] for half in halves(at, 0)]
    expected = np.corrcoef(slopes)[0, 1]
    assert whole["halves_correlation"] == pytest.approx(expected)
    assert whole["reliability"] == pytest.approx(2 * expected / (1 + expected))


def test_there_is_no_reliability_of_halves_that_disagree() -> None:
    assert np.isnan(spearman_brown(-0.3)) and spearman_brown(0.5) == pytest.approx(2 / 3)


def test_curves_that_are_unsteered_without_a_coefficient_have_slopes_over_the_others() -> None:
    own = injected("myopia", coefficients=(-1, 0, 1))
    raw = rows(own, BY_HAND)
    clamped = pd.concat(
        [raw, raw[raw["coefficient"] == 0].assign(coefficient=np.nan, logit_matching=9.0)]
    )
    asked = EffectsJob((job("grid", [[own]]),), ("myopia",))
    items = effects(asked, [[clamped]], [questions(4)]).items
    np.testing.assert_allclose(items["slope"], SLOPES)
    assert (items["unsteered"] == 7.5).all()


def test_of_one_coefficient_there_is_no_slope_and_no_share() -> None:
    own = injected("myopia", coefficients=(1,))
    asked = EffectsJob((job("grid", [[own]]),), ("myopia",))
    found = effects(asked, [[rows(own, BY_HAND[:, :1])]], [questions(4)]).slopes
    assert found[["mean", "anti_share", "anti_share_low", "anti_share_high"]].isna().all().all()


def test_draws_have_rows_of_their_own() -> None:
    draws = [injected("random", draw=number) for number in range(3)]
    own = injected("myopia")
    values = [np.outer(np.arange(1, 5) * factor, COEFFICIENTS) for factor in (1, 2, 3, 4)]
    raw = pd.concat(
        [rows(each, value) for each, value in zip([own, *draws], values, strict=True)],
        ignore_index=True,
    )
    asked = EffectsJob((job("grid", [[own, *draws]]),), ("myopia",))
    whole = effects(asked, [[raw]], [questions(4)]).slopes.query("by == 'all'")
    assert whole["draw"].tolist() == [pd.NA, 0, 1, 2]
    assert whole["mean"].tolist() == pytest.approx([2.5, 5, 7.5, 10])


def test_what_is_offered() -> None:
    """Letters and words stand in brackets in a prompt; of items the place of the choice counts."""
    asked = pd.DataFrame(
        {
            "question": ["a", "b", "c", "d", "e"],
            "prompt": ["(A) x (B) y", "Out of (Yes) and (No), (", "Go on:", None, "One or two or"],
            "matching": ["B", "(Yes)", " a longer answer", "C", " one"],
            "not_matching": [" (A)", "No", " another one", "D", " two"],
            "place": [None, None, None, 2, 0],
        }
    )
    found = offered(asked)
    assert found["answer"].tolist() == ["B", "Yes", "", "C", "one"]
    assert found["first"].tolist() == ["other", "matching", "", "other", "matching"]
