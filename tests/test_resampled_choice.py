"""How certain a choice among candidates is: from resamples of its items, and on other items."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest

from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.sweeps.candidates import Rule, Score, choose, chosen, drawn_anew, gathered
from snakesteer.sweeps.job import Injected, Placed
from snakesteer.tables.continuation import Job as OfTexts
from snakesteer.tables.intervals import mean_interval, wilson_interval
from snakesteer.tables.item_statistics import NAMED
from snakesteer.tables.job import Statistics, TableJob
from snakesteer.tables.resampled_candidates import Draws, resampled, told

LAYERS, COEFFICIENTS = (1, 2, 3), (0.0, 0.5, 1.0)
INJECTED = tuple(Injected((Placed("v", (layer,)),), COEFFICIENTS) for layer in LAYERS)
ITEMS = 17


def words(rng: np.random.Generator, size: int, *names: str) -> list[str]:
    return [str(name) for name in rng.choice(names, size)]


def next_token(rng: np.random.Generator, size: int) -> dict[str, Any]:
    tokens = rng.integers(5, 40, size)
    hits = {name: rng.binomial(tokens, 0.4) for name in ("top1", "top10", "kept_top1")}
    counted = {"tokens": tokens, "kept": tokens, "kept_top10": tokens, "nll": rng.random(size)}
    return hits | counted


def two_choice(rng: np.random.Generator, size: int) -> dict[str, Any]:
    logits = {f"logit_{side}": rng.normal(size=size) for side in ("matching", "not_matching")}
    outcomes = words(rng, size, "match", "other", "faulty")
    answers = {"answer": words(rng, size, "A", "B", "x"), "outcome": outcomes}
    return answers | logits | {name: rng.random(size) for name in ("choice_mass", "probability")}


def choice(rng: np.random.Generator, size: int) -> dict[str, Any]:
    values = {name: rng.random(size) for name in ("probability", "propensity")}
    return {"outcome": words(rng, size, "match", "other"), **values}


def divergence(rng: np.random.Generator, size: int) -> dict[str, Any]:
    return {"kl": rng.exponential(size=size)}


def first_token(rng: np.random.Generator, size: int) -> dict[str, Any]:
    return {"log_odds": rng.normal(size=size), "probability": rng.random(size)}


def continuation(rng: np.random.Generator, size: int) -> dict[str, Any]:
    known = np.where(rng.random(size) < 0.2, np.nan, rng.random(size))
    texts = {"text": ["a"] * size, "n": [0] * size, "finished": rng.random(size) < 0.5}
    return {"tokens": rng.integers(1, 9, size), "score_curt": known, **texts}


Rows = Callable[[np.random.Generator, int], dict[str, Any]]
# Measure -> its raw rows, and the columns of its table that may decide.
MEASURES: dict[str, tuple[Rows, tuple[str, ...]]] = {
    "next_token": (next_token, ("top1", "relative_top10", "kept_top1", "perplexity", "nll")),
    "two_choice": (
        two_choice,
        ("score", "probability", "propensity", "choice_mass", "faulty", "majority"),
    ),
    "choice": (choice, ("score", "probability", "propensity")),
    "divergence": (divergence, ("kl", "kl_p95")),
    "first_token": (first_token, ("log_odds", "probability")),
    "continuation": (continuation, ("curt", "tokens", "finished")),
}
CASES = [(measure, column) for measure, (_, columns) in MEASURES.items() for column in columns]


def raw(measure: str, seed: int = 0) -> pd.DataFrame:
    """The raw rows of a sweep of three layers, two coefficients and the unsteered model."""
    rng = np.random.default_rng(seed)
    source, item = NAMED[measure]
    parts = []
    for injected in INJECTED:
        for coefficient in COEFFICIENTS:
            cell = {"coefficient": coefficient, source: "s", "injection": injected.label}
            cell |= {"measure": "m", item: [f"i{place:02}" for place in range(ITEMS)]}
            parts.append(pd.DataFrame(cell | MEASURES[measure][0](rng, ITEMS)))
    return pd.concat(parts, ignore_index=True)


def job(measure: str) -> TableJob:
    kind = OfTexts if measure == "continuation" else TableJob
    return kind(
        sweep=f"sweep.{measure}",
        measure=measure,
        of="m",
        kind="grid",
        jobs=(INJECTED,),
        target="s",
        statistics=Statistics(20, 1),
        split="validation",
        collapse=0.95,
        scores=("curt",) if measure == "continuation" else (),
    )


def table(measure: str, rows: pd.DataFrame) -> pd.DataFrame:
    made: pd.DataFrame = plugins.load("tables", measure).table(job(measure), [rows], [])
    return made


def repeated(measure: str, rows: pd.DataFrame, times: np.ndarray) -> pd.DataFrame:
    """The rows with each item so many times, under names of their own."""
    _, item = NAMED[measure]
    parts = []
    for copy in range(int(times.max())):
        kept = {f"i{place:02}" for place in np.flatnonzero(times > copy)}
        own = rows[rows[item].isin(kept)]
        parts.append(own.assign(**{item: own[item] + f"-{copy}"}))
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize(("measure", "column"), CASES)
@pytest.mark.parametrize("relative", [None, "times", "difference"])
def test_resampled_scores_are_those_of_the_table_of_the_items_drawn(
    measure: str, column: str, relative: Any
) -> None:
    rows = raw(measure)
    score = Score(f"sweep.{measure}", column, at_most=9.0, relative=relative)
    rule = Rule(Score(f"sweep.{measure}", column), True, (score,))
    candidates = gathered({score.table: table(measure, rows)}, rule)
    statistics = Statistics(4, 3)
    found = resampled(rule, candidates, {score.table: (job(measure), [rows])}, statistics)
    assert found is not None
    drawn = Draws(statistics).of("s", [f"i{place:02}" for place in range(ITEMS)])
    for resample, times in enumerate(drawn):
        again = table(measure, repeated(measure, rows, times))
        expected = gathered({score.table: again}, rule)
        for name, values in zip(("best", "limit 0"), found, strict=True):
            assert np.allclose(values[resample], expected[name], rtol=1e-9, equal_nan=True)


@pytest.mark.long
def test_shares_are_how_often_the_rule_chooses_each_from_resampled_tables() -> None:
    """Limits that read the same items are drawn with them, others by themselves."""
    tables = {"sweep.two_choice": raw("two_choice"), "sweep.divergence": raw("divergence", 1)}
    limit = Score("sweep.divergence", "kl", at_most=1.12)
    rule = Rule(Score("sweep.two_choice", "score"), False, (limit,))
    made = {name: table(name.split(".")[1], rows) for name, rows in tables.items()}
    candidates = gathered(made, rule)
    statistics = Statistics(60, 5)
    own = {name: (job(name.split(".")[1]), [rows]) for name, rows in tables.items()}
    values = resampled(rule, candidates, own, statistics)
    assert values is not None
    shares, none = drawn_anew(rule, candidates, values)
    drawn = Draws(statistics).of("s", [f"i{place:02}" for place in range(ITEMS)])
    expected, left = np.zeros(len(candidates)), 60
    for times in drawn:
        again = {}
        for name, rows in tables.items():
            measure = name.split(".")[1]
            again[name] = table(measure, repeated(measure, rows, times))
        try:
            taken = choose(again, rule.best, False, [limit])["chosen"]
        except StudyError:
            left -= 1
            continue
        here = candidates["layer"] == taken["layer"]
        here &= candidates["coefficient"] == taken["coefficient"]
        expected += here.to_numpy()
    assert none == 1 - left / 60 and np.allclose(shares, expected / 60)
    assert (shares > 0).sum() > 2
    listed, said = told(rule, candidates, chosen(rule, candidates), values, statistics)
    assert listed["chosen"].sum() == 1 and said["resamples"]["none"] == none
    assert said["resamples"]["chosen"] == listed.loc[listed["chosen"], "share"].iloc[0]
    assert [each["share"] for each in said["resamples"]["shares"]] == sorted(
        shares[shares > 0], reverse=True
    )
    assert (listed.loc[listed["left_out"] != "", "best"].notna()).all()
    assert set(listed["left_out"]) == {"", "kl of sweep.divergence over 1.12"}


def test_other_items_are_drawn_by_themselves_and_the_seed_says_which() -> None:
    draws = Draws(Statistics(50, 1))
    own, same = draws.of("s", ["a", "b", "c"]), draws.of("s", ["a", "b", "c"])
    other = draws.of("t", ["a", "b", "c"])
    assert own is same and (own.sum(axis=1) == 3).all() and (own != other).any()
    assert (Draws(Statistics(50, 1)).of("s", ["a", "b", "c"]) == own).all()
    assert (Draws(Statistics(50, 2)).of("s", ["a", "b", "c"]) != own).any()


def test_a_resample_may_leave_none() -> None:
    rule = Rule(Score("t", "score"), True, (Score("t", "kl", at_most=1.0),))
    rows = {"sweep": "t", "vector": "v", "position": np.nan, "coefficient": [1.0, 2.0]}
    candidates = pd.DataFrame({**rows, "layer": [1, 1], "best": [0.0, 0.0], "limit 0": [0.5, 2.0]})
    best, limit = np.zeros((4, 2)), np.array([[0.5, 2], [2, 2], [2, 0.5], [np.nan, 1.0]])
    shares, none = drawn_anew(rule, candidates, [best, limit])
    assert shares.tolist() == [0.25, 0.5] and none == 0.25


def test_ratings_corrected_by_labels_are_not_resampled() -> None:
    rows = raw("continuation")
    made = table("continuation", rows).assign(curt_share=0.5)
    rule = Rule(Score("sweep.continuation", "curt_share"), True)
    candidates = gathered({"sweep.continuation": made}, rule)
    own = {"sweep.continuation": (job("continuation"), [rows])}
    values = resampled(rule, candidates, own, Statistics(5, 1))
    assert values is None
    listed, said = told(rule, candidates, chosen(rule, candidates), values, Statistics(5, 1))
    assert said == {"resamples": None} and listed["share"].isna().all()


# The estimate on other items ------------------------------------------------------------------

SIMULATIONS = 1000
CANDIDATES, SEARCHED, TESTED = 24, 60, 200


def search(rng: np.random.Generator, ability: np.ndarray, items: int) -> np.ndarray:
    """Logits of every candidate on items that differ in difficulty, [candidates, items]."""
    difficulty = rng.normal(0, 1, items)
    noise = rng.normal(0, 1, (len(ability), items))
    return ability[:, None] + difficulty + noise


def best_of(values: np.ndarray, column: str) -> int:
    """The candidate that the rule takes by the means of values, [candidates, items]."""
    rows = {"vector": "v", "layer": [str(place) for place in range(len(values))]}
    rows |= {"coefficient": 1.0, "unsteered": False, column: values.mean(axis=1)}
    given = pd.DataFrame({**rows, "split": "validation"})
    layer: int = choose({"t": given}, Score("t", column), False, [])["chosen"]["layer"]
    return layer


@pytest.mark.long
@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_the_interval_on_test_items_covers_after_the_choice(spread: float) -> None:
    """That on validation items, by which the candidate was chosen, does not where candidates are
    alike: the winner's curse.

    The truth is the chosen candidate's mean over all items there could be. Tolerances are three
    standard errors of a share of so many simulations; Wilson's interval is not exact, for which it
    has one per cent more.
    """
    rng = np.random.default_rng(11)
    inside = {"score": 0, "propensity": 0, "searched": 0}
    for _ in range(SIMULATIONS):
        ability = rng.normal(0, spread, CANDIDATES)
        searched, tested = (search(rng, ability, items) for items in (SEARCHED, TESTED))
        place = best_of(searched, "propensity")
        for name, values in (("propensity", tested), ("searched", searched)):
            own = values[place]
            (low,), (high,) = mean_interval(
                np.array([own.mean()]), np.array([own.std(ddof=1)]), np.array([len(own)])
            )
            inside[name] += low <= ability[place] <= high
        place = best_of(searched > 0, "score")
        share = float((tested[place] > 0).sum())
        low, high = wilson_interval(share, TESTED)
        truth = _above_0(ability[place])
        inside["score"] += bool(low <= truth <= high)
    error = 3 * np.sqrt(0.95 * 0.05 / SIMULATIONS)
    covered = {name: count / SIMULATIONS for name, count in inside.items()}
    assert abs(covered["propensity"] - 0.95) < error
    assert abs(covered["score"] - 0.95) < error + 0.01
    if not spread:
        assert covered["searched"] < 0.95 - 3 * error


def _above_0(ability: float) -> float:
    """The probability that a logit is above 0: difficulty and noise are normal, variance 2."""
    return 1 - NormalDist(ability, np.sqrt(2)).cdf(0)
