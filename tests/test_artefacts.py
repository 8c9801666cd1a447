"""Artefacts are written whole or not at all, carry their provenance, and are checked when read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from snakesteer.core.errors import DamagedFile, StudyError
from snakesteer.storage import files
from snakesteer.storage.provenance import read_vectors

PROVENANCE = {"kind": "vector", "model": {"source": "here", "fingerprint": "f" * 64}}


def test_tensors_and_provenance_survive(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    files.write_tensors(path, {"vector": array}, PROVENANCE)
    assert (files.read_tensors(path)["vector"] == array).all()
    assert files.read_provenance(path) == PROVENANCE


def test_bfloat16_survives(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    tensor = torch.randn(2, 3, dtype=torch.bfloat16)
    files.write_tensors(path, {"activations": tensor}, PROVENANCE)
    read = files.read_tensors(path)["activations"]
    assert read.dtype == np.float32
    assert (read == tensor.float().numpy()).all()


def test_a_table_and_its_provenance_survive(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"document": ["a", "b"], "tokens": [1, 2]})
    files.write_table(path, table, PROVENANCE)
    assert files.read_table(path).to_pydict() == table.to_pydict()
    assert files.read_provenance(path) == PROVENANCE


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        tensors = {"vector": np.ones((2, 2), np.float32), "another": np.zeros(3, np.float32)}
        files.write_tensors(tmp_path / f"{name}.safetensors", tensors, PROVENANCE)
        files.write_table(tmp_path / f"{name}.parquet", pa.table({"a": [1]}), PROVENANCE)
    for ending in ("safetensors", "parquet"):
        one, two = (tmp_path / f"{name}.{ending}" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    files.write_json(path, {"old": 1})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StudyError, match=r"a\.json could not be written \(No space left"):
        files.write_json(path, {"new": 2})
    assert files.read_json(path) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", ["safetensors", "parquet", "json"])
def test_a_truncated_artefact_is_refused_by_name(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    if ending == "safetensors":
        files.write_tensors(path, {"vector": np.ones((8, 8), np.float32)}, PROVENANCE)
        read = files.read_tensors
    elif ending == "parquet":
        files.write_table(path, pa.table({"a": list(range(100))}), PROVENANCE)
        read = files.read_table
    else:
        files.write_json(path, {"a": [1, 2, 3]})
        read = files.read_json
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(StudyError, match=rf"a\.{ending} is damaged .*delete it"):
        read(path)


def test_a_whole_file_without_the_tensor_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    tensors = {"matching": np.ones((2, 2), np.float32), "not_matching": np.ones((2, 2), np.float32)}
    files.write_tensors(path, tensors, PROVENANCE)
    with pytest.raises(StudyError, match="no tensor `activations`, but matching, not_m") as raised:
        next(files.read_rows(path, "activations"))
    assert not isinstance(raised.value, DamagedFile)


@pytest.mark.parametrize("place", range(4, 2000, 97))
def test_a_table_with_a_changed_byte_is_refused(tmp_path: Path, place: int) -> None:
    path = tmp_path / "a.parquet"
    numbers = np.random.default_rng(0).normal(size=1000)
    files.write_table(path, pa.table({"a": numbers}), PROVENANCE)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(StudyError, match=r"a\.parquet is damaged"):
        files.read_table(path)


@pytest.mark.parametrize("ending", ["parquet", "safetensors"])
def test_a_changed_byte_around_the_provenance_is_reported_in_a_sentence(
    tmp_path: Path, ending: str
) -> None:
    """Headers and footers have no checksums: what cannot be read is damaged, and no traceback."""
    path = tmp_path / f"a.{ending}"
    if ending == "parquet":
        files.write_table(path, pa.table({"a": [1, 2, 3]}), PROVENANCE)
    else:
        files.write_tensors(path, {"vector": np.ones((2, 2), np.float32)}, PROVENANCE)
    content = path.read_bytes()
    refused = set()
    for place in range(0, len(content), 5):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            assert isinstance(files.read_provenance(path), dict)
        except StudyError as error:
            assert str(path) in str(error)
            refused.add(type(error.__cause__).__name__)
    assert {"JSONDecodeError", "UnicodeDecodeError"} & refused
    assert {"OSError", "SafetensorError"} & refused


def test_an_absent_artefact_is_not_called_damaged(tmp_path: Path) -> None:
    for name in ("a.parquet", "a.safetensors"):
        with pytest.raises(FileNotFoundError):
            files.read_provenance(tmp_path / name)


def test_a_vector_of_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    files.write_tensors(path, {"vector": np.ones((2, 4), np.float32)}, PROVENANCE)
    manifest = {"source": "there", "fingerprint": "e" * 64, "n_layers": 2, "hidden": 4}
    with pytest.raises(StudyError, match="vectors.code comes from the model here"):
        read_vectors(["code"], [str(path)], manifest)


def test_a_vector_of_another_model_is_read_if_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    files.write_tensors(path, {"vector": np.ones((2, 4), np.float32)}, PROVENANCE)
    manifest = {"source": "there", "fingerprint": "e" * 64, "n_layers": 2, "hidden": 4}
    assert read_vectors(["code"], [str(path)], manifest, transfer=True)["code"].shape == (2, 4)
    wider = manifest | {"hidden": 8}
    with pytest.raises(
        StudyError, match=r"vectors.code has shape \(2, 4\) from the model here, .*"
    ):
        read_vectors(["code"], [str(path)], wider, transfer=True)
    files.write_tensors(path, {"vector": np.full((2, 4), np.nan, np.float32)}, PROVENANCE)
    with pytest.raises(StudyError, match="or values that are not finite; .* delete"):
        read_vectors(["code"], [str(path)], manifest, transfer=True)
    many = {"vectors": np.ones((3, 2, 4), np.float32)}
    files.write_tensors(path, many, PROVENANCE)
    (read,) = read_vectors(["code"], [str(path)], manifest, {"code": 3}, transfer=True).values()
    assert read.shape == (3, 2, 4)


def test_a_vector_of_another_width_or_with_nan_is_refused(tmp_path: Path) -> None:
    manifest = {"source": "here", "fingerprint": "f" * 64, "n_layers": 2, "hidden": 8}
    for shape, value in (((2, 4), 1.0), ((2, 8), np.nan)):
        path = tmp_path / "a.safetensors"
        files.write_tensors(path, {"vector": np.full(shape, value, np.float32)}, PROVENANCE)
        with pytest.raises(StudyError, match=r"vectors.code has shape \(2, [48]\)"):
            read_vectors(["code"], [str(path)], manifest)


def test_an_unwritable_results_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file in the way")
    with pytest.raises(StudyError, match="results folder .* cannot be written"):
        files.check_writable(tmp_path / "results")
