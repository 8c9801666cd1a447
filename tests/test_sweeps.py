"""Sweeps around the numbers: stopping, order, budgets, samples, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch

from snakesteer import activations, behaviour_sweep, engine, models, samples, skill_sweep
from snakesteer.errors import StudyError
from snakesteer.question_tokens import question_tokens
from snakesteer.skip_tokens import most_frequent
from snakesteer.stopping import GridStopping, SkillStopping

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model() -> models.LanguageModel:
    return models.wrap(tiny.network(), tiny.tokenizer(), "none")


@pytest.fixture(scope="module")
def injection(model: models.LanguageModel) -> engine.Injection:
    noise = np.random.default_rng(0).normal(size=32)
    return engine.injection(model, [(1, noise)])


def sweep(model, injection, coefficients, documents=None, **settings):
    corpora = {"prose": tiny.documents() if documents is None else documents}
    settings = {"max_tokens": 30, "batch_tokens": 64} | settings
    return skill_sweep.run(model, injection, coefficients, corpora, {"prose": []}, **settings)


def test_points_do_not_depend_on_the_other_coefficients(model, injection):
    several = sweep(model, injection, [0, 3.0, -1.0]).to_pandas()
    two = sweep(model, injection, [0, -1.0]).to_pandas()
    mine = several[several.coefficient != 3].reset_index(drop=True)
    assert mine.equals(two)
    assert list(mine.document[:12]) == [name for name, _ in tiny.documents()]


def test_kept_states_and_paths_give_the_same_table(model, injection):
    tables = [
        sweep(model, injection, [0, 2.0], path=path, keep_bytes=keep_bytes)
        for path, keep_bytes in (("shared", 2**30), ("shared", 10_000), ("plain", 2**30))
    ]
    assert tables[0].equals(tables[1]) and tables[0].equals(tables[2])


def test_stopping_follows_the_first_corpus(model, injection, monkeypatch):
    shares = {0.0: 10, 1.0: 9, 2.0: 1, 8.0: 0, 9.0: 9}
    right = skill_sweep._measure

    def measure(model, corpus, injection, coefficient, progress):
        measured = right(model, corpus, injection, coefficient, progress)
        return measured | {"top1": np.full(len(corpus.documents), shares[coefficient])}

    monkeypatch.setattr(skill_sweep, "_measure", measure)
    coefficients = [0, 1, 2, 3, 4, 5, 6, 8, 9]
    table = sweep(model, injection, coefficients, stopping=SkillStopping())
    assert table["coefficient"].unique().to_pylist() == [0, 1, 2, 8]


def test_token_budget_takes_the_first_documents(model, injection):
    table = sweep(model, injection, [0], tokens=40).to_pandas()
    assert list(table.document) == [name for name, _ in tiny.documents()][: len(table)]
    assert table.tokens.sum() >= 40 > table.tokens[:-1].sum()


def test_unfit_skill_sweeps_are_refused(model, injection):
    for given, word in (
        ({"coefficients": [1.0]}, "begin with 0"),
        ({"coefficients": []}, "begin with 0"),
        ({"documents": []}, "no validation documents"),
        ({"documents": [("d", "")]}, "Document d of corpus prose has fewer than two"),
        ({"max_tokens": 999, "documents": [("d", tiny.PROSE * 9)]}, "context of 128"),
    ):
        with pytest.raises(StudyError, match=word):
            sweep(model, injection, **({"coefficients": [0]} | given))


def test_overflow_names_document_layer_and_coefficient(injection):
    network = tiny.network().to(torch.float16)
    model = models.wrap(network, tiny.tokenizer(), "none")
    with pytest.raises(StudyError, match=r"document d0 .* layer 1 with coefficient 1e\+06"):
        sweep(model, injection, [0, 1e6])
    prompts = behaviour_sweep.prepare_prompts(model, {"bold": tiny.questions()}, 1, batch_tokens=99)
    with pytest.raises(
        StudyError, match=r"question q0 of bold .* layer 1 with coefficient -1e\+06"
    ):
        behaviour_sweep.run(model, injection, [-1e6], prompts)


def test_grid_stopping_ends_a_column_but_not_at_0(model, injection):
    prompts = behaviour_sweep.prepare_prompts(model, {"bold": tiny.questions()}, 1, batch_tokens=99)
    table = behaviour_sweep.run(
        model, injection, [0, 5.0, 6.0], prompts, stopping=GridStopping(faulty=0)
    )
    assert table["coefficient"].unique().to_pylist() == [0, 5]
    assert behaviour_sweep.run(model, injection, [], prompts).num_rows == 0


def test_prompts_serve_injections_above_their_layer(model):
    noise = np.random.default_rng(1).normal(size=32)
    injection = engine.injection(model, [(2, noise), (3, noise)])
    low, exact = (
        behaviour_sweep.prepare_prompts(model, {"bold": tiny.questions()}, layer, batch_tokens=99)
        for layer in (0, 2)
    )
    tables = [behaviour_sweep.run(model, injection, [0, 1.0], each) for each in (low, exact)]
    assert tables[0].equals(tables[1])


def test_answers_that_are_several_tokens_are_refused(model):
    question = tiny.questions()[0] | {"matching": "Perhaps"}
    with pytest.raises(StudyError, match=r"'Perhaps' .* q0 one token each"):
        question_tokens(model.tokenizer, question)


def test_a_tokenizer_may_join_the_bracket_with_the_answer():
    class Joining:
        bos_token_id = 9

        def encode(self, text, **_):
            return [1, 2, 5 if text.endswith("(A") else 6] if text[-1] in "AB" else [1, 2, 3]

        def decode(self, ids):
            return {5: " (A", 6: " (B"}[ids[0]]

    question = {"question": "q", "prompt": "I choose (", "matching": "A", "not_matching": "B"}
    found = question_tokens(Joining(), question)
    assert (found.prompt, found.matching, found.not_matching) == ([9, 1, 2], 5, 6)


def test_empty_inputs_of_activations_are_refused(model):
    with pytest.raises(StudyError, match="no training documents"):
        activations.of_documents(model, [], max_tokens=8, batch_tokens=64)
    with pytest.raises(StudyError, match="no training questions"):
        activations.of_questions(model, [], batch_tokens=64)


def test_most_frequent_tokens(model):
    tokenizer = model.tokenizer
    texts = ["b b b c c a a", "a"]
    ids = [tokenizer.encode(text) for text in texts]
    flat = [token for one in ids for token in one]
    found = most_frequent(tokenizer, texts, max_tokens=100, count=3)
    assert found == sorted(set(flat), key=lambda token: (-flat.count(token), token))[:3]
    assert tokenizer.bos_token_id not in most_frequent(tokenizer, texts, max_tokens=100)


def test_samples_are_greedy_and_steered(model, injection):
    prompts = ["The river", "def add(a, b): return"]
    table = samples.run(model, {"noise": injection}, [0, 2.0], prompts, tokens=6).to_pylist()
    assert [(row["prompt"], row["coefficient"], row["layer"]) for row in table] == [
        (prompt, coefficient, "1") for coefficient in (0.0, 2.0) for prompt in prompts
    ]
    for row in table[:2]:
        ids = torch.tensor([[0, *model.tokenizer.encode(row["prompt"])]])
        expected = model.network.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=6
        )
        text = model.tokenizer.decode(expected[0, ids.shape[1] :], skip_special_tokens=True)
        assert row["continuation"] == text
    assert table[0]["continuation"] != table[2]["continuation"]
