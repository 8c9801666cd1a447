"""The study of the paper: its numbers, its plan, and the whole of it at a reduced size."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import REPOSITORY

from snakesteer import study
from snakesteer.plan import Plan
from snakesteer.stopping import SkillStopping

PAPER = REPOSITORY / "config" / "paper.yaml"


@pytest.fixture(scope="module")
def paper() -> study.Study:
    return study.load(PAPER)


def test_stopping_and_coefficients_visit_just_the_published_ones(paper: study.Study) -> None:
    """Every published curve there is, replayed with the list and the rule of its sweep."""
    replayed = 0
    for name, entry in paper.published.sweeps.items():
        sweep = paper.sweeps[name.removeprefix("published-")]
        table = pq.read_table(REPOSITORY / "resources" / "published" / f"{name}.parquet")
        if not isinstance(entry, study.PublishedSkill) or not sweep.stopping or not table:
            continue
        coefficients = study.coefficients(sweep.coefficients)
        stopping = SkillStopping(**sweep.stopping.model_dump())
        rows = table.to_pandas()
        for _, curve in rows[rows["role"] == "target"].groupby("layer"):
            relative = dict(zip(curve["coefficient"], curve["relative_top1"], strict=True))
            place, step, visited = 0, 1, []
            while step:
                visited.append(coefficients[place])
                step = stopping.advance(relative[coefficients[place]])
                place += step
            assert visited == sorted(relative)
            replayed += 1
    assert replayed >= 8


def test_sweeps_and_published_sweeps_are_of_one_shape(paper: study.Study) -> None:
    """Layers, corpora and behaviours are those of the published series that a sweep is held to."""
    for card in paper.scorecards.values():
        for ours, theirs in zip(card.sweeps, card.against, strict=True):
            if theirs not in paper.published.sweeps:
                continue
            sweep, published = paper.sweeps[ours], paper.published.sweeps[theirs]
            assert sweep.kind == published.kind
            if isinstance(published, study.PublishedSkill):
                assert sweep.corpora == published.corpora
            if isinstance(published, study.PublishedSimultaneous):
                assert list(sweep.inject.values()) == published.layers
            path = REPOSITORY / "resources" / "published" / f"{theirs}.parquet"
            rows = pq.read_table(path).to_pandas()
            if len(rows) and sweep.kind in ("grid", "single", "combined"):
                assert set(rows["layer"]) - {""} == {str(layer) for layer in sweep.layers}
                vectors = (
                    paper.chosen_vectors(sweep.choice) if sweep.kind != "grid" else sweep.vectors
                )
                assert set(rows["behaviour"]) == {paper.behaviour_of(v) for v in vectors}


def test_the_authors_multipliers_are_the_published_ones(paper: study.Study) -> None:
    rows = pq.read_table(REPOSITORY / "resources/published/published-single.parquet").to_pandas()
    rows = rows[rows["direction"] != "default"].set_index(["behaviour", "layer", "direction"])
    given = {
        (vector, str(layer), direction): getattr(cell, direction)
        for vector, cells in paper.choices["by-hand"].multipliers.items()
        for layer, cell in cells.items()
        for direction in ("add", "subtract")
    }
    assert given == rows["coefficient"].to_dict()


def test_every_published_figure_is_drawn_from_our_own_sweeps(paper: study.Study) -> None:
    published = study.load(REPOSITORY / "config" / "published.yaml")
    for name, figure in published.figures.items():
        ours = paper.figures[name]
        kept = {"sweeps", "controls", "sweep", "single", "tax", "caption"}
        assert ours.model_dump(exclude=kept) == figure.model_dump(exclude=kept)
        for key in kept - {"caption"}:
            names = getattr(ours, key, None) or []
            assert set([names] if isinstance(names, str) else names) <= set(paper.sweeps)


def test_the_whole_study_is_planned_without_network_and_weights(tmp_path: Path) -> None:
    blocked = {name: "http://127.0.0.1:9" for name in ("HF_ENDPOINT", "https_proxy", "http_proxy")}
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "-n"]
        + ["--configfile", str(PAPER), "--quiet", "reason"],
        cwd=tmp_path,
        env={**os.environ, **blocked, "HF_HOME": str(tmp_path / "hf")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    planned = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout, re.M))
    assert {rule: int(count) for rule, count in planned.items()} == {
        "model": 2,
        "documents": 4,
        "questions": 5,
        "skip_tokens": 4,
        "activations": 9,
        "mean": 4,
        "vector": 9,
        "study_vector": 9,
        "skill_sweep": 19,
        "behaviour_sweep": 17,
        "choice": 2,
        "table": 13,
        "study_published": 11,
        "published_page": 1,
        "figure": 24,
        "scorecard": 8,
        "catalogue": 1,
        "study": 1,
        "all": 1,
        "total": 144,
    }


ANOTHER = """
extends: {paper}
name: another
models:
  llama-2-7b: {{source: {model}, revision: null, layers: null, context: null}}
  llama-2-7b-chat: {{source: {model}, revision: null, layers: null, context: null}}
"""


def test_another_model_takes_a_few_lines(tmp_path: Path) -> None:
    """Layers as fractions of depth, for a model of 8 layers in place of 32."""
    path = tmp_path / "another.yaml"
    head = ANOTHER.format(paper=PAPER, model="resources/models/miniature")
    path.write_text(head)
    with pytest.raises(study.StudyError, match=r"names layer 10.*8 layers"):
        Plan(study.load(path), REPOSITORY)
