"""What a study must be able to say: each of the studies in `sayable/`, down to its figures.

The first paper itself is the small study of `test_workflow`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import tiny
import torch
from conftest import REPOSITORY
from test_reading_workflow import TEMPLATE
from transformers import AutoModelForCausalLM, AutoTokenizer

import oracle
from checkout import copy_of_repository
from snakesteer.storage.files import read_provenance, read_table, read_tensors

pytestmark = pytest.mark.long

STUDIES = ("caa", "refusal-direction", "persona", "anyones-vector", "own-method")
MEDIAN = '''"""The difference of quantiles, in place of means."""

import numpy as np


def fit(samples, options, weights=None):
    ends = []
    for role in ("add", "subtract"):
        (corpus,) = samples[role]
        rows = np.concatenate([*corpus.parts("activations")])
        ends.append(np.quantile(rows.astype(np.float64), options["quantile"], axis=0))
    return (ends[0] - ends[1]).astype(np.float32)
'''
HALFWAY = '''"""Half of what addition would do."""


def apply(states, vector, coefficient):
    return states + (0.5 * coefficient * vector).to(states)
'''


def records(start: int) -> Iterator[dict[str, str]]:
    words = tiny.PROSE.split()
    for i in range(12):
        text = " ".join(words[start + i : start + i + 4])
        letters = ("(A)", "(B)") if i % 3 else ("(B)", "(A)")
        yield {
            "q": f"{text}?",
            "a": f" {text}, it is.",
            "k": f"Be kind {i}.",
            "r": f"Be rude {i}.",
            **dict(zip(("yes", "no"), letters, strict=True)),
        }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all of the studies have been run."""
    checkout = copy_of_repository(tmp_path_factory.mktemp("checkout"))
    folder = checkout.folder
    tiny.folder(folder / "chat", tiny.network())
    (folder / "chat" / "chat_template.jinja").write_text(TEMPLATE)
    for start, name in enumerate(("kind", "calm", "facts")):
        lines = "".join(json.dumps(record) + "\n" for record in records(5 * start))
        (folder / f"{name}.jsonl").write_text(lines)
    (folder / "median.py").write_text(MEDIAN)
    writer = gguf.GGUFWriter(folder / "theirs.gguf", "controlvector")
    for layer, direction in enumerate(theirs(), 1):
        writer.add_tensor(f"direction.{layer}", direction)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    shutil.copytree(REPOSITORY / "tests" / "sayable", folder / "sayable")
    (folder / "sayable" / "halfway.py").write_text(HALFWAY)
    for study in STUDIES:
        checkout.forked("--cores", "1", config=folder / "sayable" / f"{study}.yaml")
    return folder


def theirs() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 32)).astype(np.float32)


def table(folder: Path, study: str, name: str) -> Any:
    return read_table(folder / "results" / study / "tables" / f"{name}.parquet").to_pandas()


def cached(folder: Path, kind: str, name: str) -> list[Path]:
    return sorted((folder / "results" / "cache" / kind).glob(f"{name}.*"))


def of_scaled(path: Path) -> bool:
    """Whether a vector has been brought to another length."""
    return read_provenance(path)["settings"]["method"] == "scaled"


def network_of(folder: Path) -> tuple[Any, Any]:
    network = AutoModelForCausalLM.from_pretrained(folder / "chat").eval()
    return network, AutoTokenizer.from_pretrained(folder / "chat")


@pytest.mark.parametrize("study", STUDIES)
def test_it_comes_down_to_its_figures(folder: Path, study: str) -> None:
    results = folder / "results" / study
    figures = {path.stem for path in (results / "figures").glob("*.png")}
    expected = {
        "caa": {"by-layer", "lengths"},
        "refusal-direction": {"ablated", "added", "refusal"},
        "persona": {"persona"},
        "anyones-vector": {"both", "cosines"},
        "own-method": {"both", "cosines"},
    }
    assert figures == expected[study]


def test_vectors_of_caa_are_of_their_mean_length(folder: Path) -> None:
    lengths = []
    for name in ("kind", "calm"):
        (path,) = [path for path in cached(folder, "vectors", name) if of_scaled(path)]
        lengths.append(np.linalg.norm(read_tensors(path)["vector"], axis=1))
    assert np.allclose(lengths[0], lengths[1], rtol=1e-5)


def test_letters_of_caa_are_those_of_hooks_by_hand(folder: Path) -> None:
    """From behind the marker on, at every layer what the vector has at layer 2."""
    network, tokenizer = network_of(folder)
    (path,) = cached(folder, "sweeps", "everywhere.layer*")
    rows = read_table(path).to_pylist()
    (vector_path,) = [path for path in cached(folder, "vectors", "kind") if of_scaled(path)]
    vector = torch.from_numpy(read_tensors(vector_path)["vector"][2])
    lines = [json.loads(line) for line in (folder / "kind.jsonl").read_text().splitlines()]
    assert rows
    for row in rows:
        record = lines[int(row["question"].rsplit("-", 1)[-1]) - 1]
        text = f"[INST] {record['q']} [/INST] ("
        encoded = tokenizer(text, return_offsets_mapping=True)
        end = text.index("[/INST]") + len("[/INST]")
        where = [
            place
            for place, (begin, _) in enumerate(encoded["offset_mapping"])
            if begin >= end and place
        ]
        parts = [oracle.Part(layer, vector, where=where) for layer in range(4)]
        ids = encoded["input_ids"]
        logits = oracle.forward(network, network.model.layers, ids, parts, row["coefficient"])[0]
        for answer, column in (("yes", "logit_matching"), ("no", "logit_not_matching")):
            (token,) = tokenizer(record[answer][1], add_special_tokens=False)["input_ids"]
            assert np.isclose(row[column], float(logits[-1, token]), rtol=1e-3, atol=1e-3)


def test_candidates_are_positions_by_layers(folder: Path) -> None:
    losses = table(folder, "refusal-direction", "ablated.losses")
    steered = losses[~losses["unsteered"] & (losses["corpus"] == "telling")]
    found = set(zip(steered["source_layer"], steered["source_position"], strict=True))
    assert found == {(layer, position) for layer in (1, 2, 3) for position in (-3, -2, -1)}
    assert steered["nll"].nunique() == len(found)
    dose = table(folder, "refusal-direction", "ablated.dose")
    assert (dose.loc[dose["unsteered"], "kl"] == 0).all()
    assert (dose.loc[~dose["unsteered"], "kl"] > 0).all()
    added = table(folder, "refusal-direction", "added.losses")
    places = added[["layer", "source_position"]].drop_duplicates()
    assert len(places) == 3 * 3 and "source_layer" not in added


def test_a_candidate_is_ablated_as_by_hand(folder: Path) -> None:
    network, tokenizer = network_of(folder)
    raws = [read_table(path).to_pandas() for path in cached(folder, "sweeps", "ablated.layer*")]
    label = "direction, source layer 2, source position -2 at 0+1+2+3"
    (raw,) = [raw for raw in raws if (raw["injection"] == label).any()]
    rows = raw[
        (raw["injection"] == label) & (raw["measure"] == "losses") & (raw["coefficient"] == 1)
    ]
    (path,) = cached(folder, "vectors", "direction")
    vector = torch.from_numpy(read_tensors(path)["vector"][1, 2])  # the second position
    parts = [
        oracle.Part(layer, vector, site, "ablate")
        for layer in range(4)
        for site in ("input", "attention", "mlp")
    ]
    lines = [json.loads(line) for line in (folder / "calm.jsonl").read_text().splitlines()[6:]]
    here = rows[rows["corpus"] == "telling"]["nll"].tolist()
    assert len(here) == len(lines)
    for nll, record in zip(here, lines, strict=True):
        told = [{"role": "user", "content": record["q"]}]
        told += [{"role": "assistant", "content": record["a"]}]
        text = tokenizer.apply_chat_template(told, tokenize=False, continue_final_message=True)
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids, begins = encoded["input_ids"], [begin for begin, _ in encoded["offset_mapping"]]
        begun = [begin for begin in begins if begin < text.rindex(record["a"])]
        logits = oracle.forward(network, network.model.layers, ids, parts, 1.0)[0]
        targets = torch.tensor(ids[len(begun) :])
        loss = torch.nn.functional.cross_entropy(
            logits[len(begun) - 1 : -1], targets, reduction="sum"
        )
        assert np.isclose(nll, float(loss), rtol=1e-4)


def test_a_persona_steers_what_is_written(folder: Path) -> None:
    network, tokenizer = network_of(folder)
    (path,) = cached(folder, "samples", "written")
    (before, after) = read_table(path)["continuation"].to_pylist()
    (vector_path,) = [path for path in cached(folder, "vectors", "kind") if not of_scaled(path)]
    vector = torch.from_numpy(read_tensors(vector_path)["vector"][2])
    told = [{"role": "user", "content": "How was the river?"}]
    prompt = tokenizer.apply_chat_template(told, tokenize=False, add_generation_prompt=True)
    begun = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    for coefficient, written in ((0.0, before), (90.0, after)):
        ids = list(begun)
        for _ in range(6):
            parts = [oracle.Part(2, vector, where=range(len(begun), len(ids)))]
            logits = oracle.forward(network, network.model.layers, ids, parts, coefficient)[0]
            ids.append(int(logits[-1].argmax()))
        assert written == tokenizer.decode(ids[len(begun) :])
    assert before != after


def test_a_vector_of_another_tool_is_compared_with_ours(folder: Path) -> None:
    (path,) = [
        path
        for path in cached(folder, "vectors", "theirs")
        if "vector" in read_tensors(path) and read_tensors(path)["vector"].ndim == 2
    ]
    vector = read_tensors(path)["vector"]
    assert not vector[0].any()  # such files have nothing for layer 0
    given = theirs()
    along = (vector[1:] * given).sum(axis=1)
    assert np.allclose(
        along, np.linalg.norm(vector[1:], axis=1) * np.linalg.norm(given, axis=1), rtol=1e-5
    )
    both = table(folder, "anyones-vector", "both")
    assert set(both["vector"]) == {"ours", "theirs"}


def test_a_method_of_ones_own_is_what_its_file_says(folder: Path) -> None:
    (path,) = cached(folder, "vectors", "mine")
    ends = []
    for name in ("asking", "telling"):
        (made,) = [
            path
            for path in cached(folder, "activations", name)
            if read_tensors(path)["activations"].ndim == 3
        ]
        ends.append(np.median(read_tensors(made)["activations"].astype(np.float64), axis=0))
    assert np.allclose(read_tensors(path)["vector"], ends[0] - ends[1], atol=1e-5)
