"""The plugins of docs/extending.md in a copy of the workflow: no key changes, and they work."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

from checkout import Checkout, copy_of_repository

# New module -> the module of its schema, and the union there with the member that stands last.
ADDED = {
    "corpora/counting.py": ("study/corpora.py", "CountingCorpus", "FilesCorpus"),
    "corpora/readers/blank_lines.py": None,
    "behaviours/echo.py": ("study/behaviours.py", "EchoBehaviour", "PreparedBehaviour"),
    "vectors/normed.py": ("study/vectors.py", "NormedVector", "ControlVector"),
    "figures/dots.py": ("study/figures.py", "DotsFigure", "DistributionsFigure"),
}
PLANNED = """
import json, sys
from pathlib import Path
from snakesteer.plan.plan import Plan
from snakesteer.study import study_file
plan = Plan(study_file.load(Path("tests/small.yaml")), Path())
products = {f"figure {name}": made.code for name, made in plan.figures.items()}
print(json.dumps({f"{made.stage} {made.name}": made.key for made in plan.artefacts()} | products))
"""


def blocks() -> dict[str, list[str]]:
    """The Python of each section of the page, by the new module that it is about."""
    page = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")
    found = {}
    for section in page.split("\n## ")[1:]:
        if code := re.findall(r"```python\n(.*?)```", section, re.S):
            module = re.search(r"`(\w+/[\w/]+\.py)`:\n", section)
            assert module, section
            found[module[1]] = code
    return found


def extend(folder: Path, module: str, code: list[str]) -> set[Path]:
    """Put the plugin of a section into the workflow in `folder`; returns the files touched."""
    package = folder / "workflow" / "scripts" / "snakesteer"
    (package / module).write_text(code[0])
    touched = {package / module}
    if ADDED[module]:
        schema, entry, last = ADDED[module]
        text = (package / schema).read_text()
        union = re.search(rf"^\w+ = Annotated\[[^=]*?\| {last}\b", text, re.M)
        assert union, module
        extended = f"{code[1]}\n\n{union[0]} | {entry}"
        (package / schema).write_text(text.replace(union[0], extended))
        touched.add(package / schema)
    return touched


def planned(folder: Path) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", PLANNED],
        cwd=folder,
        env={"PYTHONPATH": str(folder / "workflow" / "scripts"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of the workflow with every plugin of the page, none of which changed a key."""
    checkout = copy_of_repository(tmp_path_factory.mktemp("extended"))
    before = planned(checkout.folder)
    assert blocks().keys() == ADDED.keys()
    for module, code in blocks().items():
        assert len(extend(checkout.folder, module, code)) == len(code) <= 2
    assert planned(checkout.folder) == before
    return checkout


def test_new_plugins_change_no_key(extended: Checkout) -> None:
    package = extended.folder / "workflow" / "scripts" / "snakesteer"
    assert all((package / module).is_file() for module in ADDED)


@pytest.mark.long
def test_a_study_uses_every_new_plugin(extended: Checkout) -> None:
    folder = extended.folder
    for split in ("train", "validation"):
        texts = (f"The {split} text {number} tells of rivers and mills." for number in range(9))
        (folder / f"{split}.texts").write_text("\n\n".join(texts))
    read = {split: {"files": [f"{split}.texts"]} for split in ("train", "validation")}
    study = {
        "name": "extended",
        "models": {"m": {"source": "resources/models/miniature-chat", "dtype": "float32"}},
        "corpora": {
            "counted": {"source": "counting", "word": "Page", "train": 8, "validation": 4},
            "lines": {"source": "files", "train": 8, "validation": 4, "splits": read},
        },
        "behaviours": {"echo": {"source": "echo", "questions": 30, "train": 10, "validation": 10}},
        "activations": {
            "counted": {"model": "m", "corpus": "counted"},
            "lines": {"model": "m", "corpus": "lines"},
            "echo": {"model": "m", "behaviour": "echo"},
        },
        "vectors": {
            "pages": {"method": "difference", "add": ["counted"], "subtract": ["lines"]},
            "echo": {"method": "normed", "of": "echo"},
        },
        "choices": {"given": {"multipliers": {"echo": {3: {"add": 1, "subtract": -1}}}}},
        "sweeps": {"single": {"kind": "single", "model": "m", "choice": "given", "layers": [3]}},
        "figures": {"dots": {"kind": "dots", "sweep": "single"}},
    }
    (folder / "extended.yaml").write_text(json.dumps(study))
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "extended.yaml"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    made = folder / "results" / "extended"
    assert (made / "figures" / "dots.png").is_file()
    assert (made / "figures" / "dots.csv").read_text().count("echo") == 3
    assert {path.stem for path in (made / "vectors").iterdir()} == {"pages", "echo"}
