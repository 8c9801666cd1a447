"""Plugins are found by name; one that is unknown, broken or incomplete is one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.corpora import reading

SCRIPTS = REPOSITORY / "workflow" / "scripts"


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A room of plugins of the kind `corpora` that is looked for in place of the package's."""
    monkeypatch.setattr(plugins, "PACKAGE", tmp_path)
    (tmp_path / "corpora").mkdir()
    return tmp_path / "corpora"


def test_the_plugins_of_each_kind() -> None:
    assert plugins.names("corpora") == ["files", "hub", "installed", "repository"]
    assert plugins.names("readers") == ["json-records", "parquet", "separated", "text"]
    assert plugins.names("behaviours") == [
        "crossed",
        "generated",
        "items",
        "model-written-evals",
        "pairs",
        "prepared",
    ]
    methods = (
        "combine contrast control difference file lda logistic own pca random-direction scaled "
        "shuffled-labels"
    )
    assert plugins.names("vectors") == methods.split()
    for kind in plugins.KINDS:
        for name in plugins.names(kind):
            assert plugins.load(kind, name).__doc__


def test_an_unknown_name_is_reported_with_those_there_are() -> None:
    with pytest.raises(StudyError) as told:
        plugins.load("corpora", "file")
    assert str(told.value) == (
        "there is no file among the corpora files, hub, installed, repository; did you mean files?"
    )


def test_a_plugin_that_fails_to_import_is_reported(room: Path) -> None:
    (room / "broken.py").write_text("import no_such_module\n")
    with pytest.raises(StudyError) as told:
        plugins.load("corpora", "broken")
    assert str(told.value).startswith(f"{room / 'broken.py'} cannot be imported (ModuleNotFound")
    (room / "cut.py").write_text("\ndef documents(:\n")
    with pytest.raises(StudyError) as told:
        plugins.load("corpora", "nothing")
    assert str(told.value) == (
        f"{room / 'cut.py'} line 2 is not Python (invalid syntax); correct it."
    )


def test_a_plugin_that_lacks_what_its_kind_must_have_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(plugins.KINDS, "corpora", ("documents", "identity", "weather"))
    with pytest.raises(StudyError) as told:
        plugins.load("corpora", "files")
    path = SCRIPTS / "snakesteer" / "corpora" / "files.py"
    assert str(told.value) == (
        f"{path} has no `weather`, which every plugin of its kind must have; add it."
    )


def test_each_reader_has_endings_of_its_own() -> None:
    named = [
        plugins.constant(plugins.file_of("readers", name), "ENDINGS")
        for name in plugins.names("readers")
    ]
    endings = [ending for some in named for ending in some]
    assert len(set(endings)) == len(endings) == len(reading.readers())
    assert reading.readers_of(["a.JSONL.gz", "b.py"]) == ["json-records", "text"]
    assert reading.readers_of(["train/*"]) == plugins.names("readers")


def test_planning_imports_no_plugin_that_a_study_does_not_name() -> None:
    code = (
        "import sys; import snakesteer.plan.plan; "
        "found = [name for name in sys.modules if name.startswith('snakesteer.corpora.')]; "
        "sys.exit(bool({'snakesteer.corpora.hub', 'snakesteer.corpora.installed'} & set(found)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS).returncode == 0
