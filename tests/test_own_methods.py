"""Methods of one's own: what of them is in a key, what they get, and their mistakes."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import REPOSITORY
from pydantic import TypeAdapter

from checkout import SMALL
from snakesteer.core import own_code
from snakesteer.core.errors import StudyError
from snakesteer.plan.artefacts import Artefact
from snakesteer.plan.code_digest import own_digest
from snakesteer.plan.plan import Plan
from snakesteer.study import study_file
from snakesteer.study.activations import Activations
from snakesteer.study.figures import AnyFigure
from snakesteer.study.vectors import METHODS, Vector
from snakesteer.vectors import own, shuffled_labels
from snakesteer.vectors.draws import several
from snakesteer.vectors.samples import ByRole, Samples

SCRIPTS = REPOSITORY / "workflow" / "scripts"
METHOD = '''
import numpy as np

from {helper} import middle
from snakesteer.vectors.samples import means


def fit(samples, settings, weights=None):
    """The difference of the means, times a factor, and no more in the middle than elsewhere."""
    (matching,) = means(samples, "of", "matching", weights)
    (other,) = means(samples, "of", "not_matching", weights)
    return settings["factor"] * middle(matching - other)
'''
HELPER = "def middle(vector):\n    return vector + 0\n"


@pytest.fixture
def method(tmp_path: Path) -> Iterator[Path]:
    """A method that imports a module beside it, forgotten afterwards."""
    loaded, searched = set(sys.modules), list(sys.path)
    path = tmp_path / "my_method.py"
    path.write_text(METHOD.format(helper="beside_it"))
    (tmp_path / "beside_it.py").write_text(HELPER)
    yield path
    sys.path[:] = searched
    for name in set(sys.modules) - loaded:
        del sys.modules[name]


def questions(n: int = 6) -> ByRole:
    draw = np.random.default_rng(1).normal(size=(2, n, 3, 8)).astype(np.float32)
    return {"of": [Samples({"matching": draw[0], "not_matching": draw[1]})]}


def made(path: Path, **options: Any) -> dict[str, Any]:
    return {"method": "own", "file": str(path), "options": {"factor": 2.0} | options}


def test_a_method_gets_samples_options_and_weights(method: Path) -> None:
    samples = questions()
    held = samples["of"][0].held
    assert not isinstance(held, str)
    differences = held["matching"] - held["not_matching"]
    found = own.fit(samples, made(method))
    np.testing.assert_allclose(found, 2 * differences.mean(axis=0), atol=1e-6)
    counts = np.array([[1, 2, 3, 0, 0, 0], [0, 0, 0, 0, 0, 6]])
    drawn = own.fit(samples, made(method), {"of": [counts]})
    np.testing.assert_allclose(
        drawn, 2 * np.einsum("dn,nlh->dlh", counts / 6, differences), atol=1e-6
    )
    assert drawn.dtype == np.float32
    again = several(own.fit, samples, made(method) | {"vector": "v", "resamples": 4, "seed": 1})
    assert again.shape == (4, 3, 8)
    control = shuffled_labels.fit(samples, {"of": made(method), "seed": 1})
    assert control.shape == (3, 8) and not np.allclose(control, found)


def test_a_method_imports_modules_and_packages_beside_it(method: Path) -> None:
    folder = method.parent
    package = folder / "own_parts"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text("from .two import middle\nfrom . import three\n")
    (package / "two.py").write_text("import own_lone\n" + HELPER)
    (package / "three.py").write_text("")
    (folder / "own_lone.py").write_text("")
    (folder / "not_imported.py").write_text("")
    method.write_text(METHOD.format(helper="own_parts.one"))
    found = {path.relative_to(folder).as_posix() for path in own_code.files(method)}
    parts = {f"own_parts/{name}.py" for name in ("__init__", "one", "two", "three")}
    assert found == {"my_method.py", "own_lone.py", *parts}
    assert own.fit(questions(), made(method)).shape == (3, 8)
    loaded = {Path(str(sys.modules[name].__file__)).name for name in ("own_lone", "own_parts.two")}
    assert loaded == {"own_lone.py", "two.py"}


def test_the_code_of_a_method_is_known_with_what_it_imports(method: Path, tmp_path: Path) -> None:
    before = own_digest(method, SCRIPTS)
    helper = method.parent / "beside_it.py"
    (method.parent / "not_imported.py").write_text("A = 1\n")
    method.write_text("# A comment.\n" + method.read_text())
    assert own_digest(method, SCRIPTS) == before
    helper.write_text(HELPER.replace("+ 0", "+ 1"))
    after = own_digest(method, SCRIPTS)
    assert after != before
    method.write_text(method.read_text().replace('["factor"]', '["factor"] + 1'))
    assert own_digest(method, SCRIPTS) not in (before, after)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for path in (method, helper):
        (elsewhere / path.name).write_text(path.read_text())
    assert own_digest(elsewhere / method.name, SCRIPTS) == own_digest(method, SCRIPTS)


def test_the_package_that_a_method_imports_is_known_with_it(method: Path, tmp_path: Path) -> None:
    """What it imports of this package changes its vectors as its own code does."""
    room = tmp_path / "scripts" / "snakesteer"
    for part in ("__init__", "vectors/__init__", "vectors/samples", "vectors/lda"):
        (room / f"{part}.py").parent.mkdir(exist_ok=True, parents=True)
        (room / f"{part}.py").write_text("A = 1\n")
    before = own_digest(method, tmp_path / "scripts")
    (room / "vectors" / "lda.py").write_text("A = 2\n")
    assert own_digest(method, tmp_path / "scripts") == before
    (room / "vectors" / "samples.py").write_text("A = 2\n")
    assert own_digest(method, tmp_path / "scripts") != before


def test_a_method_lies_beside_the_study(method: Path) -> None:
    folder = method.parent
    short = f"{{method: {method.name}, of: myopia, options: {{factor: 3}}}}"
    long = f"{{method: own, file: {method.name}, of: myopia, options: {{factor: 3}}}}"
    text = f"extends: {SMALL}\nvectors:\n  short: {short}\n  long: {long}\n"
    text += "  control: {method: control, of: short, how: labels}\n"
    (folder / "study.yaml").write_text(text)
    (folder / "control").write_text("A file with the name of a method.")

    def planned() -> dict[str, Artefact]:
        return Plan(study_file.load(folder / "study.yaml"), REPOSITORY).vectors

    before = planned()
    assert (
        before["short"].settings
        == before["long"].settings
        == {
            "method": "own",
            "options": {"factor": 3},
            "file": str(method),
            "identity": own_digest(method, SCRIPTS),
        }
    )
    (folder / "beside_it.py").write_text(HELPER.replace("0", "1"))
    after = planned()
    changed = {name for name in before if before[name].key != after[name].key}
    assert changed == {"short", "long", "control"}


FAULTS = [
    ("def fit(:\n", "{path} line 1 is not Python (invalid syntax); correct it."),
    (
        "import no_such_module\n",
        "{path}, line 1, failed (ModuleNotFoundError: No module named 'no_such_module'); correct "
        "it.",
    ),
    ("def fitted():\n    pass\n", "{path} has no function `fit`; add it."),
    (
        "def fit(samples, settings, weights=None):\n    return settings['facto']\n",
        "{path}, line 2, failed (KeyError: 'facto'); correct it.",
    ),
    (
        "def fit(samples, settings):\n    return None\n",
        "{path} failed (TypeError: fit() takes 2 positional arguments but 3 were given); correct "
        "it.",
    ),
    (
        "def fit(samples, settings, weights=None):\n    return None\n",
        "`fit` in {path} returned a NoneType, not an array of floats of shape (3, 8); correct it.",
    ),
    (
        "import numpy as np\ndef fit(samples, settings, weights=None):\n    return np.ones(8)\n",
        "`fit` in {path} returned float64 of shape (8,), not an array of floats of shape (3, 8); "
        "correct it.",
    ),
    (
        "import numpy as np\n"
        "def fit(samples, settings, weights=None):\n    return np.full((3, 8), np.nan)\n",
        "A vector is NaN or infinite at layer 0; check the activations that it was made from.",
    ),
    (
        "import clashing\ndef fit(samples, settings, weights=None):\n    return None\n",
        "{path} imports clashing.py, which has the name of another module; rename it.",
    ),
]


@pytest.mark.parametrize(("code", "sentence"), FAULTS)
def test_a_fault_in_a_method_is_one_sentence(method: Path, code: str, sentence: str) -> None:
    method.write_text(code)
    (method.parent / "clashing.py").write_text("")
    other = method.parent / "other" / "clashing.py"
    other.parent.mkdir()
    other.write_text("")
    sys.path.insert(0, str(other.parent))
    __import__("clashing")
    with pytest.raises(StudyError) as raised:
        own.fit(questions(), made(method))
    assert str(raised.value) == sentence.format(path=method)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (
            {"method": "a.py"},
            "my.yaml: `vectors.v`: names no activations; give of, add or subtract.",
        ),
        (
            {"method": "a.py", "of": "myopia"},
            "vectors.v.file: there is no file a.py; check the path.",
        ),
    ],
)
def test_a_method_without_samples_or_file_is_reported(entry: dict[str, Any], sentence: str) -> None:
    data = study_file.merge(study_file.read(SMALL), {"vectors": {"v": entry}})
    with pytest.raises(StudyError) as raised:
        Plan(study_file.parse(data, "my.yaml"), REPOSITORY)
    assert str(raised.value) == sentence


PAGE = (REPOSITORY / "docs" / "vectors.md").read_text(encoding="utf-8")


def test_the_method_of_the_page_does_what_it_says(method: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    method.write_text(code)
    samples = questions(8)
    held = samples["of"][0].held
    assert not isinstance(held, str)
    differences = held["matching"] - held["not_matching"]
    found = own.fit(samples, made(method, share=0.25))
    for layer in range(3):
        lengths = np.linalg.norm(differences[:, layer], axis=1)
        kept = np.argsort(lengths)[2:]
        np.testing.assert_allclose(found[layer], differences[kept, layer].mean(axis=0), atol=1e-6)
    drawn = own.fit(samples, made(method, share=0.25), {"of": [np.ones((2, 8))]})
    np.testing.assert_allclose(drawn, [found, found], atol=1e-6)


def test_the_entries_of_the_page_are_valid() -> None:
    given = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.S)]
    read = []
    for section, kind in (
        ("vectors", Vector),
        ("activations", Activations),
        ("figures", AnyFigure),
    ):
        entries = TypeAdapter(dict[str, kind])  # type: ignore[valid-type]
        read += [entries.validate_python(each[section]) for each in given if section in each]
    assert len(read) == 5 and {type(entry) for entry in read[0].values()} == set(METHODS)
