"""Vectors from files of other tools: read as they mean them, and refused in one sentence."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from snakesteer.core.errors import StudyError
from snakesteer.storage.gguf import read_gguf
from snakesteer.vectors import file
from snakesteer.vectors.draws import several
from snakesteer.vectors.foreign import CLASSES, read_vector
from snakesteer.vectors.samples import Samples

LAYERS, HIDDEN = 5, 8
MODEL = {"source": "models/chat", "n_layers": LAYERS, "hidden": HIDDEN}
VECTOR = torch.from_numpy(np.random.default_rng(1).normal(size=(LAYERS, HIDDEN)).astype(np.float32))
EMBEDDING = torch.full((1, HIDDEN), 9.0)


def read(path: Path, **entry: Any) -> np.ndarray:
    return read_vector(path, {"tensor": None, "layer": None, "offset": 0} | entry, MODEL)[0]


def written(path: Path, tensors: Any) -> Path:
    """A file of the kind that its name says."""
    if path.suffix == ".safetensors":
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    elif path.suffix == ".gguf":
        write_gguf(path, {name: tensor.numpy() for name, tensor in tensors.items()})
    else:
        torch.save(tensors, path)
    return path


def write_gguf(path: Path, tensors: dict[str, np.ndarray], **values: Any) -> None:
    """As repeng and llama.cpp's generator write control vectors."""
    writer = gguf.GGUFWriter(path, "controlvector")
    writer.add_string("controlvector.model_hint", "llama")
    writer.add_uint32("controlvector.layer_count", len(tensors))
    writer.add_array("some.words", ["a", "bc"])
    writer.add_array("some.numbers", [1, 2, 3])
    writer.add_float64("some.number", 0.5)
    writer.add_bool("some.flag", True)
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def by_layer(name: str, first: int = 0) -> dict[str, torch.Tensor]:
    return {name.format(layer=first + i): vector for i, vector in enumerate(VECTOR)}


@pytest.mark.parametrize(
    ("name", "tensors", "entry"),
    [
        ("a.safetensors", {"vector": VECTOR}, {}),
        ("a.safetensors", {"vector": VECTOR[:, None]}, {}),
        ("a.safetensors", {"v": VECTOR, "w": VECTOR + 1}, {"tensor": "v"}),
        ("a.safetensors", {"v": VECTOR, "ids": torch.arange(3)}, {}),
        ("a.safetensors", by_layer("layers.{layer}.h2.vector"), {}),
        ("a.safetensors", by_layer("block {layer}", 1), {"offset": -1}),
        (
            "a.safetensors",
            {**by_layer("v{layer}"), "other-1": VECTOR + 1},
            {"tensor": "v{layer}"},
        ),
        ("a.safetensors", {"hidden": torch.cat([EMBEDDING, VECTOR])}, {"offset": -1}),
        ("a.pt", VECTOR, {}),
        ("a.pt", [*VECTOR], {}),
        ("a.pt", {"vectors": dict(enumerate(VECTOR)), "model": "chat"}, {}),
        ("a.pth", {"add": VECTOR, "remove": VECTOR + 1}, {"tensor": "add"}),
        ("a.pt", {i: vector[None] for i, vector in enumerate(VECTOR)}, {}),
    ],
)
def test_a_file_gives_a_vector_for_every_layer(
    tmp_path: Path, name: str, tensors: Any, entry: dict[str, Any]
) -> None:
    found = read(written(tmp_path / name, tensors), **entry)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, VECTOR)


def test_numbers_of_other_formats_are_read_exactly(tmp_path: Path) -> None:
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        path = written(tmp_path / "a.safetensors", {"vector": VECTOR.to(dtype)})
        np.testing.assert_array_equal(read(path), VECTOR.to(dtype).float())


def test_a_control_vector_of_llama_cpp_counts_decoder_blocks(tmp_path: Path) -> None:
    """`direction.N` is added after block N, counted from 0, and there is none of 0."""
    path = tmp_path / "a.gguf"
    tensors = {f"direction.{i}": VECTOR[i] for i in range(1, LAYERS)}
    found, layers = read_vector(
        written(path, tensors), {"tensor": None, "layer": None, "offset": 0}, MODEL
    )
    np.testing.assert_array_equal(found[1:], VECTOR[1:])
    assert not found[0].any() and layers == [1, 2, 3, 4]
    found = read(written(path, {"direction.3": VECTOR[3]}))
    np.testing.assert_array_equal(found[3], VECTOR[3])
    assert not np.delete(found, 3, axis=0).any()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_gguf_is_read_as_its_own_package_writes_it(tmp_path: Path, dtype: Any) -> None:
    tensors = {
        name: np.random.default_rng(1).normal(size=shape).astype(dtype)
        for name, shape in (("one", (3,)), ("two", (2, 5)), ("three", (4, 1, 3)))
    }
    path = tmp_path / "a.gguf"
    write_gguf(path, tensors)
    found = read_gguf("a.gguf", path.read_bytes())
    theirs = {tensor.name: tensor.data for tensor in gguf.GGUFReader(path).tensors}
    assert found.keys() == tensors.keys() == theirs.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(found[name], tensor.astype(np.float32))
        np.testing.assert_array_equal(found[name].ravel(), theirs[name].astype("f4").ravel())


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_gguf_that_is_cut_or_changed_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "a.gguf"
    if not path.exists():
        write_gguf(path, {"direction.1": VECTOR[1].numpy()})
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:place]
    else:
        content[place] = data.draw(st.integers(0, 255))
    try:
        read_gguf("a.gguf", bytes(content))
    except StudyError as error:
        assert str(error).startswith("a.gguf")


def test_a_whole_vector_of_steering_vectors_is_read_by_its_layers(tmp_path: Path) -> None:
    module, name = CLASSES[0].rsplit(".", 1)
    theirs = type(name, (), {"__module__": module})
    held = theirs()
    held.layer_activations = {2: VECTOR[2], 4: VECTOR[4]}
    held.layer_type = "decoder_block"

    class Pickler(pickle._Pickler):
        def save_global(self, obj: Any, name: str | None = None) -> None:
            if obj is not theirs:
                return super().save_global(obj, name)
            self.write(pickle.GLOBAL + f"{module}\n{theirs.__name__}\n".encode())
            self.memoize(obj)

        dispatch = {**pickle._Pickler.dispatch, type: save_global}

    with (tmp_path / "a.pt").open("wb") as opened:
        pickling = type("pickling", (), {"Pickler": Pickler})
        torch.save(held, opened, pickle_module=pickling, pickle_protocol=2)
    found = read(tmp_path / "a.pt")
    np.testing.assert_array_equal(found[[2, 4]], VECTOR[[2, 4]])
    assert not found[[0, 1, 3]].any()


def test_a_file_of_one_layer_says_nothing_of_others(tmp_path: Path) -> None:
    found = read(written(tmp_path / "vec_layer_3.pt", VECTOR[3]), layer=3)
    np.testing.assert_array_equal(found[3], VECTOR[3])
    assert not np.delete(found, 3, axis=0).any()


def test_a_vector_of_a_file_is_the_same_in_every_draw() -> None:
    samples = {"file": [Samples({"vector": VECTOR.numpy()[None]})]}
    np.testing.assert_array_equal(file.fit(samples, {}), VECTOR)
    drawn = several(file.fit, samples, {"vector": "v", "resamples": 3, "seed": 1})
    np.testing.assert_array_equal(drawn, np.stack([VECTOR] * 3))


class Code:
    def __reduce__(self) -> Any:
        return (os.mkdir, ("snakesteer-was-here",))


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-30])
    return path


NAN = VECTOR.clone()
NAN[2, 3] = torch.nan
Made = Callable[[Path], Path]
REFUSED: list[tuple[str, Made, dict[str, Any], str]] = [
    (
        "a.safetensors",
        lambda path: written(path, {"v": VECTOR[:, :4]}),
        {},
        "{path} has a tensor v of shape (4,), but models/chat is 8 wide; name the model that "
        "the vectors come from.",
    ),
    (
        "a.pt",
        lambda path: written(path, dict(enumerate([*VECTOR, VECTOR[0]]))),
        {},
        "{path} has a vector for layer 5, but models/chat has the layers 0 to 4; correct "
        "`offset`, or name the model that the vectors come from.",
    ),
    (
        "a.pt",
        lambda path: written(path, dict(enumerate(VECTOR))),
        {"offset": 2},
        "{path} has a vector for layer 5 (3 in the file), but models/chat has the layers 0 to "
        "4; correct `offset`, or name the model that the vectors come from.",
    ),
    (
        "a.pt",
        lambda path: written(path, torch.cat([EMBEDDING, VECTOR])),
        {},
        "{path} has 6 rows, but models/chat needs 5 with `offset: 0`; correct `offset` (-1 if "
        "the first row is the embedding's).",
    ),
    (
        "a.pt",
        lambda path: written(path, VECTOR[3]),
        {},
        "{path} holds one tensor of shape (8,), not a row for each layer; set `layer` to the "
        "layer that it belongs to.",
    ),
    (
        "a.pt",
        lambda path: written(path, [*VECTOR]),
        {"layer": 3},
        "{path} has a vector for each of its layers; remove `layer`.",
    ),
    (
        "a.pt",
        lambda path: written(path, {"acts": VECTOR, "what": Code()}),
        {},
        "{path} was refused, and nothing in it was run: Trying to load unsupported GLOBAL "
        "posix.mkdir whose module posix is blocked; save only its tensors, as .safetensors, and "
        "name that file.",
    ),
    (
        "a.pt",
        lambda path: written(path, {"acts": [1.0, 2.0]}),
        {},
        "{path} holds no tensors of floats; get the file again.",
    ),
    (
        "a.safetensors",
        lambda path: written(path, {"add": VECTOR, "remove": VECTOR + 1}),
        {},
        "{path} holds the tensors add, remove; choose with `tensor`, with {{layer}} in "
        "place of a number.",
    ),
    (
        "a.safetensors",
        lambda path: written(path, {"add": VECTOR}),
        {"tensor": "ad"},
        "{path} has no tensor ad, but add; correct it.",
    ),
    (
        "a.safetensors",
        lambda path: written(path, by_layer("v{layer}")),
        {"tensor": "w{layer}"},
        "{path} has no tensor w{{layer}}, but v0, v1, v2, v3, v4; correct it.",
    ),
    (
        "a.safetensors",
        lambda path: written(path, {"v": NAN}),
        {},
        "{path} is NaN or infinite at layer 2; get the file again.",
    ),
    (
        "a.npz",
        lambda path: written(path, VECTOR),
        {},
        "{path} is not of a known kind; name a file with .safetensors, .pt, .pth, .gguf.",
    ),
    (
        "a.gguf",
        lambda path: written(path.with_suffix(".pt"), VECTOR).rename(path),
        {},
        "{path} is not a GGUF file; get the file again.",
    ),
]


@pytest.mark.parametrize(("name", "make", "entry", "sentence"), REFUSED)
def test_a_file_that_is_not_the_models_is_one_sentence(
    tmp_path: Path, name: str, make: Made, entry: dict[str, Any], sentence: str
) -> None:
    path = make(tmp_path / name)
    with pytest.raises(StudyError) as raised:
        read(path, **entry)
    assert str(raised.value) == sentence.format(path=path)
    assert not Path("snakesteer-was-here").exists()


@pytest.mark.parametrize("name", ["a.safetensors", "a.pt", "a.gguf"])
def test_a_file_that_is_cut_short_is_one_sentence(tmp_path: Path, name: str) -> None:
    path = cut(written(tmp_path / name, {"direction.1": VECTOR[1]}))
    with pytest.raises(StudyError) as raised:
        read(path)
    kind = {"a.pt": "PyTorch", "a.gguf": "GGUF"}.get(name, "safetensors")
    assert str(raised.value).startswith(f"{path} is not a complete {kind} file (")
    assert str(raised.value).endswith("); get the file again.")


def test_quantised_tensors_are_refused() -> None:
    header = struct.pack("<4sIQQ", b"GGUF", 3, 1, 0)
    name = struct.pack("<Q", 1) + b"v" + struct.pack("<IQIQ", 1, 32, 8, 0)
    with pytest.raises(StudyError) as raised:
        read_gguf("a.gguf", header + name + bytes(64))
    assert str(raised.value) == "a.gguf: v is quantised (type 8 of ggml); floats were expected"
