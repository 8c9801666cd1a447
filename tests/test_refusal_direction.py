"""The refusal paper's grids, choices, losses and directions, as tables of this workflow."""

from __future__ import annotations

import hashlib
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import REPOSITORY

from checkout import copy_of_repository
from snakesteer.core.errors import StudyError
from snakesteer.hub import commits
from snakesteer.papers import candidates, chosen, directions, losses
from snakesteer.plan.plan import Plan
from snakesteer.storage.files import read_provenance, read_table
from snakesteer.study import study_file
from snakesteer.sweeps.candidates import Score, choose
from snakesteer.tables import divergence, first_token
from snakesteer.tables.next_token import PERPLEXITY, SKILL_COLUMNS

AUTHORS = REPOSITORY.parent / "shared" / "papers" / "refusal-direction"
RUNS = AUTHORS / "pipeline" / "runs"
# Folder of a model -> positions, layers, and the chosen position and layer.
MODELS = {
    "gemma-2b-it": (5, 18, (-2, 10)),
    "qwen-1_8b-chat": (5, 24, (-2, 15)),
    "yi-6b-chat": (6, 32, (-5, 20)),
    "llama-2-7b-chat-hf": (6, 32, (-1, 14)),
    "meta-llama-3-8b-instruct": (5, 32, (-5, 12)),
}
NAMES = {
    "gemma-2b-it": "gemma",
    "qwen-1_8b-chat": "qwen",
    "yi-6b-chat": "yi",
    "llama-2-7b-chat-hf": "llama-2",
    "meta-llama-3-8b-instruct": "llama-3",
}
COMMIT = "9d852fae1a9121c78b29142de733cb1340770cc3"
SHIPPED = REPOSITORY / "resources" / "published" / "refusal-direction"
CONFIG = REPOSITORY / "config" / "papers" / "refusal-direction-published.yaml"
GRID, LEFT = (
    "select_direction/direction_evaluations.json",
    "select_direction/direction_evaluations_filtered.json",
)
CORPORA = {"pile": "pile", "alpaca": "alpaca"}
authors_only = pytest.mark.skipif(not RUNS.is_dir(), reason="needs the authors' files")
vectors_only = pytest.mark.skipif(
    not (RUNS / "gemma-2b-it" / "direction.pt").is_file(), reason="needs the authors' vectors"
)


def content(of: Any) -> bytes:
    return json.dumps(of).encode()


def small_grid() -> list[dict[str, Any]]:
    """Two positions and three layers, in the form of the authors' file."""
    return [
        {
            "position": position,
            "layer": layer,
            "refusal_score": 3.0 - layer + position / 8,
            "steering_score": layer - 0.5,
            "kl_div_score": math.nan if layer == 2 and position == -2 else layer / 100,
        }
        for position in (-2, -1)
        for layer in (0, 1, 2)
    ]


def small_losses() -> dict[str, Any]:
    of = {
        "pile": (2.0, 100),
        "alpaca": (0.5, 7),
        "alpaca_custom_completions": (0.25, 3),
    }
    return {
        key: {"ce_loss": loss, "perplexity": math.exp(loss), "n_tokens": tokens}
        for key, (loss, tokens) in of.items()
    }


def pt(tensor: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(tensor, buffer)
    return buffer.getvalue()


# The grid -----------------------------------------------------------------------------------


def test_each_score_becomes_a_table_of_its_measure() -> None:
    rows = small_grid()
    found = candidates.read_candidates("grid.json", content(rows), 2, 3)
    ablated, added, kl = (
        candidates.candidate_table("theirs", "refusal", "harmful", score, found)
        for score in candidates.SCORES
    )
    for table in (ablated, added):
        assert list(table)[: len(first_token.COLUMNS)] == first_token.COLUMNS
    assert list(kl)[: len(divergence.COLUMNS)] == divergence.COLUMNS
    assert list(ablated["log_odds"]) == [row["refusal_score"] for row in rows]
    assert list(added["log_odds"]) == [row["steering_score"] for row in rows]
    np.testing.assert_array_equal(kl["kl"], [row["kl_div_score"] for row in rows])
    for table in (ablated, kl):
        assert set(table["layer"]) == {"0+1+2"}
        assert list(table["source_layer"]) == [0, 1, 2, 0, 1, 2]
    assert list(added["layer"]) == ["0", "1", "2", "0", "1", "2"] and "source_layer" not in added
    for table in (ablated, added, kl):
        assert list(table["source_position"]) == [-2, -2, -2, -1, -1, -1]
        assert set(table["coefficient"]) == {1.0} and not table["unsteered"].any()
        ends = table.filter(regex="_low$|_high$")
        assert ends.shape[1] >= 2 and ends.isna().all(axis=None)


def without(row: int) -> Any:
    return lambda rows: rows[:row] + rows[row + 1 :]


def changed(row: int, **values: Any) -> Any:
    return lambda rows: [*rows[:row], rows[row] | values, *rows[row + 1 :]]


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (without(4), "lacks 1 of 6 rows: position -1, layer 1"),
        (lambda rows: rows[:2], "lacks 4 of 6 rows: position -2, layer 2; position -1, layer 0; "),
        (lambda rows: [*rows, rows[3]], "has position -1, layer 0 twice"),
        (changed(1, layer=7), "has position -2, layer 7, beyond the last 2 positions and 3 layers"),
        (changed(1, more=1), "row 1 has kl_div_score, layer, more, position, refusal_score"),
        (lambda rows: [*rows[:5], 3], "row 5 has a int; position, layer, refusal_score"),
        (changed(0, position=1), "row 0.position is 1; a number below 0"),
        (changed(0, layer=True), "row 0.layer is True; a whole number"),
        (changed(2, steering_score="1"), "row 2.steering_score is '1'; a number or NaN"),
        (changed(2, steering_score=math.inf), "row 2.steering_score is inf; a number or NaN"),
        (changed(2, kl_div_score=10**400), "row 2.kl_div_score is 1000"),
        (lambda rows: {"rows": rows}, "holds a dict; a list was"),
        (lambda rows: [], "lacks 6 of 6 rows: position -2, layer 0; "),
    ],
)
def test_a_damaged_grid_is_reported_by_its_file(damage: Any, sentence: str) -> None:
    with pytest.raises(StudyError) as told:
        candidates.read_candidates("runs/grid.json", content(damage(small_grid())), 2, 3)
    assert str(told.value).startswith("runs/grid.json") and sentence in str(told.value)


def test_a_grid_that_was_cut_off_is_reported_by_its_file() -> None:
    with pytest.raises(StudyError, match=r"^grid\.json is not JSON"):
        candidates.read_candidates("grid.json", content(small_grid())[:-20], 2, 3)


# The choice ---------------------------------------------------------------------------------


CHOICE = {
    "sweep": "theirs",
    "vector": "refusal",
    "positions": 2,
    "layers": 3,
    "files": {"chosen": "meta.json", "left": "left.json", "candidates": "grid.json"},
}


def choice_of(meta: dict[str, int], left: list[dict[str, Any]]) -> pd.DataFrame:
    held = {"chosen": meta, "left": left, "candidates": small_grid()}
    rows = {}
    for part, path in CHOICE["files"].items():
        rows[path] = chosen.read(CHOICE, part, path, content(held[part]))
    return chosen.table(CHOICE, rows)


def test_the_rows_left_are_a_table_with_the_chosen_one_marked() -> None:
    table = choice_of({"pos": -1, "layer": 1}, small_grid()[4:0:-3])
    assert list(table) == chosen.COLUMNS
    assert list(table["layer"]) == ["1", "1"] and list(table["source_position"]) == [-1, -2]
    assert list(table["chosen"]) == [True, False]
    assert chosen.table(CHOICE, {}).empty


def test_a_choice_that_does_not_fit_its_grid_is_reported() -> None:
    meta = {"pos": -1, "layer": 1}
    other = changed(0, refusal_score=9.5)(small_grid()[4:5])
    with pytest.raises(StudyError, match="refusal_score 9.5 at position -1, layer 1, and the grid"):
        choice_of(meta, other)
    beyond = changed(0, layer=5)(small_grid()[4:5])
    with pytest.raises(StudyError, match="has position -1, layer 5, which the grid lacks"):
        choice_of(meta, beyond)
    with pytest.raises(StudyError, match=r"left\.json lacks the chosen position -2, layer 1"):
        choice_of({"pos": -2, "layer": 1}, small_grid()[4:5])
    for damaged in ({"pos": -1}, {"pos": -1, "layer": "1"}, {"pos": -1, "layer": 1, "a": 1}):
        with pytest.raises(StudyError, match=r"^meta\.json holds .* pos and layer were expected"):
            chosen.read_chosen("meta.json", content(damaged))


# Losses -------------------------------------------------------------------------------------


def test_losses_become_a_table_of_next_tokens() -> None:
    read = losses.read_losses("baseline.json", content(small_losses()), CORPORA)
    files = {"0": "baseline.json", "-1": "actadd.json"}
    settings = {"sweep": "theirs", "vector": "refusal", "layer": "1", "files": files}
    settings["corpora"] = CORPORA
    table = losses.table(settings, dict.fromkeys(files.values(), read))
    assert list(table) == [*SKILL_COLUMNS, *PERPLEXITY]
    assert list(table["corpus"]) == ["pile", "alpaca"] * 2
    assert list(table["role"]) == ["target", "other"] * 2
    assert list(table["coefficient"]) == [0, 0, -1, -1]
    assert list(table["unsteered"]) == [True, True, False, False]
    assert list(table["nll"]) == [2.0, 0.5] * 2 and list(table["tokens"]) == [100, 7] * 2
    assert list(table["perplexity"]) == [math.exp(2), math.exp(0.5)] * 2
    assert table.filter(like="top1").isna().all(axis=None)
    assert list(losses.table(settings, {"actadd.json": read})["coefficient"]) == [-1, -1]
    assert losses.table(settings, {}).empty


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ({"alpaca": None}, "alpaca has no numbers; ce_loss, perplexity, n_tokens were expected"),
        ({"alpaca": {"ce_loss": 1.0}}, "alpaca has ce_loss; ce_loss, perplexity, n_tokens"),
        ({"pile": {"ce_loss": 1.0, "perplexity": 3.0, "n_tokens": 2}}, "perplexity 3.0, which is"),
        (
            {"pile": {"ce_loss": 1.0, "perplexity": math.e, "n_tokens": 0}},
            "n_tokens is 0; a number above 0",
        ),
        (
            {"pile": {"ce_loss": 10**400, "perplexity": math.e, "n_tokens": 2}},
            "a number from 0 on",
        ),
        (
            {"pile": {"ce_loss": math.nan, "perplexity": math.e, "n_tokens": 2}},
            "ce_loss is nan; a number from 0 on",
        ),
    ],
)
def test_damaged_losses_are_reported_by_their_file(damage: dict[str, Any], sentence: str) -> None:
    with pytest.raises(StudyError) as told:
        losses.read_losses("runs/loss.json", content(small_losses() | damage), CORPORA)
    assert str(told.value).startswith("runs/loss.json") and sentence in str(told.value)


def test_losses_without_a_corpus_are_reported_by_their_file() -> None:
    held = small_losses()
    del held["alpaca"]
    with pytest.raises(StudyError, match=r"^loss\.json lacks the corpus alpaca \(it has pile, "):
        losses.read_losses("loss.json", content(held), CORPORA)


# Directions ---------------------------------------------------------------------------------


DIRECTIONS = {
    "sweep": "theirs",
    "vector": "refusal",
    "positions": 2,
    "layers": 3,
    "hidden": 4,
    "files": {"all": "all.pt", "chosen": "one.pt"},
}


def directions_of(everything: torch.Tensor, one: torch.Tensor) -> pd.DataFrame:
    rows = {
        "all.pt": directions.read(DIRECTIONS, "all", "all.pt", pt(everything)),
        "one.pt": directions.read(DIRECTIONS, "chosen", "one.pt", pt(one)),
    }
    return directions.table(DIRECTIONS, rows)


def test_directions_are_described_by_length_and_cosine() -> None:
    of = torch.tensor(np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32))
    of[0, 0] = 0
    table = directions_of(of, of[1, 2].clone())
    assert list(table) == directions.COLUMNS
    assert list(table["position"]) == [-2, -2, -2, -1, -1, -1]
    np.testing.assert_allclose(table["norm"], of.double().norm(dim=-1).ravel(), rtol=1e-12)
    expected = torch.nn.functional.cosine_similarity(of.double(), of[1, 2].double(), dim=-1)
    assert math.isnan(table["cosine"][0])
    np.testing.assert_allclose(table["cosine"][1:], expected.ravel()[1:], rtol=1e-12)
    assert list(table["chosen"]) == [False] * 5 + [True]


def test_directions_without_the_chosen_one_have_no_cosines() -> None:
    held = directions.read(DIRECTIONS, "all", "all.pt", pt(torch.ones(2, 3, 4)))
    table = directions.table(DIRECTIONS, {"all.pt": held})
    assert len(table) == 6 and table["cosine"].isna().all() and not table["chosen"].any()
    assert directions.table(DIRECTIONS, {}).empty


def test_directions_of_another_width_are_reported_by_their_file() -> None:
    with pytest.raises(StudyError, match=r"^all\.pt has a tensor of shape \(2, 3, 5\), not"):
        directions_of(torch.ones(2, 3, 5), torch.ones(4))
    with pytest.raises(StudyError, match=r"^one\.pt has a tensor of shape \(5,\), not \(4,\)"):
        directions_of(torch.ones(2, 3, 4), torch.ones(5))
    with pytest.raises(StudyError, match="^one\\.pt has a direction that is not in"):
        directions_of(torch.ones(2, 3, 4), torch.zeros(4))
    nan = torch.ones(2, 3, 4)
    nan[1, 2, 3] = math.nan
    with pytest.raises(StudyError, match=r"^all\.pt has nan at layer 2, dimension 3"):
        directions_of(nan, torch.ones(4))
    with pytest.raises(StudyError, match=r"^one\.pt has inf at dimension 0"):
        directions_of(torch.ones(2, 3, 4), torch.full((4,), math.inf))


# The authors' files -------------------------------------------------------------------------


def theirs(model: str, file: str) -> Any:
    return json.loads((RUNS / model / file).read_bytes())


@authors_only
@pytest.mark.parametrize("model", MODELS)
def test_the_rule_replayed_over_a_grid_leaves_what_the_authors_had_left(model: str) -> None:
    positions, layers, expected = MODELS[model]
    path = RUNS / model / GRID
    grid = candidates.read_candidates(str(path), path.read_bytes(), positions, layers)
    replayed = grid.dropna()
    replayed = replayed[replayed["layer"] < int(0.8 * layers)]
    replayed = replayed[(replayed["kl_div_score"] <= 0.1) & (replayed["steering_score"] >= 0)]
    replayed = replayed.sort_values("refusal_score").reset_index(drop=True)
    left = candidates.read_part(LEFT, (RUNS / model / LEFT).read_bytes())
    pd.testing.assert_frame_equal(replayed, left)
    of = chosen.read_chosen("meta", (RUNS / model / "direction_metadata.json").read_bytes())
    assert of == expected == candidates.places(replayed)[0]


@authors_only
def test_all_grids_are_read_whole() -> None:
    cells, unknown = 0, {}
    for model, (positions, layers, _) in MODELS.items():
        path = RUNS / model / GRID
        grid = candidates.read_candidates(str(path), path.read_bytes(), positions, layers)
        cells += len(grid)
        unknown[model] = candidates.places(grid[grid.isna().any(axis=1)])
    assert cells == 754
    assert unknown.pop("llama-2-7b-chat-hf") == [(-6, 30), (-6, 31)]
    assert not any(unknown.values())


@vectors_only
@pytest.mark.parametrize("model", ["gemma-2b-it", "qwen-1_8b-chat"])
def test_the_authors_directions_have_the_lengths_and_cosines_that_torch_finds(model: str) -> None:
    positions, layers, place = MODELS[model]
    files = {"all": "generate_directions/mean_diffs.pt", "chosen": "direction.pt"}
    settings = DIRECTIONS | {"positions": positions, "layers": layers, "hidden": 2048}
    rows = {
        path: directions.read(settings, part, path, (RUNS / model / path).read_bytes())
        for part, path in files.items()
    }
    table = directions.table(settings | {"files": files}, rows)
    raw = torch.load(RUNS / model / files["all"], weights_only=True, map_location="cpu")
    np.testing.assert_allclose(table["norm"], raw.norm(dim=-1).ravel(), rtol=1e-6)
    expected = torch.nn.functional.cosine_similarity(raw, raw[place], dim=-1, eps=0).ravel()
    np.testing.assert_allclose(table["cosine"], expected, atol=1e-6)
    (of,) = table[table["chosen"]].to_dict("records")
    assert (of["position"], of["layer"]) == place and of["cosine"] == pytest.approx(1, abs=1e-12)


# The shipped tables -------------------------------------------------------------------------


def shipped(model: str, of: str) -> pd.DataFrame:
    return read_table(SHIPPED / f"published-{model}-{of}.parquet").to_pandas()


def place_of(row: dict[str, Any]) -> tuple[int, int]:
    layer = row["source_layer"] if "source_layer" in row else row["layer"]
    return int(row["source_position"]), int(layer)


@authors_only
@pytest.mark.parametrize(("folder", "model"), NAMES.items())
def test_every_published_cell_stands_in_the_shipped_tables(folder: str, model: str) -> None:
    expected = {(row["position"], row["layer"]): row for row in theirs(folder, GRID)}
    columns = {
        "ablation": ("log_odds", "refusal_score"),
        "addition": ("log_odds", "steering_score"),
        "divergence": ("kl", "kl_div_score"),
    }
    for of, (column, score) in columns.items():
        table = shipped(model, of).to_dict("records")
        found = {place_of(row): row[column] for row in table}
        assert len(table) == len(found) == len(expected)
        for place, row in expected.items():
            held = found[place]
            assert held == row[score] or (math.isnan(held) and math.isnan(row[score])), place


@authors_only
@pytest.mark.parametrize(("folder", "model"), NAMES.items())
def test_every_published_loss_stands_in_the_shipped_tables(folder: str, model: str) -> None:
    files = {
        ("losses-ablation", 0): "baseline",
        ("losses-ablation", 1): "ablation",
        ("losses-subtraction", 0): "baseline",
        ("losses-subtraction", -1): "actadd",
    }
    for (of, coefficient), file in files.items():
        raw = theirs(folder, f"loss_evals/{file}_loss_eval.json")
        table = shipped(model, of)
        table = table[table["coefficient"] == coefficient].set_index("corpus")
        assert list(table.index) == ["pile", "alpaca"]
        for corpus in table.index:
            numbers = table.loc[corpus, ["nll", "perplexity", "tokens"]].tolist()
            names = ("ce_loss", "perplexity", "n_tokens")
            assert numbers == [raw[corpus][name] for name in names]


@authors_only
@pytest.mark.parametrize(("folder", "model"), NAMES.items())
def test_the_shipped_choice_is_the_authors(folder: str, model: str) -> None:
    table = shipped(model, "choice").to_dict("records")
    rows = theirs(folder, LEFT)
    assert [place_of(row) for row in table] == [(row["position"], row["layer"]) for row in rows]
    for row, raw in zip(table, rows, strict=True):
        assert [row[name] for name in candidates.SCORES] == [raw[n] for n in candidates.SCORES]
    (one,) = (place_of(row) for row in table if row["chosen"])
    meta = theirs(folder, "direction_metadata.json")
    assert one == (meta["pos"], meta["layer"])


@vectors_only
@pytest.mark.parametrize("folder", ["gemma-2b-it", "qwen-1_8b-chat"])
def test_the_shipped_directions_are_the_authors(folder: str) -> None:
    table = shipped(NAMES[folder], "directions")
    path = RUNS / folder / "generate_directions" / "mean_diffs.pt"
    raw = torch.load(path, weights_only=True, map_location="cpu").float()
    one = torch.load(RUNS / folder / "direction.pt", weights_only=True, map_location="cpu").float()
    np.testing.assert_allclose(table["norm"], raw.norm(dim=-1).ravel(), rtol=1e-6)
    expected = torch.nn.functional.cosine_similarity(raw, one, dim=-1, eps=0).ravel()
    np.testing.assert_allclose(table["cosine"], expected, atol=1e-6)


@pytest.mark.parametrize(("folder", "model"), NAMES.items())
def test_the_rule_chooses_the_published_candidate_from_the_shipped_tables(
    folder: str, model: str
) -> None:
    names = {of: f"published-{model}-{of}" for of in ("ablation", "addition", "divergence")}
    tables = {name: shipped(model, of) for of, name in names.items()}
    limits = (
        Score(names["divergence"], "kl", at_most=0.1),
        Score(names["addition"], "log_odds", at_least=0),
    )
    choice = choose(tables, Score(names["ablation"], "log_odds"), True, limits, 0.8)
    chosen_one = choice["chosen"]
    assert (chosen_one["position"], chosen_one["layer"]) == MODELS[folder][2]
    one = shipped(model, "choice")
    (row,) = one[one["chosen"]].to_dict("records")
    assert place_of(row) == MODELS[folder][2]
    left = choice["candidates"] - sum(each["candidates"] for each in choice["left_out"])
    assert left == len(one)


def test_the_shipped_tables_are_of_the_studys_settings_and_name_their_licence() -> None:
    planned = Plan(study_file.load(CONFIG), REPOSITORY)
    assert len(planned.published) == 5 * 6 + 2
    ids = commits.tree_ids((SHIPPED / f"{COMMIT}.json").read_bytes())
    for product in planned.published.values():
        (path,) = product.inputs["table"]
        origin = read_provenance(path)
        assert origin["settings"] == json.loads(json.dumps(product.settings))
        assert origin["settings"]["commit"] == COMMIT
        assert origin["licence"].startswith("Apache-2.0")
        assert origin["blobs"].items() <= ids.items() and not origin["missing"]


@authors_only
def test_the_shipped_blob_ids_are_gits() -> None:
    ids = commits.tree_ids((SHIPPED / f"{COMMIT}.json").read_bytes())
    for path, blob in ids.items():
        content = (AUTHORS / path).read_bytes()
        assert hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == blob


# Studies ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"published": {"sweeps": {"published-yi-losses-ablation": {"coefficient": 0}}}},
            "is 0, which is the unsteered model",
        ),
        (
            {"published": {"sweeps": {"published-yi-ablation": {"corpus": "other"}}}},
            "other, which is not in published.corpora; add it there",
        ),
        (
            {"figures": {"one": {"kind": "tradeoff", "sweeps": ["published-yi-losses-ablation"]}}},
            "draws accuracies, but sweeps.published-yi-losses-ablation has only losses; draw",
        ),
        (
            {"figures": {"one": {"kind": "layers", "sweeps": ["published-yi-choice"]}}},
            "which measures chosen and has nothing to draw",
        ),
        (
            {"figures": {"yi-divergence": {"column": "kl_p95"}}},
            "draws kl_p95 of sweeps.published-yi-divergence, which measures divergence and has kl",
        ),
        (
            {
                "scorecards": {
                    "one": {
                        "sweeps": ["published-yi-ablation"],
                        "against": ["published-yi-divergence"],
                    }
                }
            },
            "scorecards.one compares sweeps.published-yi-ablation, which measures first_token, "
            "with",
        ),
        (
            {
                "scorecards": {
                    "one": {
                        "sweeps": ["published-yi-ablation"],
                        "against": ["published-gemma-ablation"],
                        "choices": ["yi", "other"],
                    }
                }
            },
            "scorecards.one.choices names `yi`, which is not in choices",
        ),
    ],
)
def test_mistakes_are_one_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(StudyError) as told:
        study_file.parse(study_file.merge(study_file.read(CONFIG), change))
    assert sentence in str(told.value)


def small_study(folder: Path) -> dict[str, Any]:
    grid = {"kind": "candidate-log-odds", "score": "refusal_score", "corpus": "harmful"}
    about = {"vector": "refusal", "positions": 2, "layers": 3}
    losses_of = {"kind": "losses", "coefficient": 1, "vector": "refusal", "layers": 3}
    losses_of |= {"unsteered": "baseline.json", "corpora": ["pile", "alpaca"]}
    pts = {"kind": "directions", "file": "all.pt", **about, "hidden": 4}
    return {
        "name": "theirs",
        "published": {
            "paper": "theirs",
            "source": str(folder),
            "commit": "0" * 40,
            "corpora": {name: {"key": name} for name in ("harmful", "pile", "alpaca")},
            "sweeps": {
                "whole": {**grid, **about, "file": "grid.json"},
                "cut": {**grid, **about, "file": "cut.json"},
                "losses": {**losses_of, "file": "short.json"},
                "directions": {**pts, "chosen": "wide.pt"},
            },
        },
        "choices": {"one": {"best": {"lowest": "whole"}, "layers_below": 0.8}},
        "figures": {
            "whole": {"kind": "layers", "sweeps": ["whole"], "choice": "one"},
            "cut": {"kind": "layers", "sweeps": ["cut"]},
            "losses": {"kind": "points", "sweeps": ["losses"], "column": "nll"},
        },
        "scorecards": {
            "itself": {"sweeps": ["whole"], "against": ["whole"], "choices": ["one", "one"]}
        },
    }


@pytest.mark.long
def test_damaged_files_are_reported_at_the_end_and_in_the_figure(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    short = small_losses()
    del short["alpaca"]
    held = {"grid": small_grid(), "cut": small_grid()[:-1], "baseline": small_losses()}
    for name, of in (held | {"short": short}).items():
        (folder / f"{name}.json").write_bytes(content(of))
    (folder / "all.pt").write_bytes(pt(torch.ones(2, 3, 4)))
    (folder / "wide.pt").write_bytes(pt(torch.ones(5)))
    checkout = copy_of_repository(tmp_path)
    config = tmp_path / "theirs.yaml"
    config.write_text(yaml.safe_dump(small_study(folder)))
    printed = checkout.snakemake("--cores", "2", config=config)
    sentences = {
        "cut": "cut.json lacks 1 of 6 rows: position -1, layer 2",
        "losses": "short.json lacks the corpus alpaca (it has pile, alpaca_custom_completions)",
        "directions": "wide.pt has a tensor of shape (5,), not (4,)",
    }
    results = tmp_path / "results" / "theirs"
    for name, sentence in sentences.items():
        missing = read_provenance(results / "tables" / f"{name}.parquet")["missing"]
        assert list(missing.values()) == [sentence]
        assert f"Skipped: {sentence}." in printed
        assert sentence in (results / "published.html").read_text()
    assert sentences["cut"] in (results / "figures" / "cut.csv").read_text()
    assert list(pd.read_csv(results / "figures" / "losses.csv")["coefficient"]) == [0, 0]
    whole = pd.read_csv(results / "figures" / "whole.csv")
    assert sorted(whole["value"]) == sorted(row["refusal_score"] for row in small_grid())
    table = read_table(results / "tables" / "directions.parquet").to_pandas()
    assert len(table) == 6 and table["cosine"].isna().all()
    page = (results / "scorecards" / "itself.html").read_text()
    assert "The same candidate is chosen in both: position −2, layer 1." in page
