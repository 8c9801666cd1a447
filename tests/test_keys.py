"""Settings that the small study has not, those of sources foremost: which keys they change."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY

from checkout import SMALL
from snakesteer.plan.artefacts import Artefact
from snakesteer.plan.plan import Plan
from snakesteer.study import behaviours, corpora, study_file

Made = dict[tuple[str, str], Artefact]
PAPER = study_file.read(REPOSITORY / "config" / "papers" / "broad-skills.yaml")
COMMIT = "0" * 40
NOTHING: list[tuple[str, str]] = []

# Setting of the paper's study -> another value, and the artefacts that it is a setting of.
SETTINGS: dict[str, tuple[Any, list[tuple[str, str]]]] = {
    "models.llama-2-7b.source": ("other/model", [("model", "llama-2-7b")]),
    "models.llama-2-7b.revision": (COMMIT, [("model", "llama-2-7b")]),
    "models.llama-2-7b.layers": (40, [("model", "llama-2-7b")]),
    "models.llama-2-7b.parameters": (13, NOTHING),
    "models.llama-2-7b.context": (8192, NOTHING),
    "corpora.python.field": ("text", [("documents", "python")]),
    "corpora.python.completion": ("path", [("documents", "python")]),
    "corpora.python.train": (10001, [("documents", "python")]),
    "corpora.python.validation": (1001, [("documents", "python")]),
    "corpora.python.title": ("Snakes", NOTHING),
    "corpora.python.generate": (False, NOTHING),
    "corpora.python.strip": (True, [("documents", "python")]),
    "corpora.python.filter": ({"field": "a", "equal": 1}, [("documents", "python")]),
    "corpora.python.min_characters": (9, [("documents", "python")]),
    "corpora.python.final_newline": ("keep", [("documents", "python")]),
    "corpora.python.duplicates": ("drop", [("documents", "python")]),
    "corpora.text.filter.field": ("meta.set", [("documents", "text")]),
    "corpora.text.filter.not_equal": ("GitHub", [("documents", "text")]),
    "corpora.code.filter.equal": ("GitHub", [("documents", "code")]),
    "corpora.python.shuffle": (False, [("documents", "python")]),
    "corpora.python.shuffle.seed": (14, [("documents", "python")]),
    "corpora.python.shuffle.buffer": (10, [("documents", "python")]),
    "corpora.python.splits.train.repository": ("other/data", [("documents", "python")]),
    "corpora.python.splits.train.revision": (COMMIT, [("documents", "python")]),
    "corpora.python.splits.validation.files": (["*.gz"], [("documents", "python")]),
    "corpora.python.splits.validation.skip": (5, [("documents", "python")]),
    "behaviours.myopic.file": (f"https://a.b/{COMMIT}/c.jsonl", [("questions", "myopic")]),
    "behaviours.myopic.choices": (["Yes", "No"], [("questions", "myopic")]),
    "behaviours.myopic.questions": (900, [("questions", "myopic")]),
    "behaviours.myopic.seed": (14, [("questions", "myopic")]),
    "behaviours.myopic.shuffled_before": ([985], [("questions", "myopic")]),
    "behaviours.myopic.duplicates": ("keep", [("questions", "myopic")]),
    "behaviours.myopic.train": (400, [("questions", "myopic")]),
    "behaviours.myopic.validation": (201, [("questions", "myopic")]),
    "behaviours.myopic.category": ("kind", [("questions", "myopic")]),
    "behaviours.myopic.title": ("Short sight", NOTHING),
    "activations.code.format": ("chat", [("activations", "code")]),
    "activations.code.site": ("mlp", [("activations", "code")]),
    "activations.code.positions": (-2, [("activations", "code")]),
    "activations.myopic.format": (
        {"template": "[INST] {prompt} [/INST] "},
        [("activations", "myopic")],
    ),
    "activations.myopic.positions": ("letter", [("activations", "myopic")]),
    "vectors.code.dtype": ("float32", [("vector", "code"), ("vector", "code-permuted")]),
    "vectors.code.subtract": (["python"], [("vector", "code"), ("vector", "code-permuted")]),
    "vectors.code.seed": (14, NOTHING),
    "vectors.code-permuted.how": ("permuted", [("vector", "code-permuted")]),
    "vectors.code-permuted.seed": (14, [("vector", "code-permuted")]),
    "sweeps.simultaneous.dtype": (
        "float16",
        [("sweep", "simultaneous.layers-11-12-13-14-15")],
    ),
    "sweeps.alignment-tax.dtype": ("bfloat16", NOTHING),
    "choices.by-hand.multipliers": (
        {"myopic": {10: {"add": 1, "subtract": -3}, 15: {"add": 3, "subtract": -2}}},
        [("choice", "by-hand")],
    ),
    "published.sweeps.published-code.title": ("Code", NOTHING),
    "published.sweeps.published-code.vector": ("c", [("published_table", "published-code")]),
}


def planned(change: dict[str, Any], folder: Path) -> Made:
    over = study_file.merge({"published": {"source": str(folder)}}, change)
    plan = Plan(study_file.parse(study_file.merge(PAPER, over)), REPOSITORY)
    return {(made.stage, made.name): made for made in plan.artefacts()}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> tuple[Made, Path]:
    folder = tmp_path_factory.mktemp("published")
    return planned({}, folder), folder


def dependants(made: Made, roots: list[tuple[str, str]]) -> set[tuple[str, str]]:
    """The roots and all that is made of them, found by walking from inputs to outputs."""
    reached = set(roots)
    for place, artefact in made.items():  # in the order of the DAG
        inputs = (above for given in artefact.inputs.values() for above, _ in given)
        if any((above.stage, above.name) in reached for above in inputs):
            reached.add(place)
    return reached


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_changed_setting_changes_the_keys_of_its_dependants(
    before: tuple[Made, Path], setting: str
) -> None:
    made, folder = before
    value, roots = SETTINGS[setting]
    change: Any = value
    for name in reversed(setting.split(".")):
        change = {name: change}
    after = planned(change, folder)
    changed = {
        place for place in made.keys() | after.keys() if key(made, place) != key(after, place)
    }
    assert set(roots) <= made.keys()
    assert changed == dependants(made, roots)


def key(made: Made, place: tuple[str, str]) -> str | None:
    return made[place].key if place in made else None


def test_every_setting_of_a_source_is_tried() -> None:
    tried = {
        (setting.split(".")[0], part) for setting in SETTINGS for part in setting.split(".")[2:]
    }
    for section, *entries in (
        ("corpora", corpora.HubCorpus, corpora.HubSplit, corpora.Filter, corpora.Shuffle),
        ("behaviours", behaviours.ModelWrittenBehaviour),
    ):
        for entry in entries:
            missing = {field for field in entry.model_fields if (section, field) not in tried} - {
                "source",
                "repository",  # see test_repositories
                "splits",
            }
            assert not missing, (entry, missing)


def test_what_a_precision_is_planned_with_changes_the_keys_of_its_sweeps(tmp_path: Path) -> None:
    one, *others = (
        planned(
            {"sweeps": {"code": {"measures": {"next_token": {"precision": 0.01, **given}}}}},
            tmp_path,
        )
        for given in ({}, {"pilot": 64}, {"precision_by": "coefficient"})
    )
    sweeps = [("sweep", f"code.layer-{layer}") for layer in range(0, 35, 5)]
    for other in others:
        changed = {place for place in one if key(one, place) != key(other, place)}
        assert changed == dependants(one, sweeps)


def test_the_code_of_a_method_is_in_the_keys_of_its_vectors(tmp_path: Path) -> None:
    scripts = REPOSITORY / "workflow" / "scripts"
    shutil.copytree(scripts, tmp_path / "workflow" / "scripts")
    (tmp_path / "resources").symlink_to(REPOSITORY / "resources")
    room = tmp_path / "workflow" / "scripts" / "snakesteer" / "vectors"
    study = study_file.load(SMALL)

    def keys() -> dict[str, str]:
        plan = Plan(study, tmp_path)
        return {name: made.key for name, made in plan.vectors.items()}

    before = keys()
    (room / "another.py").write_text("def fit(samples, settings, weights=None):\n    ...\n")
    assert keys() == before
    for method, made in (
        ("contrast", {"myopia", "wealth-seeking"}),
        ("difference", {"code", "code-permuted", "python"}),
        ("control", {"code-permuted"}),
    ):
        given = room / f"{method}.py"
        code = given.read_text()
        given.write_text(f"{code}\nEDITED = True\n")
        after = keys()
        assert {name for name in before if before[name] != after[name]} == made
        given.write_text(code)


def test_a_file_is_made_from_the_same_files_whatever_a_study_names_them() -> None:
    """Else Snakemake would make it again at every change from the one study to the other."""
    data = study_file.read(SMALL)
    renamed = json.loads(json.dumps(data).replace('"miniature"', '"base"'))
    made, other = (
        {
            path: made
            for made in Plan(study_file.parse(given), REPOSITORY).artefacts()
            for path in made.paths
        }
        for given in (data, renamed)
    )
    shared = made.keys() & other.keys()
    assert shared
    for path in shared:
        assert made[path].input_paths == other[path].input_paths
