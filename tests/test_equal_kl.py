"""Vectors compared at equal KL: the choice for each of them, and what studies may say of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY

from checkout import SMALL
from snakesteer.core.errors import StudyError
from snakesteer.core.records import plain, read
from snakesteer.plan.captions import caption
from snakesteer.plan.plan import Plan
from snakesteer.study import study_file
from snakesteer.sweeps.candidates import Score
from snakesteer.sweeps.chosen import taken
from snakesteer.sweeps.job import Candidate, Injected, Placed, SweepJob
from snakesteer.sweeps.matched import at_equal_kl, reached
from snakesteer.tables.candidates import CandidateJob
from snakesteer.tables.ranking import RankingJob

SCORE, DOSE = Score("s.answers", "propensity"), Score("s.kl", "kl")
AT = [-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0]


def curve(column: str, values: list[float], vector: str = "v", layer: int = 1) -> pd.DataFrame:
    """A curve along `AT`, or one of fewer coefficients, the unsteered model at 0."""
    along = pd.DataFrame({"coefficient": AT, column: values})
    return along.assign(
        sweep="s", vector=vector, layer=str(layer), unsteered=along["coefficient"] == 0
    )


def matched(
    answers: pd.DataFrame, kl: pd.DataFrame, at: float = 0.1, lowest: bool = False
) -> tuple[pd.DataFrame, dict[str, Any]]:
    return at_equal_kl({"s.answers": answers, "s.kl": kl}, SCORE, lowest, DOSE, at)


def test_the_coefficient_is_interpolated_in_the_root_of_the_kl() -> None:
    """Of a KL that grows as the square it is exact."""
    kl = curve("kl", [0.01 * value**2 for value in AT])
    listed, choice = matched(curve("propensity", [0.1 * value for value in AT]), kl, 0.0225)
    assert sorted(listed["coefficient"]) == pytest.approx([-1.5, 1.5])
    (each,) = choice["each"]
    assert each["coefficient"] == pytest.approx(1.5) and each["score"] == pytest.approx(0.15)
    assert each["layer"] == 1 and each["position"] is None
    lowest = matched(curve("propensity", [0.1 * value for value in AT]), kl, 0.0225, True)[1]
    assert lowest["each"][0]["coefficient"] == pytest.approx(-1.5)


@pytest.mark.parametrize("seed", range(5))
def test_interpolation_is_that_of_numpy(seed: int) -> None:
    generator = np.random.default_rng(seed)
    axis = np.concatenate([[0], generator.random(6).cumsum()])
    values = generator.normal(size=(7, 2))
    at = float(generator.uniform(0, axis[-1]))
    expected = [np.interp(at, axis, column) for column in values.T]
    assert reached(axis, values, at) == pytest.approx(expected)
    assert np.isnan(reached(axis, values, axis[-1] + 1)).all()


def test_every_vector_gets_its_own_layer_and_side() -> None:
    kl = [0.4, 0.2, 0.05, 0.0, 0.05, 0.2, 0.4]
    rising, falling = [-4, -2, -1, 0, 1, 2, 4], [8, 4, 2, 0, -2, -4, -8]
    answers = pd.concat(
        [
            curve("propensity", rising, "one", 1),
            curve("propensity", [2 * value for value in rising], "one", 3),
            curve("propensity", falling, "other", 1),
            curve("propensity", rising, "other", 3),
        ]
    )
    of = [curve("kl", kl, vector, layer) for vector in ("one", "other") for layer in (1, 3)]
    listed, choice = matched(answers, pd.concat(of))
    places = [(each["vector"], each["layer"], each["coefficient"] > 0) for each in choice["each"]]
    assert places == [("one", 3, True), ("other", 1, False)]
    assert choice["curves"] == len(listed) == 8 and listed["chosen"].sum() == 2
    assert choice["unreached"] == 0 and "0.1" in choice["rule"]


def test_of_ties_the_lower_layer_and_the_positive_side_are_chosen() -> None:
    even = [4, 2, 1, 0, 1, 2, 4]
    answers = pd.concat([curve("propensity", even, layer=layer) for layer in (5, 2)])
    kl = pd.concat([curve("kl", [0.04 * v for v in even], layer=layer) for layer in (5, 2)])
    (each,) = matched(answers, kl)[1]["each"]
    assert each["layer"] == 2 and each["coefficient"] > 0


def test_where_zero_steers_the_unsteered_model_is_on_no_curve() -> None:
    """As of clamping: the KL falls before it rises."""
    answers = curve("propensity", [0, 1, 2, 3, 4, 5, 6]).assign(unsteered=False)
    kl = curve("kl", [0.9, 0.6, 0.4, 0.2, 0.01, 0.04, 0.16]).assign(unsteered=False)
    unsteered = {"coefficient": np.nan, "unsteered": True, "sweep": "s", "vector": "v"}
    unsteered |= {"layer": "1", "propensity": 99.0, "kl": 0.0}
    answers, kl = (pd.concat([each, pd.DataFrame([unsteered])]) for each in (answers, kl))
    listed, choice = matched(answers, kl, 0.09)
    (each,) = choice["each"]  # from 0.04 at 2 to 0.16 at 4, half way in roots
    assert each["coefficient"] == pytest.approx(3) and each["score"] == pytest.approx(5.5)
    assert choice["unreached"] == 1 and listed["coefficient"].isna().sum() == 1


def test_what_cannot_be_compared_is_one_sentence() -> None:
    answers, kl = curve("propensity", AT), curve("kl", [abs(value) / 100 for value in AT])
    with pytest.raises(StudyError, match=r"vectors\.v reaches a KL of 2 at none of its layers"):
        matched(answers, kl, 2)
    with pytest.raises(StudyError, match="validation"):
        matched(answers.assign(split="test"), kl)
    with pytest.raises(StudyError, match="several rows of v read at layer 1"):
        matched(answers, pd.concat([kl, kl]))
    alone = answers["coefficient"] == 0
    with pytest.raises(StudyError, match="no steered point in common"):
        matched(answers[alone], kl[alone])


def test_a_kl_of_rounding_is_zero() -> None:
    kl = curve("kl", [0.4, 0.2, -1e-9, 0.0, -1e-9, 0.2, 0.4])
    (each,) = matched(curve("propensity", AT), kl, 0.05)[1]["each"]
    assert each["coefficient"] == pytest.approx(1.5)


def test_all_that_a_choice_takes_is_injected() -> None:
    def injected(vector: str, layer: int) -> Injected:
        candidate = Candidate("c", "s", vector, layer, each=True)
        return Injected((Placed(vector, (layer,)),), (0.0,), candidates=(candidate,), taken=1)

    every = [injected(vector, layer) for vector in ("one", "other") for layer in (1, 3)]
    each = [
        {"vector": "one", "layer": 3, "position": None, "coefficient": 1.5},
        {"vector": "other", "layer": 1, "position": None, "coefficient": -2.0},
    ]
    found = taken(every, {"c": {"each": each}})
    assert [(one.vector, one.layer, one.coefficients) for one in found] == [
        ("one", "3", (0.0, 1.5)),
        ("other", "1", (0.0, -2.0)),
    ]


# What studies may say ----------------------------------------------------------------------------

VECTORS = ["myopia", "wealth-seeking", "myopia-pca", "wealth-seeking-pca"]
KL = {"measure": "divergence", "corpora": ["text"], "tokens": 500}
VALIDATION = {"measure": "two_choice", "split": "validation"}
STUDY: dict[str, Any] = {
    "name": "ranked",
    "vectors": {
        "myopia-pca": {"method": "pca", "of": "myopia"},
        "wealth-seeking-pca": {"method": "pca", "of": "wealth-seeking"},
        "noise": {"method": "control", "of": "myopia", "how": "random", "draws": 2},
    },
    "sweeps": {
        "search": {
            "model": "miniature-chat",
            "inject": {"vectors": VECTORS, "layers": [2, 4]},
            "coefficients": [-4, -1, 0, 1, 4],
            "measures": {"answers": VALIDATION, "kl": KL},
        },
        "tested": {
            "model": "miniature-chat",
            "inject": {"choice": "each"},
            "coefficients": {"choice": "each"},
            "measures": {"answers": {"measure": "two_choice"}, "kl": KL},
        },
    },
    "choices": {
        "each": {
            "best": {"highest": "search.answers", "column": "propensity"},
            "at_kl": {"table": "search.kl", "kl": 0.1},
        }
    },
    "rankings": {
        "methods": {
            "sweeps": ["tested.answers"],
            "arms": {"difference": VECTORS[:2], "pca": VECTORS[2:]},
        }
    },
    "figures": {"ranking": {"kind": "ranking", "ranking": "methods"}},
}


def planned(change: dict[str, Any] | None = None) -> Plan:
    merged = study_file.merge(study_file.merge(study_file.read(SMALL), STUDY), change or {})
    return Plan(study_file.parse(merged), REPOSITORY)


def test_a_study_compares_methods_at_equal_kl() -> None:
    plan = planned()
    choice = plan.candidates["each"]
    job = read(CandidateJob, choice.settings)
    assert plain(job) == choice.settings and job.at_kl == 0.1
    assert job.dose == Score("search.kl", "kl") and job.vectors == ()
    assert "vectors" not in choice.inputs
    (sweep,) = plan.sweeps["tested"]
    of = read(SweepJob, sweep.settings)
    assert of.vectors == tuple(VECTORS) and len(of.injections) == 8
    assert [one.vector for one in of.counted] == VECTORS  # of two layers it runs one
    ranking = read(RankingJob, plan.rankings["methods"].settings)
    assert ranking.arms["pca"] == tuple(VECTORS[2:])
    assert plan.rankings["methods"].inputs["candidates"] == (choice.paths[0],)
    said = caption(plan.study, "ranking")
    assert "tie" in said and "Student" in said


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"choices": {"each": {"limits": [{"table": "search.kl", "at_most": 1}]}}},
            "limits cannot be combined with at_kl; remove one of them",
        ),
        ({"choices": {"each": {"at_kl": {"kl": 0}}}}, "choices.each.at_kl.kl"),
        (
            {
                "sweeps": {"other": {**STUDY["sweeps"]["search"], "measures": {"kl": KL}}},
                "choices": {"each": {"at_kl": {"table": "other"}}},
            },
            "choices.each.at_kl names sweeps.other, another sweep than that of best",
        ),
        (
            {"choices": {"each": {"at_kl": {"table": "search.answers"}}}},
            "choices.each.at_kl.column is kl, but sweeps.search.answers, which",
        ),
        (
            {"sweeps": {"search": {"measures": {"answers": {"split": "test"}}}}},
            "reads the test split; set `split: validation` in its measure",
        ),
        (
            {"sweeps": {"tested": {"inject": {"choice": "each", "vectors": ["noise"]}}}},
            "sweeps.tested.inject.choice names each, which chooses at equal KL for every vector",
        ),
        (
            {"sweeps": {"tested": {"coefficients": {"choice": None, "refine": 2}}}},
            "sweeps.tested.inject.choice names each, which chooses at equal KL for every vector",
        ),
        (
            {"vectors": {"one": {"method": "chosen", "of": "myopia", "choice": "each"}}},
            "vectors.one.choice names each, which chooses at equal KL for every vector",
        ),
        (
            {"figures": {"ranking": {"kind": "chosen", "choice": "each", "ranking": None}}},
            "figures.ranking.choice names each, which chooses at equal KL for every vector",
        ),
        (
            {"rankings": {"methods": {"arms": {"pca": ["myopia-pca"]}}}},
            "rankings.methods.arms.pca has vectors for myopia, and difference for",
        ),
        (
            {"rankings": {"methods": {"arms": {"pca": ["myopia-pca", "myopia"]}}}},
            "rankings.methods.arms.pca has two vectors for myopia",
        ),
        (
            {"rankings": {"methods": {"arms": {"pca": ["myopia-pca", "nothing"]}}}},
            "rankings.methods.arms.pca",
        ),
        (
            {"rankings": {"methods": {"sweeps": ["tested.kl"]}}},
            "rankings.methods.sweeps names sweeps.tested.kl, which has no questions",
        ),
        (
            {"rankings": {"methods": {"sweeps": ["search.answers"]}}},
            "rankings.methods.sweeps names sweeps.search.answers, which injects each vector at",
        ),
        (
            {"rankings": {"methods": {"arms": {"pca": None}}}},
            "rankings.methods has one arm",
        ),
        ({"figures": {"ranking": {"ranking": "other"}}}, "figures.ranking.ranking"),
        (
            {"rankings": {"methods": {"arms": {"mixed": ["myopia", "wealth-seeking-pca"]}}}},
            "rankings.methods.arms has vectors.myopia in difference and mixed",
        ),
        (
            {"choices": {"each": {"best": {"source": "myopia"}}}},
            "choices.each.best.source is myopia, but sweeps.search.answers asks each vector about",
        ),
        (
            {
                "sweeps": {
                    "tested": {
                        "inject": {"choice": None, "vectors": VECTORS, "layers": [2, 4]},
                        "coefficients": {"choice": None, "magnitudes": [1]},
                    }
                }
            },
            "which injects each vector at several layers or positions",
        ),
        (
            {
                "sweeps": {
                    "tested": {
                        "inject": {"choice": None, "vectors": VECTORS, "layers": [2]},
                        "coefficients": {"choice": None, "magnitudes": [1]},
                    }
                }
            },
            "which does not have one coefficient, but arms are compared at one",
        ),
        (
            {"choices": {"each": {"at_kl": None}}},
            "which injects the one candidate of choices.each",
        ),
        (
            {
                "sweeps": {"tested": {"measures": {"likelihood": {"measure": "choice"}}}},
                "rankings": {"methods": {"sweeps": ["tested.answers", "tested.likelihood"]}},
            },
            "which differ in their measure, its `by` or its split",
        ),
    ],
)
def test_what_a_study_cannot_say_is_one_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(StudyError) as error:
        planned(change)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value).strip()
