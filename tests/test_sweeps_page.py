"""The sweeps of docs/sweeps.md are sweeps of the miniature."""

from __future__ import annotations

import re

import yaml
from conftest import REPOSITORY

from snakesteer.plan.plan import Plan
from snakesteer.study import study_file

MINIATURE = REPOSITORY / "config" / "miniature.yaml"


def test_every_sweep_of_the_page_can_be_run() -> None:
    page = (REPOSITORY / "docs" / "sweeps.md").read_text(encoding="utf-8")
    sweeps, figures = {}, {}
    for block in re.findall(r"```yaml\n(.*?)```", page, re.S):
        for name, entry in yaml.safe_load(block).items():
            (figures if "kind" in entry else sweeps)[name] = entry
    over = {"sweeps": sweeps, "figures": figures}
    study = study_file.parse(study_file.merge(study_file.read(MINIATURE), over))
    plan = Plan(study, REPOSITORY)
    assert len(sweeps) == 14 and all(plan.sweeps[name] for name in sweeps)
    assert len(figures) == 7 and plan.figures.keys() >= figures.keys()
    named = {f"side-effects.{name}" for name in ("own", "others", "documents")}
    assert plan.tables.keys() >= {"layers", "together", "as-one", "search", *named}
