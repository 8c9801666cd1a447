"""The pinned environment holds what the workflow reads."""

from __future__ import annotations

import re

import yaml
from conftest import REPOSITORY

from snakesteer.corpora import installed


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned() -> set[str]:
    lines = (REPOSITORY / "envs" / "requirements.txt").read_text().splitlines()
    return {normalised(line.split("==")[0]) for line in lines if "==" in line}


def test_conda_has_the_same_pins() -> None:
    environment = yaml.safe_load((REPOSITORY / "envs" / "environment.yaml").read_text())
    requirements = (REPOSITORY / "envs" / "requirements.txt").read_text().splitlines()
    pins = [line for line in requirements if "==" in line]
    assert environment["dependencies"][-1] == {"pip": pins}


def test_the_corpora_read_pinned_distributions_only() -> None:
    assert {normalised(name) for name in installed.DISTRIBUTIONS} <= pinned()
