"""The plugins of docs/extending.md in a copy of the workflow: no key changes, and they work."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY

from checkout import Checkout, copy_of_repository
from snakesteer.storage.files import read_table
from snakesteer.vectors.steering_vector import read_vector

# Section -> the module of its schema, and the union there with the member that stands last.
SCHEMAS = {
    "A corpus source": ("study/corpora.py", "CountingCorpus", "FilesCorpus"),
    "A question source": ("study/behaviours.py", "EchoBehaviour", "PreparedBehaviour"),
    "A vector method": ("study/vectors.py", "NormedVector", "ControlVector"),
    "A kind of figure": ("study/figures.py", "DotsFigure", "DistributionsFigure"),
    "A measure": ("study/measures.py", "Certainty", "TwoChoice"),
    "A scorer": ("study/scores.py", "Asking", "OwnScore"),
}
FILES = {
    "A kind of file": 1,
    "An operator": 1,
    "An exporter": 1,
    "A measure": 3,
}  # all others take two
PLANNED = """
import json, sys
from pathlib import Path
from snakesteer.plan.plan import Plan
from snakesteer.study import study_file
plan = Plan(study_file.load(Path("tests/small.yaml")), Path())
products = {f"figure {name}": made.code for name, made in plan.figures.items()}
print(json.dumps({f"{made.stage} {made.name}": made.key for made in plan.artefacts()} | products))
"""


def extend(folder: Path, section: str) -> set[Path]:
    """Put the plugin of a section of the page into the workflow; returns the files touched."""
    package = folder / "workflow" / "scripts" / "snakesteer"
    heading, text = section.split("\n", 1)
    modules = re.findall(r"`(\w+/[\w/]+\.py)`:\n\n```python\n(.*?)```", text, re.S)
    assert modules, heading
    for module, code in modules:
        assert not (package / module).exists()
        (package / module).write_text(code)
    touched = {package / module for module, _ in modules}
    entries = re.findall(r"```python\n(.*?)```", text, re.S)[len(modules) :]
    if heading in SCHEMAS:
        schema, entry, last = SCHEMAS[heading]
        before = (package / schema).read_text()
        union = re.search(rf"^\w+ = Annotated\[[^=]*?\| {last}\b", before, re.M)
        assert union, heading
        (code,) = entries
        extended = f"{code}\n\n{union[0]} | {entry}"
        (package / schema).write_text(before.replace(union[0], extended))
        touched.add(package / schema)
    else:
        assert not entries, heading
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
    page = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")
    for section in page.split("\n## ")[1:]:
        heading = section.split("\n")[0]
        assert len(extend(checkout.folder, section)) == FILES.get(heading, 2), heading
    assert planned(checkout.folder) == before
    return checkout


def test_new_plugins_change_no_key(extended: Checkout) -> None:
    package = extended.folder / "workflow" / "scripts" / "snakesteer"
    assert (package / "measures" / "certainty.py").is_file()


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
        "sweeps": {
            "single": {
                "model": "m",
                "inject": {"layers": [3], "operator": "nudge"},
                "coefficients": {"choice": "given"},
                "measures": {
                    "two_choice": {},
                    "certainty": {},
                    "continuation": {"items": 3, "tokens": 4, "scores": {"asking": {}}},
                },
            }
        },
        "figures": {"dots": {"kind": "dots", "sweep": "single.two_choice"}},
        "exports": ["numbers"],
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
    sure = read_table(made / "tables" / "single.certainty.parquet").to_pandas()
    assert list(sure.coefficient) == [-1, 0, 1] and sure.certainty.between(0, 1).all()
    assert sure.certainty.nunique() == 3
    lines = (made / "exports" / "numbers" / "echo.txt").read_text().splitlines()
    vector = read_vector(made / "vectors" / "echo.safetensors")
    for (layer, direction), line in zip(vector.directions.items(), lines, strict=True):
        number, *values = line.split()
        assert int(number) == layer
        assert (np.array(values, np.float32) == direction).all()
    asked = read_table(made / "tables" / "single.continuation.parquet").to_pandas()
    assert (asked.asking >= asked.asking_last).all() and asked.samples.eq(3).all()
