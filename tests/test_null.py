"""Effects against the draws of a control: ranks, corrections and bands."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from effect_rows import COEFFICIENTS, injected, job, questions, rows

from snakesteer.core.errors import StudyError
from snakesteer.tables import two_choice
from snakesteer.tables.null import (
    COLUMNS,
    NullJob,
    Slopes,
    against_control,
    benjamini_hochberg,
    holm,
    place_among,
)
from snakesteer.tables.slopes import EffectsJob, effects

ITEMS = 24
JOB = NullJob("grid", "propensity", {"myopia": ("random",)})


def found(
    draws: int, layers: tuple[int, ...] = (3,), spread: float = 1.0, seed: int = 0
) -> pd.DataFrame:
    """A vector whose slopes are 2 on the mean, and draws whose means are `spread` about 0."""
    generator = np.random.default_rng(seed)
    injections, raw = [], []
    for layer in layers:
        own = injected("myopia", layer)
        random = [injected("random", layer, draw=number) for number in range(draws)]
        for each in (own, *random):
            mean = 2.0 if each is own else generator.normal(scale=spread)
            steep = mean + generator.normal(size=(ITEMS, 1))
            noise = generator.normal(size=(ITEMS, len(COEFFICIENTS)), scale=0.1)
            raw.append(rows(each, steep * COEFFICIENTS + noise))
        injections += [own, *random]
    tables = (job("grid", [injections]),)
    whole = pd.concat(raw, ignore_index=True)
    made = effects(EffectsJob(tables, ("myopia",)), [[whole]], [questions(ITEMS)])
    table = two_choice.table(tables[0], [whole], ())
    compared, left_out = against_control(JOB, [table], Slopes(made.items, made.slopes))
    assert not left_out
    return compared


def test_ranks_and_p_by_hand() -> None:
    draws = np.array([float(value) for value in range(-9, 10)])  # 19 of them
    assert place_among(12.0, draws) == (1, 1 / 20)
    # The mean of all is -0.5: 9 is as far from it as the effect, -10.
    assert place_among(-10.0, draws) == (20, 2 / 20)
    assert place_among(0.0, draws)[1] == 1.0
    rank, p = place_among(3.0, draws[:5])
    assert rank == 1 and np.isnan(p)  # 1/6 is no p-value at 5 %
    assert np.isnan(place_among(float("nan"), draws)[1])
    assert np.isnan(place_among(12.0, np.append(draws, np.nan))[1])


def test_holm_by_hand_and_benjamini_hochberg_as_scipy_has_it() -> None:
    p = np.array([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(holm(p), [0.03, 0.06, 0.06, 0.02])
    stats = pytest.importorskip("scipy.stats")
    many = np.random.default_rng(4).uniform(size=50) ** 2
    np.testing.assert_allclose(benjamini_hochberg(many), stats.false_discovery_control(many))


def test_an_effect_has_its_difference_from_the_band() -> None:
    table = found(draws=40)
    assert list(table)[: len(COLUMNS)] == COLUMNS
    slope = table[table["quantity"] == "slope"].iloc[0]
    assert slope["effect"] == pytest.approx(2, abs=0.6) and slope["interval"] == "paired"
    assert slope["difference"] == pytest.approx(slope["effect"] - slope["band_mean"])
    assert slope["difference_low"] < slope["difference"] < slope["difference_high"]
    assert slope["draws"] == 40 and slope["tests"] == 1
    assert slope["p"] == slope["p_holm"] == slope["p_bh"]
    changes = table[table["quantity"] == "propensity"]
    assert changes["coefficient"].tolist() == [-2, -1, 1, 2]
    assert (changes["interval"] == "independent").all() and (changes["tests"] == 4).all()
    assert np.sign(changes["effect"]).tolist() == [-1, -1, 1, 1]


def test_the_interval_of_a_difference_by_hand() -> None:
    """Half-widths over items, of an effect less the draws' mean, and over draws, in squares."""
    scipy = pytest.importorskip("scipy.stats")
    values = {None: [1.0, 2.0, 4.0], 0: [0.5, 0.0, 1.0], 1: [-0.5, 1.0, 0.0]}
    raw, injections = [], []
    for draw, steep in values.items():
        each = injected("myopia" if draw is None else "random", draw=draw)
        injections.append(each)
        raw.append(rows(each, np.outer(steep, COEFFICIENTS)))
    tables = (job("grid", [injections]),)
    whole = pd.concat(raw, ignore_index=True)
    made = effects(EffectsJob(tables, ("myopia",)), [[whole]], [questions(3)])
    table = two_choice.table(tables[0], [whole], ())
    (slope,) = (
        against_control(JOB, [table], Slopes(made.items, made.slopes))[0]
        .query("quantity == 'slope'")
        .to_dict("records")
    )
    apart = np.array([1.0 - 0.0, 2.0 - 0.5, 4.0 - 0.5])
    means = np.array([0.5, 1 / 6])
    over_items = scipy.t.ppf(0.975, 2) * apart.std(ddof=1) / np.sqrt(3)
    over_draws = scipy.t.ppf(0.975, 1) * means.std(ddof=1) / np.sqrt(2)
    assert slope["difference"] == pytest.approx(2.0)
    assert slope["difference_high"] - 2 == pytest.approx(np.hypot(over_items, over_draws), rel=1e-5)
    assert (slope["band_low"], slope["band_high"]) == pytest.approx((1 / 6, 0.5))
    assert slope["rank"] == 1 and np.isnan(slope["p"])


def test_without_draws_enough_the_band_stands_alone() -> None:
    few = found(draws=18)
    assert few[["p", "p_holm", "p_bh"]].isna().all().all()
    assert (few["test"] == "").all() and few["band_mean"].notna().all()


@pytest.mark.long
def test_holm_takes_draws_enough_for_all_tests() -> None:
    """Two layers are two tests of the slope: 1/40 can be 5 % with both, 1/20 cannot."""
    few, enough = (found(draws, layers=(3, 5)).query("quantity == 'slope'") for draws in (19, 39))
    assert few["p"].notna().all() and few["p_bh"].notna().all() and few["p_holm"].isna().all()
    assert enough["p_holm"].notna().all() and (enough["tests"] == 2).all()
    assert (enough["test"] == "rank among draws, two-sided").all()


def test_slopes_over_other_coefficients_have_no_band() -> None:
    own, random = injected("myopia"), injected("random", draw=0)
    other = injected("random", draw=1, coefficients=COEFFICIENTS[1:4])
    steep = np.linspace(0, 1, 6)
    raw = [rows(each, np.outer(steep, each.coefficients or ())) for each in (own, random, other)]
    whole = pd.concat(raw, ignore_index=True)
    tables = (job("grid", [[own, random, other]]),)
    made = effects(EffectsJob(tables, ("myopia",)), [[whole]], [questions(6)])
    table = two_choice.table(tables[0], [whole], ())
    compared, left_out = against_control(JOB, [table], Slopes(made.items, made.slopes))
    assert set(compared["quantity"]) == {"propensity"}
    assert any("other coefficients" in sentence for sentence in left_out)
    assert (
        "2 effects of myopia have no band (layers 3), as random has fewer than two draws there"
        in (left_out)
    )


def test_controls_at_other_layers_are_refused() -> None:
    own = injected("myopia", 3)
    random = [injected("random", 4, draw=number) for number in range(2)]
    raw = pd.concat([rows(each, np.ones((3, 5))) for each in (own, *random)], ignore_index=True)
    table = two_choice.table(job("grid", [[own, *random]]), [raw], ())
    with pytest.raises(StudyError, match="no layer, coefficient and source in common"):
        against_control(JOB, [table])
