"""A study that ablates, clamps, and steers inside blocks, on a tiny model, down to its files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import oracle
from checkout import copy_of_repository
from snakesteer.storage.files import read_table, read_tensors

pytestmark = pytest.mark.long

EVERYWHERE = ["input", "attention", "mlp"]
DESIGNS = {
    "ablated": {"layers": [[0, 1, 2, 3]], "operator": "ablate", "sites": EVERYWHERE},
    "inside": {"layers": [2], "sites": ["mlp"], "positions": -3},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a run, and what Snakemake printed."""
    checkout = copy_of_repository(tmp_path_factory.mktemp("checkout"))
    folder = checkout.folder
    tiny.folder(folder / "tiny", tiny.network())
    tiny.folder(folder / "mamba", tiny.network("mamba"))
    texts = [{"text": text} for _, text in tiny.documents(12)]
    (folder / "texts.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))
    here = {"files": ["texts.jsonl"]}
    corpora = {
        name: {"source": "files", "field": "text", "shuffle": False, "train": 4, "validation": 4}
        | {"splits": {"train": {**here, "skip": skip}, "validation": {**here, "skip": 8}}}
        for name, skip in (("one", 0), ("other", 4))
    }
    models = {name: {"source": name, "dtype": "float32"} for name in ("tiny", "mamba")}
    read = {"measures": {"next_token": {"corpora": ["one"], "max_tokens": 40, "stopping": False}}}
    swept = {"model": "tiny", "coefficients": [0, 1, -2], **read}
    study = {
        "name": "steered",
        "models": models,
        "corpora": corpora,
        "activations": {
            f"{name}-{model}": {"model": model, "corpus": name}
            for name in corpora
            for model in models
        },
        "vectors": {
            model: {"add": [f"one-{model}"], "subtract": [f"other-{model}"]} for model in models
        },
        "sweeps": {
            **{
                name: {**swept, "inject": {"vector": "tiny", **design}}
                for name, design in DESIGNS.items()
            },
            "lacking": {
                **{**swept, "model": "mamba"},
                "inject": {"vector": "mamba", "layers": [1], "sites": ["attention"]},
            },
        },
        "samples": {
            operator: {"model": "tiny", "vector": "tiny", "layer": 1, "operator": operator}
            | {"coefficients": [0, 40], "prompts": ["The river runs"], "tokens": 6}
            for operator in ("add", "clamp")
        },
    }
    (folder / "steered.yaml").write_text(json.dumps(study))
    done = checkout.attempt("--cores", "1", "--keep-going", config=folder / "steered.yaml")
    return folder, done.stdout


def made(folder: Path, kind: str, name: str) -> Path:
    (path,) = (folder / "results" / "cache" / kind).glob(f"{name}.*")
    return path


@pytest.mark.parametrize("sweep", DESIGNS)
def test_a_sweep_is_what_hooks_by_hand_give(finished: tuple[Path, str], sweep: str) -> None:
    folder, printed = finished
    network = AutoModelForCausalLM.from_pretrained(folder / "tiny").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder / "tiny")
    vector = torch.from_numpy(read_tensors(made(folder, "vectors", "tiny"))["vector"])
    (raw,) = (folder / "results" / "cache" / "sweeps").glob(f"{sweep}.layer*.parquet")
    rows = read_table(raw).to_pylist()
    texts = [text for _, text in tiny.documents(12)[8:]]
    assert len(rows) == 3 * len(texts), printed
    design, losses = DESIGNS[sweep], []
    layers = [0, 1, 2, 3] if sweep == "ablated" else [2]
    for coefficient in (0.0, 1.0, -2.0):
        for text in texts:
            ids = tokenizer(text)["input_ids"]
            parts = [
                oracle.Part(
                    layer,
                    vector[layer],
                    site,
                    str(design.get("operator", "add")),
                    [len(ids) - 3] if "positions" in design else None,
                )
                for layer in layers
                for site in design["sites"]
            ]
            blocks = network.model.layers
            losses.append(oracle.skill(network, blocks, ids, parts, coefficient, [])[1])
    assert [row["coefficient"] for row in rows] == [0] * 4 + [1] * 4 + [-2] * 4
    assert np.allclose([row["nll"] for row in rows], losses, rtol=1e-4)
    assert len({round(loss, 3) for loss in losses}) == len(losses)


def test_samples_follow_their_operator(finished: tuple[Path, str]) -> None:
    folder, printed = finished
    network = AutoModelForCausalLM.from_pretrained(folder / "tiny").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder / "tiny")
    vector = torch.from_numpy(read_tensors(made(folder, "vectors", "tiny"))["vector"])
    begun = tokenizer("The river runs")["input_ids"]
    written = []
    for operator in ("add", "clamp"):
        found = read_table(made(folder, "samples", operator))["continuation"].to_pylist()
        written += found
        for coefficient, continuation in zip((0.0, 40.0), found, strict=True):
            ids = list(begun)
            parts = [oracle.Part(1, vector[1], how=operator)]
            for _ in range(6):
                logits = oracle.forward(network, network.model.layers, ids, parts, coefficient)[0]
                ids.append(int(logits[-1].argmax()))
            assert continuation == tokenizer.decode(ids[len(begun) :]), printed
    assert written[0] != written[2]


def test_a_site_that_a_model_lacks_is_told_in_one_sentence(finished: tuple[Path, str]) -> None:
    _, printed = finished
    assert (
        "sweeps.lacking: site is attention, but block 1 of MambaForCausalLM has no such module "
        "(it has norm, mixer); use the site output or input."
    ) in printed
    assert "Traceback" not in printed
