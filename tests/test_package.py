"""The package as it is installed: what it needs, its command, and what of it jobs must not use."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
PACKAGE = REPOSITORY / "workflow" / "scripts" / "snakesteer"
SCRIPTS = sorted(set(PACKAGE.parent.glob("*.py")) - {PACKAGE.parent / "script_job.py"})
NOT_IMPORTED = {"accelerate"}  # transformers does, for a `device_map`
NAMES = {"yaml": "pyyaml", "jinja2": "jinja2", "huggingface_hub": "huggingface-hub"}


def imported() -> set[str]:
    """The packages, by the names of their distributions, that the package imports anywhere."""
    names = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                names.add((node.module or "").split(".")[0])
    others = names - sys.stdlib_module_names - {"snakesteer"}
    return {NAMES.get(name, name.replace("_", "-")) for name in others}


def required(entries: list[str]) -> set[str]:
    return {re.split("[<>=]", entry)[0].replace("_", "-").lower() for entry in entries}


def test_the_package_requires_what_it_imports_and_pins_nothing() -> None:
    extras = PROJECT["optional-dependencies"]
    needed = required(PROJECT["dependencies"])
    assert needed | required(extras["adapters"]) == imported() | NOT_IMPORTED
    assert not needed & required(extras["adapters"])
    for entries in (PROJECT["dependencies"], *extras.values()):
        assert not [entry for entry in entries if "==" in entry or "<" in entry]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the package, and with what it needs from this environment."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    shutil.copytree(REPOSITORY / "workflow" / "scripts", source / "workflow" / "scripts")
    for part in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(REPOSITORY / part, source / part)
    made = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
    (libraries,) = made.glob("lib/python*/site-packages")
    ours = Path(pytest.__file__).parent.parent
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", made]
    install = ["install", "--no-deps", "--no-index", "--no-build-isolation", source]
    (libraries / "others.pth").write_text(f"{ours}\n")
    subprocess.run([*pip, *install], check=True)
    return made


def run(environment: Path, *arguments: str, cwd: Path) -> str:
    command = [environment / "bin" / "snakesteer", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
def test_the_installed_command_does_what_the_module_does(environment: Path, tmp_path: Path) -> None:
    told = run(environment, "--help", cwd=tmp_path)
    for command in ("name", "doctor", "reference", "prune", "compare", "bill", "ship"):
        assert f"    {command} " in told
    study = REPOSITORY / "config" / "miniature.yaml"
    assert run(environment, "name", str(study), cwd=tmp_path) == "miniature\n"
    assert "sweep" in run(environment, "bill", str(REPOSITORY), str(study), cwd=tmp_path)
    assert " is not a clone of snakesteer, " in run(environment, "doctor", cwd=tmp_path)
    told = run(environment, "doctor", str(study), "--repository", str(REPOSITORY), cwd=tmp_path)
    assert told.endswith("No problem was found.\n")


def test_the_wheel_holds_the_package_alone(environment: Path) -> None:
    (libraries,) = environment.glob("lib/python*/site-packages")
    (info,) = libraries.glob("snakesteer-*.dist-info")
    assert info.name == f"snakesteer-{PROJECT['version']}.dist-info"
    files = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py")}
    installed = libraries / "snakesteer"
    assert {path.relative_to(installed) for path in installed.rglob("*.py")} == files
    assert not (libraries / "script_job.py").exists()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_takes_the_package_beside_it_before_it_imports_any(script: Path) -> None:
    modules = [
        node.module
        for node in ast.parse(script.read_text()).body
        if isinstance(node, ast.ImportFrom) and node.module
    ]
    ours = [name for name in modules if name.split(".")[0] in ("snakesteer", "script_job")]
    assert ours[0] == "script_job"


def test_who_imports_the_package_keeps_its_own_hook(environment: Path, tmp_path: Path) -> None:
    program = "import sys; hook = sys.excepthook; import snakesteer.plan.plan as plan; "
    program += "assert sys.excepthook is hook; print(plan.__file__)"
    command = [environment / "bin" / "python", "-c", program]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert printed.stdout.startswith(str(environment))
