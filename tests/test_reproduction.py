"""What docs/papers/broad-skills.md says of the published results, shown from the authors' files."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from conftest import REPOSITORY

from snakesteer.behaviours import drawing as asking
from snakesteer.measures.two_choice import outcome
from snakesteer.measures.two_choice_settings import Stopping as GridStopping
from snakesteer.papers.vectors import read_activations
from snakesteer.study import study_file
from snakesteer.study.coefficients import Magnitudes
from snakesteer.study.measures import TwoChoice

AUTHORS = REPOSITORY.parent / "shared" / "published"
pytestmark = pytest.mark.skipif(not AUTHORS.is_dir(), reason="needs ../shared/published")

PAPER = REPOSITORY / "config" / "papers" / "broad-skills.yaml"
LAYERS = {"9.01": 0, "9.04": 5, "9.05": 10, "9.02": 15, "9.06": 20, "9.07": 25, "9.03": 30}
VERSIONS = [*LAYERS, "9.20"]
BEHAVIOURS = ["myopic", "wealth_seeking", "sycophancy", "agreeableness", "anti_immigration"]
GRIDS = [f"multiple_steering_results__{sign}" for sign in ("positive_ic_v1.4", "negative_ic_v1.5")]
SINGLE = "multiple_steering_results_on_test_v1.0"
COMBINED = ["mean_combined_steering_results_v1.3", "sum_combined_steering_results_v1.4"]
SIMULTANEOUS = "simultaneous_steering_v1.2"


@functools.cache
def results(path: str) -> Any:
    return json.loads((AUTHORS / path).read_text())


def coding(version: str, corpus: str) -> dict[float, dict[str, list[float]]]:
    points = results(f"results/coding/v_{version}.json")[corpus]
    return {float(key.split("_")[-1]): lists for key, lists in points.items()}


def steering(name: str) -> Any:
    return results(f"results/multi_steering/{name}.json")


@functools.cache
def answers(behaviour: str) -> dict[str, list[tuple[str, str]]]:
    """The matching and the other answer of the questions, in the order that paper.yaml gives them.

    The prepared file is the authors' own, shuffled and split by the study's entry.
    """
    entry = study_file.load(PAPER).behaviours[behaviour.replace("_", "-")]
    file = AUTHORS / "data" / "datasets" / f"{behaviour}.json"
    table = asking.table({**entry.model_dump(), "source": "prepared", "file": str(file)})
    found: dict[str, list[tuple[str, str]]] = {}
    for row in table.to_pylist():
        found.setdefault(row["split"], []).append((row["matching"], row["not_matching"]))
    return found


def asked() -> Iterator[tuple[str, list[tuple[str, str]], Any]]:
    """Every published cell with answers: where it stands, what was asked, and the cell."""
    for name in GRIDS:
        for behaviour in BEHAVIOURS:
            splits = answers(behaviour)
            for place, column in steering(name)[behaviour].items():
                if place == "default":
                    yield f"{name} {behaviour}", splits["validation"] + splits["test"], column
                    continue
                for cell in column.values():
                    yield f"{name} {behaviour} {place}", splits["validation"], cell
    for layer in ("layer_10", "layer_15"):
        for behaviour in BEHAVIOURS:
            for cell in steering(SINGLE)[layer][behaviour].values():
                yield f"{SINGLE} {layer} {behaviour}", answers(behaviour)["test"], cell
            for name in COMBINED:
                for mode, cells in steering(name)[layer].items():
                    where = f"{name} {layer} {mode} {behaviour}"
                    yield where, answers(behaviour)["test"], cells[behaviour]


def top1(lists: dict[str, list[float]]) -> float:
    return float(np.average(lists["top1_acc"], weights=lists["total_encoded_tokens"]))


def test_the_base_model_was_run_where_chat_was_asked_for() -> None:
    for version, layer in LAYERS.items():
        meta = results(f"results/coding/v_{version}.json")["meta"]
        assert meta["model_name"] == "meta-llama/Llama-2-7b-hf" and meta["layers"] == [layer]
    path = AUTHORS / "data/activations/Llama-2-7b/mean/mode=only-code_v3.01.pt"
    _, notes = read_activations(path.name, path.read_bytes())
    assert notes["chat"] is True and notes["model_name"] == "meta-llama/Llama-2-7b-hf"


def test_documents_differ_from_coefficient_to_coefficient_but_not_from_layer_to_layer() -> None:
    lengths = [
        tuple(lists["total_encoded_tokens"]) for lists in coding("9.02", "only_code").values()
    ]
    assert len(lengths) == len(set(lengths)) == 25
    for corpus in ("only_code", "only_text"):
        for coefficient in (0.0, 0.25, 0.5, 0.6, 0.7, 0.8):
            seen = {
                tuple(coding(version, corpus)[coefficient]["total_encoded_tokens"])
                for version in VERSIONS
            }
            assert len(seen) == 1


def test_at_a_quarter_every_layer_moves_alike() -> None:
    changes = {
        corpus: [
            100 * (top1(coding(v, corpus)[0.25]) / top1(coding(v, corpus)[0.0]) - 1) for v in LAYERS
        ]
        for corpus in ("only_code", "only_text")
    }
    assert all(0.85 < change < 1.15 for change in changes["only_code"])
    assert all(-0.85 < change < -0.3 for change in changes["only_text"])


def test_the_skip_filter_skips_nothing() -> None:
    unchanged, left_out = 0, []
    for version in VERSIONS:
        for corpus in ("only_code", "only_text"):
            for lists in coding(version, corpus).values():
                gone = np.subtract(lists["total_encoded_tokens"], lists["total_tokens_with_skip"])
                same = np.isclose(lists["top1_acc"], lists["skip50_top1_acc"], atol=1e-9)
                assert same[gone == 0].all()
                unchanged += int((gone == 0).sum())
                left_out += list(gone[gone != 0])
    assert unchanged == 169_015 and left_out == [1.0] * 8


def test_skip10_holds_the_ten_least_frequent_of_the_fifty() -> None:
    for lists in results("data/skip_tokens/skip_tokens.json").values():
        fifty = lists["skip50"]
        assert lists["skip10"]["tokens_int"] == fifty["tokens_int"][:10]
        assert "\n" in fifty["tokens_str"][-3:]


def test_the_default_of_the_grid_is_measured_on_validation_and_test_questions() -> None:
    single = steering(SINGLE)["layer_10"]
    for grid in map(steering, GRIDS):
        for behaviour in BEHAVIOURS:
            default, test = grid[behaviour]["default"], single[behaviour]["m_0"]
            assert default["responses"][200:] == test["responses"]
            cells = [
                cell
                for layer, column in grid[behaviour].items()
                if layer != "default"
                for cell in column.values()
            ]
            assert {cell["total"] for cell in cells} == {200}
            assert default["total"] == test["total"] + 200


def test_outcomes_of_the_published_answers_are_the_published_ones() -> None:
    """Matching and faulty answers of every cell: our outcomes, and our order of their questions."""
    cells = list(asked())
    for where, questions, cell in cells:
        given = [outcome(*pair) for pair in zip(cell["responses"], questions, strict=True)]
        counts = {"matches": given.count("match"), "faulty": given.count("faulty")}
        assert counts == {name: cell[name] for name in counts}, where
    assert len(cells) == 600


def test_the_stopping_rules_of_the_grid_visit_just_the_published_multipliers() -> None:
    grid = study_file.load(PAPER).sweeps["grid"]
    asked = grid.measures["two_choice"]
    assert isinstance(asked, TwoChoice) and asked.stopping
    assert isinstance(grid.coefficients, Magnitudes)
    stopping = GridStopping(**asked.stopping.model_dump())
    columns = [
        (column, steering(name)[behaviour]["default"]["responses"][:200])
        for behaviour in BEHAVIOURS
        for name in GRIDS
        for place, column in steering(name)[behaviour].items()
        if place != "default"
    ]
    for column, unsteered in columns:
        cells = {float(key.split("_")[1]): cell for key, cell in column.items()}
        visited = []
        for multiplier in grid.coefficients.magnitudes:
            visited.append(multiplier)
            cell = cells[multiplier]
            if not stopping.advance(cell["responses"], cell["faulty"], unsteered):
                break
        assert visited == list(cells)
    assert len(columns) == 80


def test_an_answer_with_a_space_is_faulty_and_ends_a_column() -> None:
    column = steering(GRIDS[1])["sycophancy"]["layer_25"]
    cell = column["multiplier_80"]
    faulty = [answer for answer in cell["responses"] if answer not in ("A", "B")]
    assert faulty == [" B"] * 13 and cell["faulty"] == 13
    assert list(column)[-1] == "multiplier_80"


def test_unsteered_answers_tell_a_number_format_from_another() -> None:
    """One model in one format gives the same greedy answers; so single and grid, but not these."""
    single = steering(SINGLE)
    nothing = steering(SIMULTANEOUS)["scalar_-2.9802322387695312e-08"]
    found = {}
    for behaviour in BEHAVIOURS:
        given, again = (single[layer][behaviour]["m_0"] for layer in ("layer_10", "layer_15"))
        assert given["responses"] == again["responses"]
        assert Counter(given["responses"]) != nothing[behaviour]["response_dist"]
        found[behaviour] = (given["matches"], nothing[behaviour]["matches"])
    assert list(found.values()) == [(85, 83), (141, 145), (175, 176), (277, 273), (50, 56)]


def test_a_bfloat16_model_does_not_survive_a_float16_vector() -> None:
    ids, vector = torch.tensor([[0, 5, 6]]), torch.ones(32, dtype=torch.float16)
    half, brain = tiny.network().half(), tiny.network().bfloat16()
    for network in (half, brain):
        network.model.layers[1].register_forward_hook(lambda *call: call[-1] + vector)
    half(ids)
    with pytest.raises(RuntimeError, match="dtype"):
        brain(ids)


def test_there_are_985_questions_of_wealth_seeking() -> None:
    for behaviour in BEHAVIOURS:
        questions = len(results(f"data/datasets/{behaviour}.json"))
        tested = steering(SINGLE)["layer_15"][behaviour]["m_0"]
        assert questions == (985 if behaviour == "wealth_seeking" else 1000)
        assert tested["total"] == questions - 700


def test_the_scalars_are_float32_and_the_middle_one_is_not_zero() -> None:
    scalars = steering(SIMULTANEOUS)["meta"]["scalars"]
    assert len(scalars) == 81 and 0.0 not in scalars and scalars[40] == -2.9802322387695312e-08
    assert [round(scalar, 6) + 0.0 for scalar in scalars] == [
        round(-2 + 0.05 * step, 6) + 0.0 for step in range(81)
    ]


def test_combined_steering_has_four_modes_and_the_multipliers_of_single_steering() -> None:
    single = steering(SINGLE)
    modes = {"pos_avg_acts", "neg_avg_acts", "pos_weighted_acts", "neg_weighted_acts"}
    for combined in map(steering, COMBINED):
        assert combined["meta"]["ics"] == single["meta"]["ics"]
        assert all(set(combined[layer]) == modes for layer in ("layer_10", "layer_15"))
        for behaviour, given in single["meta"]["ics"].items():
            evaluated = {float(key.split("_")[1]) for key in single["layer_15"][behaviour]}
            assert evaluated == set(given["layer_15"])
