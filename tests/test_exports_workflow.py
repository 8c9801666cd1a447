"""A study that exports its vectors in every format, run to its end, and what runs again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import safetensors
import torch
import yaml

from checkout import Checkout, copy_of_repository
from snakesteer.storage.files import read_json, read_provenance, read_tensors
from snakesteer.vectors.steering_vector import read_vector

pytestmark = pytest.mark.long

CORPUS = {"source": "installed", "train": 12, "validation": 4}
STUDY: dict[str, Any] = {
    "name": "exported",
    "models": {"m": {"source": "resources/models/miniature", "dtype": "float32"}},
    "corpora": {"text": CORPUS | {"kind": "text"}, "code": CORPUS | {"kind": "code"}},
    "activations": {
        "text": {"model": "m", "corpus": "text", "max_tokens": 32},
        "code": {"model": "m", "corpus": "code", "max_tokens": 32},
        "ends": {
            "model": "m",
            "corpus": "code",
            "max_tokens": 32,
            "positions": [-2, -1],
            "site": "mlp",
        },
    },
    "vectors": {
        "code": {"method": "difference", "add": ["text"], "subtract": ["code"], "scale": "unit"},
        "ends": {"method": "difference", "add": ["ends"]},
    },
    "exports": {
        "gguf": {"vectors": ["code"]},
        "caa": {"vectors": ["code"]},
        "lm-eval": {"vectors": ["code"], "coefficient": 3, "layers": [2, 5]},
        "mlp": {"format": "lm-eval", "vectors": ["ends"], "position": -2},
        "steering-vectors": {"vectors": ["code"]},
        "safetensors": {"vectors": ["code"]},
    },
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = copy_of_repository(tmp_path_factory.mktemp("exported"))
    checkout.forked("--cores", "2", config=variant(checkout, {}))
    return checkout


def variant(checkout: Checkout, change: dict[str, Any]) -> Path:
    path = checkout.folder / "tests" / "exported.yaml"
    path.write_text(yaml.safe_dump(STUDY | change))
    return path


def planned(checkout: Checkout, change: dict[str, Any]) -> dict[str, int]:
    """The jobs of a dry run by rule, but for the first page, which whatever changes the study
    changes."""
    found = checkout.planned(variant(checkout, change))
    beside = ("all", "total", "front_page")
    return {rule: count for rule, count in found.items() if rule not in beside}


def made(checkout: Checkout, *parts: str) -> Path:
    return checkout.folder.joinpath("results", "exported", *parts)


def test_every_format_holds_the_vector_of_the_study(ran: Checkout) -> None:
    rows = read_tensors(made(ran, "vectors", "code.safetensors"))["vector"]
    exports = made(ran, "exports")
    reader = gguf.GGUFReader(exports / "gguf" / "code.gguf")
    assert [each.name for each in reader.tensors] == [f"direction.{i}" for i in range(1, 8)]
    for layer, each in enumerate(reader.tensors, 1):
        assert each.data.tobytes() == rows[layer].tobytes()
    assert reader.fields["controlvector.model_hint"].contents() == "llama"
    held = torch.load(exports / "steering-vectors" / "code.pt", weights_only=True)
    for layer, each in held["layer_activations"].items():
        assert each.numpy().tobytes() == rows[layer].tobytes()
        file = exports / "caa" / "code" / f"vec_layer_{layer}_miniature.pt"
        assert torch.load(file, weights_only=True).numpy().tobytes() == rows[layer].tobytes()
    held = torch.load(exports / "lm-eval" / "code.pt", weights_only=True)
    assert list(held) == ["layers.2", "layers.5"]
    assert held["layers.5"]["steering_vector"].numpy().tobytes() == rows[5].tobytes()
    assert held["layers.5"]["steering_coefficient"] == 3
    read = read_vector(exports / "safetensors" / "code.safetensors")
    assert np.stack(list(read.directions.values())).tobytes() == rows.tobytes()


def test_a_vector_of_one_site_and_position_is_exported_so(ran: Checkout) -> None:
    vector = read_vector(made(ran, "vectors", "ends.safetensors"), position=-2)
    assert vector.site == "mlp"
    held = torch.load(made(ran, "exports", "mlp", "ends.pt"), weights_only=True)
    assert list(held) == [f"layers.{layer}.mlp" for layer in range(8)]
    for layer, each in vector.directions.items():
        found = held[f"layers.{layer}.mlp"]["steering_vector"]
        assert found.numpy().tobytes() == each.tobytes()
    assert read_json(made(ran, "exports", "mlp", "ends.pt.json"))["made"]["position"] == -2


def test_the_metadata_alone_say_how_the_vector_was_made(ran: Checkout) -> None:
    path = made(ran, "exports", "safetensors", "code.safetensors")
    with safetensors.safe_open(path, framework="np") as file:
        told = json.loads(file.metadata()["snakesteer"])
    (manifest,) = (ran.folder / "results" / "cache" / "models").glob("m.*.json")
    model = read_json(manifest)
    assert told["model"]["fingerprint"] == model["fingerprint"]
    assert told["model"]["source"] == "resources/models/miniature"
    assert (told["model"]["n_layers"], told["model"]["hidden"]) == (8, 192)
    assert told["settings"]["method"] == "scaled" and told["settings"]["norm"] == 1
    assert told["settings"]["vectors"][0]["method"] == "difference"
    items: dict[str, list[dict[str, Any]]] = {}
    for item in told["lineage"]:
        items.setdefault(item["stage"], []).append(item)
    assert items["model"][0]["settings"]["files"] == model["files"]
    assert {each["settings"]["kind"] for each in items["documents"]} == {"text", "code"}
    assert all(each["settings"]["identity"] for each in items["documents"])
    for each in items["activations"]:
        assert each["settings"]["site"] == "output" and each["settings"]["positions"] == "last"
        assert each["packages"].keys() >= {"torch", "transformers", "tokenizers"}
    assert told["code"] and told["python"] and told["packages"]
    assert str(ran.folder) not in json.dumps(told)


def test_the_vectors_of_the_study_have_their_lineage_and_their_numbers(ran: Checkout) -> None:
    cached = [
        path
        for path in (ran.folder / "results" / "cache" / "vectors").glob("code.*.safetensors")
        if read_provenance(path)["kind"] == "vector"
    ]
    (cached_path,) = cached
    path = made(ran, "vectors", "code.safetensors")
    assert read_tensors(path)["vector"].tobytes() == read_tensors(cached_path)["vector"].tobytes()
    before, after = read_provenance(cached_path), read_provenance(path)
    assert before.items() <= after.items()
    assert after.keys() - before.keys() == {"site", "lineage"}


def test_the_log_says_what_a_file_does_not_hold(ran: Checkout) -> None:
    log = ran.folder / "results" / "logs" / "export" / "exported" / "gguf" / "code.gguf.log"
    assert log.read_text() == "Layer 0 is omitted, as gguf cannot hold it.\n"


def test_an_exported_file_is_a_vector_of_another_study(ran: Checkout) -> None:
    study = {
        "name": "back",
        "models": STUDY["models"],
        "vectors": {
            "theirs": {
                "method": "file",
                "file": "results/exported/exports/gguf/code.gguf",
                "model": "m",
            }
        },
        "exports": ["gguf"],
    }
    config = ran.folder / "tests" / "back.yaml"
    config.write_text(yaml.safe_dump(study))
    ran.forked("--cores", "2", config=config)
    back = ran.folder / "results" / "back" / "exports" / "gguf" / "theirs.gguf"
    assert back.read_bytes() == made(ran, "exports", "gguf", "code.gguf").read_bytes()


CHANGES: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
    "nothing": ({}, {}),
    "format": ({"strong": {"format": "lm-eval", "vectors": ["code"]}}, {"export": 1, "study": 1}),
    "folder": ({"again": {"format": "caa", "vectors": ["code"]}}, {"export_folder": 1, "study": 1}),
    "vectors": (
        {"steering-vectors": {"vectors": ["ends"], "position": -1}},
        {"export": 1, "study": 1},
    ),
    "layers": ({"lm-eval": {"vectors": ["code"], "layers": [2]}}, {"export": 1, "study": 1}),
    "position": (
        {"mlp": {"format": "lm-eval", "vectors": ["ends"], "position": -1}},
        {"export": 1, "study": 1},
    ),
    "site": (
        {"mlp": {"format": "lm-eval", "vectors": ["ends"], "position": -2, "site": "output"}},
        {"export": 1, "study": 1},
    ),
    "operator": (
        {"steering-vectors": {"vectors": ["code"], "operator": "ablate"}},
        {"export": 1, "study": 1},
    ),
    "coefficient": (
        {"caa": {"vectors": ["code"], "coefficient": 2}},
        {"export_folder": 1, "study": 1},
    ),
    "positions": (
        {"safetensors": {"vectors": ["code"], "positions": "last"}},
        {"export": 1, "study": 1},
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_entry_exports_that_alone(ran: Checkout, name: str) -> None:
    change, expected = CHANGES[name]
    assert planned(ran, {"exports": STUDY["exports"] | change}) == expected


def test_a_changed_vector_is_exported_again(ran: Checkout) -> None:
    vectors = STUDY["vectors"] | {"code": STUDY["vectors"]["code"] | {"scale": 2}}
    jobs = planned(ran, {"vectors": vectors})
    assert jobs == {
        "vector": 1,
        "study_vector": 1,
        "export": 4,
        "export_folder": 1,
        "catalogue": 1,
        "usage": 1,
        "study": 1,
    }


def test_an_edited_exporter_writes_its_own_files_again(ran: Checkout) -> None:
    path = ran.folder / "workflow" / "scripts" / "snakesteer" / "exports" / "gguf.py"
    text = path.read_text()
    path.write_text(f"{text}\nEDITED = True\n")
    try:
        assert planned(ran, {}) == {"export": 1}
    finally:
        path.write_text(text)
