"""What has changed since a study was last run: its settings, and the code of its stages.

Snakemake's reason for a job is that its output is missing, since another setting gives another
file name; this says which setting or code it was.
"""

from __future__ import annotations

import contextlib
import csv
from pathlib import Path

import yaml

from snakesteer.artefacts import read_provenance
from snakesteer.differences import differences
from snakesteer.errors import StudyError
from snakesteer.plan import Plan

SHOWN = 12


def changes(plan: Plan) -> list[str]:
    """A line per change against `results/<study>/`, at most `SHOWN`; none before a first run."""
    ran = Path(plan.path("study.yaml"))
    if not ran.is_file():
        return []
    with contextlib.suppress(yaml.YAMLError):
        before = yaml.safe_load(ran.read_text(encoding="utf-8"))
        lines = list(map(str, differences(before, plan.study.model_dump(mode="json"))))
        lines += [f"{stage}: its code" for stage in edited_stages(plan)]
        more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        return lines[:SHOWN] + more
    return []


def edited_stages(plan: Plan) -> list[str]:
    """Stages whose artefacts of the last run were made by other code than today's."""
    catalogue = Path(plan.path("artefacts.csv"))
    if not catalogue.is_file():
        return []
    made: dict[str, str] = {}
    with catalogue.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["path"].endswith((".parquet", ".safetensors")) and row["stage"] not in made:
                with contextlib.suppress(StudyError, FileNotFoundError):
                    made[row["stage"]] = read_provenance(row["path"])["code"]
    current = {artefact.stage: artefact.code for artefact in plan.artefacts()}
    return [stage for stage, code in made.items() if current.get(stage, code) != code]
