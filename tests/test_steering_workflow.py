"""A study that ablates, clamps, steers inside blocks, by parts and by an operator of its own, on a
tiny model, down to its figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
ALL = [0, 1, 2, 3]
# What is injected, and by hand: (layer, site, operator, layer of the vector, constant), and where.
INJECTED: dict[str, tuple[dict[str, Any], list[tuple[Any, ...]]]] = {
    "ablated": (
        {"vector": "tiny", "layers": ["all"], "operator": "ablate", "sites": EVERYWHERE},
        [(layer, site, "ablate", layer, None) for layer in ALL for site in EVERYWHERE],
    ),
    "inside": (
        {"vector": "tiny", "layers": [2], "sites": ["mlp"], "positions": -3},
        [(2, "mlp", "add", 2, None)],
    ),
    "clamped": (
        {"vector": "tiny", "layers": [1], "operator": "clamp"},
        [(1, "output", "clamp", 1, None)],
    ),
    "everywhere": (
        {"vector": "tiny", "layers": ["all"], "source_layers": [2]},
        [(layer, "output", "add", 2, None) for layer in ALL],
    ),
    "parts": (
        {
            "together": {
                "tiny": {"layers": [1, 2], "operator": "ablate", "coefficient": 1},
                "again": {"layers": 2, "source_layer": 0},
            }
        },
        [
            (1, "output", "ablate", 1, 1.0),
            (2, "output", "ablate", 2, 1.0),
            (2, "output", "add", 0, None),
        ],
    ),
    "own": (
        {"vector": "tiny", "layers": [1], "operator": "doubling.py"},
        [(1, "output", "add", 1, None)] * 2,
    ),
}
# Where 0 steers, too.
OWN_POINT = {"clamped", "parts"}
DOUBLING = "from twice import TWO\n\n\ndef apply(states, vector, coefficient):\n"
DOUBLING += "    return states + (TWO * coefficient * vector).to(states)\n"


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
    (folder / "doubling.py").write_text(DOUBLING)
    (folder / "twice.py").write_text("TWO = 2\n")
    models = {name: {"source": name, "dtype": "float32"} for name in ("tiny", "mamba")}
    read = {"measures": {"next_token": {"corpora": ["one", "other"], "max_tokens": 40}}}
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
        }
        | {"again": {"add": ["one-tiny"], "subtract": ["other-tiny"]}},
        "sweeps": {
            **{name: {**swept, "inject": inject} for name, (inject, _) in INJECTED.items()},
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
        "figures": {name: {"kind": "tradeoff", "sweeps": [name]} for name in INJECTED},
    }
    (folder / "steered.yaml").write_text(json.dumps(study))
    done = checkout.attempt("--cores", "1", "--keep-going", config=folder / "steered.yaml")
    return folder, done.stdout


def made(folder: Path, kind: str, name: str) -> Path:
    (path,) = (folder / "results" / "cache" / kind).glob(f"{name}.*")
    return path


@pytest.mark.parametrize("sweep", INJECTED)
def test_a_sweep_is_what_hooks_by_hand_give(finished: tuple[Path, str], sweep: str) -> None:
    folder, printed = finished
    network = AutoModelForCausalLM.from_pretrained(folder / "tiny").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder / "tiny")
    vector = torch.from_numpy(read_tensors(made(folder, "vectors", "tiny"))["vector"])
    (raw,) = (folder / "results" / "cache" / "sweeps").glob(f"{sweep}.layer*.parquet")
    rows = [row for row in read_table(raw).to_pylist() if row["corpus"] == "one"]
    texts = [text for _, text in tiny.documents(12)[8:]]
    inject, by_hand = INJECTED[sweep]
    unsteered = [None] if sweep in OWN_POINT else []
    coefficients = [*unsteered, 0.0, 1.0, -2.0]
    losses = []
    for coefficient in coefficients:
        for text in texts:
            ids = tokenizer(text)["input_ids"]
            where = [len(ids) - 3] if "positions" in inject else None
            parts = []
            for layer, site, how, source, constant in by_hand if coefficient is not None else []:
                parts.append(oracle.Part(layer, vector[source], site, how, where, constant))
            blocks = network.model.layers
            losses.append(oracle.skill(network, blocks, ids, parts, coefficient or 0.0, [])[1])
    assert len(rows) == len(losses), printed
    expected = [coefficient for coefficient in coefficients for _ in texts]
    assert [row["coefficient"] for row in rows] == expected
    assert np.allclose([row["nll"] for row in rows], losses, rtol=1e-4)
    assert len({round(loss, 3) for loss in losses}) == len(losses)


@pytest.mark.parametrize("sweep", INJECTED)
def test_it_comes_down_to_a_table_and_a_figure(finished: tuple[Path, str], sweep: str) -> None:
    folder, printed = finished
    results = folder / "results" / "steered"
    table = read_table(results / "tables" / f"{sweep}.parquet").to_pandas()
    before = table[table["unsteered"]]
    assert before["coefficient"].isna().all() == (sweep in OWN_POINT)
    assert len(before) == 2 and (before["relative_top1"].dropna() == 1).all()
    assert ("source_layer" in table) == (sweep == "everywhere")
    assert (results / "figures" / f"{sweep}.png").stat().st_size, printed


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


def test_a_site_that_a_model_lacks_is_reported_in_one_sentence(finished: tuple[Path, str]) -> None:
    _, printed = finished
    assert (
        "sweeps.lacking: mamba at 1: site is attention, but block 1 of MambaForCausalLM has no "
        "such module (it has norm, mixer); use the site output or input."
    ) in printed
    assert "Traceback" not in printed
