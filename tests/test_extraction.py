"""Extraction: prompts computed once for both answers, shards, and what an interruption leaves."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import safetensors.numpy
import tiny
import torch

from snakesteer.core.progress import Progress
from snakesteer.engine import both_answers, extraction, models, steering, texts
from snakesteer.prompts.questions import QuestionTokens
from snakesteer.storage.files import read_provenance, stack_tensors, write_tensors
from snakesteer.storage.points import Points

torch.set_num_threads(1)

# The first two would share a batch in any model; behind the longest only those do that see it all.
PROMPTS = [[0, 7, 30], [0, 11, 12, 13], [0, *range(10, 30)], [0, 5, 9, 20, 31, 40, 2]]
ANSWERS = torch.tensor([[50, 51], [52, 50], [51, 52], [50, 52]])


@pytest.fixture(scope="module")
def llama() -> models.LanguageModel:
    return models.wrap(tiny.network(), tiny.tokenizer(), "none")


def both_alone(model: models.LanguageModel) -> torch.Tensor:
    sides = [
        steering.capture(
            model,
            [[*ids, int(answer)] for ids, answer in zip(PROMPTS, ANSWERS[:, side], strict=True)],
            list("abcd"),
            batch_tokens=1,
        )
        for side in (0, 1)
    ]
    return torch.stack(sides, dim=1)


def captured(model: models.LanguageModel, times: int = 1, batch_tokens: int = 100) -> torch.Tensor:
    prompts, answers = PROMPTS * times, ANSWERS.repeat(times, 1)
    once = both_answers.shares_prompts(model, prompts, answers)
    return both_answers.capture_answers(
        model, prompts, answers, list("abcd") * times, batch_tokens=batch_tokens, once=once
    )


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float(((found - expected).norm(dim=-1) / expected.norm(dim=-1)).max())


@pytest.mark.parametrize("architecture", tiny.SHAPES)
def test_both_answers_as_if_alone(architecture):
    model = models.wrap(tiny.network(architecture), tiny.tokenizer(), "none")
    assert error(captured(model), both_alone(model)) < 1e-3


def test_all_shards_are_captured_the_same_way(monkeypatch, capsys):
    """A model that does not see as far as the longest question is padded: not even in the first
    shard, where all questions are short, a prompt is computed once.
    """
    model = models.wrap(tiny.network("mistral"), tiny.tokenizer(), "none")
    tokens = [
        QuestionTokens(prompt, *pair)
        for prompt, pair in zip(PROMPTS, ANSWERS.tolist(), strict=True)
    ]
    questions = texts.Questions(list("abcd"), tokens)
    monkeypatch.setattr(extraction, "SHARD_BYTES", 2 * 4 * 32 * 4)
    parts = extraction.shards(model, questions, batch_tokens=100)
    assert len(parts) == 2
    assert capsys.readouterr().err.count("every prompt runs twice") == 1
    monkeypatch.setattr(both_answers, "_both_outputs", None)
    for side, expected in zip(
        ("matching", "not_matching"), both_alone(model).unbind(1), strict=True
    ):
        assert error(torch.cat([part.capture()[side] for part in parts]), expected) < 1e-3
    monkeypatch.setattr(extraction, "shares_prompts", lambda *_: True)
    others = extraction.shards(model, questions, batch_tokens=100)
    assert not {part.samples for part in parts} & {part.samples for part in others}


@pytest.mark.parametrize(("architecture", "once"), [("llama", True), ("mistral", False)])
def test_prompts_that_do_not_fit_together_are_tried_one_by_one(architecture, once, capsys):
    def refuse(_module, _args, given):
        if len(given["input_ids"]) > 1:
            raise torch.OutOfMemoryError("no")

    model = models.wrap(tiny.network(architecture), tiny.tokenizer(), "none")
    model.network.base_model.register_forward_pre_hook(refuse, with_kwargs=True)
    assert both_answers.shares_prompts(model, PROMPTS, ANSWERS) == once
    assert "Out of memory" in capsys.readouterr().err


def test_the_prompt_is_computed_once(llama):
    tokens = []
    handle = llama.network.base_model.register_forward_pre_hook(
        lambda _module, _args, given: tokens.append(given["input_ids"].numel()), with_kwargs=True
    )
    captured(llama, times=20, batch_tokens=400)
    handle.remove()
    once = 20 * sum(len(ids) + 2 for ids in PROMPTS)
    assert sum(tokens) < 1.3 * once


def test_a_cache_that_does_not_serve_falls_back(llama, monkeypatch, capsys):
    right = both_answers._both_outputs
    monkeypatch.setattr(both_answers, "_both_outputs", lambda *given: 1.1 * right(*given))
    found = captured(llama, batch_tokens=1)
    assert torch.equal(found, both_alone(llama))
    assert "every prompt runs twice" in capsys.readouterr().err


def test_an_interrupted_extraction_goes_on(llama, monkeypatch, tmp_path):
    monkeypatch.setattr(extraction, "SHARD_BYTES", 5 * 4 * 32 * 4)
    documents = texts.read_documents(llama.tokenizer, tiny.documents(12), 30)
    points = Points(tmp_path)
    parts = extraction.shards(llama, documents, batch_tokens=64)
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
    extraction.extract(again, llama, documents, {"kind": "activations"}, **given)
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
