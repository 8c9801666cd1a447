"""An edit of code changes the digest of the scripts that use it; a re-worded comment does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

from snakesteer.plan import code_digest

SCRIPTS = REPOSITORY / "workflow" / "scripts"
MODEL_SCRIPTS = ["activations", "skill_sweep", "behaviour_sweep", "samples"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    package = tmp_path / "snakesteer"
    package.mkdir()
    (package / "__init__.py").write_text('"""Package."""\n')
    (package / "deep.py").write_text('"""Deep."""\n\ndef deep():\n    """Doc."""\n    return 1\n')
    (package / "used.py").write_text("from snakesteer.deep import deep\n\nVALUE = deep()\n")
    (package / "unused.py").write_text("VALUE = 2\n")
    (tmp_path / "script.py").write_text("from snakesteer import used\n\nprint(used.VALUE)\n")
    return tmp_path


def digest(project: Path) -> str:
    code_digest._read.cache_clear()
    code_digest._imported.cache_clear()
    return code_digest.code_digest(project / "script.py")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("module", "old", "new", "changes"),
    [
        ("deep", "return 1", "return 2", True),
        ("deep", "Doc.", "Another docstring.", False),
        ("deep", "return 1", "return 1  # one", False),
        ("used", "VALUE = deep()", "VALUE = deep() + 1", True),
        ("unused", "VALUE = 2", "VALUE = 3", False),
        ("__init__", "Package.", "The package.", False),
    ],
)
def test_what_changes_the_digest(
    project: Path, module: str, old: str, new: str, changes: bool
) -> None:
    before = digest(project)
    edit(project / "snakesteer" / f"{module}.py", old, new)
    assert (digest(project) != before) is changes


@pytest.mark.parametrize("script", MODEL_SCRIPTS)
def test_scripts_that_run_a_model_know_neither_schema_nor_figures(script: str) -> None:
    modules = {path.stem for path in code_digest.closure(SCRIPTS / f"{script}.py")}
    assert "engine" in modules
    assert not modules & {"study", "plan", "statistics", "figures", "style"}
    assert not modules & {"skill_tables", "behaviour_tables", "bootstrap"}


def test_a_choice_knows_nothing_of_skill_sweeps() -> None:
    """So that an edit of their statistics leaves choices, and what is steered by them, alone."""
    modules = {path.stem for path in code_digest.closure(SCRIPTS / "choice.py")}
    assert {"choices", "behaviour_tables", "statistics"} <= modules
    assert not modules & {"skill_tables", "bootstrap", "skill_sweep"}


def test_tables_and_figures_do_not_import_torch() -> None:
    modules = "skill_tables, figures, choices, behaviour_parts, samples_page, plan, other_versions"
    code = (
        f"import sys; from snakesteer import {modules}; "
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS).returncode == 0
