"""The pinned environment holds what the workflow reads."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY

from environments import environment_of, write_conda
from snakesteer.corpora import installed


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned() -> set[str]:
    lines = (REPOSITORY / "envs" / "requirements.txt").read_text().splitlines()
    return {normalised(line.split("==")[0]) for line in lines if "==" in line}


def pip_pins(file: str) -> list[str]:
    environment = yaml.safe_load((REPOSITORY / "envs" / file).read_text())
    pins: list[str] = environment["dependencies"][-1]["pip"]
    return pins


def test_conda_has_the_same_pins() -> None:
    requirements = (REPOSITORY / "envs" / "requirements.txt").read_text().splitlines()
    pins = [line for line in requirements if "==" in line]
    assert pip_pins("models.yaml") == pins
    tables = pip_pins("tables.yaml")
    assert tables == [line for line in pins if line in tables]


@pytest.mark.parametrize("file", ["tables.yaml", "models.yaml"])
def test_conda_environments_are_as_they_are_written(file: str) -> None:
    assert (REPOSITORY / "envs" / file).read_text() == write_conda.environment(file)


IMPORTS = """
import ast, importlib, sys
from pathlib import Path
sys.path.insert(0, "workflow/scripts")
for script in sys.argv[1:]:
    kinds = (ast.Import, ast.ImportFrom)
    body = [node for node in ast.parse(Path(script).read_text()).body if isinstance(node, kinds)]
    exec(compile(ast.Module(body, []), script, "exec"), {})
for room in ("tables", "figures", "reports"):
    for path in Path("workflow/scripts/snakesteer", room).glob("*.py"):
        importlib.import_module(f"snakesteer.{room}.{path.stem}")
assert "torch" not in sys.modules
"""


def test_rules_without_models_import_nothing_that_their_environment_lacks(tmp_path: Path) -> None:
    """Their scripts, and all that tabulates, draws and writes pages."""
    names = {line.split("==")[0] for line in pip_pins("tables.yaml")}
    assert not {normalised(name) for name in names} & write_conda.MODELS
    scripts = []
    for path in (REPOSITORY / "rules").glob("*.smk"):
        for rule in re.split(r"^rule ", path.read_text(), flags=re.MULTILINE):
            if "WITHOUT_MODELS" in rule:
                scripts += re.findall(r'"\.\./(workflow/scripts/\w+\.py)"', rule)
    assert len(scripts) > 10
    python = environment_of(tmp_path / "tables", names)
    done = subprocess.run(
        [python, "-c", IMPORTS, *scripts],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_corpora_read_pinned_distributions_only() -> None:
    assert {normalised(name) for name in installed.DISTRIBUTIONS} <= pinned()


def make_with(folder: Path, pythons: dict[str, str], *arguments: str) -> str:
    """What `make` prints before it installs, where these commands are Pythons of these versions."""
    binaries = folder / "bin"
    binaries.mkdir(parents=True)
    for tool in ("make", "sh", "printf", "sed"):
        (binaries / tool).symlink_to(str(shutil.which(tool)))
    for name, version in pythons.items():
        path = binaries / name
        path.write_text(
            "#!/bin/sh\n"
            f'case "$1" in -c) echo "import sys; sys.version_info = {version}\n$2" | '
            f"{sys.executable} - ;; "
            f'*) echo "$@ with {name}"; exit 1;; esac\n'
        )
        path.chmod(0o755)
    for part in ("Makefile", "envs/find-python", "envs/requirements.txt"):
        (folder / part).parent.mkdir(exist_ok=True)
        shutil.copy2(REPOSITORY / part, folder / part)
    return subprocess.run(
        ["make", ".venv/installed", *arguments],
        cwd=folder,
        env={"PATH": str(binaries)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    ).stdout


@pytest.mark.parametrize(
    ("pythons", "arguments", "made"),
    [
        ({"python3": "(3, 11)"}, [], "python3"),
        (
            {"python3": "(3, 14)", "python3.11": "(3, 11)", "python3.12": "(3, 12)"},
            [],
            "python3.12",
        ),
        ({"python3": "(3, 11)", "python3.14": "(3, 14)"}, ["PYTHON=python3.14"], "python3.14"),
        ({"python3": "(3, 11)", "my py's": "(3, 12)"}, ["PYTHON=my py's"], "my py's"),
    ],
)
def test_make_takes_the_newest_python_that_has_every_package(
    tmp_path: Path, pythons: dict[str, str], arguments: list[str], made: str
) -> None:
    printed = make_with(tmp_path / "a b'c {x} $y \"", pythons, *arguments)
    assert f"Installing into .venv with {made}.\n-m venv .venv with {made}\n" in printed


def test_make_says_which_python_it_needs(tmp_path: Path) -> None:
    assert make_with(tmp_path, {"python3": "(3, 14)", "python3.13": "(3, 10)"}).startswith(
        "Error: there is no Python 3.11, 3.12 or 3.13 with venv, the ones that all packages are "
        "built for; install one, or name yours with make PYTHON=/its/path.\n"
    )


@pytest.mark.parametrize("target", ["test", "test-long", "test-slurm"])
def test_tests_run_in_the_environment(target: str) -> None:
    printed = subprocess.run(
        ["make", "-n", target], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    assert ".venv/bin/python -m pytest tests" in printed
