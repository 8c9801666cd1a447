"""What a public project has beside its code: citation, release notes, workflows on GitHub."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
GITHUB = REPOSITORY / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yaml"))
MORE = {  # than to read
    "release": {"release": {"contents": "write"}},
    "site": {"site": {"contents": "read", "pages": "write", "id-token": "write"}},
}
CHANGELOG = """# Changelog

## Unreleased

- Not yet.

## 1.10.0 (2026-01-31)

- A thing, of which
  `much` can be said.

### Also

- Another.

## 1.1

- An older one.

## 1.0
"""


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"] == "MIT"
    assert citation["title"] == f"{PROJECT['name']}: {PROJECT['description'].lower()}"
    assert citation["authors"] == [{"name": "snakesteer contributors"}]


def release_notes(folder: Path, version: str, tag: str) -> subprocess.CompletedProcess[str]:
    (folder / ".github").mkdir(exist_ok=True)
    shutil.copy(GITHUB / "release-notes", folder / ".github")
    (folder / "CHANGELOG.md").write_text(CHANGELOG)
    (folder / "pyproject.toml").write_text(f'[project]\nname = "x"\nversion = "{version}"\n')
    command = ["sh", str(folder / ".github" / "release-notes"), tag]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_notes_of_a_release_are_its_section_of_the_changelog(tmp_path: Path) -> None:
    done = release_notes(tmp_path, "1.10.0", "v1.10.0")
    assert done.stdout == ("- A thing, of which\n  `much` can be said.\n\n### Also\n\n- Another.\n")
    assert release_notes(tmp_path, "1.1", "v1.1").stdout == "- An older one.\n"


@pytest.mark.parametrize(
    ("version", "tag", "told"),
    [
        (
            "1.10.0",
            "v1.1",
            "Error: the tag v1.1 is not of the version in pyproject.toml, 1.10.0; correct one of "
            "them.\n",
        ),
        *[
            (
                version,
                f"v{version}",
                f"Error: CHANGELOG.md has no section {version}, or an empty one; rename "
                f'"Unreleased" to "{version}" before the tag.\n',
            )
            for version in ("2.0", "1.0")
        ],
    ],
)
def test_a_tag_without_notes_makes_no_release(
    tmp_path: Path, version: str, tag: str, told: str
) -> None:
    done = release_notes(tmp_path, version, tag)
    assert done.returncode == 1 and not done.stdout and done.stderr == told


def steps(path: Path) -> list[dict[str, Any]]:
    """All steps of a workflow, or of an action."""
    content = yaml.safe_load(path.read_text())
    if "runs" in content:
        return list(content["runs"]["steps"])
    return [step for job in content["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_may_read_alone_unless_a_job_says_more(path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    assert content["permissions"] == {"contents": "read"}
    more = {
        name: job["permissions"] for name, job in content["jobs"].items() if "permissions" in job
    }
    assert more == MORE.get(path.stem, {})
    assert all("timeout-minutes" in job for job in content["jobs"].values())


def test_actions_are_of_a_major_version_or_of_this_repository() -> None:
    used = []
    for path in [*WORKFLOWS, *(GITHUB / "actions").glob("*/action.yaml")]:
        used += [step["uses"] for step in steps(path) if "uses" in step]
    assert used
    for name in used:
        if name.startswith("./"):
            assert (REPOSITORY / name / "action.yaml").is_file()
        else:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", name)


def test_workflows_run_what_there_is() -> None:
    ran = [step["run"] for path in WORKFLOWS for step in steps(path) if "run" in step]
    targets = {line.split()[1] for line in ran if re.match(r"make \w", line)}
    assert targets == {"check", "test", "test-slurm", "doctor", "site"} and "make" in ran
    for target in sorted(targets):
        subprocess.run(["make", "-n", target], cwd=REPOSITORY, check=True, capture_output=True)
    pins = (REPOSITORY / "envs" / "requirements.txt").read_text()
    assert len(re.findall("^torch==.*$", pins, re.MULTILINE)) == 1


def test_two_versions_of_python_are_tested() -> None:
    content = yaml.safe_load((GITHUB / "workflows" / "tests.yaml").read_text())
    assert content["jobs"]["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12"]
    assert PROJECT["requires-python"] == ">=3.11"
