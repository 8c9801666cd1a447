"""The sweeps of docs/sweeps.md and docs/choosing.md are sweeps of the miniature."""

from __future__ import annotations

import re

import yaml
from conftest import REPOSITORY

from snakesteer.plan.plan import Plan
from snakesteer.study import study_file
from snakesteer.study.schema import Study

MINIATURE = REPOSITORY / "config" / "miniature.yaml"
PAGES = ("sweeps", "choosing")


def test_every_sweep_of_the_pages_can_be_run() -> None:
    texts = [(REPOSITORY / "docs" / f"{page}.md").read_text(encoding="utf-8") for page in PAGES]
    sweeps, figures = {}, {}
    whole = study_file.read(MINIATURE)
    for block in re.findall(r"```yaml\n(.*?)```", "\n".join(texts), re.S):
        given = yaml.safe_load(block)
        if given.keys() <= Study.model_fields.keys():
            whole = study_file.merge(whole, given)
            continue
        for name, entry in given.items():
            (figures if "kind" in entry else sweeps)[name] = entry
    over = {"sweeps": sweeps, "figures": figures}
    plan = Plan(study_file.parse(study_file.merge(whole, over)), REPOSITORY)
    assert len(sweeps) == 15 and all(plan.sweeps[name] for name in sweeps)
    assert len(figures) == 10 and plan.figures.keys() >= figures.keys()
    named = {f"side-effects.{name}" for name in ("own", "others", "documents")}
    assert plan.tables.keys() >= {"layers", "together", "as-one", "search", *named}
    assert plan.candidates.keys() == {"direction", "place", "strength", "equal-kl"}
    assert plan.rankings.keys() == {"methods"}
    assert {"direction", "at-its-layer"} <= {*plan.vectors}
    assert {"between", "estimate", "in-its-place"} <= plan.sweeps.keys()
