"""What the Snakemake Workflow Catalog and snakedeploy look for in a repository."""

from __future__ import annotations

import re

import pytest
import yaml
from conftest import REPOSITORY

from snakesteer.study import study_file

README = (REPOSITORY / "config" / "README.md").read_text()
# The blocks of the page that are studies.
STUDIES = [
    block.replace("\n    ", "\n")
    for block in re.findall(r"(?:^(?:    .*)?\n)+", README, re.MULTILINE)
    if "name: " in block
]


def test_the_catalogue_shows_how_the_workflow_is_used() -> None:
    told = yaml.safe_load((REPOSITORY / ".snakemake-workflow-catalog.yml").read_text())
    usage = told["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert usage["software-stack-deployment"]["conda"] and usage["report"]
    assert (REPOSITORY / "workflow" / "Snakefile").is_file()
    readme = (REPOSITORY / "README.md").read_text().lower()
    assert "snakemake" in readme and "workflow" in readme


def test_the_catalogue_shows_every_section_of_a_study() -> None:
    """It reads this file, and shows a property's description."""
    schema = yaml.safe_load((REPOSITORY / "config/schemas/config.schema.yml").read_text())
    assert set(schema["properties"]) > {"models", "vectors", "sweeps", "figures"}
    assert all(section.get("description") for section in schema["properties"].values())
    assert (REPOSITORY / "config/schemas/config.schema.yml").resolve() == (
        REPOSITORY / "config/study.schema.json"
    )


@pytest.mark.parametrize("text", STUDIES, ids=["changed", "from-nothing"])
def test_studies_of_the_page_are_valid(text: str) -> None:
    folder = REPOSITORY / "config"
    study = study_file.parse(study_file.resolve(yaml.safe_load(text), folder), "README.md")
    assert study.sweeps and study.figures


def test_the_page_speaks_of_every_study_that_is_there() -> None:
    folder = REPOSITORY / "config"
    for path in folder.glob("*.yaml"):
        assert f"`{path.name}`" in README or path.name in ("config.yaml", "training.yaml")
    assert (folder / "papers").is_dir() and "`papers/`" in README
