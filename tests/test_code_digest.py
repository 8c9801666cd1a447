"""An edit of code changes the digest of the scripts that use it; a re-worded comment does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

from snakesteer.core import plugins
from snakesteer.plan import code_digest
from snakesteer.plan.artefacts import STAGES

SCRIPTS = REPOSITORY / "workflow" / "scripts"
MODEL_SCRIPTS = ["selected_documents", "activations", "sweep", "samples"]


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
    return code_digest.code_digest([project / "script.py"], project)


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


def modules(script: str) -> set[str]:
    """What a script imports, as `room/module`, and the rooms."""
    files = code_digest.closure([SCRIPTS / f"{script}.py"], SCRIPTS)
    found = {path.relative_to(SCRIPTS / "snakesteer") for path in files if path.parent != SCRIPTS}
    return {str(path.with_suffix("")) for path in found} | {str(path.parent) for path in found}


@pytest.mark.parametrize("script", MODEL_SCRIPTS)
def test_scripts_that_run_a_model_know_neither_schema_nor_tables_nor_figures(script: str) -> None:
    found = modules(script)
    assert "engine/steering" in found
    assert not found & {"study", "plan", "tables", "papers", "figures", "reports"}


def test_a_sweep_knows_its_own_measure_and_no_other() -> None:
    """So that an edit of one, or a new one, leaves what others measured alone."""
    plugin = SCRIPTS / "snakesteer" / "measures" / "two_choice.py"
    files = code_digest.closure([SCRIPTS / "sweep.py", plugin], SCRIPTS)
    found = {path.stem for path in files if path.parent == plugin.parent}
    of_all = {"__init__", "read", "scoring", "together", "written"}
    assert found == of_all | {"two_choice", "two_choice_settings"}
    alone = code_digest.closure([SCRIPTS / "sweep.py"], SCRIPTS)
    assert not {path.stem for path in alone} & found - of_all


def test_a_choice_knows_nothing_of_skill_sweeps() -> None:
    """So that an edit of their statistics leaves choices, and what is steered by them, alone."""
    found = modules("choice")
    assert "sweeps/choices" in found
    assert not found & {"tables/two_choice", "tables/next_token", "tables/bootstrap", "measures"}
    settings = {"picked": {"grid": {"measure": "two_choice"}, "costs": None}}
    assert STAGES["choice"].plugins_of(settings) == [("tables", "two_choice")]


def test_inert_modules_are_there_and_change_no_digest(project: Path) -> None:
    for module in code_digest.INERT:
        assert (SCRIPTS / module).is_file(), module
    inert = project / "snakesteer" / "core" / "errors.py"
    inert.parent.mkdir()
    inert.write_text("from snakesteer import unused\n")
    edit(project / "snakesteer" / "deep.py", '"""Deep."""', "import snakesteer.core.errors")
    before = digest(project)
    edit(inert, "unused", "deep")
    assert digest(project) == before


def test_a_digest_covers_the_plugins_named_and_no_others(project: Path) -> None:
    script, plugin = project / "script.py", project / "snakesteer" / "unused.py"
    alone = digest(project)
    named = code_digest.code_digest([script, plugin], project)
    assert alone != named
    edit(plugin, "VALUE = 2", "VALUE = 3")
    assert digest(project) == alone
    assert code_digest.code_digest([script, plugin], project) not in (alone, named)


@pytest.mark.parametrize("kind", plugins.names("figures"))
def test_a_figures_code_is_that_of_its_own_kind(kind: str) -> None:
    """So that an edit of one kind, or a new one, draws none of another kind anew."""
    files = code_digest.closure([SCRIPTS / "figure.py", plugins.file_of("figures", kind)], SCRIPTS)
    kinds = {plugins.file_of("figures", other) for other in plugins.names("figures")}
    assert files & kinds == {plugins.file_of("figures", kind)}
    assert not [path for path in files if path.parent.name in ("study", "plan")]


def test_tables_and_figures_do_not_import_torch() -> None:
    modules = (
        "tables.next_token, snakesteer.figures.drawing, snakesteer.sweeps.choices, "
        "snakesteer.tables.two_choice, snakesteer.reports.samples, snakesteer.plan.plan, "
        "snakesteer.storage.other_versions"
    )
    code = (
        f"import sys; import snakesteer.{modules}; "
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS).returncode == 0
