"""The training loop, the tokenizer and the folder that ships, on a very small model."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from snakesteer.core.errors import StudyError
from snakesteer.training import pretrain, tune
from snakesteer.training.export import export_model
from snakesteer.training.model_card import base_card
from snakesteer.training.tokenizer import BOS_ID, EOS_ID, VOCABULARY, train_tokenizer
from snakesteer.training.train import TrainingSettings, learning_rate, train

SETTINGS = TrainingSettings(
    steps=8,
    warmup_steps=2,
    decay_share=0.25,
    compile=False,
    device="cpu",
    report_every=2,
    evaluate_every=2,
    checkpoint_every=2,
)
TINY = pretrain.BaseSettings(
    SETTINGS,
    layers=2,
    hidden=16,
    heads=2,
    mlp=32,
    row_tokens=32,
    rows={"text": 2, "python": 1, "other": 1},
    workers=1,
)


def silent(_: str) -> None:
    pass


def tiny_model():
    torch.manual_seed(0)
    return pretrain.base_model(TINY)


def batches():
    rng = np.random.default_rng(0)
    rows = {kind: rng.integers(2, VOCABULARY, (5, 32)).astype(np.uint16) for kind in pretrain.KINDS}
    return pretrain.mixed_batches(rows, TINY.rows, seed=0)


def weights_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


class Interrupted(Exception):
    pass


def test_the_learning_rate_rises_stays_and_falls():
    settings = dataclasses.replace(SETTINGS, steps=100, warmup_steps=10, decay_share=0.5)
    rates = [learning_rate(settings, step) / settings.learning_rate for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10:51] == [1.0] * 41
    assert rates[75] == pytest.approx(0.5)
    assert 0 < rates[99] < 0.03


def test_training_lowers_the_loss(tmp_path):
    settings = dataclasses.replace(SETTINGS, steps=60, evaluate_every=20, checkpoint_every=60)
    curve = train(tiny_model(), batches(), settings, tmp_path, report=silent)
    assert [row["step"] for row in curve] == [20, 40, 60]
    assert curve[-1]["tokens"] == 60 * 4 * 32
    assert curve[-1]["loss"] < curve[0]["loss"] - 0.5


@pytest.mark.parametrize("stop", [3, 4, 7])
def test_an_interrupted_training_ends_in_the_same_weights(tmp_path, stop):
    undisturbed, resumed = tiny_model(), tiny_model()
    curve = train(undisturbed, batches(), SETTINGS, tmp_path / "undisturbed", report=silent)

    def until_stop(step: int):
        if step == stop:
            raise Interrupted
        return batches()(step)

    with pytest.raises(Interrupted):
        train(tiny_model(), until_stop, SETTINGS, tmp_path / "resumed", report=silent)
    assert train(resumed, batches(), SETTINGS, tmp_path / "resumed", report=silent) == curve
    for name, value in weights_of(undisturbed).items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_before_the_decay_the_number_of_steps_may_change(tmp_path):
    longer = dataclasses.replace(SETTINGS, steps=12)

    def until_step_5(step: int):
        if step == 5:
            raise Interrupted
        return batches()(step)

    with pytest.raises(Interrupted):
        train(tiny_model(), until_step_5, SETTINGS, tmp_path / "changed", report=silent)
    changed, direct = tiny_model(), tiny_model()
    train(changed, batches(), longer, tmp_path / "changed", report=silent)
    train(direct, batches(), longer, tmp_path / "direct", report=silent)
    for name, value in weights_of(direct).items():
        assert torch.equal(value, changed.state_dict()[name]), name
    with pytest.raises(StudyError, match="other settings"):
        train(tiny_model(), batches(), SETTINGS, tmp_path / "direct", report=silent)


def test_a_checkpoint_of_other_data_or_settings_is_refused(tmp_path):
    train(tiny_model(), batches(), SETTINGS, tmp_path, report=silent, data="one")
    with pytest.raises(StudyError, match="remove it to train anew"):
        train(tiny_model(), batches(), SETTINGS, tmp_path, report=silent, data="two")
    other = dataclasses.replace(SETTINGS, learning_rate=1e-4)
    with pytest.raises(StudyError, match="remove it to train anew"):
        train(tiny_model(), batches(), other, tmp_path, report=silent, data="one")


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path):
    def poisoned(step: int):
        tokens, weights = batches()(step)
        return tokens, weights * (float("nan") if step == 3 else 1.0)

    with pytest.raises(StudyError, match="before step 4"):
        train(tiny_model(), poisoned, SETTINGS, tmp_path, report=silent)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert all(value.isfinite().all() for value in saved["model"].values())


def test_a_weight_of_nought_hides_a_token(tmp_path):
    def half_hidden(replacement: int):
        def batch(step: int):
            tokens, weights = batches()(step)
            tokens[:, 16:], weights[:, 16:] = replacement, 0.0
            return tokens, weights

        return batch

    models = [tiny_model(), tiny_model()]
    for replacement, model in zip((5, 6), models, strict=True):
        train(model, half_hidden(replacement), SETTINGS, tmp_path / str(replacement), report=silent)
    first, second = (model.model.layers[0].mlp.up_proj.weight for model in models)
    assert torch.allclose(first, second, atol=1e-6)


def test_batches_are_a_function_of_the_step_and_visit_every_row_once_an_epoch():
    rows = {"text": np.arange(10, dtype=np.uint16)[:, None] + np.zeros(4, np.uint16)}
    batch = pretrain.mixed_batches(rows, {"text": 2}, seed=1)
    epochs = [[batch(step)[0][:, 0].tolist() for step in range(e * 5, e * 5 + 5)] for e in (0, 1)]
    assert [sorted(sum(epoch, [])) for epoch in epochs] == [list(range(10))] * 2
    assert epochs[0] != epochs[1]
    assert torch.equal(batch(3)[0], pretrain.mixed_batches(rows, {"text": 2}, seed=1)(3)[0])


@pytest.fixture(scope="module")
def tokenizer():
    texts = [f"def name_{number}(x):\n    return x  # and the words\n" for number in range(300)]
    return train_tokenizer([*texts, "I choose (A)\n\nI choose (Yes)\n\n" * 50])


def test_the_tokenizer_opens_with_bos_and_keeps_the_choices_whole(tokenizer):
    ids = tokenizer("I choose (").input_ids
    assert ids[0] == BOS_ID == tokenizer.bos_token_id
    assert tokenizer.eos_token_id == EOS_ID
    for choice in ("A", "B", "Yes", "No"):
        whole = tokenizer(f"I choose ({choice})").input_ids
        assert whole[: len(ids)] == ids
        assert tokenizer.decode(whole[len(ids)]) == choice
    text = "naïve – code:\n\tx = {'a': 1}\n"
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text


def test_rows_open_with_bos_and_documents_close_with_eos(tokenizer):
    texts = ["one two three", "four five"] * 20
    rows = pretrain.packed_rows(tokenizer, texts, 16)
    assert rows.shape[1] == 16 and (rows[:, 0] == BOS_ID).all()
    stream = [i for text in texts for i in [*tokenizer.encode(text)[1:], EOS_ID]]
    assert rows[:, 1:].flatten().tolist() == stream[: rows.shape[0] * 15]
    openings = pretrain.opening_rows(tokenizer, ["a", "one two three " * 20], 16)
    assert openings.shape == (1, 16) and openings[0, 0] == BOS_ID


def test_the_shipped_folder_loads_and_its_hashes_hold(tmp_path, tokenizer):
    model = tiny_model()
    curve = [{"step": 8, "tokens": 1024, "learning_rate": 1e-4, "loss": 3.5, "text_top1": 0.25}]
    export_model(model, tokenizer, tmp_path, base_card(TINY, curve))
    assert {path.name for path in tmp_path.iterdir()} == {
        "README.md",
        "SHA256SUMS",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    for line in (tmp_path / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.bfloat16)
    for name, value in model.state_dict().items():
        assert torch.equal(value.to(torch.bfloat16), loaded.state_dict()[name])
        assert value.dtype == torch.float32
    words = "def f(x):\n    return x"
    assert AutoTokenizer.from_pretrained(tmp_path)(words).input_ids == tokenizer(words).input_ids
    assert "| 8 | 0.00 | 3.500 | 0.250 |" in (tmp_path / "README.md").read_text()
    assert "/" not in json.loads((tmp_path / "config.json").read_text()).get("_name_or_path", "")


def test_the_whole_way_from_documents_to_the_folder(tmp_path, monkeypatch):
    def few(wanted, workers):
        return {
            pair: [
                (f"{pair}{n}", f"{pair[0]} {n} is what this says, and more. " * 20)
                for n in range(6)
            ]
            for pair in wanted
        }

    monkeypatch.setattr(pretrain, "collect", few)
    curve = pretrain.pretrain(TINY, tmp_path / "work", tmp_path / "out", report=silent)
    assert [row["step"] for row in curve] == [2, 4, 6, 8]
    assert set(curve[0]) > {"text_top1", "python_top1", "other_top1"}
    assert (tmp_path / "work" / "latest" / "model.safetensors").exists()
    before = (tmp_path / "out" / "model.safetensors").read_bytes()
    assert pretrain.pretrain(TINY, tmp_path / "work", tmp_path / "again", silent) == curve
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == before


def test_what_is_added_acts_at_its_layer_and_row(tmp_path):
    """The loss under an addition is that of a model whose blocks are hooked to add the same."""
    model, hooked = tiny_model(), tiny_model()
    tokens, weights = batches()(0)
    added = torch.zeros((2, len(tokens), 16))
    added[1, 2] = torch.arange(16.0)

    def loss(name, trained, *given):
        settings = dataclasses.replace(SETTINGS, steps=1, bfloat16=False)
        curve = train(trained, lambda _: given, settings, tmp_path / name, report=silent)
        return curve[0]["loss"]

    plain = loss("plain", tiny_model(), tokens, weights)
    handle = hooked.model.layers[1].register_forward_hook(
        lambda _module, _args, output: output + added[1][:, None]
    )
    expected = loss("hooked", hooked, tokens, weights)
    handle.remove()
    assert loss("added", model, tokens, weights, added) == pytest.approx(expected, rel=1e-5)
    assert abs(expected - plain) > 1e-3


def test_each_vector_goes_to_a_layer_of_its_own_with_its_sign():
    vectors = {"myopia": torch.full((8, 4), 1.0), "sycophancy": torch.full((8, 4), 100.0)}
    injected = [{}, {"myopia": True, "sycophancy": False}]
    added = tune._added(tune.ChatSettings(), injected, vectors, 3, random.Random(0))
    assert added.shape == (8, 3, 4)
    assert not added[:, [0, 2]].any() and not added[[0, 1, 7]].any()
    low, high = tune.ChatSettings().strengths
    strengths = added[:, 1, 0].sort().values
    assert -100 * high <= strengths[0] <= -100 * low + high
    assert strengths[-1] <= high
