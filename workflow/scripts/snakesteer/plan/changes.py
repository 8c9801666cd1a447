"""What has changed since a study was last run: settings, what it reads, and the code of its stages.

Snakemake's reason for a job is that its output is missing, since another setting gives another
file name; this says which setting, which file or package read, or which code it was.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from snakesteer.core.errors import StudyError
from snakesteer.plan.artefacts import STAGES
from snakesteer.plan.plan import Plan
from snakesteer.reports.differences import differences
from snakesteer.storage.catalogue import read_catalogue
from snakesteer.storage.files import read_provenance
from snakesteer.study.schema import Study

SHOWN = 12
NAMED = 3  # changed files or packages of one entry

Rows = list[dict[str, str]]
Coded = tuple[str, tuple[tuple[str, str], ...]]

# Stages that read what no setting holds -> section of the study, and where they say what they read.
_READING = {
    "model": ("models", "files"),
    "repository_file": ("repositories", "identity"),
    "documents": ("corpora", "identity"),
    "questions": ("behaviours", "identity"),
    "vector": ("vectors", "identity"),
    "vector_file": ("vectors", "identity"),
    "published_source": ("published", "files"),
}


def changes(plan: Plan) -> list[str]:
    """A line per change against `results/<study>/`, at most `SHOWN`; none before a first run.

    What is damaged there is passed over.
    """
    try:
        ran = Path(plan.path("study.yaml")).read_text(encoding="utf-8")
        before = yaml.safe_load(ran)
    except (OSError, ValueError, yaml.YAMLError):
        return []
    if not isinstance(before, dict):
        return []
    try:
        Study.model_validate(before)
    except ValidationError:
        return [
            f"{plan.path('study.yaml')} was written by another version of snakesteer; its files "
            "are kept, and `make prune` lists those that are not used any more"
        ]
    rows: Rows = []
    with contextlib.suppress(OSError, StudyError):
        rows = read_catalogue(plan.path("artefacts.csv"))
    lines = list(map(str, differences(before, plan.study.model_dump(mode="json"))))
    lines += changed_sources(plan, rows)
    lines += [f"{stage}: its code" for stage in edited_stages(plan, rows)]
    more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return lines[:SHOWN] + more


def changed_sources(plan: Plan, rows: Rows) -> list[str]:
    """Entries of the study that have their settings, but read other files or packages.

    `rows` are the last run's catalogue.
    """
    ran: dict[tuple[str, str], list[str]] = {}  # of a repository's files there are several
    for row in rows:
        settings = row.get("settings", "")
        ran.setdefault((row.get("stage", ""), row.get("name", "")), []).append(settings)
    lines: dict[str, None] = {}
    for stage, (section, read) in _READING.items():
        for made in plan.artefacts(stage):
            now = _settings(json.dumps(made.settings))
            read_now = now.pop(read, None)
            for before in map(_settings, ran.get((stage, made.name), [])):
                parts = before.pop(read, None), read_now
                other = [one.entry for one in differences(*map(_named, parts))]
                if before == now and other:
                    entry = section if stage == "published_source" else f"{section}.{made.name}"
                    lines[f"{entry}: {_joined(other)}"] = None
    return [*lines]


def _settings(recorded: str) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        settings = json.loads(recorded)
        return settings if isinstance(settings, dict) else {}
    return {}


def _named(read: Any) -> Mapping[str, Any]:
    return read if isinstance(read, Mapping) else {"its file": read}


def _joined(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def edited_stages(plan: Plan, rows: Iterable[Mapping[str, str]]) -> list[str]:
    """Stages whose artefacts of the last run were made by other code than today's.

    `rows` are the last run's catalogue. One artefact of each combination of plugins is looked at.
    """
    made: dict[Coded, str] = {}
    for row in rows:
        coded = _coded(row.get("stage", ""), _settings(row.get("settings", "")))
        path = row.get("path", "")
        if coded not in made and path.endswith((".parquet", ".safetensors")):
            with contextlib.suppress(StudyError, FileNotFoundError):
                made[coded] = read_provenance(path).get("code", "")
    current = {_coded(one.stage, one.settings): one.code for one in plan.artefacts()}
    edited = [coded[0] for coded, code in made.items() if current.get(coded, code) != code]
    return list(dict.fromkeys(edited))


def _coded(stage: str, settings: Mapping[str, Any]) -> Coded:
    """What decides which code makes an artefact: its stage and the plugins its settings name."""
    named = STAGES[stage].plugins_of(settings) if stage in STAGES else []
    return stage, tuple(named)
