"""Pruning lists what no study refers to, and deletes only when told."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from snakesteer.__main__ import main
from snakesteer.storage.files import write_json, write_table


@pytest.fixture
def results(tmp_path: Path) -> Path:
    results = tmp_path / "results"
    for name in ("used", "left"):
        path = results / "cache" / "vectors" / f"{name}.0.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0" * 1000)
    catalogue = results / "mine" / "artefacts.csv"
    catalogue.parent.mkdir()
    catalogue.write_text("stage,path\nvector,results/cache/vectors/used.0.safetensors\n")
    return results


def test_listing_deletes_nothing(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", str(results)]) == 0
    printed = capsys.readouterr().out
    assert "left.0.safetensors" in printed
    assert "used.0.safetensors" not in printed
    assert (results / "cache/vectors/left.0.safetensors").exists()


def test_deleting_leaves_what_a_study_refers_to(results: Path) -> None:
    assert main(["prune", str(results), "--delete"]) == 0
    assert [path.name for path in (results / "cache/vectors").iterdir()] == ["used.0.safetensors"]


def test_answers_of_judges_stay(results: Path) -> None:
    answer = results / "cache" / "judged" / "ab" / "abc.json"
    write_json(answer, {})
    (results / "mine" / "artefacts.csv").touch()
    assert main(["prune", str(results), "--delete"]) == 0
    assert answer.is_file()


def test_without_a_catalogue_nothing_is_deleted(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (results / "mine" / "artefacts.csv").unlink()
    assert main(["prune", str(results), "--delete"]) == 1
    assert "holds no artefacts.csv" in capsys.readouterr().err
    assert len(list((results / "cache/vectors").iterdir())) == 2


def test_a_damaged_catalogue_deletes_nothing(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogue = results / "mine" / "artefacts.csv"
    for damaged in (b"stage,path\nvec\xfftor,results/cache", b"stage,path\nvector\n"):
        catalogue.write_bytes(damaged)
        assert main(["prune", str(results), "--delete"]) == 1
        assert "artefacts.csv is damaged" in capsys.readouterr().err
    assert len(list((results / "cache/vectors").iterdir())) == 2


def test_what_an_unfinished_study_set_out_to_make_stays(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where a catalogue is newer, as that of another study that was run since."""
    files = [f"results/cache/vectors/{name}.0.safetensors" for name in ("left", "to-come")]
    write_json(results / "long" / "planned.json", files)
    for folder in (results / "cache" / "points" / "a", results / "cache" / "sweeps"):
        write_table(folder / "0.parquet", pa.table({"x": [1]}), {})
    (results / "mine" / "artefacts.csv").touch()
    assert main(["prune", str(results), "--delete"]) == 0
    assert "long did not finish" in capsys.readouterr().out
    assert not (results / "cache/sweeps/0.parquet").exists()
    left = {path.name for path in (results / "cache").rglob("*") if path.is_file()}
    assert left == {"used.0.safetensors", "left.0.safetensors", "0.parquet"}
    (results / "cache/vectors/to-come.0.safetensors").touch()
    (results / "mine" / "artefacts.csv").touch()
    assert main(["prune", str(results), "--delete"]) == 0
    assert "long" not in capsys.readouterr().out
    left = {path.name for path in (results / "cache").rglob("*") if path.is_file()}
    assert left == {f"{name}.0.safetensors" for name in ("used", "left", "to-come")}


def test_points_stay_as_long_as_a_sweep_made_of_them(results: Path) -> None:
    sweep = results / "cache" / "sweeps" / "code.0.parquet"
    write_table(sweep, pa.table({"coefficient": [0.0]}), {"points": "mine"})
    with (results / "mine" / "artefacts.csv").open("a") as catalogue:
        catalogue.write("sweep,results/cache/sweeps/code.0.parquet\n")
    for folder in ("mine", "other"):
        write_table(results / "cache" / "points" / folder / "a.parquet", pa.table({"x": [1]}), {})
    (results / "mine" / "artefacts.csv").touch()
    assert main(["prune", str(results), "--delete"]) == 0
    left = (results / "cache" / "points").rglob("*.parquet")
    assert [path.parent.name for path in left] == ["mine"]


def test_downloads_stay_as_long_as_their_list_is_used(results: Path) -> None:
    published = results / "cache" / "published"
    for key in ("used", "left"):
        (published / key / "results").mkdir(parents=True)
        (published / key / "results" / "a.json").touch()
    (published / "source.used.json").touch()
    with (results / "mine" / "artefacts.csv").open("a") as catalogue:
        catalogue.write("published_source,results/cache/published/source.used.json\n")
    assert main(["prune", str(results), "--delete"]) == 0
    left = sorted(path for path in published.rglob("*") if path.is_file())
    assert left == [published / "source.used.json", published / "used" / "results" / "a.json"]
