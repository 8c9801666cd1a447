"""What a choice takes, injected by later sweeps; candidates of several sweeps, and their limits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import REPOSITORY
from test_candidates import OF_PUBLISHED, curves, planned, with_published
from transformers import AutoTokenizer

from checkout import SMALL
from snakesteer.behaviours.drawing import table as questions_of
from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.core.records import plain, read
from snakesteer.figures.chosen import draw as draw_shares
from snakesteer.figures.inputs import Inputs
from snakesteer.figures.interference import draw
from snakesteer.jobs.specified import SamplesJob
from snakesteer.measures.read import Read
from snakesteer.plan.artefacts import Artefact
from snakesteer.plan.captions import caption
from snakesteer.plan.plan import Plan
from snakesteer.plan.resources import tokens
from snakesteer.study import study_file
from snakesteer.study.behaviours import BEHAVIOURS
from snakesteer.sweeps.candidates import Rule, Score, choose, chosen, gathered, reason_left_out
from snakesteer.sweeps.chosen import taken
from snakesteer.sweeps.job import Candidate, Injected, Placed, SweepJob
from snakesteer.tables.candidates import CandidateJob
from snakesteer.tables.job import Statistics, TableJob
from snakesteer.vectors.norms import norms_by_place

# Candidates of several sweeps ------------------------------------------------------------------

ALIKE = Score("a.score", "score", further=("b.score",))


def test_candidates_of_several_sweeps_are_held_against_limits_of_their_own() -> None:
    tables = {
        "a.score": curves([1, 2], [0.5, 0.9]),
        "b.score": curves([1, 2], [0.6, 0.8]),
        "a.kl": curves([1, 2], [0.1, 0.9]),
        "b.kl": curves([1, 2], [0.1, 0.2]),
        "elsewhere": curves([5], [0.3], vector="v"),
    }
    own = Score("a.kl", "score", at_most=0.5, further=("b.kl",))
    choice = choose(tables, ALIKE, False, [own])
    taken = choice["chosen"]
    assert (taken["sweep"], taken["coefficient"]) == ("b", 2)
    assert [each["table"] for each in taken["scores"]] == ["b.score", "b.kl"]
    assert choice["rule"].startswith("Candidates are the steered points of a.score and b.score:")
    assert choose(tables, ALIKE, False, [])["chosen"]["sweep"] == "a"
    one_for_all = Score("elsewhere", "score", at_most=0.5)
    assert choose(tables, ALIKE, False, [one_for_all])["left_out"][-1]["candidates"] == 0


@pytest.mark.parametrize(
    ("further", "told"),
    [
        (
            (),
            (
                "score of a.kl is not a score of the candidates of b; name a table of that sweep, "
                "too."
            ),
        ),
        (
            ("c.kl", "d.kl"),
            "c.kl and d.kl have several rows of v read at layer 3, with the coefficient 1; name "
            "one table.",
        ),
    ],
)
def test_a_limit_of_another_sweep_is_reported(further: tuple[str, ...], told: str) -> None:
    names = ["a.score", "b.score", "a.kl", "c.kl", "d.kl"]
    tables = {name: curves([1, 2], [0.5, 0.9]) for name in names}
    with pytest.raises(StudyError) as raised:
        choose(tables, ALIKE, False, [Score("a.kl", "score", at_most=1, further=further)])
    assert str(raised.value) == told


def test_limits_relative_to_the_unsteered_model_of_the_same_curve() -> None:
    parts = []
    for layer, base in (("1", 10.0), ("2", 20.0)):
        rows = curves([0, 1, 2], [base, base * 1.2, base * 1.4], layer=layer)
        parts.append(rows.assign(unsteered=rows["coefficient"] == 0))
    tables = {"t": pd.concat(parts)}
    best = Score("t", "score")
    for relative, most, place in (("times", 1.3, (2, 1)), ("difference", 3.9, (1, 1))):
        limit = Score("t", "score", at_most=most, relative=relative)
        choice = choose(tables, best, False, [limit])
        assert (choice["chosen"]["layer"], choice["chosen"]["coefficient"]) == place
        assert relative == choice["chosen"]["scores"][1]["relative"]
        said = {"times": "times unsteered", "difference": "more than unsteered"}[relative]
        assert choice["left_out"][1]["condition"] == f"score of t over {most:g} {said}"


def test_faulty_answers_are_a_share() -> None:
    best = curves([1, 2], [0.1, 0.9]).assign(faulty=[1, 30], questions=200)
    limit = Score("t", "faulty", at_most=0.1)
    choice = choose({"t": best}, Score("t", "score"), False, [limit])
    assert choice["chosen"]["coefficient"] == 1
    assert choice["chosen"]["scores"][1]["value"] == 1 / 200


def test_ties_go_to_the_smaller_dose_where_norms_are_known() -> None:
    rows = pd.concat([curves([1, -0.5], [0.7, 0.7], layer=layer) for layer in ("1", "2", "3")])
    vector = np.stack([np.full(4, norm / 2) for norm in (9.0, 1.0, 6.0, 2.0)])
    norms = norms_by_place(vector, None)
    assert norms[2, None] == 6.0
    rule = Rule(Score("t", "score"), False)
    choice = chosen(rule, gathered({"t": rows}, rule, {"v": norms}))
    assert (choice["chosen"]["layer"], choice["chosen"]["coefficient"]) == (1, -0.5)
    assert choice["chosen"]["dose"] == 0.5 and "Ties go to the smaller dose" in choice["rule"]
    norms[1, None] = 4.0  # 2 at the coefficient -0.5, as 2 at 1 of layer 3 and 1 at -0.5
    choice = chosen(rule, gathered({"t": rows}, rule, {"v": norms}))
    assert (choice["chosen"]["layer"], choice["chosen"]["dose"]) == (3, 1.0)
    several = norms_by_place(np.stack([vector, 2 * vector]), [-2, -1])
    assert several[0, -1] == 18.0 and several[3, -2] == 2.0


@pytest.mark.parametrize(
    ("values", "between"),
    [
        ([0.1, 0.9, 0.5], [2.0, 4.0]),
        ([0.6, 0.9, 0.5], [1.0, 2.0]),
        ([0.1, 0.2, 0.9], [2.0, 4.0]),  # by a limit 2 is chosen, and what is better lies above it
        ([float("nan"), 0.9, float("nan")], [0.0, 2.0]),
    ],
)
def test_between_the_best_and_its_better_neighbour(
    values: list[float], between: list[float]
) -> None:
    tables = {"t": curves([1, 2, 4], values), "kl": curves([1, 2, 4], [0, 0, 1])}
    limit = Score("kl", "score", at_most=0.5)
    choice = choose(tables, Score("t", "score"), False, [limit])
    assert choice["chosen"]["coefficient"] == 2 and choice["between"] == between


def test_each_candidate_names_the_limit_that_first_excluded_it() -> None:
    tables = {"t": curves([1, 2, 3], [0.1, float("nan"), 0.2]), "kl": curves([1, 2, 3], [9, 9, 0])}
    rule = Rule(Score("t", "score"), True, (Score("kl", "score", at_most=1),))
    candidates = gathered(tables, rule)
    assert reason_left_out(rule, candidates) == [
        "score of kl over 1",
        "a score is not a number",
        "",
    ]


# What is injected --------------------------------------------------------------------------------


def candidate(layer: int, coefficients: tuple[float, ...] = (0.0,), taken: int = 1) -> Injected:
    of = (Candidate("best", "search", "v", layer, -2),)
    return Injected((Placed("v", (layer,)),), coefficients, candidates=of, taken=taken)


CHOICE: dict[str, Any] = {
    "chosen": {"vector": "v", "layer": 2, "position": -2, "coefficient": 1 / 3},
    "between": [0.25, 1 / 3],
}


def test_the_chosen_candidate_is_taken_with_its_coefficient() -> None:
    other = Injected((Placed("w", (1,)),), (0.0, 1.0))
    found = taken([candidate(1), candidate(2), other], {"best": CHOICE})
    assert [one.coefficients for one in found] == [(0.0, 1 / 3), (0.0, 1.0)]
    (listed,) = taken([candidate(2, (0.0, -1.0, 1.0), 0)], {"best": CHOICE})
    assert listed.coefficients == (0.0, -1.0, 1.0)
    sweeps = {**CHOICE, "chosen": {**CHOICE["chosen"], "sweep": "another"}}
    assert not taken([candidate(2)], {"best": sweeps})


def test_refined_coefficients_lie_evenly_between_both_ends() -> None:
    """The ends are the very coefficients that were searched, so that their points are found."""
    (refined,) = taken([candidate(2, taken=5)], {"best": CHOICE})
    first, *inside, last = (refined.coefficients or ())[1:]
    assert (first, last) == (0.25, 1 / 3)
    assert inside == pytest.approx([0.25 + i / 48 for i in (1, 2, 3)], rel=1e-12)
    (from_0,) = taken([candidate(2, taken=3)], {"best": {**CHOICE, "between": [0.0, 0.5]}})
    assert from_0.coefficients == (0.0, 0.25, 0.5)


# As a study asks for it --------------------------------------------------------------------------

ODDS = {"measure": "first_token", "tokens": [40], "corpora": ["text"]}
TAKEN = {"model": "miniature", "inject": {"choice": "best"}, "measures": {"odds": ODDS}}
SAMPLES = {"model": "miniature", "choice": "best", "coefficients": [0, 1], "prompts": ["A"]}
STUDY: dict[str, Any] = {
    "sweeps": {
        "taken": {**TAKEN, "coefficients": {"choice": "best"}},
        "listed": {**TAKEN, "coefficients": [0, 0.5]},
        "fine": {**TAKEN, "coefficients": {"refine": 3}},
    },
    "choices": {"finest": {"best": {"lowest": "fine"}}},
    "figures": {"shares": {"kind": "chosen", "choice": "best"}},
}


def with_taken(change: Mapping[str, Any] | None = None) -> Plan:
    return planned(study_file.merge(STUDY, change or {}))


def test_a_sweep_has_all_candidates_and_takes_one_when_it_runs() -> None:
    plan = with_taken()
    (job,) = plan.sweeps["taken"]
    (choice,) = (made for made, _ in job.inputs["candidates"])
    assert choice == plan.candidates["best"] and job.name == "taken.chosen"
    asked = read(SweepJob, job.settings)
    assert plain(asked) == job.settings and asked.choices == ("best",)
    searched = [
        injected
        for part in plan.sweeps["ablated"]
        for injected in read(SweepJob, part.settings).injections
    ]
    assert [one.parts for one in asked.injections] == [one.parts for one in searched]
    assert {one.coefficients for one in asked.injections} == {(0.0,)}
    first = asked.injections[0].candidates
    assert first == (Candidate("best", "ablated", "several", 0, -2),)
    tabled = plan.tables["taken"]
    assert tabled.inputs["candidates"] == (choice.paths[0],)
    assert read(TableJob, tabled.settings).choices == ("best",)
    (listed,) = (read(SweepJob, made.settings) for made in plan.sweeps["listed"])
    assert {(one.coefficients, one.taken) for one in listed.injections} == {((0.0, 0.5), 0)}
    (fine,) = (read(SweepJob, made.settings) for made in plan.sweeps["fine"])
    assert {(one.coefficients, one.taken) for one in fine.injections} == {((0.0,), 5)}
    assert "the choice best" in caption(plan.study, "shares")


def test_the_settings_that_a_run_writes_down_are_read_back() -> None:
    change = {
        "samples": {"read": {**SAMPLES, "coefficients": {"choice": "best"}}},
        "figures": {"matrix": {"kind": "interference", "sweeps": ["taken"], "choice": "best"}},
    }
    study = with_taken(change).study
    written = {name: entry for name, entry in study.model_dump(mode="json").items() if entry}
    assert study_file.parse(written) == study


def test_a_choice_among_what_another_took_knows_that() -> None:
    plan = with_taken()
    job = read(CandidateJob, plan.candidates["finest"].settings)
    assert job.choices == ("best",)
    (before,) = (made for made, _ in plan.candidates["finest"].inputs["choices"])
    assert before == plan.candidates["best"]
    last = with_taken(
        {"sweeps": {"last": {**TAKEN, "inject": {"choice": "finest"}, "coefficients": [0, 1]}}}
    )
    (job_of_last,) = last.sweeps["last"]
    asked = read(SweepJob, job_of_last.settings)
    assert asked.choices == ("finest", "best")
    assert [made.name for made, _ in job_of_last.inputs["candidates"]] == ["finest", "best"]
    first = asked.injections[0].candidates
    assert [(each.choice, each.sweep) for each in first] == [
        ("finest", "fine"),
        ("best", "ablated"),
    ]


def test_a_job_of_candidates_counts_for_one_of_them() -> None:
    plan = with_taken()
    searched = sum(map(tokens, plan.sweeps["ablated"]))
    (taken_by,), (fine,) = plan.sweeps["taken"], plan.sweeps["fine"]
    candidates = 2 * 8
    assert tokens(taken_by) * candidates * 2 == searched  # its one measure of two
    assert tokens(fine) == 3 * tokens(taken_by)  # six points for two


def test_controls_stand_in_the_place_of_what_is_chosen() -> None:
    change = {
        "vectors": {"noise": {"method": "control", "of": "code", "how": "random", "draws": 3}},
        "sweeps": {
            "taken": {
                "inject": {"vectors": ["noise", "several"]},
                "coefficients": {"choice": "best"},
            }
        },
    }
    (job,) = with_taken(change).sweeps["taken"]
    asked = read(SweepJob, job.settings)
    of_first = [one for one in asked.injections if one.candidates == asked.injections[0].candidates]
    assert asked.draws == {"noise": 3} and len(of_first) == 4
    placed = [(one.parts[0].vector, one.draw, one.parts[0].source_position) for one in of_first]
    assert placed == [("noise", 0, None), ("noise", 1, None), ("noise", 2, None)] + [
        ("several", None, -2)
    ]
    assert {one.parts[0].source_layer for one in of_first} == {0}


def test_a_dose_is_known_where_vectors_are_added() -> None:
    added = {"sweeps": {"ablated": {"inject": {"operator": "add"}}}}
    for change, vectors in (({}, ()), (added, ("several",))):
        choice = with_taken(change).candidates["best"]
        job = read(CandidateJob, choice.settings)
        assert job.vectors == vectors
        made = [artefact.name for artefact, _ in choice.inputs.get("vectors", ())]
        assert made == list(vectors)
        assert job.statistics == Statistics(1000, 13)


def test_resamples_are_said_where_they_are_not_the_usual_ones() -> None:
    """So that a choice of before has the key of before; of published tables there are none."""
    for said, statistics in ((1000, None), (500, {"resamples": 500, "seed": 13})):
        choice = with_taken({"choices": {"best": {"resamples": said}}}).candidates["best"]
        assert choice.settings.get("statistics") == statistics
        assert read(CandidateJob, choice.settings).resampled == Statistics(said, 13)
    change = {"choices": {"best": {"resamples": 0}}, "figures": {"shares": None}}
    job = read(CandidateJob, with_taken(change).candidates["best"].settings)
    assert job.statistics is None and job.resampled is None
    published = Plan(study_file.parse(with_published(OF_PUBLISHED)), REPOSITORY)
    job = read(CandidateJob, published.candidates["best"].settings)
    assert job.statistics and job.resampled is None


SETTINGS = {
    "resamples": {"resamples": 500},
    "several tables": {"best": {"lowest": ["ablated.odds"]}, "limits": []},
    "relative": {"limits": [{"table": "ablated.odds", "at_most": 2, "relative": "times"}]},
    "column": {"limits": [{"table": "ablated.odds", "column": "probability", "at_most": 0.5}]},
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_of_a_choice_rebuilds_what_takes_it(setting: str) -> None:
    before, after = with_taken(), with_taken({"choices": {"best": SETTINGS[setting]}})
    assert before.candidates["best"].key != after.candidates["best"].key
    for sweep in ("taken", "fine", "listed"):
        assert before.sweeps[sweep][0].key != after.sweeps[sweep][0].key
    assert before.sweeps["ablated"] == after.sweeps["ablated"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"sweeps": {"taken": {"inject": {"choice": "bset"}, "coefficients": [0, 1]}}},
            "sweeps.taken.inject.choice names `bset`, which is not in choices; did you mean "
            "`best`?",
        ),
        (
            {"sweeps": {"fine": {"inject": {"choice": "bset"}}}},
            "sweeps.fine.inject.choice names `bset`, which is not in choices; did you mean `best`?",
        ),
        (
            {"sweeps": {"fine": {"inject": {"vectors": ["absent"]}}}},
            "sweeps.fine.inject names `absent`, which is not in vectors; add it under `vectors`.",
        ),
        (
            {"sweeps": {"taken": {"inject": {"choice": "multipliers"}, "coefficients": [0, 1]}}},
            "sweeps.taken.inject.choice names multipliers, which chooses multipliers, not a "
            "candidate; write `coefficients: {choice: multipliers}` in a sweep of vectors and "
            "layers.",
        ),
        (
            {"sweeps": {"taken": {"coefficients": {"choice": "finest"}}}},
            "the study: `sweeps.taken`: inject takes what the choice best takes, but "
            "coefficients come from finest; name the same choice in both.",
        ),
        (
            {"sweeps": {"ablated": {"coefficients": {"refine": 3}}}},
            "the study: `sweeps.ablated`: coefficients refine those of a choice, but inject "
            "names no choice; give `inject: {choice: NAME}`.",
        ),
        (
            {"sweeps": {"taken": {"inject": {"operator": "add"}}}},
            "the study: `sweeps.taken.inject`: operator comes from the sweep that the choice "
            "was made in; remove it.",
        ),
        (
            {"sweeps": {"taken": {"model": "miniature-chat"}}},
            "sweeps.taken.inject.choice names best, which compares candidates of miniature, but "
            "miniature-chat is steered; steer miniature.",
        ),
        (
            {"choices": {"finest": None, "best": {"best": {"lowest": "fine"}, "limits": []}}},
            "choices.best depends on itself, through sweeps.fine; choose from other sweeps.",
        ),
        (
            {"choices": {"best": {"best": {"lowest": ["ablated.odds", "ablated.kl"]}}}},
            "choices.best.best names tables of different measures, sweeps.ablated.odds "
            "(first_token) and sweeps.ablated.kl (divergence); name tables of one measure.",
        ),
        (
            {"figures": {"shares": {"choice": "multipliers"}}},
            "figures.shares.choice names multipliers, which chooses multipliers, so there is no "
            "candidate to mark; name a choice with `best`.",
        ),
        (
            {"choices": {"best": {"resamples": 0}}},
            "figures.shares.choice names best, which has no resamples; give it `resamples`.",
        ),
        (
            {"figures": {"matrix": {"kind": "interference", "sweeps": ["taken"]}}},
            "the study: `figures.matrix`: give either coefficient or choice.",
        ),
        (
            {
                "figures": {
                    "matrix": {"kind": "interference", "sweeps": ["taken"], "choice": "finest"}
                }
            },
            "figures.matrix draws what choices.finest takes, but sweeps.taken injects what "
            "choices.best takes; name the same choice in both.",
        ),
        (
            {"samples": {"chat": {"choice": "best"}}},
            "the study: `samples.chat`: give either vector and layer, or choice.",
        ),
        (
            {"samples": {"chat": {"vector": None, "choice": "best"}}},
            "the study: `samples.chat`: layer comes from the sweep that the choice was made in; "
            "remove it.",
        ),
        (
            {"samples": {"read": {**SAMPLES, "model": "miniature-chat"}}},
            "samples.read.choice names best, which compares candidates of miniature, but "
            "miniature-chat is steered; steer miniature.",
        ),
        (
            {"samples": {"read": {**SAMPLES, "coefficients": {"choice": "finest"}}}},
            "the study: `samples.read`: coefficients come from the choice finest, but that is "
            "not what is injected; set `choice` to it, or list coefficients.",
        ),
        (
            {"figures": {"where": {"kind": "layers", "sweeps": ["taken"]}}},
            "figures.where needs layers and coefficients that the study lists, but sweeps.taken "
            "takes them from a choice; draw it as `kind: curves`.",
        ),
        (
            {
                "activations": {
                    "other-code": {"model": "miniature", "corpus": "code", "positions": [-3, -1]},
                    "other-text": {"model": "miniature", "corpus": "text", "positions": [-3, -1]},
                },
                "vectors": {"other": {"add": ["other-text"], "subtract": ["other-code"]}},
                "sweeps": {"taken": {"inject": {"vectors": ["other"]}}},
            },
            "sweeps.taken.inject names vectors.other, read at [-3, -1], but no candidate of "
            "choices.best is read there; name a vector of the same positions, or of one "
            "position.",
        ),
    ],
)
def test_what_cannot_be_taken_is_one_sentence(change: dict[str, Any], told: str) -> None:
    if "choices" in change and "finest" in change["choices"]:
        change = study_file.merge({"sweeps": {"fine": STUDY["sweeps"]["fine"]}}, change)
    with pytest.raises(StudyError) as raised:
        with_taken(change)
    assert str(raised.value) == told


def test_two_tables_of_one_sweep_are_no_candidates_each() -> None:
    again = {**ODDS, "tokens": [41]}
    change = {
        "sweeps": {"ablated": {"measures": {"again": again}}},
        "choices": {"best": {"best": {"lowest": ["ablated.odds", "ablated.again"]}}},
    }
    with pytest.raises(StudyError, match="names two tables of sweeps.ablated, but each"):
        with_taken(change)


def test_samples_have_all_candidates_and_take_one() -> None:
    plan = with_taken({"samples": {"read": {**SAMPLES, "coefficients": {"choice": "best"}}}})
    made = plan.samples["read"]
    asked = read(SamplesJob, made.settings)
    assert plain(asked) == made.settings and asked.vectors == ("several",)
    assert len(asked.candidates) == 16 and asked.choices == ("best",)
    assert [each for each, _ in made.inputs["candidates"]] == [plan.candidates["best"]]
    listed = with_taken({"samples": {"read": {**SAMPLES, "coefficients": [0, 2]}}}).samples["read"]
    assert tokens(made) == tokens(listed)


def test_a_matrix_is_drawn_where_the_choice_says() -> None:
    rows = pd.concat([curves([0, 1, 2], [0.1, 0.2, place], layer=str(place)) for place in (3, 4)])
    rows = rows.assign(sweep="t", unsteered=rows["coefficient"] == 0)
    choice = {"chosen": {"layer": 4, "coefficient": 2.0}}
    shown = [{"table": "t", "column": "score", "source": None, "label": "Score"}]
    _, drawn = draw(Inputs(tables=[rows], chosen=choice), {"shown": shown})
    assert drawn[["layer", "coefficient"]].to_numpy().tolist() == [["4", 2.0]]
    assert drawn["change"].item() == pytest.approx(3.9)


def test_shares_are_drawn_by_layer_and_coefficient_or_position() -> None:
    rows = pd.DataFrame({"layer": [1, 1, 2, 2], "coefficient": [1.0, 2.0, 1.0, 2.0]})
    rows = rows.assign(sweep="s", vector="v", position=pd.array([None] * 4, "Int64"), left_out="")
    rows = rows.assign(share=[0.7, 0.1, 0.0, 0.1], chosen=[True, False, False, False])
    choice = {"resamples": {"none": 0.1}}
    figure, drawn = draw_shares(Inputs(candidates=rows, chosen=choice), {})
    (axes, _) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["70", "10", "10"]
    assert axes.get_ylabel() == "Coefficient" and len(drawn) == 4
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["Chosen", "No candidate left in 10.0 %"]
    read_at = rows.assign(coefficient=1.0, position=pd.array([-2, -1, -2, -1], "Int64"))
    figure, _ = draw_shares(Inputs(candidates=read_at, chosen=choice), {})
    assert figure.axes[0].get_ylabel() == "Position"
    with pytest.raises(StudyError, match="over resamples, but the choice has none; give it"):
        draw_shares(Inputs(candidates=rows, chosen={"resamples": None}), {})


# No choice reads test items ----------------------------------------------------------------------

ASKED = {"model": "miniature-chat", "coefficients": [0, 1]}
READ = {"behaviours": ["asked"], "split": "validation"}
MEASURED = {
    "two_choice": {"measure": "two_choice", **READ, "answer_prefix": "("},
    "choice": {"measure": "choice", **READ},
    "divergence": {"measure": "divergence", **READ},
    "first_token": {"measure": "first_token", "tokens": [40], **READ},
    "continuation": {"measure": "continuation", **READ, "tokens": 2},
}
RECORDS = [
    {
        **{"q": f"Question {i}?", "yes": "(A)", "no": "(B)", "choices": ["(A)", "(B)"], "right": 0},
        "question": f"Human:\nIs it {i}?\n\nAI:\nOut of (A) and (B), I choose (",
        "answer_matching_behavior": "AB"[i % 2],
        "answer_not_matching_behavior": "BA"[i % 2],
    }
    for i in range(30)
]
CROSSED = {
    split: {
        "prompts": [f"{split} {i}" for i in range(4)],
        "answers": [[f" {split} yes", f" {split} no"], [f" {split} a", f" {split} b"]],
    }
    for split in ("train", "validation", "test")
}
SIZES = {"questions": 30, "train": 8, "validation": 6}
# Source of behaviours -> what an entry says beside it, and its file.
SOURCES: dict[str, tuple[dict[str, Any], Any]] = {
    "generated": ({"trait": "myopia", **SIZES}, None),
    "model-written-evals": ({**SIZES}, RECORDS),
    "prepared": ({"train": 8, "validation": 6}, RECORDS),
    "pairs": ({"prompt": "q", "matching": "yes", "not_matching": "no", **SIZES}, RECORDS),
    "crossed": ({"train": 4, "validation": 4, "test": 4}, CROSSED),
    "items": ({"prompt": "q", "choices": "choices", "matching": "right", **SIZES}, RECORDS),
}


def test_every_source_of_behaviours_is_tried() -> None:
    known = {entry.model_fields["source"].annotation.__args__[0] for entry in BEHAVIOURS}  # type: ignore[union-attr]
    assert known == SOURCES.keys()


@pytest.mark.parametrize("source", SOURCES)
def test_no_choice_reads_test_items(source: str, tmp_path: Path) -> None:
    """All that the job of a choice is made from, down to the questions, and as measures read it."""
    given, content = SOURCES[source]
    entry = {"source": source, **given}
    if content is not None:
        path = tmp_path / ("asked.yaml" if source == "crossed" else "asked.json")
        path.write_text(yaml.safe_dump(content) if source == "crossed" else json.dumps(content))
        entry["file"] = str(path)
    measures = dict(MEASURED)
    if source in ("crossed", "items"):  # of whole answers, or of more than two
        del measures["two_choice"]
    best, *others = measures
    inject = {"vector": "myopia", "layers": [3]}
    limits = [{"table": f"search.{name}", "at_most": 9} for name in others]
    change = {
        "behaviours": {"asked": entry},
        "sweeps": {"search": {**ASKED, "inject": inject, "measures": measures}},
        "choices": {"one": {"best": {"highest": f"search.{best}"}, "limits": limits}},
    }
    study = study_file.merge(study_file.read(SMALL), change)
    plan = Plan(study_file.parse(study), REPOSITORY)
    everything = behind(plan.candidates["one"])
    (asked,) = (made for made in everything if (made.stage, made.name) == ("questions", "asked"))
    rows = questions_of(asked.settings, REPOSITORY)
    held = {split: ids(rows, split) for split in ("train", "validation", "test")}
    assert all(held.values()) and not held["validation"] & (held["train"] | held["test"])
    stored = tmp_path / "questions.parquet"
    pq.write_table(rows, stored)
    tokenizer = AutoTokenizer.from_pretrained(REPOSITORY / "resources/models/miniature-chat")
    sweeps = [made for made in everything if made.stage == "sweep"]
    assert [made.name for made in sweeps] == ["search.layer-3"]
    read_by = set()
    for measured in read(SweepJob, sweeps[0].settings).measures:
        plugin = plugins.load("measures", measured.measure)
        settings = read(plugin.Settings, measured.asked)
        reads = Read(measured.sources, measured.split)
        samples = plugin.samples(tokenizer, {"questions": [str(stored)]}, reads, settings)
        assert set(samples["asked"].names) == held["validation"], measured.measure
        read_by.add(measured.measure)
    assert read_by == set(measures)


def ids(rows: Any, split: str) -> set[str]:
    return {row["question"] for row in rows.to_pylist() if row["split"] == split}


def behind(made: Artefact) -> list[Artefact]:
    """An artefact and all that it is made from."""
    found = [made]
    for inputs in made.inputs.values():
        for each, _ in inputs:
            found += [one for one in behind(each) if one not in found]
    return found


def test_a_behaviour_without_validation_items_is_reported() -> None:
    change = {
        "behaviours": {
            "asked": {"source": "generated", "trait": "myopia", **SIZES, "validation": 0}
        },
        "sweeps": {
            "search": {
                **ASKED,
                "inject": {"vector": "myopia", "layers": [3]},
                "measures": {"continuation": MEASURED["continuation"]},
            }
        },
        "choices": {"one": {"best": {"highest": "search"}}},
    }
    with pytest.raises(StudyError) as raised:
        study_file.parse(study_file.merge(study_file.read(SMALL), change))
    assert str(raised.value) == (
        "choices.one.best names sweeps.search, but candidates are chosen on validation items, "
        "and behaviours.asked has `validation: 0`; give it a number of items."
    )
