"""Extraction: prompts computed once for both answers, shards, and what an interruption leaves."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import safetensors.numpy
import tiny
import torch

from snakesteer import activations, engine, models
from snakesteer.artefacts import read_provenance, stack_tensors, write_tensors
from snakesteer.points import Points
from snakesteer.progress import Progress

torch.set_num_threads(1)

PROMPTS = [[0, 5, 9, 20, 31, 40, 2], [0, 7, 30], [0, *range(10, 30)], [0, 11, 12, 13]]
ANSWERS = torch.tensor([[50, 51], [52, 50], [51, 52], [50, 52]])


@pytest.fixture(scope="module")
def llama() -> models.LanguageModel:
    return models.wrap(tiny.network(), tiny.tokenizer(), "none")


def both_alone(model: models.LanguageModel) -> torch.Tensor:
    sides = [
        engine.capture(
            model,
            [[*ids, int(answer)] for ids, answer in zip(PROMPTS, ANSWERS[:, side], strict=True)],
            list("abcd"),
            batch_tokens=1,
        )
        for side in (0, 1)
    ]
    return torch.stack(sides, dim=1)


@pytest.mark.parametrize("architecture", tiny.SHAPES)
def test_both_answers_as_if_alone(architecture):
    model = models.wrap(tiny.network(architecture), tiny.tokenizer(), "none")
    found = engine.capture_answers(model, PROMPTS, ANSWERS, list("abcd"), batch_tokens=60)
    expected = both_alone(model)
    error = (found - expected).norm(dim=-1) / expected.norm(dim=-1)
    assert error.max() < 1e-3


def test_the_prompt_is_computed_once(llama):
    tokens = []
    handle = llama.network.base_model.register_forward_pre_hook(
        lambda _module, _args, given: tokens.append(given["input_ids"].numel()), with_kwargs=True
    )
    engine.capture_answers(
        llama, PROMPTS * 20, ANSWERS.repeat(20, 1), list("abcd") * 20, batch_tokens=400
    )
    handle.remove()
    once = 20 * sum(len(ids) + 2 for ids in PROMPTS)
    assert sum(tokens) < 1.3 * once


def test_a_cache_that_does_not_serve_falls_back(llama, monkeypatch, capsys):
    right = engine._both_outputs
    monkeypatch.setattr(engine, "_both_outputs", lambda *given: 1.1 * right(*given))
    found = engine.capture_answers(llama, PROMPTS, ANSWERS, list("abcd"), batch_tokens=1)
    assert torch.equal(found, both_alone(llama))
    assert "every prompt runs twice" in capsys.readouterr().err


def test_an_interrupted_extraction_goes_on(llama, monkeypatch, tmp_path):
    monkeypatch.setattr(activations, "SHARD_BYTES", 5 * 4 * 32 * 4)
    documents = activations.read_documents(llama.tokenizer, tiny.documents(12), 30)
    points = Points(tmp_path)
    parts = list(activations.shards(llama, documents, batch_tokens=64))
    assert len(parts) == 3
    files = [points.tensors({"samples": part.samples}, part.capture) for part in parts[:2]]
    files[1].write_bytes(files[1].read_bytes()[:50])
    shutil.copytree(tmp_path, tmp_path / "twice")
    captured = []

    def capture(part):
        captured.append(part)
        return part.capture()

    files = [
        points.tensors({"samples": part.samples}, lambda part=part: capture(part)) for part in parts
    ]
    assert captured == parts[1:]
    stack_tensors(tmp_path / "whole.safetensors", files, {"kind": "activations"})
    whole = safetensors.numpy.load_file(tmp_path / "whole.safetensors")["activations"]
    for part, start in zip(parts, (0, 5, 10), strict=True):
        assert np.array_equal(whole[start : start + 5], part.capture()["activations"].numpy())
    progress = Progress()
    again = tmp_path / "again.safetensors"
    given = {"batch_tokens": 64, "points": Points(tmp_path / "twice"), "progress": progress}
    activations.extract(again, llama, documents, {"kind": "activations"}, **given)
    assert again.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    assert progress.done == progress.total == sum(part.tokens for part in parts[1:])


def test_shards_make_the_file_that_one_writing_makes(tmp_path):
    noise = torch.Generator().manual_seed(0)
    whole = {
        name: torch.randn(7, 2, 3, generator=noise).bfloat16() for name in ("other", "matching")
    }
    for start, end in ((0, 3), (3, 7)):
        part = {name: tensor[start:end].clone() for name, tensor in whole.items()}
        write_tensors(tmp_path / f"{start}.safetensors", part, {})
    shards = [tmp_path / "0.safetensors", tmp_path / "3.safetensors"]
    stack_tensors(tmp_path / "joined.safetensors", shards, {"kind": "test"})
    from safetensors.torch import load_file

    joined = load_file(tmp_path / "joined.safetensors")
    assert joined.keys() == whole.keys()
    assert all(torch.equal(joined[name], whole[name]) for name in whole)
    assert read_provenance(tmp_path / "joined.safetensors") == {"kind": "test"}
    assert not list(tmp_path.glob(".*"))
