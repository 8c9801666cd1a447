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
from snakesteer.sweeps.job import Combined, Injected, SweepJob

VECTORS = {"bold": np.full((3, 2), 4.0), "shy": np.full((3, 2), 1.0)}
CELLS = {"1": {"add": 2.0, "subtract": -3.0}}
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
    assert measures == {name.replace("-", "_") for name in plugins.names("measures")}
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


def steered(plan: Plan, injected: Injected, choice: dict[str, Any] | None = CHOICE) -> Any:
    behaviours = {"bold": "boldness", "shy": "shyness"}
    (job,) = specified(plan.graph, "grid")
    job = replace(job, injections=(injected,), behaviours=behaviours)
    (steering,) = steerings(job, VECTORS, choice)
    return steering


def test_chosen_multipliers_are_asked_at_once(plan: Plan) -> None:
    steering = steered(plan, Injected({"bold": (1,)}, None))
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
    steering = steered(plan, Injected({"bold": (1,), "shy": (1,)}, (1.0,), combined))
    assert steering.sources == {"two_choice": ("boldness", "shyness")}
    (part,) = steering.parts
    assert part.layer == 1 and (part.vector == value).all()


def test_sites_and_positions_are_those_of_every_part(plan: Plan) -> None:
    """Each vector's parts stand together; usual sites and positions are no settings."""
    (job,) = specified(plan.graph, "grid")
    assert not {"sites", "positions"} & job.settings().keys()
    injected = Injected({"bold": (1, 2), "shy": (2,)}, (0.0, 1.0))
    job = replace(job, injections=(injected,), behaviours={"bold": "b", "shy": "s"})
    assert job.shared(injected) == 2
    job = replace(job, sites=("input", "mlp"), positions=-2, operator="ablate")
    assert job.shared(injected) == 1
    assert read(SweepJob, json.loads(json.dumps(job.settings()))) == job
    (steering,) = steerings(job, VECTORS, None)
    places = [(part.layer, part.site, part.positions) for part in steering.parts]
    assert places == [(layer, site, -2) for layer in (1, 2, 2) for site in ("input", "mlp")]
    assert {part.operator.__name__.split(".")[-1] for part in steering.parts} == {"ablate"}


@pytest.mark.parametrize("choice", [None, {"multipliers": {}}, {"multipliers": {"boldness": {}}}])
def test_a_multiplier_that_was_not_chosen_is_named(plan: Plan, choice: Any) -> None:
    with pytest.raises(StudyError) as raised:
        steered(plan, Injected({"bold": (2,)}, None), choice)
    assert str(raised.value) == (
        "no multiplier was chosen for boldness at layer 2; add the layer to the grid search that "
        "the choice reads."
    )
