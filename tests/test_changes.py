"""What a run says of the changes since the study was last run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from conftest import REPOSITORY

from checkout import SMALL
from snakesteer.plan import activations as plans
from snakesteer.plan.changes import changes
from snakesteer.plan.plan import Plan
from snakesteer.storage.catalogue import write_catalogue
from snakesteer.storage.files import write_table
from snakesteer.study import study_file


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the small study with a corpus of files and a model of one's own left; the study."""
    monkeypatch.chdir(tmp_path)
    for split in ("train", "validation"):
        (tmp_path / f"{split}.jsonl").write_text('{"text": "a"}\n')
    shutil.copytree(REPOSITORY / "resources" / "models" / "miniature-chat", tmp_path / "mine")
    (tmp_path / "mine" / "SHA256SUMS").unlink()
    files = {split: {"files": [f"{split}.jsonl"]} for split in ("train", "validation")}
    study = {
        "extends": str(SMALL),
        "corpora": {"text": {"source": "files", "train": 1, "validation": 1, "splits": files}},
        "models": {"miniature-chat": {"source": "mine"}},
    }
    plan = planned(study)
    for made in plan.artefacts():
        for path in map(Path, made.paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    for made in plan.artefacts("questions"):
        write_table(made.paths[0], pa.table({"a": [1]}), {"code": made.code})
    folder = tmp_path / "results" / "small"
    folder.mkdir()
    (folder / "study.yaml").write_text(yaml.safe_dump(plan.study.model_dump(mode="json")))
    write_catalogue(folder / "artefacts.csv", plan.catalogue())
    return study


def planned(study: dict[str, Any]) -> Plan:
    return Plan(study_file.parse(study_file.resolve(study, Path())), REPOSITORY)


def test_nothing_changed_is_nothing_to_say(ran: dict[str, Any]) -> None:
    assert changes(planned(ran)) == []


def test_settings_files_and_code_are_named(ran: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"text": "b"}\n')
    with (tmp_path / "mine" / "model.safetensors").open("r+b") as weights:
        weights.seek(-1, 2)
        weights.write(b"\7")
    plan = planned({**ran, "statistics": {"seed": 14}})
    for made in plan.artefacts("questions"):
        write_table(made.paths[0], pa.table({"a": [1]}), {"code": "another"})
    assert changes(plan) == [
        "statistics.seed: 13 -> 14",
        "models.miniature-chat: model.safetensors",
        "corpora.text: train.train.jsonl",
        "questions: its code",
    ]


def test_packages_that_a_corpus_is_read_from_are_named(ran: dict[str, Any]) -> None:
    plan = planned(ran)
    rows = plan.catalogue()
    for row in rows:
        settings = json.loads(row["settings"])
        if row["stage"] == "documents" and row["name"] == "code":
            versions = settings["identity"]["distributions"]
            other = list(versions)[:4]
            versions |= dict.fromkeys(other, "0.0.1")
        row["settings"] = json.dumps(settings)
    write_catalogue(plan.path("artefacts.csv"), rows)
    (line,) = changes(plan)
    named = ", ".join(f"distributions.{name}" for name in other[:3])
    assert line == f"corpora.code: {named} and 1 more"


def test_a_setting_is_not_told_twice(ran: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "mine" / "README.md").unlink()
    shutil.copytree(REPOSITORY / "resources" / "models" / "miniature", tmp_path / "other")
    models = {"miniature-chat": {"source": "other"}}
    assert changes(planned({**ran, "models": models})) == [
        'models.miniature-chat.source: "mine" -> "other"'
    ]


@pytest.mark.parametrize("name", ["study.yaml", "artefacts.csv", "questions"])
def test_nothing_damaged_stops_the_planning(ran: dict[str, Any], name: str) -> None:
    plan = planned(ran)
    path = (
        plans.questions(plan.graph, "myopia").paths[0] if name == "questions" else plan.path(name)
    )
    for damaged in (
        b"",
        b"\xff\0\n",
        b'"',
        b"a: b\n- c",
        b"- a\n",
        b"{",
        b"a,b\nc",
        b"a: 2026-13-45",
    ):
        Path(path).write_bytes(damaged)
        changes(plan)


def test_a_study_of_another_version_is_reported_in_one_line(ran: dict[str, Any]) -> None:
    file = Path("results/small/study.yaml")
    study = yaml.safe_load(file.read_text())
    study["sweeps"]["code"]["kind"] = "skill"
    file.write_text(yaml.safe_dump(study))
    before = sorted(Path("results").rglob("*"))
    (line,) = changes(planned(ran))
    assert "another version" in line and "are kept" in line and "make prune" in line
    assert sorted(Path("results").rglob("*")) == before
