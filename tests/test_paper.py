"""The study of the paper: its numbers, its plan, and the whole of it at a reduced size."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hub
import llama
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import REPOSITORY
from test_hub_workflow import served

from checkout import Checkout, copy_of_repository
from snakesteer.core.labels import layer_label
from snakesteer.core.records import read
from snakesteer.measures.next_token_settings import Stopping as SkillStopping
from snakesteer.plan import models as plans
from snakesteer.plan.artefacts import Artefact
from snakesteer.plan.plan import Plan
from snakesteer.plan.resources import Size
from snakesteer.study import schema, study_file
from snakesteer.study.designs import AloneDesign, CombinedDesign
from snakesteer.study.measures import NextToken
from snakesteer.study.published_skills import PublishedSimultaneous, PublishedSkill
from snakesteer.sweeps.job import SweepJob

PAPER = REPOSITORY / "config" / "papers" / "broad-skills.yaml"
SHIPPED = REPOSITORY / "resources" / "published" / "broad-skills"
AUTHORS = REPOSITORY.parent / "shared" / "published" / "data" / "datasets"


@pytest.fixture(scope="module")
def paper() -> schema.Study:
    return study_file.load(PAPER)


def test_stopping_and_coefficients_visit_just_the_published_ones(paper: schema.Study) -> None:
    """The shipped curves, replayed with the list and the rule of their sweeps."""
    replayed = 0
    for name, entry in paper.published.sweeps.items():
        sweep = paper.sweeps[name.removeprefix("published-")]
        table = pq.read_table(SHIPPED / f"{name}.parquet")
        if not isinstance(entry, PublishedSkill) or not table:
            continue
        if not accuracy(sweep).stopping:
            continue
        rows = table.to_pandas()
        for _, curve in rows[rows["role"] == "target"].groupby("layer"):
            relative = dict(zip(curve["coefficient"], curve["relative_top1"], strict=True))
            assert visited(sweep, relative, 0.0) == sorted(relative)
            replayed += 1
    assert replayed == 18


def test_stopping_visits_just_the_published_ends_of_the_trials(paper: schema.Study) -> None:
    """Two short trials of the permuted control, of which no table is shipped.

    published_ends.csv holds correct predictions and tokens on the steered-away corpus, summed over
    the documents of the file in the authors' repository at the commit beside them: unsteered, and
    from where a curve comes near the thresholds on. Before, each curve visited every coefficient.
    """
    ends = pd.read_csv(Path(__file__).with_name("published_ends.csv"), dtype={"layer": str})
    assert ends["file"].nunique() == 2
    for (_, name, layer), curve in ends.groupby(["file", "sweep", "layer"]):
        sweep = paper.sweeps[name]
        assert layer in steered_layers(sweep)
        shares = (curve["hits"] / curve["tokens"]).set_axis(curve["coefficient"])
        relative = (shares / shares[0]).to_dict()
        end = [coefficient for coefficient in sorted(relative) if coefficient]
        assert visited(sweep, relative, end[0]) == end


def accuracy(sweep: schema.SweepEntry) -> NextToken:
    """The one measure of a sweep, of next tokens."""
    (measure,) = sweep.measures.values()
    assert isinstance(measure, NextToken)
    return measure


def steered_layers(sweep: schema.SweepEntry) -> set[str]:
    """The labels of the layers that a sweep is at, one at a time or sets of them."""
    assert isinstance(sweep.inject, AloneDesign | CombinedDesign)
    layers = [layer if isinstance(layer, list) else [layer] for layer in sweep.inject.layers]
    return set(map(layer_label, layers))


def visited(sweep: schema.SweepEntry, relative: Mapping[float, float], start: float) -> list[float]:
    """The coefficients that early stopping visits from `start` on if the first corpus's relative
    top-1 accuracies are these.
    """
    coefficients = sweep.values
    stopping = SkillStopping(**accuracy(sweep).stopping.model_dump())
    place, found = coefficients.index(start), []
    while place < len(coefficients):
        found.append(coefficients[place])
        step = stopping.advance(relative[coefficients[place]])
        if not step:
            break
        place += step
    return found


def test_values_are_the_authors(paper: schema.Study) -> None:
    """Of the paper's page what no published table shows, and none of it a silent default."""
    assert {model.source for model in paper.models.values()} == {
        "meta-llama/Llama-2-7b-hf",
        "meta-llama/Llama-2-7b-chat-hf",
    }
    sweeps = paper.sweeps
    for skill in ("code", "python"):
        vector, control = paper.vectors[skill], paper.vectors[f"{skill}-permuted"]
        assert vector.activations() == {"add": ["text"], "subtract": [skill]}
        assert vector.settings() == {"method": "difference", "dtype": "bfloat16"}
        assert control.vectors() == {"of": [skill]}
        assert control.settings() == {"method": "control", "how": "operands", "seed": 13}
        for name in (skill, f"{skill}-permuted"):
            assert (sweeps[name].model, sweeps[name].inject.named) == ("llama-2-7b", [name])
            assert accuracy(sweeps[name]).corpora == [skill, "text"]
        assert sweeps[skill].inject.layers == [0, 5, 10, 15, 20, 25, 30]
        assert sweeps[f"{skill}-layers"].inject.layers == [[10, 15]]
        assert sweeps[f"{skill}-permuted"].inject.layers == [15]
    assert {name for name, sweep in sweeps.items() if len(sweep.measures) > 1} == set()
    skills = [name for name, sweep in sweeps.items() if "next_token" in sweep.measures]
    assert {
        (asked.tokens, asked.skip, asked.skip_tokens)
        for asked in (accuracy(sweeps[name]) for name in skills)
    } == {(500_000, 50, "fixed")}
    assert {paper.activations[name].documents for name in paper.corpora} == {5000}
    grid, simultaneous = sweeps["grid"], sweeps["simultaneous"]
    magnitudes = grid.coefficients.magnitudes
    assert magnitudes == [1, 2, 3, 5, 10, 20, 30, 40, 60, 80, 120, 200, 300]
    stopping = grid.measures["two_choice"].stopping
    assert (stopping.collapse, stopping.faulty) == (0.95, 10)
    together = simultaneous.inject.together
    assert together == dict(zip(paper.behaviours, range(11, 16), strict=True))
    scalars = simultaneous.values
    assert (len(scalars), scalars[0], min(scalars), max(scalars)) == (81, 0, -2, 2)
    assert paper.choices["multipliers"].max_faulty == 0.05
    combined = sweeps["combined"].inject
    assert (combined.combine, combined.weighted) == (["mean", "sum"], [False, True])
    splits = {
        name: sweep.measures["two_choice"].split
        for name, sweep in sweeps.items()
        if name not in skills
    }
    assert splits.pop("grid") == "validation" and set(splits.values()) == {"test"}
    assert sweeps["alignment-tax"].inject == simultaneous.inject
    chat = {name for name, sweep in sweeps.items() if sweep.model == "llama-2-7b-chat"}
    assert chat == {name for name in sweeps if not name.startswith(("code", "python"))}
    for corpus in paper.corpora.values():
        drawn = corpus.model_dump()
        assert drawn["shuffle"] == {"seed": 13, "buffer": 1000}
        assert (drawn["train"], drawn["validation"]) == (10_000, 1000)
    for behaviour in paper.behaviours.values():
        asked = behaviour.model_dump()
        assert (asked["questions"], asked["train"], asked["validation"]) == (1000, 500, 200)
        assert asked["seed"] == 13
    by_measure = {name: "float32" if name in skills else "float16" for name in sweeps}
    assert {name: sweep.vector_dtype for name, sweep in sweeps.items()} == {
        **by_measure,
        "simultaneous": "bfloat16",
        "alignment-tax": "bfloat16",
    }
    assert {name: sweep.dtype for name, sweep in sweeps.items()} == {
        name: "float16" if sweep.vector_dtype == "float16" else None
        for name, sweep in sweeps.items()
    }
    plan = Plan(paper, REPOSITORY)
    for name in skills:
        for job in plan.sweeps[name]:
            assert [asked["max_tokens"] for asked in job.settings["measures"]] == [4096]
    given = study_file.read(PAPER)
    assert {model["dtype"] for model in given["models"].values()} == {"bfloat16"}
    for figure, key, value in (
        ("combined-steering-layer-15", "max_faulty", 10),
        ("simultaneous-steering", "max_faulty", 5),
        ("activation-distributions", "bins", 100),
    ):
        assert given["figures"][figure][key] == value


def test_sources_are_the_authors() -> None:
    """Repositories, files, fields and filters of the corpora, and the files of the questions."""
    pile = ("monology/pile-uncopyrighted", ["train/*.jsonl.zst"], ["val.jsonl.zst"], "text")
    of_github = {"field": "meta.pile_set_name"}
    expected = {
        "text": (*pile, of_github | {"not_equal": "Github"}),
        "code": (*pile, of_github | {"equal": "Github"}),
        "all": (*pile, None),
        "python": ("codeparrot/codeparrot-clean", ["*.json.gz"], ["*.json.gz"], "content", None),
    }
    given = study_file.read(PAPER)
    for name, entry in given["corpora"].items():
        train, validation = entry["splits"]["train"], entry["splits"]["validation"]
        held_out = train["repository"] + ("-valid" if name == "python" else "")
        assert validation["repository"] == held_out
        files = (train["files"], validation["files"])
        source = (train["repository"], *files, entry["field"], entry.get("filter"))
        assert source == expected.pop(name)
    assert not expected
    for name, entry in given["behaviours"].items():
        assert "/anthropics/evals/" in entry["file"] and entry["file"].endswith(llama.EVALS[name])


def test_what_the_comments_name_as_other_settings_can_be_set(tmp_path: Path) -> None:
    """All in bfloat16, the authors' prepared questions, and intervals over vectors."""
    sweeps = ("grid", "single", "single-by-hand", "combined", "combined-by-hand")
    brain = {"extends": str(PAPER), "sweeps": {name: {"dtype": None} for name in sweeps}}
    (tmp_path / "bfloat16.yaml").write_text(yaml.safe_dump(brain))
    plan = Plan(study_file.load(tmp_path / "bfloat16.yaml"), REPOSITORY)
    jobs = [job for sweep in plan.sweeps.values() for job in sweep]
    assert {job.settings["dtype"] for job in jobs} == {"bfloat16"}

    (comment,) = re.findall(
        r"# files instead, write in a study that extends this one:\n((?:#  .*\n)+)",
        PAPER.read_text(),
    )
    lines = re.sub("^#   ", "", comment, flags=re.M).replace("PATH", str(tmp_path))
    (tmp_path / "prepared.yaml").write_text(f"extends: {PAPER}\n{lines}")
    drawn, prepared = (
        study_file.load(path).behaviours["agreeableness"].model_dump()
        for path in (PAPER, tmp_path / "prepared.yaml")
    )
    assert (prepared["source"], prepared["seed"]) == ("prepared", drawn["seed"])
    for key in ("choices", "shuffled_before", "train", "validation", "title"):
        assert prepared[key] == drawn[key]

    text = (REPOSITORY / "docs" / "papers" / "broad-skills.md").read_text()
    (block,) = re.findall(r"    # config/uncertain.yaml\n((?:    .*\n)+)", text)
    lines = re.sub("^    ", "", block, flags=re.M).replace("papers/broad-skills.yaml", str(PAPER))
    (tmp_path / "uncertain.yaml").write_text(lines)
    study = study_file.load(tmp_path / "uncertain.yaml")
    assert (study.sweeps["code"].resamples, study.figures["general-coding"].intervals) == (
        10,
        "both",
    )
    assert Plan(study, REPOSITORY).artefacts()


def test_sweeps_and_published_sweeps_are_of_one_shape(paper: schema.Study) -> None:
    """Layers, corpora and behaviours are those of the published series that a sweep is held to."""
    for card in paper.scorecards.values():
        for ours, theirs in zip(card.sweeps, card.against, strict=True):
            if theirs not in paper.published.sweeps:
                continue
            sweep, published = paper.sweeps[ours], paper.published.sweeps[theirs]
            assert paper.tabled[ours].measure == published.measure
            if isinstance(published, PublishedSkill):
                assert accuracy(sweep).corpora == published.corpora
            else:
                assert paper.tabled[ours].kind == published.kind
            if isinstance(published, PublishedSimultaneous):
                assert list(sweep.inject.together.values()) == published.layers
            path = SHIPPED / f"{theirs}.parquet"
            rows = pq.read_table(path).to_pandas()
            if len(rows) and sweep.inject.design != "together":
                assert set(rows["layer"]) - {""} == steered_layers(sweep)
            if len(rows) and published.kind in ("grid", "single", "combined"):
                vectors = (
                    paper.chosen_vectors(sweep.choice)
                    if published.kind != "grid"
                    else sweep.inject.vectors
                )
                assert set(rows["behaviour"]) == {paper.behaviour_of(v) for v in vectors}


def test_the_authors_multipliers_are_the_published_ones(paper: schema.Study) -> None:
    rows = pq.read_table(SHIPPED / "published-single.parquet").to_pandas()
    rows = rows[rows["direction"] != "default"].set_index(["behaviour", "layer", "direction"])
    given = {
        (vector, str(layer), direction): getattr(cell, direction)
        for vector, cells in paper.choices["by-hand"].multipliers.items()
        for layer, cell in cells.items()
        for direction in ("add", "subtract")
    }
    assert given == rows["coefficient"].to_dict()


def test_the_published_scores_with_mode_collapse_are_those_that_are_reported() -> None:
    tables = SHIPPED
    single, several = (
        pq.read_table(tables / f"published-{name}.parquet").to_pandas()
        for name in ("single", "simultaneous")
    )
    (bar,) = single[single["collapsed"]].to_dict("records")
    place = (bar["behaviour"], bar["layer"], bar["direction"], bar["coefficient"])
    assert place == ("myopic", "10", "add", 10.0)
    assert (bar["majority"], bar["questions"]) == (1.0, 300)
    shown = several[several["faulty"] <= 5]
    assert (shown["collapsed"].sum(), len(several)) == (123, 405)


def test_every_published_figure_is_drawn_from_our_own_sweeps(paper: schema.Study) -> None:
    published = study_file.load(REPOSITORY / "config" / "papers" / "broad-skills-published.yaml")
    for name, figure in published.figures.items():
        ours = paper.figures[name]
        kept = {"sweeps", "controls", "sweep", "single", "tax", "caption"}
        assert ours.model_dump(exclude=kept) == figure.model_dump(exclude=kept)
        for key in kept - {"caption"}:
            names = getattr(ours, key, None) or []
            assert set([names] if isinstance(names, str) else names) <= set(paper.sweeps)


@pytest.mark.parametrize("given", [["--configfile", str(PAPER)], ["--profile", "slurm"]])
def test_the_whole_study_is_planned_without_network_and_weights(
    tmp_path: Path, given: list[str]
) -> None:
    """Also as it is on a cluster's login node, by the profile that names the study itself."""
    blocked = {name: "http://127.0.0.1:9" for name in ("HF_ENDPOINT", "https_proxy", "http_proxy")}
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", *given, "--quiet", "reason"],
        cwd=copy_of_repository(tmp_path).folder,
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
        "sweep": 32,
        "choice": 2,
        "table": 13,
        "study_published": 11,
        "published_page": 1,
        "figure": 24,
        "scorecard": 8,
        "catalogue": 1,
        "study": 1,
        "all": 1,
        "usage": 1,
        "front_page": 1,
        "total": 142,
    }


def test_the_skills_of_the_chat_model_take_the_lines_of_the_comment(tmp_path: Path) -> None:
    """The model that the paper's text names for them."""
    (comment,) = re.findall(r"# text instead:\n((?:#  .*\n)+)", PAPER.read_text())
    path = tmp_path / "text.yaml"
    path.write_text(f"extends: {PAPER}\nname: text\n" + re.sub("^#   ", "", comment, flags=re.M))
    models = study_file.load(path).models
    assert models["llama-2-7b"] == models["llama-2-7b-chat"]
    chat, paper = (Plan(study_file.load(file), REPOSITORY) for file in (path, PAPER))
    for name, sweep in chat.study.sweeps.items():
        for job, theirs in zip(chat.sweeps[name], paper.sweeps[name], strict=True):
            assert job.settings == theirs.settings
            ((model, _),) = job.inputs["model"]
            assert model.settings["source"] == "meta-llama/Llama-2-7b-chat-hf"
            assert (job.key == theirs.key) == (sweep.model == "llama-2-7b-chat")


MINE = """
extends: {folder}/../other-model.yaml
name: mine
models:
  llama-2-7b: &one {{source: OWNER/NAME, revision: {revision}, layers: {layers}, context: 2048}}
  llama-2-7b-chat: *one
"""


@pytest.mark.parametrize(
    ("n_layers", "skill", "grid"),
    [
        (32, [0, 5, 10, 15, 20, 25, 30], [0, 5, 10, 15, 20, 25, 29, 31]),
        (8, [0, 1, 2, 3, 5, 6, 7], [0, 1, 2, 3, 5, 6, 7]),
        (80, [0, 13, 25, 38, 51, 64, 77], [0, 13, 25, 38, 51, 64, 74, 79]),
    ],
)
def test_another_model_takes_a_few_lines(
    tmp_path: Path, n_layers: int, skill: list[int], grid: list[int]
) -> None:
    """At Llama 2's depth the fractions are the paper's layers."""
    path = tmp_path / "mine.yaml"
    path.write_text(MINE.format(folder=PAPER.parent, revision="a" * 40, layers=n_layers))
    plan = Plan(study_file.load(path), REPOSITORY)
    steered: dict[str, list[list[int]]] = {}
    for name, jobs in plan.sweeps.items():
        placed = [list(*own.values()) for job in jobs for own in layers_of(job) if len(own) == 1]
        steered[name] = [layers for i, layers in enumerate(placed) if layers not in placed[:i]]
    assert steered["code"] == steered["python"] == [[layer] for layer in skill]
    assert steered["grid"] == [[layer] for layer in grid]
    (asked,) = plan.sweeps["code"][0].settings["measures"]
    assert asked["max_tokens"] == 2048
    if n_layers == 32:
        paper = Plan(study_file.load(PAPER), REPOSITORY)
        for name, jobs in plan.sweeps.items():
            theirs = [layers_of(job) for job in paper.sweeps[name]]
            assert [layers_of(job) for job in jobs] == theirs


def layers_of(job: Artefact) -> list[Mapping[str, tuple[int, ...]]]:
    return [injected.layers for injected in read(SweepJob, job.settings).injections]


@pytest.mark.parametrize("base", ["papers/broad-skills.yaml", "other-model.yaml"])
def test_nothing_of_llama_2_is_left_in_another_model(tmp_path: Path, base: str) -> None:
    """Its size and its context would be the other's: too small a job, documents cut too late."""
    path = tmp_path / "mine.yaml"
    other = {"source": "OWNER/NAME", "revision": "a" * 40, "layers": 80}
    models = dict.fromkeys(("llama-2-7b", "llama-2-7b-chat"), other)
    path.write_text(
        yaml.safe_dump({"extends": str(REPOSITORY / "config" / base), "models": models})
    )
    plan = Plan(study_file.load(path), REPOSITORY)
    for model in plan.study.models.values():
        assert model == schema.Model(**other)
    for sweep in ("code", "grid"):
        assert plans.size(plan.graph, plan.sweeps[sweep][0]) == Size.planned(None, 80)
    if base == "other-model.yaml":
        for sweep in plan.study.sweeps.values():
            assert (sweep.dtype, sweep.vector_dtype) == (None, "float32")
        dtypes = {made.settings.get("dtype", "float32") for made in plan.vectors.values()}
        assert dtypes == {"float32"}


def reduced(paper: schema.Study, folder: Path) -> dict[str, Any]:
    """The paper's study with other sources of questions and other sizes, and nothing else.

    The hub's repositories keep names and commits; two sweeps are run with resamples as well. The
    sweeps of code visit all of the paper's coefficients.
    """
    sizes: dict[str, Any] = {"measures": {"next_token": {"tokens": 100, "max_tokens": 64}}}
    skill = [name for name, sweep in paper.sweeps.items() if "next_token" in sweep.measures]
    python = [name for name in skill if accuracy(paper.sweeps[name]).corpora[0] == "python"]
    resampled = {"resamples": 2}
    points = {"coefficients": {"points": 9}}
    return {
        "extends": "../config/papers/broad-skills.yaml",
        "corpora": dict.fromkeys(paper.corpora, {"train": 16, "validation": 6}),
        "behaviours": behaviours(paper, folder),
        "activations": dict.fromkeys(paper.corpora, {"documents": 10, "max_tokens": 64}),
        "sweeps": {
            **dict.fromkeys(skill, sizes),
            **dict.fromkeys(python, sizes | {"coefficients": [0, 1, 4]}),
            "code-permuted": sizes | resampled,
            "alignment-tax": sizes | points,
            "simultaneous": points,
            "single": resampled,
        },
        "figures": {
            "single-steering-layer-10": {"intervals": "both"},
            "single-steering-layer-15": {"intervals": "vectors"},
        },
    }


def behaviours(paper: schema.Study, folder: Path) -> dict[str, Any]:
    """Ten questions each: short ones of the authors' prepared files where they are, or made up."""
    size = {"train": 6, "validation": 2}
    if not AUTHORS.is_dir():
        return {
            name: {"file": str(path), "questions": 10, **size}
            for name, path in llama.evals(folder).items()
        }
    kept = {"choices", "seed", "shuffled_before", "title"}
    entries = {}
    for name, entry in paper.behaviours.items():
        questions = json.loads((AUTHORS / f"{name.replace('-', '_')}.json").read_text())
        path = folder / f"{name}.json"
        short = sorted(questions, key=lambda question: len(question["question"]))[:10]
        path.write_text(json.dumps(short))
        same = entry.model_dump(mode="json", include=kept)
        entries[name] = {"source": "prepared", "file": str(path), **same, **size}
    return entries


@pytest.fixture(scope="module")
def finished(paper: schema.Study, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The whole of config/papers/broad-skills.yaml, run at a reduced size."""
    root = tmp_path_factory.mktemp("paper")
    checkout = copy_of_repository(tmp_path_factory.mktemp("repository"))
    with hub.StandIn(served(root)) as standing_in:
        checkout.reduced(reduced(paper, root), standing_in.environment(root / "home"))
    return checkout


@pytest.mark.long
def test_every_figure_table_and_scorecard_of_the_paper_is_made(finished: Checkout) -> None:
    results = finished.folder / "results" / "broad-skills"
    paper = study_file.load(finished.folder / "tests" / "reduced.yaml")
    whole = study_file.load(PAPER)
    sizes = {"coefficients": True, "resamples": True}
    sizes |= {"measures": {"next_token": {"tokens", "max_tokens"}}}
    assert set(paper.figures) == set(whole.figures) and set(paper.sweeps) == set(whole.sweeps)
    for name, sweep in whole.sweeps.items():
        assert paper.sweeps[name].model_dump(exclude=sizes) == sweep.model_dump(exclude=sizes)
    for name in paper.figures:
        assert len((results / "figures" / f"{name}.csv").read_text().splitlines()) > 1
    for name, sweep in paper.sweeps.items():
        table = pq.read_table(results / "tables" / f"{name}.parquet").to_pandas()
        if "next_token" in sweep.measures:
            assert set(table["corpus"]) == set(accuracy(sweep).corpora)
            own = name != "alignment-tax"
            assert set(table["layer"]) == (steered_layers(sweep) if own else {"11+12+13+14+15"})
        else:
            assert set(table["behaviour"]) == set(paper.behaviours)
            assert set(table["split"]) == {"validation" if name == "grid" else "test"}
    for name in paper.scorecards:
        assert (results / "scorecards" / f"{name}.html").stat().st_size
    chosen = pq.read_table(results / "tables" / "single-by-hand.parquet").to_pandas()
    own = chosen[(chosen["behaviour"] == "sycophancy") & (chosen["layer"] == "10")]
    assert sorted(own["coefficient"]) == [-20, 0, 1]


@pytest.mark.long
def test_resamples_of_vectors_reach_tables_and_figures(finished: Checkout) -> None:
    results = finished.folder / "results" / "broad-skills"
    table = pq.read_table(results / "tables" / "single.parquet").to_pandas()
    steered = table["coefficient"] != 0
    width = table["propensity_vector_high"] - table["propensity_vector_low"]
    over_questions = table["propensity_high"] - table["propensity_low"]
    assert (width[~steered] == 0).all() and (width[steered] > 0).any()
    assert not np.isclose(width, over_questions).any()
    skill = pq.read_table(results / "tables" / "code-permuted.parquet").to_pandas()
    spread = skill["top1_vector_high"] - skill["top1_vector_low"]
    assert (spread[skill["coefficient"] == 0] == 0).all() and (spread > 0).any()

    # The figures' ends: over questions at layers 10 and 15, over both at 10, over vectors at 15.
    point = ["layer", "behaviour", "direction"]
    table = table.set_index(point).sort_index()
    for name, shown in (
        ("layers-10-15", lambda items, vectors: items),
        ("layer-10", np.hypot),
        ("layer-15", lambda items, vectors: vectors),
    ):
        drawn = pd.read_csv(
            results / "figures" / f"single-steering-{name}.csv", dtype={"layer": str}
        )
        drawn = drawn.set_index(point).sort_index()
        own = table.loc[drawn.index]
        for end in ("low", "high"):
            over = [abs(own[f"score_{kind}{end}"] - own["score"]) for kind in ("", "vector_")]
            assert np.allclose(abs(drawn[f"score_{end}"] - drawn["score"]), shown(*over))
