"""Choices behind one prompt in one sequence, against each of them by itself."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
import torch

import oracle
from snakesteer.core.errors import StudyError
from snakesteer.engine import batches, branches, models, probe, sites, steering
from snakesteer.engine.batches import Batch, batches_of
from snakesteer.engine.operators import ablate, add
from snakesteer.engine.steering import Part, final_states, keeping
from snakesteer.measures import choice, together
from snakesteer.prompts.marks import How
from snakesteer.prompts.which_tokens import From
from snakesteer.storage.points import Points
from snakesteer.sweeps import runner
from snakesteer.sweeps.injections import Steering
from snakesteer.sweeps.runner import Asked

torch.set_num_threads(1)

JOINED = (
    ["llama", "qwen3", "gemma", "olmo2", "phi", "stablelm", "nemotron", "gpt2", "gptj", "codegen"]
    + ["gpt_neox", "gpt_bigcode", "opt", "xglm", "falcon", "mixtral", "gpt_neo", "gemma2"]
    + ["mistral", "gemma3_text", "gpt_oss", "deepseek_v3"]
)
APART = {
    "bloom": "it does not accept the positions of tokens",
    "mpt": "it does not accept the positions of tokens",
    "mamba": "it does not accept the positions of tokens",
    "jamba": "other values",
    "falcon_h1": "other values",
    "qwen3_next": "other values",
}
WINDOWED = {
    "mistral": {"sliding_window": 96},
    "gemma2": {"sliding_window": 96},
    "gemma3_text": {"sliding_window": 96},
    "gpt_oss": {"sliding_window": 96},
    "gpt_neo": {"window_size": 96},
}
COEFFICIENTS = (0.0, 1.0, -3.0)


@functools.cache
def wrapped(architecture: str, window: bool = True) -> models.LanguageModel:
    changes = WINDOWED.get(architecture, {}) if window else {}
    return models.wrap(tiny.network(architecture, **changes), tiny.tokenizer(), "none")


def vector(seed: int = 0) -> torch.Tensor:
    return torch.randn(32, generator=torch.Generator().manual_seed(seed))


def questions(count: int = 5) -> list[dict[str, Any]]:
    """Prompts with 2 to 4 choices, one of which another one begins with; the last one is short."""
    words = tiny.PROSE.split()
    made = []
    for i in range(count):
        choices = [" ".join(words[k : k + 1 + (i + 2 * k) % 5]) for k in range(2 + i % 3)]
        choices[1] = choices[0] + " and the mill"
        prompt = " ".join(words[i : i + 6 + i]) if i < count - 1 else "I"
        made.append({"question": f"q{i}", "prompt": prompt, "choices": choices, "place": 1})
    return made


def read(model: models.LanguageModel, *steered: Any) -> choice.Items:
    settings = choice.Settings(separator=" ")
    return choice.read_items(model.tokenizer, "task", questions(), How(steered=steered), settings)


def measured(
    model: models.LanguageModel, items: choice.Items, parts: Sequence[Part], **settings: Any
) -> pd.DataFrame:
    steered = Steering("noise", tuple(parts), COEFFICIENTS, {"own": ("task",)})
    asked = [Asked("own", choice, {"task": items})]
    (table,) = runner.run(model, asked, [steered], **{"batch_tokens": 128} | settings)
    return table.to_pandas()


def by_hand(
    model: models.LanguageModel, parts: Sequence[oracle.Part], coefficient: float
) -> list[list[float]]:
    """Log-likelihoods by question and choice, each choice by itself."""
    found = []
    for item in questions():
        found.append([])
        first = len(model.tokenizer.encode(item["prompt"]))
        for text in item["choices"]:
            ids = model.tokenizer.encode(f"{item['prompt']} {text}")
            given = (model.network, model.blocks, ids, first, parts, coefficient)
            found[-1].append(oracle.likelihood(*given))
    return found


def assert_as_by_hand(
    model: models.LanguageModel, table: pd.DataFrame, parts: Sequence[oracle.Part]
) -> None:
    for coefficient in COEFFICIENTS:
        here = table[table["coefficient"] == coefficient]["log_likelihoods"]
        expected = by_hand(model, parts, coefficient)
        for ours, theirs in zip(here, expected, strict=True):
            assert list(ours) == pytest.approx(theirs, rel=1e-4, abs=1e-4)


def has(model: models.LanguageModel, site: str) -> bool:
    """Whether blocks have this site, by a name that the naive loop knows."""
    names = [name for name, _ in model.blocks[1].named_children()]
    known = {"attention": ("self_attn", "attention", "attn"), "mlp": ("mlp",)}
    try:
        probe.check_site(model, site, [1])
    except StudyError:
        return False
    return site not in known or any(name in names for name in known[site])


@pytest.mark.parametrize("architecture", JOINED)
def test_choices_in_one_sequence_are_those_by_themselves(architecture: str) -> None:
    model = wrapped(architecture)
    items = read(model)
    joined = choice.arranged(model, "task", items)
    assert sum(map(bool, joined.forks)) >= 4
    assert sum(map(len, joined.sequences)) < 0.7 * sum(map(len, items.sequences))
    for site in sites.SITES:
        if has(model, site):
            table = measured(model, items, [Part(1, vector(), site)])
            assert_as_by_hand(model, table, [oracle.Part(1, vector(), site)])


@pytest.mark.parametrize("architecture", APART)
def test_a_model_that_reads_branches_otherwise_reads_each_choice(
    architecture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = wrapped(architecture)
    items = read(model)
    assert choice.arranged(model, "task", items) is items
    (told,) = [line for line in capsys.readouterr().err.splitlines() if "behaviours.task" in line]
    name = type(model.network).__name__
    assert told == (
        f"behaviours.task: {name} cannot read several choices after one prompt "
        f"({APART[architecture]}); every prompt runs once per choice."
    )
    assert_as_by_hand(model, measured(model, items, [Part(1, vector())]),
                      [oracle.Part(1, vector())])  # fmt: skip


@pytest.mark.parametrize("architecture", WINDOWED)
def test_questions_longer_than_a_window_are_read_by_choice(
    architecture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = wrapped(architecture, window=False)  # of 8 tokens
    items = read(model)
    assert branches.longest(model) == 8
    assert choice.arranged(model, "task", items) is items
    assert "exceed the 8 tokens" in capsys.readouterr().err
    assert_as_by_hand(model, measured(model, items, [Part(1, vector())]),
                      [oracle.Part(1, vector())])  # fmt: skip


def test_a_window_that_no_limit_tells_is_found_by_trying(monkeypatch) -> None:
    monkeypatch.setattr(branches, "WINDOWS", ())
    for architecture in WINDOWED:
        model = wrapped(architecture, window=False)
        items = read(model)
        assert choice.arranged(model, "task", items) is items


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize("site", sites.SITES)
def test_both_paths_give_the_same_bits(architecture: str, site: str) -> None:
    model = wrapped(architecture)
    joined = choice.arranged(model, "task", read(model, "completion"))
    made = batches_of(model, joined.sequences, 256, joined.marks, joined.forks)
    assert sum(len(batch.forks) > 1 for batch in made) >= 1
    for layer in (1, 3):
        for positions in ("all", -1, "completion"):
            acting = Part(layer, vector(), site, ablate, positions=positions)
            injection = steering.injection(model, [acting])
            for batch in made:
                kept = keeping(model, keeping(model, batch, 0), injection.untouched)
                for coefficient in (0.0, 1.0, -20.0):
                    plain = final_states(model, batch, injection, coefficient)
                    assert torch.equal(final_states(model, kept, injection, coefficient), plain)
    shared, plain = (
        measured(model, read(model), [Part(1, vector(), site, add)], path=path)
        for path in ("shared", "plain")
    )
    pd.testing.assert_frame_equal(shared, plain, check_exact=True)


def test_where_marks_differ_every_choice_is_read() -> None:
    """A marker that stands in another place of each choice, or in the prompts alone."""
    model = wrapped("llama")
    given = [{"question": "q", "prompt": "Yes, says the river to", "place": 0}]
    for marker, choices, forked in (
        ("No", ["the mill and No, says she", "No and the mill"], False),
        ("river", ["the mill and No, says she", "No and the mill"], True),
    ):
        positions = From(marker)
        asked = [given[0] | {"choices": choices}]
        settings = choice.Settings(separator=" ")
        how = How(steered=(positions,))
        items = choice.read_items(model.tokenizer, "task", asked, how, settings)
        assert bool(choice.arranged(model, "task", items).forks) == forked
        table = measured(model, items, [Part(1, vector(), positions=positions)])
        for coefficient in COEFFICIENTS:
            expected = []
            for text in choices:
                whole = f"{asked[0]['prompt']} {text}"
                called = model.tokenizer(whole, return_offsets_mapping=True)
                ids, at = called["input_ids"], whole.index(marker)
                begun = sum(end <= at for _, end in called["offset_mapping"])
                steered = oracle.Part(1, vector(), where=range(begun, len(ids)))
                first = len(model.tokenizer.encode(asked[0]["prompt"]))
                given_ids = (model.network, model.blocks, ids, first, [steered], coefficient)
                expected.append(oracle.likelihood(*given_ids))
            [found] = table[table["coefficient"] == coefficient]["log_likelihoods"]
            assert list(found) == pytest.approx(expected, abs=1e-4)


def test_a_question_that_saves_little_is_read_by_choice(monkeypatch) -> None:
    model = wrapped("llama")
    items = read(model)
    joined = choice.arranged(model, "task", items)
    apart = [name for name, forks in zip(joined.names, joined.forks, strict=True) if not forks]
    assert set(apart) == {"q4"}  # its prompt is one token
    monkeypatch.setattr(choice, "WORTH_IT", 100)
    assert choice.arranged(model, "task", items) is items


def test_what_a_token_sees_and_where_it_stands() -> None:
    tree = branches.joined([[5, 6, 7, 8], [5, 6, 9], [5, 6]])
    assert tree.ids == [5, 6, 7, 8, 9] and tree.forks == (2, 4, 5)
    assert tree.texts == [[5, 6, 7, 8], [5, 6, 9], [5, 6]]
    ids = torch.tensor([[*tree.ids, 0], [1, 2, 3, 4, 5, 6]])
    lengths = torch.tensor([5, 6])
    marks = {"scored": torch.tensor([2, 1])}
    batch = Batch((0, 1), ids, lengths, marks=marks, forks=(tree.forks, (1, 3)))
    assert batch.places.tolist()[1] == [0, 1, 2, 1, 2, 3]
    assert batch.places.tolist()[0][:5] == [0, 1, 2, 3, 2]
    seen = batch.inputs(torch.float32)["attention_mask"][:, 0] == 0
    expected = [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 0, 0, 1]]
    assert seen[0, :5, :5].int().tolist() == expected
    assert seen[1, 4].int().tolist() == [1, 0, 0, 1, 1, 0]
    # From the last token before `scored`: 1, 2, 3 of the first text, 1, 4 of the second, 1.
    assert batch.continuing.tolist() == [1, 2, 3, 1, 4, 1, 6, 7, 8, 6, 9, 10, 11]
    lower = batch.part(slice(1, 2))
    assert torch.equal(lower.places, batch.places[1:])
    assert lower.continuing.tolist() == [0, 1, 2, 0, 3, 4, 5]


def test_masks_are_bounded(monkeypatch) -> None:
    model = wrapped("llama")
    joined = choice.arranged(model, "task", read(model))
    monkeypatch.setattr(batches, "MOST_MASKED", 1600)
    made = batches_of(model, joined.sequences, 1000, joined.marks, joined.forks)
    masked = [batch for batch in made if batch.forks]
    assert sorted(place for batch in made for place in batch.samples) == [*range(len(joined.names))]
    for batch in masked:
        rows, tokens = batch.ids.shape
        assert len(batch.forks) == rows and (rows == 1 or rows * tokens**2 <= 1600)
    for batch in made:
        assert {bool(joined.forks[place]) for place in batch.samples} == {bool(batch.forks)}
    halved = measured(model, read(model), [Part(1, vector())])
    monkeypatch.undo()
    whole = measured(model, read(model), [Part(1, vector())])
    for one, other in zip(halved["log_likelihoods"], whole["log_likelihoods"], strict=True):
        assert list(one) == pytest.approx(list(other), abs=1e-4)


def test_a_job_goes_on_where_it_was(tmp_path) -> None:
    """Points that are there are not measured again, also where chunks hold few questions."""
    model = wrapped("llama")
    settings = {"points": Points(tmp_path / "points"), "kept_bytes": 20_000}
    first = measured(model, read(model), [Part(1, vector())], **settings)
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "points").iterdir()}
    assert len(made) > len(COEFFICIENTS)
    again = measured(model, read(model), [Part(1, vector())], **settings)
    assert made == {path: path.stat().st_mtime_ns for path in (tmp_path / "points").iterdir()}
    pd.testing.assert_frame_equal(again, first, check_exact=True)


def test_memory_that_does_not_suffice_halves_the_rows(monkeypatch) -> None:
    model = wrapped("llama")
    whole = measured(model, read(model), [Part(1, vector())])
    right = steering.final_states

    def final_states(model: models.LanguageModel, batch: Batch, *given: Any) -> torch.Tensor:
        if len(batch.ids) > 1:
            raise torch.OutOfMemoryError
        return right(model, batch, *given)

    monkeypatch.setattr(together, "final_states", final_states)
    halved = measured(model, read(model), [Part(1, vector())])
    for one, other in zip(halved["log_likelihoods"], whole["log_likelihoods"], strict=True):
        assert list(one) == pytest.approx(list(other), abs=1e-4)


def test_a_position_embedding_that_changes_with_length_is_not_tried(capsys) -> None:
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * 4}
    rope |= {"long_factor": [4.0] * 4, "original_max_position_embeddings": 16}
    network = tiny.network(
        "phi3", rope_parameters=rope, original_max_position_embeddings=16, sliding_window=None
    )
    model = models.wrap(network, tiny.tokenizer(), "none")
    assert model.short_context == 16
    items = read(model)
    assert choice.arranged(model, "task", items) is items
    assert "changes after 16 tokens" in capsys.readouterr().err
    assert np.isfinite(measured(model, items, [Part(1, vector())])["propensity"]).all()


def test_compiled_blocks_are_not_tried(capsys) -> None:
    model = wrapped("llama")
    forwards = tuple(block.forward for block in model.blocks)
    compiled = dataclasses.replace(model, compiled=forwards)
    items = read(compiled)
    assert choice.arranged(compiled, "task", items) is items
    assert "its blocks are compiled" in capsys.readouterr().err
