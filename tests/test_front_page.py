"""The first page says what the tables say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_figures import ranked

from snakesteer.figures.inputs import Inputs
from snakesteer.reports.effect_findings import of_controls, of_slopes
from snakesteer.reports.findings import Finding, Measured, findings, points_of, shown
from snakesteer.reports.front_page import (
    Found,
    FrontPage,
    choice_said,
    chosen_in,
    cost,
    injected_layers,
    page,
    vector_rows,
    verdict,
    written_texts,
)
from snakesteer.reports.ranking_findings import of_ranking

NOWHERE = (math.nan, math.nan)
ASKED = {
    "name": "mine",
    "question": "Does <it> work?",
    "models": {"chat": "some/model"},
    "sweeps": [],
    "labels": {"kind": "Kindness"},
    "published": False,
}


def table(rows: list[tuple[Any, ...]], **more: Any) -> Inputs:
    """A table of a sweep named `single` with a column `score`."""
    columns = ["vector", "layer", "coefficient", "behaviour", "score", "score_low", "score_high"]
    made = pd.DataFrame(rows, columns=columns).assign(sweep="single", **more)
    return Inputs(tables=[made.assign(unsteered=made["coefficient"] == 0)])


def said(inputs: Inputs, controls: dict[str, str] | None = None, **more: Any) -> list[Finding]:
    points = points_of(inputs, "single", "score")
    measured = Measured("single", "Score", points, more.pop("own", {}), ASKED["labels"], **more)
    return list(findings(measured, controls or {}, points))


def test_a_finding_is_the_largest_change_with_both_intervals() -> None:
    inputs = table(
        [
            ("kind", "3", 0, "kind", 0.4, 0.3, 0.5),
            ("kind", "3", 1, "kind", 0.45, 0.35, 0.55),
            ("kind", "3", -2, "kind", 0.1, 0.05, 0.2),
            ("kind", "5", 0, "kind", 0.4, 0.3, 0.5),
            ("kind", "5", 1, "kind", 0.6, 0.45, 0.7),
        ]
    )
    (found,) = said(inputs)
    assert found.sentence == (
        "Kindness, layer 3, coefficient −2: Score on Kindness is 0.1 [0.05, 0.2]; unsteered it "
        "is 0.4 [0.3, 0.5]. Of 3 measured points, it changes most here."
    )
    assert found.changed is True
    assert list(found.curve["coefficient"]) == [-2, 0, 1]


@pytest.mark.parametrize(
    ("steered", "changed"),
    [((0.45, 0.35, 0.55), False), ((0.55, 0.45, 0.65), True), ((0.55, *NOWHERE), None)],
)
def test_a_change_is_clear_where_neither_interval_holds_the_other_value(
    steered: tuple[float, float, float], changed: bool | None
) -> None:
    rows = [("kind", "3", 0, "kind", 0.4, 0.3, 0.5), ("kind", "3", 1, "kind", *steered)]
    assert [found.changed for found in said(table(rows))] == [changed]


def test_of_a_distance_it_is_not_said_whether_it_is_clear() -> None:
    rows = [("kind", "3", 0, "kind", 0.0, 0.0, 0.0), ("kind", "3", 1, "kind", 0.4, 0.3, 0.5)]
    assert [found.changed for found in said(table(rows), distance=True)] == [None]


def test_a_vector_is_judged_by_its_own_behaviour() -> None:
    rows = [
        ("kind", "3", 0, "kind", 0.4, 0.3, 0.5),
        ("kind", "3", 1, "kind", 0.5, 0.4, 0.6),
        ("kind", "3", 0, "bold", 0.2, 0.1, 0.3),
        ("kind", "3", 1, "bold", 0.9, 0.8, 1.0),
    ]
    (found,) = said(table(rows), own={"kind": "kind"})
    assert "Score on Kindness is 0.5" in found.sentence
    assert "On Bold it changes from 0.2 to 0.9 [0.8, 1]." in found.sentence


def test_controls_are_reported_at_the_same_point_and_are_no_findings() -> None:
    rows = [
        ("kind", "3", 0, "kind", 0.4, 0.3, 0.5),
        ("kind", "3", 1, "kind", 0.7, 0.6, 0.8),
        ("random", "3", 0, "kind", 0.4, 0.3, 0.5),
        ("random", "3", 1, "kind", 0.41, 0.31, 0.51),
        ("random", "3", 2, "kind", 0.9, 0.8, 1.0),
    ]
    (found,) = said(table(rows), {"random": "kind"})
    assert found.control == "Random: 0.41 [0.31, 0.51]."


def test_a_skill_is_reported_where_it_differs_most_from_other_texts() -> None:
    rows = [
        (vector, "3", coefficient, corpus, value, value - 0.01, value + 0.01)
        for vector in ["code"]
        for coefficient, both in {0: (1, 1), 2: (0.3, 0.8), 9: (0, 0.01)}.items()
        for corpus, value in zip(["code", "text"], both, strict=True)
    ]
    role = ["target", "other"] * 3
    (found,) = said(table(rows, role=role), relative=True)
    assert found.sentence.startswith("Code, layer 3, coefficient +2: Score on Code is 0.3")
    assert "On Text it changes from 1 to 0.8 [0.79, 0.81]." in found.sentence
    assert found.sentence.endswith("Of 2 measured points, the texts differ most here.")


def test_combined_vectors_are_held_against_one_unsteered_model() -> None:
    rows = [
        ("all", "3", 0, "kind", 0.4, 0.3, 0.5),
        ("all", "3", 1, "kind", 0.6, 0.5, 0.7),
        ("all", "3", 1, "kind", 0.1, 0.0, 0.2),
    ]
    combined = {
        "combine": ["", "mean", "mean"],
        "weighted": [False, True, False],
        "direction": ["", "add", "subtract"],
    }
    (found,) = said(table(rows, **combined))
    assert found.sentence.startswith("All, layer 3, mean, subtracted, coefficient +1: Score")


def test_of_a_table_by_category_alone_the_mean_over_categories_counts() -> None:
    rows = [
        ("kind", "3", coefficient, "kind", value, value - 0.1, value + 0.1)
        for coefficient, values in {0: (0.4, 0.2, 0.3), 1: (0.9, 0.7, 0.8)}.items()
        for value in values
    ]
    (found,) = said(table(rows, category=["Law", "Health", "mean"] * 2))
    assert "is 0.8 [0.7, 0.9]; unsteered it is 0.3 [0.2, 0.4]" in found.sentence


@pytest.mark.parametrize(
    ("value", "text"), [(0.12345, "0.123"), (-2.5, "−2.5"), (12345.6, "12,346"), (math.nan, "none")]
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert shown(value) == text


def test_vectors_in_numbers_are_those_of_numpy() -> None:
    made = np.random.default_rng(0).normal(size=(3, 4, 8)).astype(np.float32)
    vectors = dict(zip(["a", "b", "c"], made, strict=True))
    layers = {"a": [1, 2], "b": [2]}
    methods, models = dict.fromkeys("abc", "pca"), dict.fromkeys("abc", "small")
    rows = {row.name: row for row in vector_rows(vectors, methods, models, layers, {})}
    lengths = np.linalg.norm(made[0][[1, 2]], axis=1)
    assert rows["a"].length == f"{lengths.min():.3g} to {lengths.max():.3g}"
    assert rows["a"].layers == "1, 2" and rows["b"].layers == "2"
    assert rows["c"].layers == "all of 4"
    at = made[:, 2]
    cosines = at @ at[1] / np.linalg.norm(at, axis=1) / np.linalg.norm(at[1])
    nearest = max((0, 2), key=lambda other: abs(cosines[other]))
    near = shown(round(float(cosines[nearest]), 2))
    assert rows["b"].nearest == f"{'abc'[nearest]} ({near}, layer 2)"
    apart = models | {"b": "large"}  # states of two models have no angle
    nearest_of = [row.nearest[:1] for row in vector_rows(vectors, methods, apart, layers, {})]
    assert nearest_of == ["c", "", "a"]


def test_layers_are_those_of_the_tables() -> None:
    rows = pd.DataFrame({"vector": ["a", "a", "b", "all"], "layer": ["3", "2+4", "1", ""]})
    assert injected_layers([rows]) == {"a": [2, 3, 4], "b": [1]}


def test_choices_are_reported_by_vector() -> None:
    cell = {"add": 0.5, "subtract": -2.0}
    multipliers = {"multipliers": {"kind": {"3": cell, "4": cell}}, "layers": {"kind": "4"}}
    assert chosen_in(multipliers) == {"kind": "layer 4, −2 and +0.5"}
    assert chosen_in({"multipliers": {"kind": {"3": cell}}}) == {"kind": "layer 3, −2 and +0.5"}
    best = {"vector": "kind", "layer": 3, "coefficient": 1.0}
    assert chosen_in({"chosen": best}) == {"kind": "layer 3, coefficient 1"}


def test_a_choice_says_how_often_resamples_take_it() -> None:
    best = {"vector": "kind", "layer": 3, "position": None, "coefficient": 1.0}
    other = best | {"position": -2, "coefficient": -2.0}
    choice = {
        "rule": "The highest.",
        "chosen": best | {"scores": []},
        "candidates": 24,
        "left_out": [
            {"condition": "a score is not a number", "candidates": 0},
            {"condition": "kl of a.kl over 0.1", "candidates": 7},
        ],
        "resamples": {
            "resamples": 1000,
            "chosen": 0.62,
            "shares": [best | {"share": 0.62}, other | {"share": 0.2}],
        },
    }
    assert choice_said(choice) == (
        "The highest. It takes kind, layer 3, coefficient +1, one of 24 candidates. Excluded: "
        "kl of a.kl over 0.1 (7). 62 % of 1,000 resamples of the texts take it as well. 20 % "
        "take kind, layer 3, position −2, coefficient −2."
    )
    choice["chosen"]["sweep"] = "coarse"
    assert "takes kind of coarse, layer 3, coefficient +1, one of 24 candidates." in choice_said(
        choice
    )
    assert choice_said({"rule": "Given in the study."}) == "Given in the study."


def test_scorecards_texts_and_cost_in_short() -> None:
    curves = pd.DataFrame(
        {
            "sweep": ["one", "two"],
            "curve": ["layer 1", "layer 2"],
            "verdict": ["agrees", "differs: much"],
        }
    )
    found = verdict("card", "A card", curves)
    assert (found.agree, found.curves, found.others) == (1, 2, ["two, layer 2: differs: much"])
    rows = pd.DataFrame(
        {
            "vector": "kind",
            "layer": "3",
            "source": "prompts",
            "coefficient": [1.0, math.nan],
            "texts": [["a", "b"], ["c", "d"]],
        }
    )
    (texts,) = written_texts("written", rows, {})
    assert texts.columns == ["coefficient 1", "unsteered"]
    assert texts.rows == [("text 1", ["a", "c"]), ("text 2", ["b", "d"])]
    drawn = {"vector": "random", "draw": [0.0, None], "texts": [["e", "f"], None]}
    read = {"source_position": [-1.0, -1.0]}
    several = pd.concat([rows.assign(draw=math.nan, **read), rows.assign(**drawn)])
    (texts,) = written_texts("written", several, {})
    assert texts.heading == "Kind at layer 3 of position −1, Prompts"
    assert texts.rows == [("text 1", ["a", "c"]), ("text 2", ["b", "d"])]
    used = pd.DataFrame(
        {"seconds": [50.0, 10.0, None], "tokens": [1000, None, None], "memory_mb": [900, 500, None]}
    ).assign(judge_answers=math.nan, judge_cost=math.nan)
    assert cost(used) == [
        "2 of 3 jobs took 60 seconds.",
        "Models read 1,000 tokens.",
        "The largest job took 0.9 GB of memory.",
    ]


def test_effects_are_reported_with_shares_draws_and_tests() -> None:
    slope = {
        "vector": "kind",
        "layer": "3",
        "behaviour": "kind",
        "by": "all",
        "items": 200,
        "mean": 0.5,
        "mean_low": 0.4,
        "mean_high": 0.6,
        "anti_share": 0.25,
        "anti_share_low": 0.2,
        "anti_share_high": 0.31,
        "reliability": 0.9,
    }
    rows = pd.DataFrame([slope, slope | {"by": "answer"}, slope | {"vector": "random", "draw": 0}])
    assert list(of_slopes(rows, ASKED["labels"])) == [
        "Kindness, layer 3: the propensity of a question on Kindness changes by +0.5 [0.4, 0.6] "
        "per unit of the coefficient. 25 % of 200 questions [20 %, 31 %] move the wrong way. "
        "Reliability (split-half over coefficients): 0.9."
    ]
    (without,) = of_slopes(pd.DataFrame([slope | {"mean": math.nan}]), ASKED["labels"])
    assert without == (
        "Kindness, layer 3: no slope on Kindness, as a slope needs two coefficients."
    )
    effect = {
        "vector": "kind",
        "layer": "3",
        "source": "kind",
        "control": "random",
        "quantity": "slope",
        "coefficient": math.nan,
        "effect": 0.5,
        "difference": 0.45,
        "difference_low": 0.3,
        "difference_high": 0.6,
        "draws": 99,
        "band_low": -0.1,
        "band_high": 0.2,
        "rank": 1,
        "p": 0.01,
        "p_holm": math.nan,
        "p_bh": 0.02,
        "tests": 12,
    }
    assert list(of_controls(pd.DataFrame([effect]), "Score", ASKED["labels"])) == [
        "Kindness, layer 3, on Kindness: slope +0.5, which is +0.45 [0.3, 0.6] from the mean of 99 "
        "draws of Random (range −0.1 to 0.2). Rank 1 of 100, p = 0.01; corrected for 12 tests: "
        "Benjamini-Hochberg 0.02."
    ]
    few = effect | {"quantity": "score", "coefficient": 2.0, "p": math.nan, "draws": 5}
    (said_of_few,) = of_controls(pd.DataFrame([few]), "Score", ASKED["labels"])
    assert "layer 3, coefficient +2, on Kindness: Score +0.5" in said_of_few
    assert said_of_few.endswith("Too few draws for a test at 0.05.")


def test_the_page_says_all_and_escapes_what_it_is_given() -> None:
    rows = [("kind", "3", 0, "kind", 0.4, 0.3, 0.5), ("kind", "3", 1, "kind", 0.9, 0.8, 1.0)]
    found = Found("single", "Single", "Score", said(table(rows)))
    chosen_from = Found("grid", "Grid", "Score", said(table(rows)), chosen_from=True)
    asked = ASKED | {"sweeps": []}
    shown_page = page(FrontPage(asked, [found, chosen_from], [], notes=["Skipped: a & b."]))
    assert "Does &lt;it&gt; work?" in shown_page
    assert "Skipped: a &amp; b." in shown_page
    assert shown_page.index("Single: Score") < shown_page.index("On validation texts")
    assert shown_page.index("On validation texts") < shown_page.index("Grid: Score")


def test_a_ranking_is_reported_arm_by_arm() -> None:
    of = ranked()
    said = list(of_ranking(of["arms"], of["pairs"], {"tested": "added", "ablated": "ablated"}))
    assert said[:3] == [
        "1. Pca, added: propensity changes by +0.9 [0.6, 1.2] nats, the mean over 3 behaviours; a "
        "tie with 1 of 3 other arms.",
        "2. Difference, added: propensity changes by +0.8 [0.5, 1.1] nats, the mean over 3 "
        "behaviours; a tie with 1 of 3 other arms.",
        "3. Probe, ablated: propensity changes by +0.3 [0, 0.6] nats, the mean over 3 behaviours; "
        "a tie with no other.",
    ]
    assert len(said) == 4


def test_what_is_chosen_at_equal_kl_is_listed_by_vector() -> None:
    each = [
        {"vector": "kind", "layer": 3, "position": None, "coefficient": 1.5},
        {"vector": "bold", "layer": 5, "position": None, "coefficient": -2.0},
    ]
    choice = {"rule": "The best.", "kl": 0.1, "each": each, "curves": 8, "unreached": 1}
    assert chosen_in(choice) == {
        "kind": "layer 3, coefficient 1.5",
        "bold": "layer 5, coefficient −2",
    }
    assert choice_said(choice) == (
        "The best. It takes one for each of 2 vectors. 1 of 8 curves does not reach the KL."
    )
