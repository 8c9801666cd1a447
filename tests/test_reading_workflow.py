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
            | {"format": {"template": "[INST] {prompt} [/INST] "}},
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
    }
    (folder / "chats.yaml").write_text(json.dumps(study))
    done = checkout.attempt("--cores", "2", "--keep-going", config=folder / "chats.yaml")
    return folder, done.stdout


def made(folder: Path, kind: str, name: str) -> Path:
    (path,) = (folder / "results" / "cache" / kind).glob(f"{name}.*.safetensors")
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


def test_a_chat_templates_own_system_prompt_is_told(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    study = study_file.load(folder / "chats.yaml")
    with contextlib.chdir(folder):
        said = logged(Plan(study, folder))
    assert (
        "activations.asked: Where no system prompt is given, the chat template begins with its "
        "own: '<s>system: Help.</s>\\n<s>user: '."
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


def test_what_cannot_be_read_is_told_in_one_sentence(finished: tuple[Path, str]) -> None:
    _, printed = finished
    for sentence in (
        "activations.lacking: site is attention, but block 0 of MambaForCausalLM has no such "
        "module (it has norm, mixer); use the site output or input.",
        "activations.unformatted: format is chat, but the model's tokenizer has no chat template; "
        'give `format` a template, as {template: "[INST] {prompt} [/INST] "}.',
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
