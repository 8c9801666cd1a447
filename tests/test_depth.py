"""Layers as fractions of a model's depth."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import REPOSITORY

from checkout import SMALL
from snakesteer.core.errors import StudyError
from snakesteer.core.records import read
from snakesteer.plan.plan import Plan
from snakesteer.study import schema, study_file
from snakesteer.study.depth import at_depth, layer_at
from snakesteer.study.designs import AloneDesign
from snakesteer.tables.job import TableJob


@pytest.mark.parametrize(
    ("fraction", "n_layers", "layer"),
    [(0.0, 32, 0), (0.25, 32, 8), (0.5, 32, 15), (1.0, 32, 31), (0.5, 7, 3), (0.4, 1, 0)],
)
def test_the_nearest_layer_of_two_the_lower(fraction: float, n_layers: int, layer: int) -> None:
    assert layer_at(fraction, n_layers) == layer


def changed(over: dict[str, Any]) -> schema.Study:
    return study_file.parse(study_file.merge(study_file.read(SMALL), over))


def at(layers: list[Any]) -> dict[str, Any]:
    """A sweep at other layers."""
    return {"inject": {"layers": layers}}


def layers_of(study: schema.Study, sweep: str) -> Any:
    design = study.sweeps[sweep].inject
    assert isinstance(design, AloneDesign)
    return design.layers


def test_fractions_and_numbers_make_the_same_artefacts() -> None:
    """Of the 8 layers of the small study's models 0.5 is 3 and 0.7 is 5; 1 is a number, 1.0 7."""
    given = [
        {
            "sweeps": {
                "code": at([a, [1, b]]),
                "grid": at([a, b]),
                "single": at([b]),
                "combined": {**at([b]), "coefficients": {"choice": "by-hand"}},
                "simultaneous": {
                    "inject": {"together": {"myopia": a, "wealth-seeking": [b, last]}}
                },
                "alignment-tax": {
                    "inject": {"together": {"myopia": a, "wealth-seeking": [b, last]}}
                },
            },
            "choices": {
                "by-hand": {
                    "multipliers": {
                        vector: {b: {"add": 1, "subtract": -2}}
                        for vector in ("myopia", "wealth-seeking")
                    }
                }
            },
            "samples": {"chat": {"layer": b}},
            "figures": {
                "general-coding": {"layers": [a]},
                "grid-search": {"layers": [b]},
                "single-steering": {"layers": [b]},
                "activation-distributions": {"layers": [a, last]},
                "vector-distributions": {"layers": [a]},
            },
        }
        for a, b, last in ((0.5, 0.7, 1.0), (3, 5, 7))
    ]
    by_fraction, by_number = (Plan(changed(over), REPOSITORY) for over in given)
    assert by_fraction.study == by_number.study
    assert by_fraction.catalogue() == by_number.catalogue()
    assert by_fraction.figures == by_number.figures


def test_fractions_of_one_layer_are_that_layer_once() -> None:
    """And so are a set that is one layer, and the same set in another order."""
    given = changed({"sweeps": {"code": at([0.5, 3, [0.4, 0.45], [0.3, 0.4], [3], [3, 2]])}})
    plan = Plan(given, REPOSITORY)
    assert layers_of(plan.study, "code") == [3, [2, 3]]
    jobs = read(TableJob, plan.tables["code"].settings).jobs
    assert [injected.layer for job in jobs for injected in job] == ["3", "2+3"]


def test_a_number_and_the_fraction_of_the_same_layer_are_one() -> None:
    """A layer is looked for among others when all of them are numbers."""
    given = changed(
        {
            "sweeps": {
                "code": at([1, 1.0, [1, 1.0]]),
                "single": at([0.4]),
                "simultaneous": {"inject": {"together": {"wealth-seeking": [0.4, 0.3]}}},
            },
            "figures": {"grid-search": {"layers": [0.5]}},
        }
    )
    plan = Plan(given, REPOSITORY)
    assert layers_of(plan.study, "code") == [1, 7, [1, 7]]


def test_the_depth_is_asked_of_the_entrys_own_model() -> None:
    asked: list[str] = []

    def depth(model: str) -> int:
        asked.append(model)
        return 8

    at_depth(changed({"sweeps": {"code": at([0.1])}}), depth)
    assert asked == ["miniature"]


@pytest.mark.parametrize(
    ("over", "words"),
    [
        (
            {
                "choices": {
                    "by-hand": {
                        "multipliers": {"myopia": {n: {"add": 1, "subtract": -1} for n in (3, 0.5)}}
                    }
                }
            },
            ["choices.by-hand.multipliers.myopia", "3, 0.5", "the same layer"],
        ),
        ({"sweeps": {"code": at([1.5])}}, ["sweeps.code.inject.layers", "1.5"]),
        ({"sweeps": {"code": at([9])}}, ["sweeps.code.inject.layers", "layer 9", "0 to 7"]),
        (
            {
                "sweeps": {"simultaneous": {"inject": {"together": {"myopia": 9}}}},
                "figures": {"simultaneous-steering": {"tax": None}},
            },
            ["sweeps.simultaneous.inject.together", "layer 9", "0 to 7"],
        ),
        (
            {"sweeps": {"single": at([7])}},
            ["sweeps.single.inject.layers", "7", "layers of sweeps.grid"],
        ),
        (
            {"sweeps": {"single": {"inject": {"layers": "all"}}}},
            ["sweeps.single.inject.layers is all", "name the layers"],
        ),
        (
            {"sweeps": {"grid": at([0.5, 1.0]), "single": at([1])}},
            ["sweeps.single.inject.layers", "layer 1", "sweeps.grid"],
        ),
        (
            {
                "choices": {
                    "by-hand": {"multipliers": {"myopia": {1.0: {"add": 1, "subtract": -1}}}}
                },
                "sweeps": {"single": {**at([1]), "coefficients": {"choice": "by-hand"}}},
            },
            ["sweeps.single.inject.layers", "layer 1", "choices.by-hand", "myopia"],
        ),
        (
            {
                "choices": {
                    "by-hand": {"multipliers": {"myopia": {3: {"add": 1, "subtract": -1}}}}
                },
                "sweeps": {"single": {**at([[2, 3]]), "coefficients": {"choice": "by-hand"}}},
            },
            ["sweeps.single.inject.layers", "[2, 3] together", "choices.by-hand", "single layers"],
        ),
        ({"figures": {"grid-search": {"layers": [7]}}}, ["figures.grid-search.layers", "7"]),
        (
            {
                "sweeps": {"grid": at([1.0, 4])},
                "figures": {"grid-search": {"layers": [1]}},
            },
            ["figures.grid-search.layers", "layer 1", "sweeps.grid"],
        ),
        (
            {"sweeps": {"alignment-tax": {"inject": {"together": {"myopia": 1.0}}}}},
            [
                "figures.simultaneous-steering.tax",
                "sweeps.alignment-tax",
                "does not inject the same",
            ],
        ),
    ],
)
def test_an_invalid_layer_is_reported(over: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(StudyError) as raised:
        Plan(changed(over), REPOSITORY)
    for word in words:
        assert word in str(raised.value)


@pytest.mark.parametrize(
    "figure",
    [
        {"kind": "distributions", "vectors": ["code", "myopia"]},
        {"kind": "distributions", "activations": ["text", "of-chat"]},
        {"kind": "tradeoff", "sweeps": ["code", "alignment-tax"]},
        {"kind": "tradeoff", "sweeps": ["code"], "controls": ["alignment-tax"]},
        {"kind": "combined", "sweep": "combined", "single": "single"},
    ],
)
def test_a_fraction_is_one_layer_of_all_models_of_a_figure(figure: dict[str, Any]) -> None:
    cells = {3: {"add": 1, "subtract": -1}}

    def resolved(fraction: float) -> schema.Study:
        given = {
            "activations": {"of-chat": {"model": "miniature-chat", "corpus": "text"}},
            "sweeps": {
                "alignment-tax": {"measures": {"next_token": {"corpora": ["code", "text"]}}},
                "single": {
                    "model": "miniature",
                    "transfer": True,
                    "coefficients": {"choice": "by-hand"},
                },
            },
            "choices": {"by-hand": {"multipliers": {"myopia": cells}}},
            "figures": {"two-models": {**figure, "layers": [fraction]}},
        }
        return at_depth(changed(given), {"miniature": 8, "miniature-chat": 16}.__getitem__)

    assert resolved(0.0).figures["two-models"].layers == [0]  # type: ignore[union-attr]
    with pytest.raises(StudyError, match=r"figures.two-models.layers names 0.5") as raised:
        resolved(0.5)
    for named in ("layer 3 of models.miniature", "layer 7 of models.miniature-chat"):
        assert named in str(raised.value)


def test_a_fraction_of_published_results_is_reported() -> None:
    data = study_file.read(REPOSITORY / "config" / "papers" / "broad-skills-published.yaml")
    over = {"figures": {"general-coding": {"layers": [0.5]}}}
    with pytest.raises(StudyError, match=r"figures.general-coding.layers names 0.5.*depth"):
        Plan(study_file.parse(study_file.merge(data, over)), REPOSITORY)
