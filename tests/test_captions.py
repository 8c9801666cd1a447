"""Captions are true whatever the settings: what these decide is said from them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import REPOSITORY

from snakesteer.plan.captions import caption
from snakesteer.plan.plan import Plan
from snakesteer.storage.files import write_table
from snakesteer.study import study_file

CONFIG = REPOSITORY / "config"


@pytest.mark.parametrize("stopping", [{"faulty": 20}, False])
def test_ended_cells_are_explained_where_columns_can_end(stopping: Any) -> None:
    over = {"sweeps": {"grid": {"measures": {"two_choice": {"stopping": stopping}}}}}
    study = study_file.parse(study_file.merge(study_file.read(CONFIG / "miniature.yaml"), over))
    assert ("a column ended is marked" in caption(study, "grid-search")) == bool(stopping)
    published = study_file.load(CONFIG / "papers" / "broad-skills-published.yaml")
    assert "a column ended is marked" in caption(published, "grid-search-myopic-add")


def test_published_means_without_items_are_said_to_have_no_intervals() -> None:
    sentence = "Published means come without their items, so they have no intervals."
    study = study_file.load(CONFIG / "papers" / "caa-published.yaml")
    for name in study.figures:
        said = caption(study, name)
        assert said.count(sentence) == 1 and "Intervals (95 %)" not in said
    items = {
        "kind": "items",
        "files": ["results/{behavior}/a.json"],
        "vectors": ["refusal"],
    }
    over = {
        "published": {"sweeps": {"items": items}},
        "figures": {"both": {"kind": "curves", "sweeps": ["items", "published-multipliers"]}},
    }
    mixed = study_file.read(CONFIG / "papers" / "caa-published.yaml")
    said = caption(study_file.parse(study_file.merge(mixed, over)), "both")
    assert f"Intervals (95 %) are over the texts that each measure is on. {sentence}" in said


@pytest.mark.parametrize("path", sorted(CONFIG.rglob("*.yaml")), ids=lambda path: path.stem)
def test_an_entrys_caption_says_nothing_that_settings_decide(path: Any) -> None:
    for figure in study_file.load(path).figures.values():
        assert not re.search(
            r"layers? \d|own layer|[Ee]nded|Wilson|bootstrap|interval|resample"
            r"|[Gg]rey|[Dd]otted|[Ll]ines",
            figure.caption,
        )


@pytest.mark.parametrize(
    ("figure", "intervals", "words"),
    [
        ("general-coding", "items", "Intervals (95 %) are over documents (bootstrap"),
        ("single-steering", "items", "Intervals (95 %) are over questions (Wilson)."),
        ("single-steering", "vectors", "Intervals (95 %) are over resamples of the vectors."),
        ("combined-steering", "both", "over questions (Wilson) and over resamples of the vectors,"),
        ("simultaneous-steering", "items", "those of the alignment tax over documents (bootstrap)"),
    ],
)
def test_what_intervals_are_over(figure: str, intervals: str, words: str) -> None:
    over = {
        "figures": {figure: {"intervals": intervals}},
        "sweeps": {name: {"resamples": 2} for name in ("single", "combined")},
    }
    study = study_file.parse(study_file.merge(study_file.read(CONFIG / "miniature.yaml"), over))
    said = caption(study, figure)
    assert said.startswith(study.figures[figure].caption) and words in said
    counted = said.endswith(" The number of documents is given below the figure.")
    assert counted == ("documents" in words)


TAX = "Dotted: next-token accuracy on ordinary documents, the alignment tax."


@pytest.mark.parametrize(
    ("figure", "empty", "said", "unsaid"),
    [
        ("general-coding", [], "Grey: the control.", None),
        ("general-coding", ["published-code-permuted"], "General coding, published.", "Grey"),
        (
            "general-coding",
            ["published-code", "published-code-permuted"],
            "Not drawn: published results are absent.",
            "coding",
        ),
        ("combined-steering-layer-10", [], "Lines: vectors steered one at a time.", None),
        ("combined-steering-layer-10", ["published-single"], "Combined", "Lines"),
        ("combined-steering-layer-10", ["published-combined"], "Not drawn", "Combined"),
        ("simultaneous-steering", [], TAX, None),
        ("simultaneous-steering", ["published-alignment-tax"], "Simultaneous", "tax"),
        ("grid-search-myopic-add", ["published-grid"], "Not drawn", "Grid"),
        ("activation-distributions", ["all-mean"], "Distribution", "Not drawn"),
    ],
)
def test_captions_describe_what_is_drawn_only(
    tmp_path: Path, figure: str, empty: list[str], said: str, unsaid: str | None
) -> None:
    """Tables that are still to be made count as full."""
    plan = Plan(study_file.load(CONFIG / "papers" / "broad-skills-published.yaml"), REPOSITORY)
    paths = [tmp_path / Path(path).name for path in plan.figures[figure].inputs["tables"]]
    assert all((tmp_path / f"{name}.parquet") in paths for name in empty)
    for name in empty:
        write_table(tmp_path / f"{name}.parquet", pa.table({"direction": []}), {})
    words = caption(plan.study, figure, list(map(str, paths)))
    assert said in words and (unsaid is None or unsaid not in words)


def test_a_grid_of_one_direction_is_not_described_by_the_other(tmp_path: Path) -> None:
    study = study_file.load(CONFIG / "papers" / "broad-skills-published.yaml")
    path = str(tmp_path / "published-grid.parquet")
    write_table(path, pa.table({"direction": ["default", "subtract"]}), {})
    assert caption(study, "grid-search-myopic-add", [path]).startswith("Not drawn")
    assert caption(study, "grid-search-myopic-subtract", [path]).startswith("Grid search")


@pytest.mark.parametrize(
    ("path", "layers"),
    [
        (
            "papers/broad-skills",
            "11 (myopic), 12 (wealth-seeking), 13 (sycophancy), 14 (agreeableness), 15 (",
        ),
        ("other-model", "2 (myopic), 3 (wealth-seeking), 3 (sycophancy), 3 (agreeableness), 3 ("),
        ("papers/broad-skills-published", "11, 12, 13, 14, 15."),
    ],
)
def test_layers_of_simultaneous_steering(path: str, layers: str) -> None:
    plan = Plan(study_file.load(CONFIG / f"{path}.yaml"), REPOSITORY)
    assert f" Layers: {layers}" in caption(plan.study, "simultaneous-steering")


@pytest.mark.parametrize("log", [True, False])
def test_what_a_logarithmic_scale_leaves_out_is_reported(log: bool) -> None:
    over = {"figures": {"dose": {"kind": "curves", "sweeps": ["code"], "log": log}}}
    study = study_file.parse(study_file.merge(study_file.read(CONFIG / "miniature.yaml"), over))
    assert ("not drawn, as the scale is logarithmic" in caption(study, "dose")) == log


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "gemma-refusal-ablated",
            ["Gemma 2B, published", "Ringed", "Shaded", "choice (position, layer) is (−2, 10)"],
        ),
        ("llama-2-divergence", ["Llama 2 7B, published", "scale is logarithmic", "have no number"]),
        ("losses", ["Published: next-token loss", "taken out at all layers", "left out"]),
    ],
)
def test_published_numbers_without_intervals_have_none_in_their_captions(
    name: str, said: list[str]
) -> None:
    study = study_file.load(CONFIG / "papers" / "refusal-direction-published.yaml")
    words = caption(study, name)
    assert all(sentence in words for sentence in said), words
    assert words.endswith("Published means come without their items, so they have no intervals.")
    assert "Intervals (95 %)" not in words and "documents is given below" not in words
