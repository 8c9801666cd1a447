"""A study of instructions and pairs in a chat, on a tiny model, down to its files."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import oracle
from checkout import copy_of_repository
from snakesteer.hub.manifest import manifest
from snakesteer.plan.closing_notes import logged
from snakesteer.plan.plan import Plan
from snakesteer.storage.files import read_provenance, read_table, read_tensors
from snakesteer.study import study_file

pytestmark = pytest.mark.long

TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<s>system: Help.</s>\n{% endif %}"
    "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant:{% endif %}"
)

INST = {"template": "[INST] {prompt} [/INST] "}


def records(count: int) -> list[dict[str, str]]:
    words = tiny.PROSE.split()
    made = []
    for i in range(count):
        text = " ".join(words[i : i + 4])
        kind, rude = f"Be kind {i}.", f"Be rude {i}."
        made.append(
            {"q": f"{text}?", "a": f" {text}!", "yes": "(A)", "no": "(B)", "k": kind, "r": rude}
        )
    return made


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a run, and what Snakemake printed."""
    checkout = copy_of_repository(tmp_path_factory.mktemp("checkout"))
    folder = checkout.folder
    tiny.folder(folder / "chat", tiny.network())
    (folder / "chat" / "chat_template.jinja").write_text(TEMPLATE)
    tiny.folder(folder / "mamba", tiny.network("mamba"))
    lines = "".join(json.dumps(record) + "\n" for record in records(12))
    (folder / "records.jsonl").write_text(lines)
    here = {"files": ["records.jsonl"]}
    splits = {"train": here, "validation": {**here, "skip": 6}}
    corpus = {"source": "files", "field": "q", "shuffle": False, "train": 6, "validation": 6}
    pairs = {"source": "pairs", "file": "records.jsonl", "train": 5, "validation": 2}
    pairs |= {"questions": 12, "prompt": "q"}
    answers = {"matching": "yes", "not_matching": "no"}
    systems = {"system_matching": "k", "system_not_matching": "r"}
    study = {
        "name": "chats",
        "models": {
            "chat": {"source": "chat", "dtype": "float32"},
            "mamba": {"source": "mamba", "dtype": "float32"},
        },
        "corpora": {"asked": {**corpus, "splits": splits, "completion": "a"}},
        "behaviours": {
            "letters": {**pairs, **answers},
            "systems": {**pairs, **systems, "matching": "a", "not_matching": "a"},
        },
        "activations": {
            "asked": {"model": "chat", "corpus": "asked", "format": "chat"}
            | {"site": "input", "positions": -2},
            "letters": {"model": "chat", "behaviour": "letters", "positions": "letter"}
            | {"format": INST},
            "systems": {"model": "chat", "behaviour": "systems", "format": "chat"}
            | {"site": "mlp", "positions": {"mean": "completion"}},
            "lacking": {"model": "mamba", "corpus": "asked", "site": "attention"},
            "unformatted": {"model": "mamba", "corpus": "asked", "format": "chat"},
        },
        "vectors": {
            "letters": {"method": "contrast", "of": "letters"},
            "systems": {"method": "contrast", "of": "systems"},
            "asked": {"method": "difference", "add": ["asked"]},
            "lacking": {"method": "difference", "add": ["lacking"]},
            "unformatted": {"method": "difference", "add": ["unformatted"]},
        },
        "sweeps": {
            "asked": {
                "model": "chat",
                "inject": {"vector": "letters", "layers": [1], "positions": {"from_last_of": "]"}},
                "coefficients": [0, 2],
                "measures": {
                    "letters": {"measure": "two_choice", "format": INST, "answer_prefix": "("},
                    "instructions": {"measure": "next_token", "corpora": ["asked"], "skip": 5}
                    | {"format": INST, "counted": "completion", "max_tokens": 100},
                },
            },
            "unmarked": {
                "model": "chat",
                "inject": {"vector": "letters", "layers": [1], "positions": {"from": "</think>"}},
                "coefficients": [0, 2],
                "measures": {"two_choice": {"format": "chat", "answer_prefix": "("}},
            },
        },
        "samples": {
            "written": {"model": "chat", "vector": "letters", "layer": 1, "coefficients": [0, 9]}
            | {"format": "chat", "positions": "completion", "sites": ["mlp"], "tokens": 6}
            | {"prompts": ["Count the sacks"]},
        },
    }
    (folder / "chats.yaml").write_text(json.dumps(study))
    done = checkout.attempt("--cores", "2", "--keep-going", config=folder / "chats.yaml")
    return folder, done.stdout


def made(folder: Path, kind: str, name: str, ending: str = "safetensors") -> Path:
    (path,) = (folder / "results" / "cache" / kind).glob(f"{name}.*.{ending}")
    return path


def test_what_was_read_stands_in_the_files(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    tokenizer = AutoTokenizer.from_pretrained(folder / "chat")
    network = AutoModelForCausalLM.from_pretrained(folder / "chat").eval()
    path = made(folder, "activations", "systems")
    found, told = read_tensors(path), read_provenance(path)
    (questions,) = (folder / "results" / "cache" / "questions").glob("systems.*.parquet")
    rows = [row for row in read_table(questions).to_pylist() if row["split"] == "train"]
    assert told["settings"]["format"] == {"template": "chat", "system": None}
    assert told["settings"]["positions"] == {"mean": "completion"}
    for side in ("matching", "not_matching"):
        assert found[side].shape == (5, 4, 32)
        for number, row in enumerate(rows):
            said = [
                {"role": "system", "content": row[f"system_{side}"]},
                {"role": "user", "content": row["prompt"]},
                {"role": "assistant", "content": row[side]},
            ]
            text = tokenizer.apply_chat_template(said, tokenize=False, continue_final_message=True)
            if (side, number) == ("matching", 0):
                assert told["first_text"] == text
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            called = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
            reached = [end for _, end in called["offset_mapping"]]
            start = next(i for i, end in enumerate(reached) if end > len(text) - len(row[side]))
            with torch.inference_mode():
                states: list[torch.Tensor] = []
                handles = [
                    layer.mlp.register_forward_hook(
                        lambda _module, _args, output, states=states: states.append(output[0])
                    )
                    for layer in network.model.layers
                ]
                network(input_ids=torch.tensor([ids]))
                for handle in handles:
                    handle.remove()
            expected = torch.stack(states)[:, start:].mean(dim=1).numpy()
            assert np.allclose(found[side][number], expected, rtol=1e-3, atol=1e-4)


def test_a_chat_templates_own_system_prompt_is_reported(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    study = study_file.load(folder / "chats.yaml")
    with contextlib.chdir(folder):
        said = logged(Plan(study, folder))
    assert (
        "activations.asked: If no system prompt is given, the chat template adds its own: "
        "'<s>system: Help.</s>\\n<s>user: '."
    ) in said


def test_letters_are_read_where_they_stand(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    path = made(folder, "activations", "letters")
    assert read_provenance(path)["first_text"].endswith(("[/INST] (A", "[/INST] (B"))
    assert {name: of.shape for name, of in read_tensors(path).items()} == {
        "matching": (5, 4, 32),
        "not_matching": (5, 4, 32),
    }
    assert read_tensors(made(folder, "vectors", "letters"))["vector"].shape == (4, 32)


def test_what_is_asked_and_steered_stands_beside_the_rows(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    tokenizer = AutoTokenizer.from_pretrained(folder / "chat")
    network = AutoModelForCausalLM.from_pretrained(folder / "chat").eval()
    path = made(folder, "sweeps", "asked", "parquet")
    rows, told = read_table(path).to_pylist(), read_provenance(path)
    vector = torch.tensor(read_tensors(made(folder, "vectors", "letters"))["vector"][1])
    questions = read_table(made(folder, "questions", "letters", "parquet")).to_pylist()
    asked = [row for row in questions if row["split"] == "test"]
    documents = read_table(made(folder, "documents", "asked-validation", "parquet")).to_pylist()

    def begun(text: str) -> tuple[list[int], int]:
        """The ids of a text, and the place of the `]` that ends its first `[INST]`."""
        called = tokenizer(text, return_offsets_mapping=True)
        ends = [end for _, end in called["offset_mapping"]]
        return called["input_ids"], ends.index(text.index("]") + 1)

    for coefficient in (0.0, 2.0):
        here = [row for row in rows if row["coefficient"] == coefficient]
        answers = [row for row in here if row["measure"] == "letters"]
        assert len(answers) == len(asked)
        for row, question in zip(answers, asked, strict=True):
            text = f"[INST] {question['prompt']} [/INST] ("
            ids, place = begun(text)
            part = oracle.Part(1, vector, where=range(place, len(ids)))
            logits, _ = oracle.forward(network, network.model.layers, ids, [part], coefficient)
            for key in ("matching", "not_matching"):
                letter = tokenizer(text + question[key].strip("()"))["input_ids"][-1]
                found, expected = row[f"logit_{key}"], float(logits[-1, letter])
                assert found == pytest.approx(expected, rel=1e-3, abs=1e-3)
        counted = [row for row in here if row["measure"] == "instructions"]
        assert len(counted) == len(documents)
        for row, document in zip(counted, documents, strict=True):
            asked_text = f"[INST] {document['text']} [/INST] "
            ids, place = begun(asked_text + document["completion"])
            called = tokenizer(asked_text + document["completion"], return_offsets_mapping=True)
            first = next(
                i for i, (_, end) in enumerate(called["offset_mapping"]) if end > len(asked_text)
            )
            part = oracle.Part(1, vector, where=range(place, len(ids)))
            _, nll, _ = oracle.skill(
                network, network.model.layers, ids, [part], coefficient, [], first
            )
            assert row["tokens"] == len(ids) - first
            assert row["nll"] == pytest.approx(nll, rel=1e-3)
    shown = told["first_texts"]["letters"]["letters"]
    text = f"[INST] {asked[0]['prompt']} [/INST] ("
    ids, place = begun(text)
    assert shown["text"].removeprefix("<s>") == text and shown["ids"] == ids
    assert shown["steered"] == [tokenizer.decode(token) for token in ids[place:]]
    assert told["first_texts"].keys() == {"letters", "instructions"}


def test_a_chat_is_written_on_and_steered_inside(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    tokenizer = AutoTokenizer.from_pretrained(folder / "chat")
    network = AutoModelForCausalLM.from_pretrained(folder / "chat").eval()
    path = made(folder, "samples", "written", "parquet")
    vector = torch.tensor(read_tensors(made(folder, "vectors", "letters"))["vector"][1])
    said = [{"role": "user", "content": "Count the sacks"}]
    begun = tokenizer.apply_chat_template(said, add_generation_prompt=True)["input_ids"]
    told = read_provenance(path)
    assert told["first_ids"] == begun and told["first_text"] == tokenizer.decode(begun)
    for row, coefficient in zip(read_table(path).to_pylist(), (0.0, 9.0), strict=True):
        ids = list(begun)
        while len(ids) < len(begun) + 6 and ids[-1] != tokenizer.eos_token_id:
            part = oracle.Part(1, vector, "mlp", where=range(len(begun), len(ids)))
            logits, _ = oracle.forward(network, network.model.layers, ids, [part], coefficient)
            ids.append(int(logits[-1].argmax()))
        written = [token for token in ids[len(begun) :] if token != tokenizer.eos_token_id]
        assert row["continuation"] == tokenizer.decode(written)


def test_unreadable_files_are_reported_in_one_sentence(finished: tuple[Path, str]) -> None:
    _, printed = finished
    for sentence in (
        "activations.lacking: site is attention, but block 0 of MambaForCausalLM has no such "
        "module (it has norm, mixer); use the site output or input.",
        "activations.unformatted: format is chat, but the model's tokenizer has no chat template; "
        'give `format` a template, as {template: "[INST] {prompt} [/INST] "}.',
        "sweeps.unmarked: measures.two_choice: behaviours.letters: positions is {from: "
        "'</think>'}, but question",
    ):
        assert sentence in printed
    assert "Traceback" not in printed


def test_the_chat_template_is_one_of_the_models_files(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    before = manifest(folder / "chat")
    assert "chat_template.jinja" in before["files"]
    (folder / "chat" / "chat_template.jinja").write_text(TEMPLATE + " ")
    after = manifest(folder / "chat")
    assert after["files"] != before["files"]
    assert after["fingerprint"] == before["fingerprint"]
