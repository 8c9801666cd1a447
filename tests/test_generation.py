"""Text written with a cache, many rows at once, against transformers' own `generate`."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
import tiny
import torch
from transformers import TopPLogitsWarper

import oracle
from snakesteer.core.errors import StudyError
from snakesteer.engine import generation, models, steering
from snakesteer.engine.generation import Begun, Rules, draws_of, write
from snakesteer.engine.operators import ablate, add, clamp
from snakesteer.engine.steering import Injection, Part
from snakesteer.prompts.marks import Marked

torch.set_num_threads(1)

# Architectures by how their texts are written.
WAYS = {
    "llama": "padded",
    "gpt2": "padded",
    "mistral": "padded",
    "gemma2": "padded",
    "mixtral": "padded",
    "bloom": "padded",
    "jamba": "padded",
    "falcon_h1": "padded",
    "mamba": "plain",
}
PROMPTS = ("The river", "Count the sacks and then", "Is the mill past the river, says she?", "No")
COEFFICIENTS = (0.0, 0.5, -1.0, 3.0)
TOKENS = 14
OPERATORS = {"add": add, "ablate": ablate, "clamp": clamp}


def wrapped(architecture: str = "llama") -> models.LanguageModel:
    return models.wrap(tiny.network(architecture), tiny.tokenizer(), "none")


def noise(seed: int = 0) -> torch.Tensor:
    return torch.randn(32, generator=torch.Generator().manual_seed(seed))


def prompts_of(model: models.LanguageModel) -> list[list[int]]:
    return [model.tokenizer(prompt)["input_ids"] for prompt in PROMPTS]


def generated(
    model: models.LanguageModel,
    ids: Sequence[int],
    parts: Sequence[oracle.Part],
    coefficient: float,
) -> list[int]:
    """What transformers writes of one prompt, with hooks, without the end token."""
    given = torch.tensor([list(ids)])
    with oracle.hooked(model.blocks, parts, coefficient), torch.inference_mode():
        found = model.network.generate(
            given,
            attention_mask=torch.ones_like(given),
            do_sample=False,
            max_new_tokens=TOKENS,
        )[0, len(ids) :].tolist()
    return found[:-1] if found and found[-1] in generation.end_tokens(model) else found


def begun(
    prompts: Sequence[Sequence[int]], injection: Injection, coefficients: Sequence[float | None]
) -> list[Begun]:
    return [
        Begun(Marked(list(ids)), (injection, coefficient))
        for coefficient in coefficients
        for ids in prompts
    ]


@pytest.mark.parametrize("architecture", WAYS)
def test_greedy_texts_are_those_of_generate(architecture: str, capsys) -> None:
    """All coefficients in one batch; prompts of different lengths; some that end before others."""
    model = wrapped(architecture)
    ids = prompts_of(model)
    free = generated(model, ids[0], (), 0)
    model.network.generation_config.eos_token_id = [1, free[4]]
    injection = steering.injection(model, [Part(1, noise())])
    found = write(model, begun(ids, injection, COEFFICIENTS), Rules(TOKENS))
    parts = [oracle.Part(1, noise())]
    expected = [generated(model, each, parts, value) for value in COEFFICIENTS for each in ids]
    assert [text.ids for text in found] == expected
    assert [text.text for text in found] == [model.tokenizer.decode(each) for each in expected]
    assert [text.finished for text in found] == [len(each) < TOKENS for each in expected]
    assert any(text.finished for text in found)
    assert generation.way_of(model) == WAYS[architecture]
    write(model, begun(ids, injection, [1.0]), Rules(2))
    assert capsys.readouterr().err.count("without a cache") == (WAYS[architecture] == "plain")


def test_prompts_of_one_length_share_a_batch_where_padding_fails(monkeypatch, capsys) -> None:
    right = generation._Cached._placed

    def shifted(self):
        return right(self) | {"position_ids": self.batch.places.clamp(min=0) + 1}

    model = wrapped("gpt2")
    with monkeypatch.context() as context:
        context.setattr(generation._Cached, "_placed", shifted)
        assert generation.way_of(model) == "even"
    assert "prompts of equal length together (other values with padding)" in capsys.readouterr().err
    injection = steering.injection(model, [Part(1, noise())])
    ids = prompts_of(model)
    found = write(model, begun(ids, injection, COEFFICIENTS), Rules(TOKENS))
    parts = [oracle.Part(1, noise())]
    expected = [generated(model, each, parts, value) for value in COEFFICIENTS for each in ids]
    assert [text.ids for text in found] == expected


def test_each_row_has_its_own_operator_layer_and_site() -> None:
    model = wrapped()
    ids = prompts_of(model)
    given: list[Begun] = []
    expected = []
    acting = [("add", 0, "output", 2.0), ("ablate", 2, "input", 1.0), ("clamp", 1, "mlp", 3.0)]
    for how, layer, site, value in acting:
        part = Part(layer, noise(layer), site, OPERATORS[how])
        injection = steering.injection(model, [part])
        by_hand = [oracle.Part(layer, noise(layer), site, how)]
        given += begun(ids, injection, [value, None])
        expected += [generated(model, each, by_hand, value) for each in ids]
        expected += [generated(model, each, (), 0) for each in ids]
    assert [text.ids for text in write(model, given, Rules(TOKENS))] == expected
    assert len(set(map(tuple, expected))) > 2 * len(ids)


DRAWN = Rules(TOKENS, temperature=0.9, top_p=0.9)


def drawn(model: models.LanguageModel) -> list[Begun]:
    injection = steering.injection(model, [Part(1, noise())])
    found = []
    for coefficient in (0.0, 1.0, -2.0):
        for ids in prompts_of(model):
            for number in range(3):
                draws = draws_of(5, ids, coefficient, number, TOKENS)
                found.append(Begun(Marked(ids), (injection, coefficient), draws))
    return found


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "jamba"])
def test_drawn_texts_are_the_same_in_any_batch(architecture: str) -> None:
    model = wrapped(architecture)
    texts = drawn(model)
    together = write(model, texts, DRAWN)
    assert [write(model, [text], DRAWN)[0] for text in texts] == together
    order = list(range(len(texts)))
    random.Random(1).shuffle(order)
    few = generation.cache_bytes(model, 5 * (TOKENS + 12))
    shuffled = write(model, [texts[place] for place in order], DRAWN, kept_bytes=few)
    assert shuffled == [together[place] for place in order]
    assert len({text.text for text in together}) > len(texts) * 0.9


def test_what_picks_a_text_differs_in_all_it_is_made_of() -> None:
    made = [
        draws_of(*given)
        for given in [
            (0, [1, 2], 0.0, 0, 50),
            (1, [1, 2], 0.0, 0, 50),
            (0, [1, 3], 0.0, 0, 50),
            (0, [1, 2], 0.5, 0, 50),
            (0, [1, 2], None, 0, 50),
            (0, [1, 2], 0.0, 1, 50),
        ]
    ]
    assert len({tuple(each) for each in made}) == len(made)
    assert np.array_equal(made[0], draws_of(0, [1, 2], 0.0, 0, 50))
    assert np.array_equal(made[0][:9], draws_of(0, [1, 2], 0.0, 0, 9))
    many = np.concatenate([draws_of(0, [1], 0.0, number, 500) for number in range(20)])
    assert abs(many.mean() - 0.5) < 0.01 and 0 <= many.min() < many.max() < 1


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 1.0), (1.3, 0.6)])
def test_tokens_are_drawn_by_the_probabilities(temperature: float, top_p: float) -> None:
    """Draws spread evenly over [0, 1) pick each token as often as transformers' own would."""
    logits = torch.randn(40, generator=torch.Generator().manual_seed(2)) * 2
    kept = TopPLogitsWarper(top_p)(None, logits[None] / temperature)
    expected = kept.double().softmax(dim=-1)[0].numpy()
    draws = (np.arange(20_000) + 0.5) / 20_000
    rules = Rules(1, temperature, top_p)
    found = generation._chosen(logits.expand(len(draws), -1), draws.tolist(), rules)
    shares = np.bincount(found.numpy(), minlength=40) / len(draws)
    assert np.abs(shares - expected).max() < 1e-4
    assert ((shares > 0) <= (expected > 0)).all()


def test_a_text_ends_before_what_stops_it() -> None:
    model = wrapped()
    ids = prompts_of(model)
    free = write(model, begun(ids, generation.NOTHING, [None]), Rules(TOKENS))
    stop = free[0].text[5:8]
    found = write(model, begun(ids, generation.NOTHING, [None]), Rules(TOKENS, stop=("§", stop)))
    for text, other in zip(found, free, strict=True):
        assert text.text == other.text.split(stop)[0]
        assert text.finished == (stop in other.text)
        assert text.ids == other.ids[: len(text.ids)]
    assert len(found[0].ids) < TOKENS


def test_a_text_ends_where_the_context_is_full() -> None:
    model = wrapped()
    ids = (prompts_of(model)[2] * 20)[: model.context - 3]
    short = prompts_of(model)[0]
    full, other = write(model, begun([ids, short], generation.NOTHING, [None]), Rules(TOKENS))
    assert len(full.ids) == 3 and not full.finished and len(other.ids) == TOKENS
    with pytest.raises(StudyError, match="longer than the model's context"):
        write(model, begun([[*ids, *ids]], generation.NOTHING, [None]), Rules(TOKENS))


def test_rows_that_do_not_fit_are_halved(monkeypatch) -> None:
    model = wrapped()
    texts = drawn(model)
    whole = write(model, texts, DRAWN)
    right, sizes = generation._last_states, []

    def last_states(model, batch, swept, inputs):
        sizes.append(len(swept))
        if len(swept) > 10:
            raise torch.OutOfMemoryError
        return right(model, batch, swept, inputs)

    monkeypatch.setattr(generation, "_last_states", last_states)
    assert write(model, texts, DRAWN) == whole
    assert max(sizes) == len(texts)


def test_rows_that_end_leave_the_batch(monkeypatch) -> None:
    model = wrapped()
    ids = prompts_of(model)
    free = generated(model, ids[0], (), 0)
    model.network.generation_config.eos_token_id = free[2]
    right, sizes = generation._last_states, []

    def last_states(model, batch, swept, inputs):
        sizes.append(len(swept))
        return right(model, batch, swept, inputs)

    generation.way_of(model)
    monkeypatch.setattr(generation, "_last_states", last_states)
    write(model, begun([ids[0]] * 6 + [ids[1]], generation.NOTHING, [None]), Rules(TOKENS))
    assert (sizes[0], sizes[-1]) == (7, 1)


def test_infinity_ends_its_own_row_alone() -> None:
    model = wrapped()
    injection = steering.injection(model, [Part(1, noise())])
    ids = prompts_of(model)
    found = write(model, begun(ids, injection, [0.0, 1e39]), Rules(TOKENS))
    assert [text.broken for text in found] == [False] * 4 + [True] * 4
    assert found[:4] == write(model, begun(ids, injection, [0.0]), Rules(TOKENS))
