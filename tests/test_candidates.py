"""One of many candidates, by a rule: as published, at its edges, and as a study asks for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY

from checkout import SMALL, copy_of_repository
from snakesteer.core.errors import StudyError
from snakesteer.core.records import plain, read
from snakesteer.figures.inputs import Inputs
from snakesteer.figures.layers import draw
from snakesteer.plan.artefacts import STAGES
from snakesteer.plan.captions import caption
from snakesteer.plan.plan import Plan
from snakesteer.storage.files import read_json
from snakesteer.study import study_file
from snakesteer.sweeps.candidates import Score, choose
from snakesteer.tables.candidates import CandidateJob
from snakesteer.vectors.chosen import placed

RUNS = REPOSITORY.parent / "shared" / "papers" / "refusal-direction" / "pipeline" / "runs"
# Position and layer, as `direction_metadata.json` of each model has them.
CHOSEN = {
    "gemma-2b-it": (-2, 10),
    "llama-2-7b-chat-hf": (-1, 14),
    "meta-llama-3-8b-instruct": (-5, 12),
    "qwen-1_8b-chat": (-2, 15),
    "yi-6b-chat": (-5, 20),
}
LIMITS = [Score("dose", "kl", at_most=0.1), Score("added", "log_odds", at_least=0)]


def tables(grid: list[dict[str, float]]) -> dict[str, pd.DataFrame]:
    """The tables of a grid as the paper's code has it, with a row of the unsteered model each."""
    rows = pd.DataFrame(grid)
    made = {
        "ablated": {"log_odds": rows["refusal_score"], "source_layer": rows["layer"]},
        "dose": {"kl": rows["kl_div_score"], "source_layer": rows["layer"]},
        "added": {"log_odds": rows["steering_score"], "layer": rows["layer"].astype(str)},
    }
    found = {}
    for name, columns in made.items():
        table = pd.DataFrame(
            {"vector": "refusal", "layer": "0+1", "coefficient": 1.0, "unsteered": False}
            | {"source": "instructions", "source_position": rows["position"]}
            | columns
        )
        unsteered = table.assign(coefficient=0.0, unsteered=True)
        found[name] = pd.concat([unsteered, table], ignore_index=True)
    return found


def row(position: int, layer: int, refusal: float, steering: float, kl: float) -> dict[str, float]:
    scores = {"refusal_score": refusal, "steering_score": steering, "kl_div_score": kl}
    return {"position": position, "layer": layer, **scores}


def replayed(grid: list[dict[str, float]], **given: Any) -> dict[str, Any]:
    asked = {"best": Score("ablated", "log_odds"), "lowest": True, "limits": LIMITS}
    asked["layers_below"] = 0.8
    return choose(tables(grid), **{**asked, **given})


def place(choice: Mapping[str, Any]) -> tuple[int, int]:
    return choice["chosen"]["position"], choice["chosen"]["layer"]


@pytest.mark.skipif(not RUNS.is_dir(), reason="needs ../shared/papers/refusal-direction")
@pytest.mark.parametrize("model", CHOSEN)
def test_the_published_candidate_is_chosen_from_the_published_grid(model: str) -> None:
    folder = RUNS / model / "select_direction"
    grid = json.loads((folder / "direction_evaluations.json").read_text())
    choice = replayed(grid)
    assert place(choice) == CHOSEN[model]
    left = json.loads((folder / "direction_evaluations_filtered.json").read_text())
    out = [each["candidates"] for each in choice["left_out"]]
    assert choice["candidates"] == len(grid) and len(grid) - sum(out) == len(left)
    metadata = json.loads((RUNS / model / "direction_metadata.json").read_text())
    assert place(choice) == (metadata["pos"], metadata["layer"])


GRID = [
    row(-2, 0, -9.0, 1.0, 0.2),  # too far from the unsteered model
    row(-2, 1, -8.0, -0.5, 0.0),  # does not steer
    row(-2, 2, float("nan"), 1.0, 0.0),
    row(-2, 4, -9.0, 1.0, 0.0),  # too high
    row(-1, 1, -3.0, 0.0, 0.1),  # on both limits
    row(-1, 2, -4.0, 2.0, 0.05),
    row(-1, 3, 2.0, 3.0, 0.0),
    row(-1, 4, -20.0, 3.0, 0.0),
]


def test_limits_leave_candidates_out_and_the_lowest_is_taken() -> None:
    choice = replayed(GRID)
    assert choice["chosen"] == {
        "vector": "refusal",
        "layer": 2,
        "position": -1,
        "coefficient": 1.0,
        "scores": [
            {"table": "ablated", "column": "log_odds", "source": None, "value": -4.0},
            {"table": "dose", "column": "kl", "source": None, "value": 0.05},
            {"table": "added", "column": "log_odds", "source": None, "value": 2.0},
        ],
    }
    assert choice["candidates"] == 8 and choice["layers_below"] == 4  # int(0.8 × 5 layers)
    assert choice["left_out"] == [
        {"condition": "a score is not a number", "candidates": 1},
        {"condition": "read at layer 4 or above", "candidates": 2},
        {"condition": "kl of dose over 0.1", "candidates": 1},
        {"condition": "log_odds of added under 0", "candidates": 1},
    ]
    assert "a score is not a number; read at layer 4 or above; kl of dose over" in choice["rule"]
    assert place(replayed(GRID, lowest=False)) == (-1, 3)
    assert place(replayed(GRID, layers_below=2)) == (-1, 1)
    assert place(replayed(GRID, layers=20)) == (-1, 4)  # of the model, below 16
    assert place(replayed(GRID, limits=[], layers_below=None)) == (-1, 4)


def test_limits_hold_at_their_own_values() -> None:
    (on_both,) = [each for each in GRID if each["kl_div_score"] == 0.1]
    assert place(replayed([on_both], layers_below=None)) == (-1, 1)


@pytest.mark.parametrize(
    ("tied", "first"),
    [
        ([(0.5, 3, -1), (-0.25, 4, -2)], (-0.25, 4, -2)),
        ([(0.5, 3, -2), (-0.5, 2, -3)], (-0.5, 2, -3)),
        ([(0.5, 3, -2), (-0.5, 3, -1)], (-0.5, 3, -1)),
    ],
)
def test_ties_go_to_small_coefficients_low_layers_and_late_positions(
    tied: list[tuple[float, int, int]], first: tuple[float, int, int]
) -> None:
    coefficients, layers, positions = zip(*tied, strict=True)
    columns = {"coefficient": coefficients, "source_position": positions, "log_odds": -1.0}
    table = pd.DataFrame({"layer": list(map(str, layers)), **columns})
    table = table.assign(vector="v", unsteered=False)
    for rows in (table, table[::-1]):
        chosen = choose({"t": rows}, Score("t", "log_odds"), True, [])["chosen"]
        assert (chosen["coefficient"], chosen["layer"], chosen["position"]) == first


def curves(coefficients: list[float], values: list[float], **columns: Any) -> pd.DataFrame:
    given = {"vector": "v", "layer": "3", "unsteered": False, "source": "a", **columns}
    return pd.DataFrame({"coefficient": coefficients, "score": values, **given})


def test_coefficients_count_where_a_table_has_several() -> None:
    best = curves([1, 2, 3], [0.1, 0.2, 0.3])
    limit = Score("limit", "score", at_most=1)
    both = {"best": best, "limit": curves([1, 2, 3, 4], [0, 0.5, 2, 0])}
    chosen = choose(both, Score("best", "score"), False, [limit])["chosen"]
    assert chosen["coefficient"] == 2 and chosen["position"] is None
    both["limit"] = curves([-1], [0])
    assert choose(both, Score("best", "score"), False, [limit])["chosen"]["coefficient"] == 3


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        (
            curves([1, 2], [0, 0]),
            "limit has no row of v read at layer 3, with the coefficient 3, a candidate of the "
            "choice; measure it there as well.",
        ),
        (
            curves([1], [0], source_position=-1),
            "limit has no row of v read at layer 3, with the coefficient 1, a candidate of the "
            "choice; measure it there as well.",
        ),
        (
            pd.concat([curves([1, 2, 3], [0, 0, 0]), curves([1], [0], source="b")]),
            "limit has several rows of v read at layer 3, with the coefficient 1; name one corpus "
            "or behaviour as `source`, or another table.",
        ),
        (
            curves([1, 2, 3], [0, 0, 0], split="test"),
            "candidates are chosen on the validation split only, but limit also holds test; give "
            "its measure `split: validation`.",
        ),
        (
            curves([1, 2, 3], [0, 0, 0], layer="3+4"),
            "limit has vectors at layers 3+4 together, but a candidate is read at one; name "
            "another table.",
        ),
        (
            curves([1, 2, 3], [1, 2, float("nan")]),
            "none of the 3 candidates of best is left (excluded: a score is not a number (1), "
            "score of limit over 0.5 (2)); loosen a limit.",
        ),
    ],
)
def test_tables_without_one_score_of_each_candidate_are_reported(
    limit: pd.DataFrame, told: str
) -> None:
    given = {"best": curves([1, 2, 3], [0.1, 0.2, 0.3]), "limit": limit}
    with pytest.raises(StudyError) as raised:
        choose(given, Score("best", "score"), True, [Score("limit", "score", at_most=0.5)])
    assert str(raised.value) == told


def test_a_source_is_one_of_several() -> None:
    both = pd.concat([curves([1, 2], [0.1, 0.2]), curves([1, 2], [0.4, 0.3], source="b")])
    for source, coefficient in (("a", 2), ("b", 1)):
        score = Score("best", "score", source)
        assert choose({"best": both}, score, False, [])["chosen"]["coefficient"] == coefficient


# The vector that is made of it -------------------------------------------------------------


@pytest.mark.parametrize("positions", [None, [-3, -1]])
def test_the_chosen_row_stands_at_all_layers_or_at_its_own(positions: list[int] | None) -> None:
    vector = np.random.default_rng(0).normal(size=(2, 4, 5)).astype(np.float32)
    given = vector if positions else vector[1]
    chosen = {"layer": 2, "position": positions and -1}
    everywhere = placed(given, positions, chosen, "all")
    assert everywhere.shape == (4, 5) and (everywhere == vector[1, 2]).all()
    own = placed(given, positions, chosen, "own")
    assert (own[2] == vector[1, 2]).all() and not own[[0, 1, 3]].any()


@pytest.mark.parametrize(
    ("chosen", "positions", "told"),
    [
        ({"layer": 4, "position": -1}, [-3, -1], "the vector has the layers 0 to 3"),
        ({"layer": 0, "position": -2}, [-3, -1], "the vector has the positions \\[-3, -1\\]"),
        ({"layer": 0, "position": None}, [-3, -1], "took position None"),
        ({"layer": 0, "position": -1}, None, "the vector has one position"),
    ],
)
def test_what_a_vector_does_not_have_cannot_be_placed(
    chosen: dict[str, Any], positions: list[int] | None, told: str
) -> None:
    vector = np.ones((2, 4, 5) if positions else (4, 5), np.float32)
    with pytest.raises(StudyError, match=told):
        placed(vector, positions, chosen, "all")


# As a study asks for it --------------------------------------------------------------------

ODDS = {"measure": "first_token", "tokens": [40], "corpora": ["text"]}
KL = {"measure": "divergence", "corpora": ["text"]}
READ = {"source_positions": "all", "source_layers": "all", "layers": ["all"]}
INJECT = {"vector": "several", "operator": "ablate", **READ}
STUDY: dict[str, Any] = {
    "activations": {
        "several-code": {"model": "miniature", "corpus": "code", "positions": [-2, -1]},
        "several-text": {"model": "miniature", "corpus": "text", "positions": [-2, -1]},
    },
    "vectors": {
        "several": {"add": ["several-code"], "subtract": ["several-text"]},
        "found": {"method": "chosen", "of": "several", "choice": "best"},
    },
    "sweeps": {
        "ablated": {
            "model": "miniature",
            "inject": INJECT,
            "coefficients": [0, 1],
            "measures": {"odds": ODDS, "kl": KL},
        },
        "later": {
            "model": "miniature",
            "inject": {"vector": "found", "operator": "ablate", "layers": ["all"]},
            "coefficients": [0, 1],
            "measures": {"odds": ODDS},
        },
    },
    "choices": {
        "best": {
            "best": {"lowest": "ablated.odds"},
            "limits": [{"table": "ablated.kl", "at_most": 0.1}],
            "layers_below": 0.8,
        }
    },
    "figures": {"over": {"kind": "layers", "sweeps": ["ablated.odds"], "choice": "best"}},
}


def planned(change: Mapping[str, Any] | None = None) -> Plan:
    merged = study_file.merge(study_file.merge(study_file.read(SMALL), STUDY), change or {})
    return Plan(study_file.parse(merged), REPOSITORY)


def test_a_choice_is_made_from_sweeps_and_a_vector_of_it() -> None:
    plan = planned()
    choice = plan.candidates["best"]
    job = read(CandidateJob, choice.settings)
    assert plain(job) == choice.settings
    assert [table.name for table in job.tables] == ["ablated.odds", "ablated.kl"]
    assert job.tables[0].places == job.tables[1].places == tuple(range(len(plan.sweeps["ablated"])))
    assert [made for made, _ in choice.inputs["tables"]] == plan.sweeps["ablated"]
    assert job.best == Score("ablated.odds", "log_odds") and job.lowest
    assert job.limits == (Score("ablated.kl", "kl", at_most=0.1),)
    assert (job.layers_below, job.layers) == (0.8, 8)
    assert STAGES["candidate"].plugins_of(choice.settings) == [
        ("tables", "first_token"),
        ("tables", "divergence"),
    ]
    (chosen,) = plan.artefacts("chosen_vector")
    of, by = (made for given in chosen.inputs.values() for made, _ in given)
    assert (of, by) == (plan.vectors["several"], choice)
    assert plan.vectors["found"].settings == {"method": "file"}
    assert plan.study.positions_of("found") is None
    assert plan.figures["over"].inputs["choice"] == tuple(choice.paths)
    assert "Ringed: what the choice best takes" in caption(plan.study, "over")


BEST = {"highest": "ablated.odds"}
SETTINGS = {
    "lowest and highest": {"best": {"lowest": None, **BEST}},
    "column": {"best": {"column": "probability"}},
    "source": {"best": {"source": "text"}},
    "limits": {"limits": []},
    "at_most": {"limits": [{"table": "ablated.kl", "at_most": 0.2}]},
    "at_least": {"limits": [{"table": "ablated.kl", "at_most": 0.1, "at_least": 0}]},
    "layers_below": {"layers_below": 0.7},
    "a layer": {"layers_below": 6},
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_of_a_choice_rebuilds_it_and_its_vectors(setting: str) -> None:
    before, after = planned(), planned({"choices": {"best": SETTINGS[setting]}})
    for stage in ("candidate", "chosen_vector"):
        (one,), (other,) = before.artefacts(stage), after.artefacts(stage)
        assert one.key != other.key
    assert before.sweeps["ablated"] == after.sweeps["ablated"]
    assert before.sweeps["later"][0].key != after.sweeps["later"][0].key


def test_a_changed_place_of_a_vector_rebuilds_it_alone() -> None:
    added = {"sweeps": {"later": {"inject": {"operator": "add"}}}}
    before = planned(added)
    after = planned({**added, "vectors": {"found": {"at": "own"}}})
    assert before.candidates == after.candidates
    assert before.vectors["found"].key != after.vectors["found"].key


def test_a_figure_is_marked_without_another_setting() -> None:
    unmarked = planned({"figures": {"over": {"choice": None}}}).figures["over"]
    marked = planned().figures["over"]
    assert unmarked.settings == marked.settings and "choice" not in unmarked.inputs


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"choices": {"best": {"best": {"lowest": "ablated"}}}},
            "choices.best.best names sweeps.ablated, but sweeps.ablated has several measures; name "
            "ablated.odds or ablated.kl.",
        ),
        (
            {"choices": {"best": {"best": {"highest": "ablated.kl"}}}},
            "the study: `choices.best.best`: set `lowest` or `highest` to a table.",
        ),
        (
            {"choices": {"best": {"limits": [{"table": "ablated.kl"}]}}},
            "the study: `choices.best.limits.0`: has no bound; give at_most or at_least.",
        ),
        (
            {"choices": {"best": {"limit": []}}},
            "the study: unknown key `choices.best.limit`; did you mean `limits`?",
        ),
        (
            {"choices": {"best": {"best": {"column": "odds"}}}},
            "choices.best.best.column is odds, but sweeps.ablated.odds, which measures "
            "first_token, "
            "has log_odds, probability; name one of these.",
        ),
        (
            {"choices": {"best": {"best": {"source": "code"}}}},
            "choices.best.best.source is code, but sweeps.ablated.odds is measured on text; "
            "name one of these.",
        ),
        (
            {"sweeps": {"ablated": {"measures": {"odds": {"corpora": ["text", "code"]}}}}},
            "choices.best.best names sweeps.ablated.odds, which is measured on text, code; set "
            "`source` to one of these.",
        ),
        (
            {"choices": {"best": {"limits": [{"table": "single", "at_least": 0}]}}},
            "choices.best.limits.0 names sweeps.single, which does not steer with single "
            "vectors at its own coefficients; name a sweep that does.",
        ),
        (
            {
                "sweeps": {
                    "asked": {
                        "model": "miniature-chat",
                        "inject": {"vector": "myopia", "layers": "all"},
                        "coefficients": [0, 1],
                        "measures": {"two_choice": {}},
                    }
                },
                "choices": {"best": {"limits": [{"table": "asked", "at_least": 0}]}},
            },
            "choices.best.limits.0 names sweeps.asked, which reads the test split; set "
            "`split: validation` in its measure.",
        ),
        (
            {
                "choices": {
                    "best": {"limits": [{"table": "grid", "at_least": 0, "source": "myopia"}]}
                }
            },
            "choices.best must compare candidates of one model, but sweeps.ablated.odds steers "
            "miniature and sweeps.grid steers miniature-chat; name sweeps of one model.",
        ),
        (
            {
                "sweeps": {
                    "ablated": {
                        "inject": {"source_positions": None, "vector": "code-permuted"},
                    },
                    "later": None,
                },
                "vectors": {"code-permuted": {"draws": 2}, "found": None},
                "figures": {"over": None},
            },
            "choices.best.best names sweeps.ablated.odds, which injects the draws of "
            "vectors.code-permuted, and draws cannot be chosen; remove that vector from the "
            "sweep.",
        ),
        (
            {"sweeps": {"ablated": {"inject": {"source_layers": None}}}, "figures": {"over": None}},
            "choices.best.best names sweeps.ablated.odds, which injects a vector at several "
            "layers together, but a candidate is read at one layer; give its inject "
            "`source_layers: all`.",
        ),
        (
            {"sweeps": {"ablated": {"inject": {"layers": "all"}}}},
            "choices.best.best names sweeps.ablated.odds, which injects each candidate at "
            "several layers in turn, so a candidate has several scores; give its inject one set "
            "of layers, as [all].",
        ),
        (
            {"vectors": {"found": {"choice": "multipliers"}}},
            "vectors.found.choice names multipliers, which chooses multipliers, not a "
            "candidate; name a choice with `best`.",
        ),
        (
            {"vectors": {"found": {"choice": "bset"}}},
            "vectors.found.choice names `bset`, which is not in choices; did you mean `best`?",
        ),
        (
            {"vectors": {"found": {"of": "code"}}},
            "vectors.found is chosen from vectors.code, but choices.best compares candidates "
            "from several; set `of` to one of these.",
        ),
        (
            {"vectors": {"found": {"at": "own"}}},
            "sweeps.later.inject uses the direction of vectors.found (operator ablate), which "
            "is zero at all layers except one; give the vector `at: all`.",
        ),
        (
            {"sweeps": {"later": {"coefficients": {"choice": "best"}, "inject": {"layers": [3]}}}},
            "sweeps.later.coefficients.choice names best, which chooses a candidate and has no "
            "multipliers; inject what it takes, as `inject: {choice: best}`.",
        ),
        (
            {"figures": {"over": {"choice": "multipliers"}}},
            "figures.over.choice names multipliers, which chooses multipliers, so there is no "
            "candidate to mark; name a choice with `best`.",
        ),
        (
            {
                "sweeps": {"ablated": {"inject": {"source_layers": [1, 2]}}},
                "figures": {"over": {"layers": [1, 3]}},
            },
            "figures.over.layers names layer 3, which sweeps.ablated.odds does not have; add it "
            "there.",
        ),
        (
            {
                "vectors": {"several": {"scale": {"norm_of": "found"}}},
            },
            "vectors.several is made of itself by way of found; name other vectors.",
        ),
        (
            {
                "vectors": {
                    "again": {"method": "chosen", "of": "found", "choice": "best"},
                    "found": {"of": "again"},
                },
            },
            "vectors.found is made of itself by way of again; name other vectors.",
        ),
    ],
)
def test_a_choice_that_cannot_be_made_is_one_sentence(change: dict[str, Any], told: str) -> None:
    with pytest.raises(StudyError) as raised:
        planned(change)
    assert str(raised.value) == told


def test_a_vector_is_not_chosen_by_what_is_measured_with_it() -> None:
    """Nor with a vector that needs it first."""
    change = {
        "vectors": {"longer": {"method": "combine", "of": ["code"], "without": "found"}},
        "sweeps": {
            "beside": {
                "model": "miniature",
                "inject": {"vector": "longer", "layers": "all"},
                "coefficients": [0, 1],
                "measures": {"odds": ODDS},
            }
        },
        "choices": {"best": {"limits": [{"table": "beside", "at_most": 0}]}},
    }
    with pytest.raises(StudyError) as raised:
        planned(change)
    assert str(raised.value) == (
        "vectors.found is chosen from measurements of itself, through longer; let the sweeps of "
        "its choice inject other vectors."
    )


# Published tables --------------------------------------------------------------------------

PUBLISHED = REPOSITORY / "config" / "papers" / "broad-skills-published.yaml"
SHIPPED = REPOSITORY / "resources" / "published" / "broad-skills"
ON_TEXT = {"column": "relative_top1", "source": "text"}
OF_PUBLISHED = {
    "best": {"lowest": "published-code", "column": "relative_top1", "source": "code"},
    "limits": [{"table": "published-code", **ON_TEXT, "at_least": 0.9}],
    "layers_below": 0.9,
}


def with_published(choice: Mapping[str, Any]) -> dict[str, Any]:
    return study_file.merge(study_file.read(PUBLISHED), {"choices": {"best": choice}})


def test_shipped_tables_are_known_by_their_content() -> None:
    plan = Plan(study_file.parse(with_published(OF_PUBLISHED)), REPOSITORY)
    job = read(CandidateJob, plan.candidates["best"].settings)
    (table,) = job.tables
    assert table.file == "resources/published/broad-skills/published-code.parquet"
    assert table.own is None and job.layers is None and not plan.candidates["best"].inputs
    assert len(table.identity or "") == 64


def test_tables_of_a_papers_files_are_inputs(tmp_path: Path) -> None:
    data = with_published(OF_PUBLISHED)
    data["published"]["source"] = str(tmp_path)
    plan = Plan(study_file.parse(data), REPOSITORY)
    ((table, _),) = plan.candidates["best"].inputs["tables"]
    assert (table.stage, table.name) == ("published_table", "published-code")
    (scored,) = read(CandidateJob, plan.candidates["best"].settings).tables
    assert scored.places == (0,) and scored.file is None


def test_published_results_of_several_vectors_are_no_candidates() -> None:
    choice = {"best": {"highest": "published-combined"}}
    with pytest.raises(StudyError) as raised:
        study_file.parse(with_published(choice))
    assert str(raised.value).startswith("choices.best.best names sweeps.published-combined, which")


@pytest.mark.long
def test_the_best_of_published_results_is_chosen(tmp_path: Path) -> None:
    checkout = copy_of_repository(tmp_path)
    config = checkout.folder / "chosen.yaml"
    config.write_text(json.dumps(with_published(OF_PUBLISHED)))
    made = "results/broad-skills-published/choices/best.json"
    checkout.forked("--cores", "1", made, config=config)
    choice = read_json(checkout.folder / made)
    table = pd.read_parquet(SHIPPED / "published-code.parquet")
    rows = table[~table["unsteered"]].set_index(["layer", "coefficient", "corpus"])
    accuracies = rows["relative_top1"].unstack("corpus").reset_index()
    below = accuracies["layer"].astype(int) < int(0.9 * 31)
    best = accuracies[below & (accuracies["text"] >= 0.9)].nsmallest(1, "code").iloc[0]
    chosen = choice["chosen"]
    assert (chosen["layer"], chosen["coefficient"]) == (int(best["layer"]), best["coefficient"])
    assert chosen["position"] is None and choice["candidates"] == len(accuracies)


# Figures -----------------------------------------------------------------------------------


def drawn(table: str, column: str, choice: dict[str, Any] | None) -> tuple[Any, pd.DataFrame]:
    given = tables(GRID)[table].assign(sweep=table)
    shown = {"table": table, "column": column, "source": None, "label": "Score"}
    return draw(Inputs(tables=[given], chosen=choice), {"shown": [shown], "labels": {}})


@pytest.mark.parametrize("given", [None, "as injected"])
def test_a_layer_that_is_read_and_injected_at_is_one(given: str | None) -> None:
    """Published tables may say of what is added at its own layer that it is from there, or not."""
    made = tables(GRID)
    layers = made["added"]["layer"].astype(float)
    made["added"] = made["added"].assign(source_layer=layers if given else float("nan"))
    score = Score("ablated", "log_odds")
    assert place(choose(made, score, True, LIMITS, 0.8)) == (-1, 2)
    shown = {"table": "added", "column": "log_odds", "source": None, "label": "Score"}
    inputs = Inputs(tables=[made["added"].assign(sweep="added")])
    figure, _ = draw(inputs, {"shown": [shown], "labels": {}})
    assert legend(figure) == ["Coefficient +1", "Position −2", "Position −1", "Unsteered"]


def legend(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_line_a_position_over_the_layer_that_vectors_are_read_at() -> None:
    figure, numbers = drawn("ablated", "log_odds", None)
    (axes,) = figure.axes
    assert legend(figure) == ["Coefficient +1", "Position −2", "Position −1", "Unsteered"]
    assert figure.get_supxlabel() == "Layer that the vector is read at"
    lines = {line.get_color(): line for line in axes.lines if line.get_marker() == "o"}
    first, second = (line.get_xydata() for line in lines.values() if len(line.get_xdata()) > 1)
    assert first[:, 0].tolist() == [0, 1, 2, 4] and second[:, 0].tolist() == [1, 2, 3, 4]
    assert np.isnan(first[2, 1]) and second[:, 1].tolist() == [-3, -4, 2, -20]
    steered = numbers[~numbers["unsteered"]]
    assert steered["source_layer"].tolist() == sorted(row["layer"] for row in GRID)


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [("ablated", "log_odds", -4.0), ("dose", "kl", 0.05), ("added", "log_odds", 2.0)],
)
def test_the_chosen_candidate_is_ringed_and_layers_left_out_are_shaded(
    table: str, column: str, value: float
) -> None:
    figure, _ = drawn(table, column, replayed(GRID))
    (axes,) = figure.axes
    rings = [line for line in axes.lines if line.get_markersize() == 10]
    assert [ring.get_xydata().tolist() for ring in rings] == [[[2, value]]]
    (shade,) = [patch for patch in axes.patches if patch.get_width() < 4]
    assert (shade.get_x(), shade.get_width()) == (3.5, 1.0)
    assert legend(figure)[-2:] == ["Chosen: layer 2,\nposition −1", "Left out by its layer"]
