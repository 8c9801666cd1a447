"""Published results: read safely, turned into our tables, drawn, and left out where they lack."""

from __future__ import annotations

import functools
import http.server
import json
import pickle
import re
import threading
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from conftest import REPOSITORY
from matplotlib.image import imread

from checkout import copy_of_repository
from snakesteer.core.errors import StudyError
from snakesteer.figures import drawing
from snakesteer.figures.inputs import Inputs
from snakesteer.hub.commits import tree_ids
from snakesteer.papers import behaviours, source, vectors
from snakesteer.papers.shipping import ship
from snakesteer.papers.skill import skill_curve
from snakesteer.papers.tables import published_table
from snakesteer.plan import published as plan_published
from snakesteer.plan.code_digest import closure
from snakesteer.plan.plan import Plan
from snakesteer.reports.published import Series, closing_lines, page
from snakesteer.storage.files import read_provenance, read_table, write_table
from snakesteer.study import schema, study_file
from snakesteer.tables.histograms import histogram
from snakesteer.tables.next_token import SKILL_COLUMNS, skill_table
from snakesteer.tables.two_choice import BEHAVIOUR_COLUMNS

AUTHORS = REPOSITORY.parent / "shared" / "published"
SHIPPED = REPOSITORY / "resources" / "published" / "broad-skills"
CONFIG = REPOSITORY / "config" / "papers" / "broad-skills-published.yaml"
COMMIT = "14d177d6ae42a27d25bb3d78897878893d079cdc"
IDS = tree_ids((SHIPPED / f"{COMMIT}.json").read_bytes())
NAMES = {"myopia": "myopic", "wealth-seeking": "wealth_seeking"}
CORPORA = {"code": "only_code", "text": "only_text"}
authors_only = pytest.mark.skipif(not AUTHORS.is_dir(), reason="needs ../shared/published")


# Files of the authors' formats ------------------------------------------------------------


def point(accuracies: list[float]) -> dict[str, list[float]]:
    tokens = [10.0 * (number + 1) for number in range(len(accuracies))]
    names = ("top1_acc", "top10_acc", "skip50_top1_acc", "skip50_top10_acc")
    return {
        **{name: accuracies for name in names},
        "total_encoded_tokens": tokens,
        "total_tokens_with_skip": tokens,
    }


def skill_file(layer: int = 3) -> dict[str, Any]:
    points = {
        "injection_coefficients_0.0": point([0.8, 0.6, 0.7] * 8),
        "injection_coefficients_1.0": point([0.5, 0.2] * 12),
    }
    return {"only_code": points, "only_text": points, "meta": {"layers": [layer]}}


def cell(matches: int = 4, faulty: int = 0) -> dict[str, Any]:
    answers = ["A"] * 6 + ["B"] * (4 - faulty) + ["the"] * faulty
    return {"total": 10, "matches": matches, "faulty": faulty, "responses": answers}


def single_file() -> dict[str, Any]:
    cells = {"m_0": cell(4), "m_-0.5": cell(1), "m_2": cell(6)}
    return {"layer_10": {name: cells for name in NAMES.values()}, "meta": {}}


def grid_file() -> dict[str, Any]:
    column = {"multiplier_1": cell(5), "multiplier_20": cell(2, faulty=4)}
    return {name: {"default": cell(4), "layer_5": column} for name in NAMES.values()} | {"meta": {}}


def combined_file() -> dict[str, Any]:
    cells = {name: cell() for name in NAMES.values()}
    return {"layer_10": {mode: cells for mode in behaviours.COMBINATIONS}, "meta": {}}


def simultaneous_file() -> dict[str, Any]:
    scalars = ("-1.9500000476837158", "-2.9802322387695312e-08", "2.0")
    distribution = {"total": 10, "matches": 4, "faulty": 0, "response_dist": {"A": 6, "B": 4}}
    return {f"scalar_{s}": {name: distribution for name in NAMES.values()} for s in scalars}


def pt_file(array: Any, stub: str = vectors.AUTHORS_CLASSES[0]) -> bytes:
    """A `.pt` file whose object is of a class of the authors' module."""
    module, name = stub.split(".")
    authors = type(name, (), {"__module__": module})
    held = authors()
    held.acts, held.note, held.dtype = array, "a note", torch.bfloat16
    buffer = BytesIO()
    torch.save(held, buffer, pickle_module=_pickler(authors))
    return buffer.getvalue()


def _pickler(authors: type) -> Any:
    """The pickle module with a pickler that writes the class by name, though nothing exports it."""

    class Pickler(pickle._Pickler):  # type: ignore[misc, name-defined]
        def save_global(self, obj: Any, name: str | None = None) -> None:
            if obj is authors:
                self.write(b"c%s\n%s\n" % (obj.__module__.encode(), obj.__name__.encode()))
                self.memoize(obj)
            else:
                super().save_global(obj, name)

        def save_type(self, obj: Any) -> None:
            self.save_global(obj)

        dispatch = {**pickle._Pickler.dispatch, type: save_type}  # type: ignore[attr-defined]

    class Module:
        __name__ = "pickle"

    module = Module()
    module.Pickler = Pickler  # type: ignore[attr-defined]
    return module


def small_study(folder: Path, where: str) -> dict[str, Any]:
    return {
        "name": "theirs",
        "published": {
            "paper": "theirs",
            "source": where,
            "commit": "0" * 40,
            "corpora": {name: {"key": key} for name, key in CORPORA.items()},
            "behaviours": {name: {"key": key} for name, key in NAMES.items()},
            "sweeps": {
                "coding": {
                    "kind": "skill",
                    "vector": "code",
                    "corpora": ["code", "text"],
                    "files": ["coding/one.json", "coding/cut.json", "coding/edited.json"],
                },
                "python": {
                    "kind": "skill",
                    "vector": "python",
                    "corpora": ["code", "text"],
                    "files": ["coding/none.json"],
                },
                "single": {"kind": "single", "file": "single.json"},
            },
        },
        "figures": {
            "coding": {"kind": "tradeoff", "sweeps": ["coding"], "title": "Added to $h_{L}$"},
            "python": {"kind": "tradeoff", "sweeps": ["python"]},
            "single": {"kind": "single", "sweep": "single"},
        },
    }


@pytest.fixture(scope="module")
def authors_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("authors") / "a {wildcard} to Snakemake"
    (folder / "coding").mkdir(parents=True)
    (folder / "coding" / "one.json").write_text(json.dumps(skill_file()))
    (folder / "coding" / "cut.json").write_text(json.dumps(skill_file())[:-40])
    (folder / "coding" / "edited.json").write_text(json.dumps(skill_file(layer=4)))
    (folder / "single.json").write_text(json.dumps(single_file()))
    return folder


# Results as tables ------------------------------------------------------------------------


def test_skill_accuracies_are_the_token_weighted_means() -> None:
    curve = skill_curve("a.json", skill_file(), "code", CORPORA)
    assert curve.layer == "3"
    table = skill_table("coding", "code", [curve], resamples=50)
    assert list(table) == SKILL_COLUMNS
    rows = table[table["corpus"] == "code"].set_index("coefficient")
    points = skill_file()["only_code"]
    weighted = {
        float(key.split("_")[-1]): np.average(
            lists["top1_acc"], weights=lists["total_encoded_tokens"]
        )
        for key, lists in points.items()
    }
    for coefficient, value in weighted.items():
        assert rows.loc[coefficient, "top1"] == pytest.approx(value, abs=1e-12)
    assert rows.loc[1.0, "relative_top1"] == pytest.approx(weighted[1.0] / weighted[0.0])
    assert list(rows["documents"]) == [24, 24]
    assert rows["relative_top1_low"].loc[1.0] < rows["relative_top1"].loc[1.0]


@pytest.mark.parametrize(
    ("kind", "part", "results", "rows"),
    [
        ("grid", "subtract", grid_file(), 6),
        ("single", "", single_file(), 6),
        ("combined", "sum", combined_file(), 8),
        ("simultaneous", "4+5", simultaneous_file(), 6),
    ],
)
def test_every_multi_steering_format_becomes_a_behaviour_table(
    kind: str, part: str, results: dict[str, Any], rows: int
) -> None:
    counts = behaviours.behaviour_counts(kind, part, "a.json", results, NAMES)
    table = behaviours.behaviour_table("theirs", {"a.json": counts}, 0.95)
    assert list(table) == BEHAVIOUR_COLUMNS and len(table) == rows
    assert set(table["kind"]) == {kind} and set(table["behaviour"]) == set(NAMES)
    assert (table["score"] == table["matches"] / 10).all()
    own = table[table["behaviour"] == "myopia"]
    coefficients = {
        "grid": [0.0, -1.0, -20.0],
        "single": [0.0, -0.5, 2.0],
        "combined": [1.0] * 4,
        "simultaneous": [-1.95, 0.0, 2.0],
    }
    assert list(own["coefficient"]) == coefficients[kind]
    if kind == "combined":
        assert set(own["combine"]) == {"sum"} and own["weighted"].sum() == 2
    else:
        zero = own["coefficient"] == 0
        assert set(own.loc[zero, "direction"]) == {"default"}


def test_the_default_of_a_grid_is_kept_once() -> None:
    both = {
        f"{part}.json": behaviours.behaviour_counts("grid", part, "a.json", grid_file(), NAMES)
        for part in ("add", "subtract")
    }
    table = behaviours.behaviour_table("grid", both, 0.95)
    assert (table["direction"] == "default").sum() == len(NAMES)
    assert set(table.loc[table["direction"] == "default", "split"]) == {"validation and test"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop("only_text"), "no mapping under 'only_text'"),
        (lambda data: data["only_code"].update(ic_3={}), "ic_3 was expected to begin"),
        (
            lambda data: data["only_code"]["injection_coefficients_1.0"].pop("top10_acc"),
            "injection_coefficients_1.0 has no list 'top10_acc'",
        ),
        (
            lambda data: data["only_code"]["injection_coefficients_1.0"].update(
                top1_acc=[0.5, float("nan")]
            ),
            "top1_acc has values outside 0 to 1",
        ),
        (
            lambda data: data["only_code"]["injection_coefficients_1.0"].update(top1_acc=[0.5]),
            "lists of different lengths",
        ),
        (
            lambda data: data["only_code"]["injection_coefficients_1.0"].update(
                top1_acc=[0.5, "half"]
            ),
            "top1_acc was expected to hold numbers alone",
        ),
        (
            lambda data: data["only_code"]["injection_coefficients_1.0"].update(
                top1_acc=[True] * 24
            ),
            "top1_acc was expected to hold numbers alone",
        ),
        (
            lambda data: data["only_code"]["injection_coefficients_1.0"].update(
                total_encoded_tokens=[10**400] * 24
            ),
            "total_encoded_tokens was expected to hold numbers alone",
        ),
        (
            lambda data: data["only_code"].update(injection_coefficients_nan=point([0.5])),
            "^a.json: only_code.injection_coefficients_nan: 'nan' was expected to be a finite "
            "number$",
        ),
        (
            lambda data: data["only_code"].update(injection_coefficients_1=point([0.5])),
            "^a.json: only_code has coefficient 1 twice$",
        ),
        (
            lambda data: data["only_text"].pop("injection_coefficients_1.0"),
            "^a.json has coefficient 1 on only_code but not on only_text; each was expected on all "
            "corpora$",
        ),
        (
            lambda data: data["only_code"].pop("injection_coefficients_1.0"),
            "^a.json has coefficient 1 on only_text but not on only_code; each was expected on all "
            "corpora$",
        ),
        *(
            (
                lambda data, layers=layers: data["meta"].update(layers=layers),
                f"^a.json: meta.layers is {re.escape(repr(layers))}; a list of different whole "
                "numbers was expected$",
            )
            for layers in ("25", 25, [], [True], [2.0], [-1], [3, 3], None)
        ),
        (
            lambda data: data.update(meta=[]),
            "^a.json: meta.layers is None; a list of different whole numbers was expected$",
        ),
    ],
)
def test_skill_files_with_other_content_are_refused(change: Any, message: str) -> None:
    data = json.loads(json.dumps(skill_file()))
    change(data)
    with pytest.raises(StudyError, match=message):
        skill_curve("a.json", data, "code", CORPORA)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"m_x": cell()}, "'x' was expected to be a finite number"),
        ({"m_inf": cell()}, "'inf' was expected to be a finite number"),
        ({"m_0": cell() | {"faulty": True}}, "m_0 has no whole number 'faulty'"),
        (
            {"m_0": cell(), "m_0.0": cell()},
            "has the result of myopia at layer 10 for default twice",
        ),
        ({"m_1": cell(), "m_2": cell()}, "has the result of myopia at layer 10 for add twice"),
        ({"m_0": cell() | {"responses": "AAAAAAAAAA"}}, "no list of answers"),
        (
            {
                "m_0": {
                    "total": 10,
                    "matches": 4,
                    "faulty": 0,
                    "response_dist": {"A": 9.5, "B": 0.5},
                }
            },
            "no list of answers",
        ),
        ({"n_1": cell()}, "'n_1' was expected to begin with 'm_'"),
        ({"m_0": {"total": 10}}, "m_0 has no whole number 'matches'"),
        ({"m_0": cell() | {"total": 11}}, "has 10 answers, but its total is 11"),
        ({"m_0": cell(9, faulty=4)}, "counts 9 matches and 4 faulty"),
        ({"m_0": {"total": 10, "matches": 1, "faulty": 0}}, "no list of answers"),
        ({"m_0": cell() | {"responses": 3}}, "no list of answers"),
    ],
)
def test_behaviour_files_with_other_content_are_refused(changed: Any, message: str) -> None:
    results = {"layer_10": {name: changed for name in NAMES.values()}}
    with pytest.raises(StudyError, match=f"a.json.*{message}"):
        behaviours.behaviour_counts("single", "", "a.json", results, NAMES)


@pytest.mark.parametrize("layer", ["layer_x", "layer_1.5", "layer_-1", "layer_010", "layer_"])
def test_a_layer_that_is_no_whole_number_is_refused(layer: str) -> None:
    sentence = f"^a.json: the layer of '{layer}' was expected to be a whole number$"
    with pytest.raises(StudyError, match=sentence):
        behaviours.behaviour_counts(
            "single", "", "a.json", {layer: single_file()["layer_10"]}, NAMES
        )


def test_a_grid_without_what_its_cells_are_held_against_is_refused() -> None:
    results = grid_file()
    del results["myopic"]["default"]
    sentence = "^a.json: myopic has no result 'default', which cells are compared with$"
    with pytest.raises(StudyError, match=sentence):
        behaviours.behaviour_counts("grid", "add", "a.json", results, NAMES)


@pytest.mark.parametrize("kind", ["grid", "single", "combined", "simultaneous"])
def test_lists_where_mappings_belong_are_refused(kind: str) -> None:
    inner = {name: {"layer_1": [1]} for name in NAMES.values()}
    for results in ({"layer_1": [1], "scalar_1": [1]}, inner, {"layer_1": inner}):
        with pytest.raises(StudyError, match="a.json"):
            behaviours.behaviour_counts(kind, "add", "a.json", results, NAMES)


def test_two_files_of_one_layer_are_refused() -> None:
    settings = {
        "sweep": "coding",
        "kind": "skill",
        "reader": "skill",
        "files": ["a.json", "b.json"],
        "vector": "code",
        "target": "code",
        "corpora": CORPORA,
        "statistics": {"resamples": 10, "seed": 1},
    }
    contents = {name: json.dumps(skill_file()).encode() for name in ("a.json", "b.json")}
    with pytest.raises(StudyError) as raised:
        published_table(settings, contents)
    assert str(raised.value) == (
        "published.sweeps.coding.files has two files of layer 3, a.json and b.json; name one of "
        "them."
    )
    contents["b.json"] = json.dumps(skill_file(layer=4)).encode()
    table, missing = published_table(settings, contents)
    assert not missing and list(dict.fromkeys(table["layer"])) == ["3", "4"]


def test_defaults_that_differ_are_refused() -> None:
    settings = {
        "sweep": "grid",
        "kind": "grid",
        "reader": "behaviours",
        "files": {"add": "a.json", "subtract": "b.json"},
        "behaviours": NAMES,
        "collapse": 0.95,
    }
    edited = grid_file()
    edited["myopic"]["default"] = cell(3)
    contents = {
        "a.json": json.dumps(grid_file()).encode(),
        "b.json": json.dumps(edited).encode(),
    }
    with pytest.raises(StudyError) as raised:
        published_table(settings, contents)
    assert str(raised.value) == (
        "published.sweeps.grid: a.json and b.json differ in the result of myopia for 0; name files "
        "of one run."
    )


def test_a_file_that_is_nested_deeply_is_left_out() -> None:
    with pytest.raises(StudyError) as raised:
        source.read_results("a.json", b"[" * 100_000)
    assert str(raised.value) == "a.json is nested too deeply to be read; get the file again"


# Vectors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("stub", vectors.AUTHORS_CLASSES)
def test_a_pickle_of_the_authors_is_read_with_its_notes(stub: str) -> None:
    array, notes = vectors.read_activations("a.pt", pt_file(torch.ones(2, 4), stub), (2, 4))
    assert array.dtype == np.float32 and (array == 1).all()
    assert notes == {"note": "a note", "dtype": "torch.bfloat16"}


class Malicious:
    """A pickle that would write a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


class Command:
    def __reduce__(self) -> Any:
        import os

        return (os.system, ("touch /tmp/snakesteer-was-here",))


def test_a_malicious_pickle_runs_nothing_and_says_why(tmp_path: Path) -> None:
    for what in (Malicious(tmp_path / "ran"), Command()):
        buffer = BytesIO()
        torch.save({"acts": torch.ones(2, 4), "what": what}, buffer)
        with pytest.raises(StudyError) as raised:
            vectors.read_activations("evil.pt", buffer.getvalue(), (2, 4))
        message = str(raised.value)
        assert message.startswith("evil.pt was refused, and nothing in it was run")
        assert "nsupported" in message and "weights_only" not in message and "\n" not in message
    assert not (tmp_path / "ran").exists()
    assert not Path("/tmp/snakesteer-was-here").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: pt_file(torch.ones(3, 4)), r"shape \(3, 4\), not \(2, 4\)"),
        (lambda: pt_file(torch.full((2, 4), torch.nan)), "nan at layer 0, dimension 0"),
        (lambda: pt_file("no tensor"), "holds no tensor"),
        (
            lambda: pt_file(torch.ones(2, 4).to_sparse()),
            "^a.pt holds a sparse_coo tensor of float32 on cpu; a dense one of floating-point "
            "numbers was expected$",
        ),
        (
            lambda: pt_file(torch.ones(2, 4, dtype=torch.complex64)),
            "holds a strided tensor of complex64 on cpu",
        ),
        (lambda: pt_file(torch.ones(2, 4, device="meta")), "holds a strided tensor of .* on meta"),
        (lambda: pt_file(torch.ones(2, 4))[:-200], "not a complete PyTorch file"),
    ],
)
def test_vectors_with_other_content_are_refused(content: Any, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        vectors.read_activations("a.pt", content(), (2, 4))


# Sources ----------------------------------------------------------------------------------


def test_blob_ids_are_gits() -> None:
    assert source.blob_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server of a folder; `listing` in it is the tree with the blob ids.

    It is too busy for a file that has one of the ending `.busy` beside it.
    """

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if Path(f"{self.translate_path(self.path)}.busy").exists():
                self.send_error(429)
            else:
                super().do_GET()

        def log_message(self, *arguments: Any) -> None:
            pass

    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()


def test_downloads_are_verified_and_what_cannot_be_had_is_reported(
    tmp_path: Path, address: tuple[str, Path]
) -> None:
    where, folder = address
    for name, content in (("mode=all.pt", b"good"), ("moved.json", b"other")):
        (folder / name).write_bytes(content)
    tree = [
        {"path": "mode=all.pt", "sha": source.blob_id(b"good")},
        {"path": "moved.json", "sha": source.blob_id(b"as it was")},
        {"path": "gone.json", "sha": source.blob_id(b"gone")},
    ]
    (folder / "listing").write_text(json.dumps({"tree": tree}))
    kept = tmp_path / "kept"
    paths = ["mode=all.pt", "moved.json", "gone.json", "never.json"]
    files = source.download(where, f"{where}/listing", paths, kept)
    assert files["mode=all.pt"] == {"blob": source.blob_id(b"good")}
    assert "moved.json was refused" in files["moved.json"]["missing"]
    assert "gone.json cannot be downloaded" in files["gone.json"]["missing"]
    assert "never.json is not in the commit" in files["never.json"]["missing"]
    assert [path.name for path in kept.iterdir()] == ["mode=all.pt"]


def test_a_file_that_does_not_come_for_now_is_not_called_missing(
    tmp_path: Path, address: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    where, folder = address
    paths = ["first.json", "second.json"]
    for path in paths:
        (folder / path).write_bytes(path.encode())
    (folder / "second.json.busy").touch()
    tree = [{"path": path, "sha": source.blob_id(path.encode())} for path in paths]
    (folder / "listing").write_text(json.dumps({"tree": tree}))
    kept = tmp_path / "kept"
    with pytest.raises(StudyError, match=r"^second\.json cannot be downloaded .*429.*run again"):
        source.download(where, f"{where}/listing", paths, kept)
    (folder / "second.json.busy").unlink()
    (folder / "first.json").unlink()
    files = source.download(where, f"{where}/listing", paths, kept)
    assert files == {path: {"blob": source.blob_id(path.encode())} for path in paths}


def test_a_file_that_went_after_it_was_gathered_is_not_called_missing(tmp_path: Path) -> None:
    listing, paths = tmp_path / "source.0.json", ["there.json", "never.json"]
    (tmp_path / "there.json").write_bytes(b"good")
    listing.write_text(json.dumps(source.folder_files(tmp_path, paths, COMMIT, {})))
    contents, origin = source.gathered(listing, tmp_path, paths)
    assert contents == {"there.json": b"good"} and list(origin["missing"]) == ["never.json"]
    assert origin["blobs"] == {"there.json": source.blob_id(b"good")}
    (tmp_path / "there.json").write_bytes(b"edited")
    with pytest.raises(StudyError, match=r"there.json is another file since .*delete .*source\.0"):
        source.gathered(listing, tmp_path, paths)
    (tmp_path / "there.json").unlink()
    with pytest.raises(StudyError, match=r"there.json is gone since .*delete .*source\.0"):
        source.gathered(listing, tmp_path, paths)


def test_files_of_a_folder_are_held_against_the_commits_blob_ids(tmp_path: Path) -> None:
    for name in ("same.json", "edited.json", "unknown.json"):
        (tmp_path / name).write_bytes(b"good")
    good = source.blob_id(b"good")
    ids = {"same.json": good, "edited.json": "f" * 40}
    found = source.folder_files(tmp_path, ["same.json", "edited.json", "unknown.json"], COMMIT, ids)
    assert found == {
        "same.json": {"blob": good},
        "edited.json": {
            "missing": f"edited.json was refused: its blob id is {good[:12]}, but ffffffffffff at "
            "commit 14d177d6ae42; get the file again"
        },
        "unknown.json": {
            "blob": good,
            "unverified": "unknown.json was not compared with commit 14d177d6ae42, as its blob "
            "id there is unknown",
        },
    }


@authors_only
def test_the_shipped_blob_ids_are_those_of_all_files() -> None:
    paths = [path for path in AUTHORS.rglob("*") if path.suffix in (".json", ".pt")]
    assert paths
    for path in paths:
        assert IDS[str(path.relative_to(AUTHORS))] == source.blob_id(path.read_bytes())


def test_the_shipped_blob_ids_are_those_of_the_shipped_tables() -> None:
    used: dict[str, str] = {}
    for table in SHIPPED.glob("*.parquet"):
        used |= read_provenance(table)["blobs"]
    assert len(used) == 33 and used.items() <= IDS.items()
    published = study_file.load(CONFIG).published
    assert published and published.commit == COMMIT
    assert {*published.activations.values(), *published.vectors.values()} <= IDS.keys()


def test_an_edited_number_does_not_pass_under_the_commits_name(tmp_path: Path) -> None:
    path = "results/multi_steering/simultaneous_steering_v1.2.json"
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(json.dumps(simultaneous_file()))
    change = {"published": {"source": str(tmp_path)}}
    plan = Plan(study_file.parse(study_file.merge(study_file.read(CONFIG), change)), REPOSITORY)
    blob = source.blob_id((tmp_path / path).read_bytes())
    assert plan_published.source(plan.graph).settings["files"][path] == {
        "missing": f"{path} was refused: its blob id is {blob[:12]}, but {IDS[path][:12]} at "
        "commit 14d177d6ae42; get the file again"
    }


def test_without_the_listing_nothing_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(StudyError, match="cannot be read.*shipped"):
        source.download("http://127.0.0.1:9", "http://127.0.0.1:9/listing", ["a"], tmp_path)


# The workflow -----------------------------------------------------------------------------


@pytest.mark.long
def test_missing_or_damaged_files_are_skipped_and_the_rest_is_drawn(
    tmp_path: Path, authors_folder: Path
) -> None:
    checkout = copy_of_repository(tmp_path)
    config = tmp_path / "theirs.yaml"
    config.write_text(yaml.safe_dump(small_study(tmp_path, str(authors_folder))))
    ids = {
        f"coding/{name}.json": source.blob_id((authors_folder / f"coding/{name}.json").read_bytes())
        for name in ("one", "cut")
    } | {"coding/edited.json": "f" * 40}
    tree = [{"path": path, "sha": blob} for path, blob in ids.items()]
    listing = tmp_path / "resources" / "published" / "theirs" / f"{'0' * 40}.json"
    listing.parent.mkdir()
    listing.write_text(json.dumps({"tree": tree}))
    printed = checkout.snakemake("--cores", "2", config=config)
    results = tmp_path / "results" / "theirs"
    coding = read_table(results / "tables" / "coding.parquet").to_pandas()
    assert set(coding["layer"]) == {"3"}
    missing = read_provenance(results / "tables" / "coding.parquet")["missing"]
    assert sorted(missing) == ["coding/cut.json", "coding/edited.json"]
    assert "is not JSON" in missing["coding/cut.json"]
    edited = f"{missing['coding/edited.json']}."
    assert edited.startswith("coding/edited.json was refused: its blob id is ")
    unverified = (
        "single.json was not compared with commit 000000000000, as its blob id there is unknown."
    )
    shown = (results / "published.html").read_text()
    assert "coding/cut.json is not JSON" in shown and "coding/none.json is missing" in shown
    assert f"Commit: <code>{'0' * 40}</code>" in shown
    assert edited in shown and unverified in shown
    assert printed.splitlines()[-4:] == [
        f"Skipped: {missing['coding/cut.json']}.",
        f"Skipped: {edited}",
        "Skipped: coding/none.json is missing from the folder of published files.",
        unverified,
    ]
    assert "coding/none.json" in (results / "figures" / "python.csv").read_text()
    log = next((tmp_path / "results/logs/published_table").glob("coding.*.log")).read_text()
    assert "Skipped in coding: coding/cut.json is not JSON" in log
    assert pd.read_csv(results / "figures" / "single.csv")["matches"].max() == 6
    ran = study_file.parse(yaml.safe_load((results / "study.yaml").read_text()))
    assert ran == study_file.load(config)
    assert "Nothing to be done" in checkout.snakemake("--cores", "1", config=config)


def test_a_page_without_deviations_says_so() -> None:
    full = Series("single", 3, {"a.json": "f" * 40}, {}, {})
    text = page([full], "shipped", COMMIT)
    assert "Every file that was read has the blob id of the commit." in text
    assert f"Commit: <code>{COMMIT}</code>" in text
    assert closing_lines([full], "published.html") == []


def test_the_end_of_a_run_names_the_page_for_what_it_leaves_out() -> None:
    missing = {f"{name}.json": f"{name}.json is missing" for name in range(11)}
    lines = closing_lines([Series("a", 0, {}, missing, {})] * 2, "published.html")
    assert lines[0] == "Skipped: 0.json is missing."
    assert lines[8:] == ["And 3 more: see published.html."]


def grid_rows() -> pd.DataFrame:
    counts = behaviours.behaviour_counts("grid", "subtract", "b.json", grid_file(), NAMES)
    return behaviours.behaviour_table("grid", {"b.json": counts}, 0.95)


def test_a_figure_says_inside_what_was_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below what is drawn, or in its place where its own direction is what is absent."""
    inputs = Inputs(behaviour=grid_rows(), absent=["a.json is absent"])
    saved = {}
    save = drawing.save_figure

    def saving(figure: Any, numbers: pd.DataFrame, stem: Any, notes: Any) -> None:
        saved[stem.name] = notes
        save(figure, numbers, stem, notes)

    monkeypatch.setattr(drawing, "save_figure", saving)
    heights = {}
    for direction in ("add", "subtract"):
        settings = {"direction": direction, "behaviour": "myopia", "collapse": 0.95}
        drawing.draw_figure("heatmap", inputs, settings, tmp_path / direction)
    assert saved == {"add": [], "subtract": ["Skipped: a.json is absent."]}
    assert (tmp_path / "add.csv").read_text() == "absent\na.json is absent\n"
    for name, absent in (("whole", []), ("noted", inputs.absent)):
        drawn = Inputs(behaviour=inputs.behaviour, absent=absent)
        drawing.draw_figure("heatmap", drawn, {"collapse": 0.95}, tmp_path / name)
        heights[name] = imread(tmp_path / f"{name}.png").shape[0]
    assert heights["noted"] - heights["whole"] in (26, 27)


def test_shipped_tables_that_would_lose_results_are_kept(tmp_path: Path) -> None:
    def write(folder: str, name: str, rows: int, blobs: list[str], missing: list[str]) -> None:
        origin = {"blobs": dict.fromkeys(blobs, "f"), "missing": dict.fromkeys(missing, "absent")}
        write_table(tmp_path / folder / f"{name}.parquet", pa.table({"a": range(rows)}), origin)

    write("shipped", "lost", 3, ["a.json", "b.json"], [])
    write("shipped", "more", 1, ["a.json"], ["b.json"])
    write("shipped", "same", 1, [], ["a.json"])
    write("made", "lost", 1, ["a.json"], ["b.json"])
    write("made", "more", 2, ["a.json", "b.json"], [])
    write("made", "same", 0, [], ["a.json"])
    write("made", "new", 2, ["a.json"], [])
    assert ship(tmp_path / "made", tmp_path / "shipped") == [
        f"{tmp_path}/shipped/lost.parquet was kept: the new table lacks b.json."
    ]
    rows = {path.stem: read_table(path).num_rows for path in (tmp_path / "shipped").iterdir()}
    assert rows == {"lost": 3, "more": 2, "same": 0, "new": 2}


def test_an_address_at_github_implies_where_the_blob_ids_are() -> None:
    commit = "14d177d6ae42a27d25bb3d78897878893d079cdc"
    address = f"https://raw.githubusercontent.com/owner/name/{commit}"
    given = {"paper": "broad-skills", "source": address, "commit": commit}
    assert schema.Published(**given).tree == (
        f"https://api.github.com/repos/owner/name/git/trees/{commit}?recursive=1"
    )
    assert schema.Published(**given, listing="https://a.b/tree").tree == "https://a.b/tree"


def test_a_study_that_names_no_paper_takes_the_first_ones_tables() -> None:
    data = study_file.read(CONFIG)
    of = Plan(study_file.parse(data), REPOSITORY).published
    assert data["published"].pop("paper") == "broad-skills"
    assert Plan(study_file.parse(data), REPOSITORY).published == of


def test_the_shipped_tables_need_no_source(tmp_path: Path) -> None:
    planned = Plan(study_file.load(CONFIG), REPOSITORY)
    assert not planned.artefacts()
    for product in planned.published.values():
        (path,) = product.inputs["table"]
        origin = read_provenance(path)
        assert origin["settings"] == json.loads(json.dumps(product.settings))
        assert len(origin["settings"]["commit"]) == 40
        assert origin["blobs"] or origin["missing"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"sweeps": {"published-grid": {"add": "a.json", "subtract": "a.json"}}},
            ["published.sweeps.published-grid names a.json for both add and subtract; name a file"],
        ),
        ({"source": "nowhere"}, ["published.source", "nowhere", "shipped"]),
        ({"sweeps": {"other": {"kind": "single", "file": "a.json"}}}, ["other", "has no table"]),
    ],
)
def test_sources_that_cannot_be_are_refused(change: dict[str, Any], words: list[str]) -> None:
    data = study_file.merge(study_file.read(CONFIG), {"published": change})
    with pytest.raises(StudyError) as raised:
        Plan(study_file.parse(data), REPOSITORY)
    assert all(word in str(raised.value) for word in words)


SAMPLES = {"model": "m", "vector": "v", "layer": 1, "coefficients": [0], "prompts": ["a"]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"published": {"source": "https://a.b/c"}}, ["published", "listing"]),
        ({"published": {"comit": "a"}}, ["published.comit", "`commit`"]),
        ({"figures": {"python-ability": {"sweeps": ["coed"]}}}, ["figures.python-ability", "coed"]),
        ({"figures": {"vector-distributions": {"layers": [3]}}}, ["vector-distributions", "3"]),
        (
            {"published": {"sweeps": {"code-mean": {"kind": "single", "file": "a.json"}}}},
            ["published.sweeps.code-mean", "published.activations.code", "rename"],
        ),
        (
            {"samples": {"myopic-vector": SAMPLES}},
            ["samples.myopic-vector", "published.vectors.myopic", "rename"],
        ),
        ({"samples": {"published-code": SAMPLES}}, ["published.sweeps.published-code", "rename"]),
    ],
)
def test_mistakes_in_the_published_section_are_one_sentence(
    change: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(StudyError) as raised:
        study_file.parse(study_file.merge(study_file.read(CONFIG), change))
    assert all(word in str(raised.value) for word in words)


def test_only_the_reader_of_pickles_imports_torch_and_no_model_job_the_published() -> None:
    scripts = REPOSITORY / "workflow" / "scripts"
    package = scripts / "snakesteer" / "published"
    for name in ("published_source", "published_table", "published_histogram", "study_published"):
        assert package / "vectors.py" not in closure([scripts / f"{name}.py"], scripts)
    for name in ("published_table", "table", "figure", "published_page"):
        for path in closure([scripts / f"{name}.py"], scripts):
            assert "\nimport torch" not in path.read_text(), path
    for name in ("sweep", "activations", "samples", "choice", "table"):
        assert not [
            path for path in closure([scripts / f"{name}.py"], scripts) if package in path.parents
        ]


# The authors' own numbers -----------------------------------------------------------------


SINGLE_15 = {
    "myopic": (85, 259, 52),
    "wealth-seeking": (141, 160, 104),
    "sycophancy": (175, 175, 177),
    "agreeableness": (277, 291, 186),
    "anti-immigration": (50, 112, 14),
}


def test_single_steering_at_layer_15_is_the_published() -> None:
    table = pq.read_table(SHIPPED / "published-single.parquet").to_pandas()
    table = table[table["layer"] == "15"].set_index(["behaviour", "direction"])
    for behaviour, matches in SINGLE_15.items():
        shown = [table.loc[(behaviour, d), "matches"] for d in ("default", "add", "subtract")]
        assert tuple(shown) == matches
    assert set(table.loc["wealth-seeking", "questions"]) == {285}


@authors_only
def test_shipped_tables_are_what_the_authors_files_give() -> None:
    """General coding agrees with the raw JSON to 1e-9, and every multi-steering table exactly."""
    plan = Plan(study_file.load(CONFIG), REPOSITORY)
    for name, product in plan.published.items():
        settings = product.settings
        shipped = read_table(SHIPPED / f"{name}.parquet").to_pandas()
        if settings.get("kind") in (None, "skill"):
            continue
        counts = {
            path: behaviours.behaviour_counts(
                settings["kind"],
                part,
                path,
                json.loads((AUTHORS / path).read_text()),
                settings["behaviours"],
            )
            for part, path in settings["files"].items()
        }
        made = behaviours.behaviour_table(name, counts, settings["collapse"])
        pd.testing.assert_frame_equal(made, shipped, check_dtype=False)


VERSIONS = {
    "published-code": "9.01 9.04 9.05 9.02 9.06 9.07 9.03",
    "published-code-permuted": "9.20",
    "published-code-layers": "9.16",
    "published-python": "9.08 9.09 9.10 9.11 9.12 9.13 9.14",
    "published-python-permuted": "9.21",
    "published-python-layers": "9.15",
}
LAYERS = {1: ["15"], 7: ["0", "5", "10", "15", "20", "25", "30"]}


@authors_only
@pytest.mark.parametrize(
    ("name", "version", "layer"),
    [
        (name, version, "10+15" if name.endswith("layers") else layer)
        for name, versions in VERSIONS.items()
        for version, layer in zip(versions.split(), LAYERS[len(versions.split())], strict=True)
    ],
)
def test_skills_agree_with_the_raw_numbers(name: str, version: str, layer: str) -> None:
    table = read_table(SHIPPED / f"{name}.parquet").to_pandas()
    results = json.loads((AUTHORS / f"results/coding/v_{version}.json").read_text())
    skill = name.split("-")[1]
    for corpus in (skill, "text"):
        key = f"only_{corpus}"
        rows = table[(table["layer"] == layer) & (table["corpus"] == corpus)]
        rows = rows.set_index("coefficient")
        means = {
            float(coefficient.split("_")[-1]): np.average(
                lists["top1_acc"], weights=lists["total_encoded_tokens"]
            )
            for coefficient, lists in results[key].items()
        }
        assert list(rows.index) == sorted(means)
        for coefficient, mean in means.items():
            assert abs(rows.loc[coefficient, "top1"] - mean) < 1e-9
            assert abs(rows.loc[coefficient, "relative_top1"] - mean / means[0.0]) < 1e-9


@authors_only
def test_shipped_intervals_are_what_the_authors_files_give() -> None:
    """The whole table of one skill sweep, bootstrap included."""
    name = "published-code-permuted"
    settings = Plan(study_file.load(CONFIG), REPOSITORY).published[name].settings
    (path,) = settings["files"]
    results = json.loads((AUTHORS / path).read_text())
    curve = skill_curve(path, results, settings["vector"], settings["corpora"])
    made = skill_table(name, settings["target"], [curve], **settings["statistics"])
    shipped = read_table(SHIPPED / f"{name}.parquet").to_pandas()
    pd.testing.assert_frame_equal(made, shipped, check_dtype=False, rtol=1e-9)


@authors_only
def test_shipped_histograms_are_what_the_authors_files_give() -> None:
    published = study_file.load(CONFIG).published
    assert published
    compared = 0
    for role, files in (("mean", published.activations), ("vector", published.vectors)):
        for name, path in files.items():
            if (AUTHORS / path).is_file():
                array, _ = vectors.read_activations(path, (AUTHORS / path).read_bytes())
                made = histogram(name, array, published.layers, published.bins)
                shipped = read_table(SHIPPED / f"{name}-{role}.parquet").to_pandas()
                pd.testing.assert_frame_equal(made, shipped, check_dtype=False)
                compared += 1
    assert compared


@authors_only
def test_the_authors_pickles_are_read() -> None:
    folder = AUTHORS / "data/activations/Llama-2-7b"
    for path in [*folder.glob("mean/*.pt"), *folder.glob("multi_steering/*.pt")]:
        array, notes = vectors.read_activations(path.name, path.read_bytes())
        (version,) = re.findall(r"_v([\d.]+)\.pt$", path.name) or ["0.01"]
        assert array.shape == (32, 4096) and notes["version"] == version
        assert zipfile.is_zipfile(path)
