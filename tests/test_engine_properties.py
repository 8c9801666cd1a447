"""Whatever batches, layers and coefficients: both paths agree with each other and the oracle."""

from __future__ import annotations

import shutil

import pytest
import tiny
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import oracle
from snakesteer.engine import models, steering
from snakesteer.engine.batches import batches_of
from snakesteer.engine.compilation import with_compiled_blocks
from snakesteer.measures import next_token
from snakesteer.sweeps import runner
from snakesteer.sweeps.injections import Steering
from snakesteer.sweeps.runner import Asked

torch.set_num_threads(1)

MARGIN = 1e-4  # of the logits' spread: decisions nearer than this may differ by rounding
QUICK = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

token = st.integers(2, 319)
sequences = st.lists(st.lists(token, min_size=2, max_size=40), min_size=1, max_size=7)
coefficient = st.one_of(st.just(0.0), st.floats(-3, 3), st.sampled_from([-1e4, 1e4, 1e-6]))
parts = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=3)


COMPILED = pytest.param("compiled llama", marks=pytest.mark.long)


@pytest.fixture(scope="module", params=["llama", "gpt_neox", COMPILED])
def model(request: pytest.FixtureRequest) -> models.LanguageModel:
    *how, architecture = request.param.split()
    model = models.wrap(tiny.network(architecture), tiny.tokenizer(), "none")
    if not how:
        return model
    if not shutil.which(torch._inductor.config.cpp.cxx[1]):
        pytest.skip("torch.compile needs a C++ compiler")
    return with_compiled_blocks(model)


def injected(model: models.LanguageModel, drawn: list[tuple[int, int]]) -> steering.Injection:
    return steering.injection(
        model,
        [
            steering.Part(layer, torch.randn(32, generator=torch.Generator().manual_seed(seed)))
            for layer, seed in drawn
        ],
    )


def state(model: models.LanguageModel) -> list[object]:
    return [
        (name, sorted(vars(module)), dict(module._forward_hooks), vars(module).get("forward"))
        for name, module in model.network.named_modules()
    ]


@QUICK
@given(sequences, parts, st.lists(coefficient, min_size=1, max_size=4), st.integers(1, 200))
def test_the_paths_agree_to_the_bit(model, documents, drawn, coefficients, batch_tokens):
    injection, before = injected(model, drawn), state(model)
    plain, shared = (batches_of(model, documents, batch_tokens) for _ in range(2))
    steering.keep(model, shared, injection.layers[0])
    for one, other in zip(plain, shared, strict=True):
        assert one.samples == other.samples
        for value in coefficients:
            expected = steering.final_states(model, one, injection, value)
            assert torch.equal(expected, steering.final_states(model, other, injection, value))
    assert state(model) == before


@QUICK
@given(sequences, parts, coefficient, st.integers(1, 200), st.sampled_from(["shared", "plain"]))
def test_counts_are_the_oracles(model, documents, drawn, value, batch_tokens, path):
    injection = injected(model, drawn)
    names = [f"d{place}" for place in range(len(documents))]
    corpora = {"drawn": next_token.Corpus(names, documents, (5, 7))}
    sources = {"tokens": ("drawn",)}
    steering = Steering("drawn", injection.parts, (0.0, value or 1.0), sources)
    asked = [Asked("tokens", next_token, corpora)]
    (table,) = runner.run(model, asked, [steering], batch_tokens=batch_tokens, path=path)
    rows = [row for row in table.to_pylist() if row["coefficient"] == (value or 1.0)]
    assert [row["document"] for row in rows] == names
    for row, ids in zip(rows, documents, strict=True):
        parts = [(part.layer, part.vector) for part in injection.parts]
        counts, nll, margins = oracle.skill(
            model.network, model.blocks, ids, parts, value or 1.0, (5, 7)
        )
        logits, _ = oracle.forward(model.network, model.blocks, ids, parts, value or 1.0)
        near = sum(margin <= MARGIN * float(logits.std()) for margin in margins)
        assert all(abs(row[key] - count) <= near for key, count in counts.items())
        assert row["nll"] == pytest.approx(nll, rel=1e-3, abs=1e-3)


@QUICK
@given(sequences, st.integers(1, 200))
def test_captured_activations_are_block_outputs(model, documents, batch_tokens):
    found = steering.capture(
        model, documents, [str(place) for place in range(len(documents))], batch_tokens=batch_tokens
    )
    for activations, ids in zip(found, documents, strict=True):
        expected = oracle.last_activations(model.network, model.blocks, ids)
        torch.testing.assert_close(
            activations, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max())
        )
