"""What studies say of injections: parts with their own settings, sources, own operators."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY

from checkout import SMALL
from snakesteer.core.errors import StudyError
from snakesteer.core.records import read
from snakesteer.plan import captions
from snakesteer.plan.plan import Plan
from snakesteer.study import study_file
from snakesteer.sweeps.job import Injected, Placed, SweepJob

DEPTH = 8  # of the miniature model
OWN = "def apply(states, vector, coefficient):\n    return states\n"


def planned(sweep: dict[str, Any], **over: Any) -> Plan:
    """The small study with one more sweep, of questions."""
    swept = {
        "model": "miniature-chat",
        "measures": {"two_choice": {"behaviours": ["myopia"]}},
        **sweep,
    }
    given = study_file.merge(study_file.read(SMALL), {"sweeps": {"mine": swept}, **over})
    return Plan(study_file.parse(given), REPOSITORY)


def injections(made: Plan) -> list[Injected]:
    jobs = [read(SweepJob, job.settings) for job in made.sweeps["mine"]]
    return [injected for job in jobs for injected in job.injections]


def test_all_layers_are_one_set_where_they_stand_in_a_list() -> None:
    given = {"vector": "myopia", "layers": ["all", [1, 2], 0.0]}
    found = injections(planned({"inject": given, "coefficients": [0, 1]}))
    assert [one.parts[0].layers for one in found] == [tuple(range(DEPTH)), (1, 2), (0,)]
    each = injections(planned({"inject": {**given, "layers": "all"}, "coefficients": [0, 1]}))
    assert [one.parts[0].layers for one in each] == [(layer,) for layer in range(DEPTH)]


def test_every_part_may_have_what_the_design_does_not() -> None:
    together = {
        "myopia": 1,
        "wealth-seeking": {
            "layers": "all",
            "operator": "ablate",
            "sites": ["input", "mlp"],
            "positions": -2,
            "coefficient": 1,
            "source_layer": 0.5,
        },
    }
    made = planned(
        {"inject": {"together": together, "positions": "last"}, "coefficients": [0, 2.5]}
    )
    (found,) = injections(made)
    assert found.parts == (
        Placed("myopia", (1,), positions="last"),
        Placed(
            "wealth-seeking",
            tuple(range(DEPTH)),
            "ablate",
            ("input", "mlp"),
            -2,
            constant=1.0,
            source_layer=3,
        ),
    )
    # What is constant acts at 0 as well, so that the unsteered model is a point of its own.
    assert found.coefficients == (None, 0.0, 2.5)


@pytest.mark.parametrize(
    ("operator", "coefficients", "expected"),
    [
        ("add", [1, 0, -1], (0.0, 1.0, -1.0)),
        ("clamp", [1, 0, -1], (None, 1.0, 0.0, -1.0)),
        ("clamp", [1, 2], (None, 1.0, 2.0)),
        ("clamp", {"start": -1, "stop": 1, "points": 3}, (None, -1.0, 0.0, 1.0)),
        ("clamp", {"start": 1, "stop": 3, "points": 2}, (None, 1.0, 3.0)),
        ("ablate", {"start": 1, "stop": 3, "points": 2}, (0.0, 1.0, 3.0)),
        ("clamp", {"magnitudes": [2, 1]}, (None, 1.0, 2.0, -1.0, -2.0)),
    ],
)
def test_the_unsteered_model_comes_first(
    operator: str, coefficients: Any, expected: tuple[float | None, ...]
) -> None:
    inject = {"vector": "myopia", "layers": [2], "operator": operator}
    (found,) = injections(planned({"inject": inject, "coefficients": coefficients}))
    assert found.coefficients == expected
    assert found.points == len(expected)


def test_a_vector_of_one_layer_may_be_injected_at_others() -> None:
    inject = {"vector": "myopia", "layers": ["all", 2], "source_layers": [1, 1.0]}
    found = injections(planned({"inject": inject, "coefficients": [0, 1]}))
    placed = [(one.parts[0].layers, one.parts[0].source_layer) for one in found]
    everywhere = tuple(range(DEPTH))
    assert placed == [(everywhere, 1), (everywhere, 7), ((2,), 1), ((2,), 7)]
    assert len({one.label for one in found}) == 4
    assert found[0].columns == {"source_layer": 1}


def test_an_operator_of_ones_own_is_known_by_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.py"
    keys = {}
    for name, code in (
        ("first", OWN),
        ("comment", OWN + "# nothing else\n"),
        ("other", OWN.replace("states\n", "states + vector\n")),
        ("own zero", "UNSTEERED_AT_0 = False\n" + OWN),
    ):
        file.write_text(code)
        inject = {"vector": "myopia", "layers": [2], "operator": "mine.py"}
        made = planned({"inject": inject, "coefficients": [0, 1]})
        (job,) = made.sweeps["mine"]
        keys[name] = job.key
        first = injections(made)[0].coefficients
        assert first == ((None, 0.0, 1.0) if name == "own zero" else (0.0, 1.0))
    assert keys["first"] == keys["comment"]
    assert len(set(keys.values())) == 3


def test_captions_say_how_states_are_changed() -> None:
    inject = {"vector": "code", "layers": [2], "operator": "ablate", "sites": ["input", "mlp"]}
    over = {"sweeps": {"code": {"inject": {**inject, "positions": -3}}}}
    given = study_file.merge(study_file.read(SMALL), over)
    said = captions.caption(study_file.parse(given), "general-coding")
    assert "Operator: ablate. Sites: input, mlp. Positions: -3." in said
    usual = captions.caption(study_file.parse(study_file.read(SMALL)), "general-coding")
    assert "Operator" not in usual and "Site" not in usual and "Positions" not in usual


@pytest.mark.parametrize(
    ("inject", "coefficients", "sentence"),
    [
        (
            {"vector": "myopia", "layers": [2]},
            [1, 2],
            "coefficients lacks 0, the unsteered model that results are compared with; add it",
        ),
        (
            {"together": {"myopia": {"layers": 1, "coefficient": 1}}},
            [0, 1],
            "gives every vector a constant coefficient, so none is swept; remove one of these",
        ),
        (
            {"vector": "myopia", "layers": [2], "operator": "empty.py"},
            [0, 1],
            "empty.py has no function `apply`; add it",
        ),
        (
            {"vector": "myopia", "layers": [2], "operator": "broken.py"},
            [0, 1],
            "broken.py line 1 is not Python",
        ),
        (
            {"vector": "myopia", "layers": [2], "source_positions": [-1]},
            [0, 1],
            "has source_positions, but vectors.myopia has one position; remove them",
        ),
        (
            {"vector": "myopia", "layers": [2], "source_layers": [8]},
            [0, 1],
            "sweeps.mine.inject.source_layers names layer 8, but models.miniature-chat has 8",
        ),
        (
            {"together": {"myopia": {"layers": [9]}}},
            [0, 1],
            "sweeps.mine.inject.together.myopia.layers names layer 9",
        ),
    ],
)
def test_settings_that_do_not_fit_are_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    inject: dict[str, Any],
    coefficients: list[float],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "broken.py").write_text("def apply(\n")
    with pytest.raises(StudyError) as raised:
        planned({"inject": inject, "coefficients": coefficients})
    assert sentence in str(raised.value)
    assert "mine" in str(raised.value)


def test_an_operator_lies_beside_its_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside, elsewhere = tmp_path / "studies", tmp_path / "run"
    beside.mkdir()
    elsewhere.mkdir()
    (beside / "mine.py").write_text(OWN)
    inject = {"together": {"myopia": 1, "wealth-seeking": {"layers": 2, "operator": "mine.py"}}}
    swept = {"model": "miniature-chat", "measures": {"two_choice": {}}, "coefficients": [0, 1]}
    samples = {"operator": "mine.py"}
    over = {"sweeps": {"mine": {**swept, "inject": inject}}, "samples": {"chat": samples}}
    study = {"extends": str(SMALL), **over}
    (beside / "study.yaml").write_text(json.dumps(study))
    monkeypatch.chdir(elsewhere)
    made = Plan(study_file.load(beside / "study.yaml"), REPOSITORY)
    (found,) = injections(made)
    assert found.parts[1].operator == str(beside / "mine.py")
    assert made.samples["chat"].settings["operator"] == str(beside / "mine.py")


def test_operators_are_those_of_the_parts() -> None:
    together = {name: {"layers": 2, "operator": "add"} for name in ("myopia", "wealth-seeking")}
    inject = {"together": together, "operator": "clamp"}
    (found,) = injections(planned({"inject": inject, "coefficients": [0, 1]}))
    assert found.coefficients == (0.0, 1.0)


def test_combined_vectors_say_by_their_length_how_strongly() -> None:
    inject = {"combine": ["sum"], "layers": [4], "operator": "clamp"}
    with pytest.raises(StudyError, match="uses only the direction of a vector"):
        planned({"inject": inject, "coefficients": {"choice": "multipliers"}})
