"""The reference of the study file: every example is a valid study, and no key is without words."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY

from snakesteer.study import depth, reference, references, study_file
from snakesteer.study.entries import Entry
from snakesteer.study.schema import SECTIONS, Study

ENTRIES = [entry for entries in SECTIONS.values() for entry in entries]
LAYERS = 24
OWN = {
    "my_method.py": "def fit(samples, options, weights=None):\n    pass\n",
    "my_score.py": "def score(texts, prompts, options):\n    pass\n",
}


def entries_in(value: Any) -> Iterator[Entry]:
    if isinstance(value, Entry):
        yield value
        value = [getattr(value, name) for name in type(value).model_fields]
    inside = value.values() if isinstance(value, dict) else value
    for item in inside if isinstance(inside, list | tuple | type({}.values())) else ():
        yield from entries_in(item)


def named_by(example: dict[str, Any], study: Study) -> Iterator[Entry]:
    """The entries of a study that an example names, and all inside them."""
    for section, names in example.items():
        entries = getattr(study, section)
        if isinstance(entries, dict):
            entries = {name: entries[name] for name in names}
        yield from entries_in(entries)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, code in OWN.items():
        (tmp_path / name).write_text(code)
    (tmp_path / "example.yaml").write_text(reference.EXAMPLE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.__name__)
def test_every_entry_has_a_valid_example(entry: type[Entry], folder: Path) -> None:
    """It extends the example study, has such an entry, and its layers fit together."""
    assert "EXAMPLE" in vars(entry)
    example = inspect.cleandoc(entry.EXAMPLE)
    written = folder / "study.yaml"
    written.write_text(f"extends: example.yaml\n{example}\n")
    study = study_file.load(written)
    named = {type(each) for each in named_by(yaml.safe_load(example), study)}
    assert entry in named
    references.check_layers(depth.at_depth(study, lambda model: LAYERS))


def test_every_key_has_its_meaning() -> None:
    page = reference.markdown()
    keys = re.findall(r"^\| `\w+` \|.*$", page, re.M)
    assert len(keys) > 400
    for row in keys:
        assert row.count("|") < 4 or re.search(r"\| [^|]*\w[^|]* \|$", row), row


def test_links_of_the_page_lead_somewhere() -> None:
    page = reference.markdown()
    headings = re.findall(r"^##+ (.+)$", page, re.M)
    anchors = [re.sub(r"[^\w -]", "", heading).replace(" ", "-").lower() for heading in headings]
    assert len(set(anchors)) == len(anchors)
    assert set(re.findall(r"\]\(#([^)]*)\)", page)) <= set(anchors)
    for linked in re.findall(r"\]\(([\w-]+\.md)", page):
        assert (REPOSITORY / "docs" / linked).is_file()
