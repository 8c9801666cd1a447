"""What the job of a sweep gets: the plan writes it as JSON, the script reads the same back."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from conftest import REPOSITORY

from checkout import SMALL
from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.core.records import plain, read
from snakesteer.plan.plan import Plan
from snakesteer.plan.sweeps import specified
from snakesteer.study import study_file
from snakesteer.sweeps.injections import steerings
from snakesteer.sweeps.job import Combined, Injected, Placed, SweepJob

VECTORS = {"bold": np.full((3, 2), 4.0), "shy": np.full((3, 2), 1.0)}
CELLS = {"1": {"add": 2.0, "subtract": -3.0}}
CODES = dict.fromkeys(("add", "ablate", "clamp"), "code")
CHOICE = {"multipliers": {"boldness": CELLS, "shyness": CELLS}}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan(study_file.load(SMALL), REPOSITORY)


def test_a_job_is_read_as_it_was_planned(plan: Plan) -> None:
    measures = set()
    for name, made in plan.sweeps.items():
        jobs = specified(plan.graph, name)
        for job, artefact in zip(jobs, made, strict=True):
            assert read(SweepJob, json.loads(json.dumps(artefact.settings))) == job
            for measured in job.measures:
                settings = plugins.load("measures", measured.measure).Settings
                assert plain(read(settings, measured.asked)) == measured.asked
                measures.add(measured.measure)
    assert measures == {"next_token", "two_choice"}
    assert plugins.names("tables") == plugins.names("measures")


def test_a_field_that_a_record_has_not_is_refused() -> None:
    with pytest.raises(TypeError, match="runs"):
        read(Combined, {"how": "mean", "weighted": True, "direction": "add", "runs": []})


@dataclass(frozen=True)
class Nested:
    one: Combined | None
    several: tuple[Combined, ...] = ()


@pytest.mark.parametrize(
    "record",
    [Nested(None), Nested(Combined("sum", False, "add"), (Combined("mean", True, "add"),))],
)
def test_records_survive_json(record: Nested) -> None:
    assert read(Nested, json.loads(json.dumps(plain(record)))) == record


BOTH = (Placed("bold", (1,)), Placed("shy", (1,)))


def steered(plan: Plan, injected: Injected, choice: dict[str, Any] | None = CHOICE) -> Any:
    behaviours = {"bold": "boldness", "shy": "shyness"}
    (job,) = specified(plan.graph, "grid")
    job = replace(job, injections=(injected,), behaviours=behaviours)
    (steering,) = steerings(job, VECTORS, choice, CODES, {})
    return steering


def test_chosen_multipliers_are_asked_at_once(plan: Plan) -> None:
    steering = steered(plan, Injected((Placed("bold", (1,)),), None))
    assert steering.coefficients == (0.0, -3.0, 2.0)
    assert steering.sources == {"two_choice": ("boldness",)}
    (part,) = steering.parts
    assert part.layer == 1 and (part.vector == 4).all()


@pytest.mark.parametrize(
    ("combined", "value"),
    [
        (Combined("sum", False, "add"), 5.0),
        (Combined("mean", False, "subtract"), -2.5),
        (Combined("sum", True, "add"), 10.0),
        (Combined("mean", True, "subtract"), -7.5),
    ],
)
def test_vectors_are_combined_by_direction_and_weight(
    plan: Plan, combined: Combined, value: float
) -> None:
    steering = steered(plan, Injected(BOTH, (1.0,), combined))
    assert steering.sources == {"two_choice": ("boldness", "shyness")}
    (part,) = steering.parts
    assert part.layer == 1 and (part.vector == value).all()


def test_every_part_says_what_is_done_along_its_vector(plan: Plan) -> None:
    """Each vector's parts stand together, in the order given."""
    (job,) = specified(plan.graph, "grid")
    own = Placed("shy", (2,), "clamp", ("input", "mlp"), -2, constant=3.0, source_layer=0)
    injected = Injected((Placed("bold", (1, 2), "ablate"), own), (None, 0.0, 1.0))
    assert injected.shared == 2
    assert replace(injected, parts=(own,)).shared == 2
    assert injected.layers == {"bold": (1, 2), "shy": (2,)}
    job = replace(job, injections=(injected,), behaviours={"bold": "b", "shy": "s"})
    assert read(SweepJob, json.loads(json.dumps(plain(job)))) == job
    vectors = {**VECTORS, "shy": np.stack([np.full(2, value) for value in (7.0, 8.0, 9.0)])}
    (steering,) = steerings(job, vectors, None, CODES, {})
    assert steering.coefficients == (None, 0.0, 1.0)
    said = [(part.layer, part.site, part.positions, part.constant) for part in steering.parts]
    assert said == [
        (1, "output", "all", None),
        (2, "output", "all", None),
        (2, "input", -2, 3.0),
        (2, "mlp", -2, 3.0),
    ]
    operators = [part.operator.__name__.split(".")[-1] for part in steering.parts]
    assert operators == ["ablate", "ablate", "clamp", "clamp"]
    assert all((part.vector == 7).all() for part in steering.parts[2:])


def test_a_vector_of_several_positions_is_taken_at_one(plan: Plan) -> None:
    (job,) = specified(plan.graph, "grid")
    placed = Placed("bold", (0, 1), source_layer=2, source_position=-2)
    injected = Injected((placed,), (0.0, 1.0))
    assert injected.label == "bold, source layer 2, source position -2 at 0+1"
    several = np.arange(18.0).reshape(3, 3, 2)  # [positions, layers, hidden]
    job = replace(job, injections=(injected,), behaviours={"bold": "b"})
    vectors, positions = {"bold": several}, {"bold": [-5, -2, -1]}
    (steering,) = steerings(job, vectors, None, CODES, positions)
    assert [part.layer for part in steering.parts] == [0, 1]
    assert all((part.vector.numpy() == several[1, 2]).all() for part in steering.parts)
    with pytest.raises(StudyError, match=r"position -2, but it has -3, -1; name one of those\.$"):
        list(steerings(job, vectors, None, CODES, {"bold": [-3, -1]}))


@pytest.mark.parametrize("choice", [None, {"multipliers": {}}, {"multipliers": {"boldness": {}}}])
def test_a_multiplier_that_was_not_chosen_is_named(plan: Plan, choice: Any) -> None:
    with pytest.raises(StudyError) as raised:
        steered(plan, Injected((Placed("bold", (2,)),), None), choice)
    assert str(raised.value) == (
        "no multiplier was chosen for boldness at layer 2; add the layer to the grid search that "
        "the choice reads."
    )
