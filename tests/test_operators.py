"""Operators, sites and positions of steering: what each leaves alone, and exact on both paths."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from types import ModuleType

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snakesteer.core.errors import StudyError
from snakesteer.engine import models, probe, sites, steering
from snakesteer.engine.batches import Batch, batches_of
from snakesteer.engine.memory import on_each
from snakesteer.engine.operators import ablate, add, clamp
from snakesteer.engine.positions import ALL, Positions, mask
from snakesteer.engine.steering import Injection, Part, final_states
from snakesteer.measures import next_token, two_choice
from snakesteer.storage.points import Points
from snakesteer.sweeps import chunks, runner
from snakesteer.sweeps.injections import Steering
from snakesteer.sweeps.runner import Asked

torch.set_num_threads(1)

SEQUENCES = [[0, 5, 9, 20, 31, 40, 2], [0, 7, 300], [0, *range(10, 30)], [0, 11, 12, 13]]
MARKS = {"instruction": [4, 1, 0, 4], "completion": [5, 3, 11, 0]}
# What `where` a part acts at means, for each sequence.
WHERE: dict[Positions, list[range]] = {
    "last": [range(6, 7), range(2, 3), range(20, 21), range(3, 4)],
    -2: [range(5, 6), range(1, 2), range(19, 20), range(2, 3)],
    "after_instruction": [range(4, 7), range(1, 3), range(21), range(4, 4)],
    "prompt": [range(5), range(3), range(11), range(0)],
    "completion": [range(5, 7), range(3, 3), range(11, 21), range(4)],
}
ARCHITECTURES = ["llama", "gpt2", "gpt_neox", "gemma2", "mixtral", "phi"]
OPERATORS = [add, ablate, clamp]
NOTHING = Injection(())

QUICK = settings(max_examples=60, deadline=None, derandomize=True)
number = st.floats(-100, 100, width=32)
states = st.tuples(st.integers(0, 99), st.sampled_from([1e-3, 1.0, 1e3])).map(
    lambda drawn: noise(drawn[0], 2, 3, 32) * drawn[1]
)
direction = st.tuples(st.integers(100, 199), st.sampled_from([1e-6, 1.0, 1e6])).map(
    lambda drawn: noise(drawn[0], 32) * drawn[1]
)


def noise(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape or (32,), generator=torch.Generator().manual_seed(seed))


@functools.cache
def wrapped(architecture: str) -> models.LanguageModel:
    return models.wrap(tiny.network(architecture), tiny.tokenizer(), "none")


def injected(model: models.LanguageModel, *parts: Part) -> Injection:
    return steering.injection(model, parts)


def batches(model: models.LanguageModel, kept: int = -1) -> list[Batch]:
    made = batches_of(model, SEQUENCES, 40, MARKS)
    if kept >= 0:
        steering.keep(model, made, kept)
    return made


def close(
    found: torch.Tensor, expected: torch.Tensor, of: torch.Tensor, most: float = 1e-5
) -> None:
    """Vectors that differ by rounding, in parts of the longest of what they were made of."""
    assert found.dtype == expected.dtype
    longest = float(of.float().norm(dim=-1).max())
    error = (found.float() - expected.float()).norm(dim=-1)
    assert bool((error <= most * longest).all())


def along(given: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """The component of states along a vector, in float64."""
    unit = vector.double() / vector.double().norm()
    return (given.double() * unit).sum(dim=-1)


@QUICK
@given(states, direction, number)
def test_what_is_ablated_once_is_gone(
    given: torch.Tensor, vector: torch.Tensor, share: float
) -> None:
    kept = given.clone()
    once = ablate.apply(given, vector, 1.0)
    assert torch.equal(given, kept)
    close(ablate.apply(once, vector, 1.0), once, given)
    close(along(once, vector)[..., None], torch.zeros(2, 3, 1).double(), given)
    partly = ablate.apply(given, vector, share)
    expected = along(given, vector) * (1 - share)
    close(along(partly, vector)[..., None], expected[..., None], given * max(1, abs(share)))
    # What stands at right angles to the vector is left alone.
    close(ablate.apply(partly, vector, 1.0), once, given * max(1, abs(share)))


@QUICK
@given(states, direction, number)
def test_clamping_sets_the_component(
    given: torch.Tensor, vector: torch.Tensor, value: float
) -> None:
    kept = given.clone()
    clamped = clamp.apply(given, vector, value)
    assert torch.equal(given, kept)
    most = torch.cat([given, torch.full((2, 1, 32), value)], dim=1)
    expected = torch.full((2, 3, 1), value).double()
    close(along(clamped, vector)[..., None], expected, most)
    close(clamp.apply(clamped, vector, value), clamped, most)
    close(ablate.apply(clamped, vector, 1.0), ablate.apply(given, vector, 1.0), most)
    for row in given.flatten(0, 1):
        present = float(along(row, vector))
        close(clamp.apply(row[None, None], vector, present)[0, 0], row, row)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("operator", OPERATORS)
def test_components_are_taken_in_float32(operator: ModuleType, dtype: torch.dtype) -> None:
    """So the result is that of float32, rounded once."""
    given, vector = noise(1, 2, 3, 32).to(dtype), noise(2)
    found = operator.apply(given, vector, 0.75)
    expected = operator.apply(given.float(), vector, 0.75).to(dtype)
    assert found.dtype == dtype
    if operator is add:  # the product is rounded, too
        close(found, expected, given, 0.01)
    else:
        assert torch.equal(found, expected)


@pytest.mark.parametrize("site", sites.SITES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_both_paths_give_the_same_bits_at_every_site_and_position(
    architecture: str, site: str
) -> None:
    model = wrapped(architecture)
    for operator in OPERATORS:
        for layer in (1, 3):
            part = Part(layer, noise(layer), site, operator)
            kept = layer if site == "output" else layer - 1
            assert injected(model, part).untouched == kept
            assert probe.checked_path(model, injected(model, part), "shared") == "shared"
            for positions in (ALL, *WHERE):
                here = injected(model, dataclasses.replace(part, positions=positions))
                pairs = zip(batches(model), batches(model, kept), strict=True)
                for plain, shared in pairs:
                    for coefficient in (1.0, 0.0, -20.0):
                        expected = final_states(model, plain, here, coefficient)
                        found = final_states(model, shared, here, coefficient)
                        assert torch.equal(found, expected)
                    assert not torch.equal(expected, final_states(model, plain, NOTHING, 0.0))


parts = st.lists(
    st.builds(
        Part,
        st.integers(0, 3),
        st.integers(0, 9).map(noise),
        st.sampled_from(sites.SITES),
        st.sampled_from(OPERATORS),
        st.none() | st.floats(-3, 3),
        st.sampled_from([ALL, *WHERE]),
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("architecture", ["llama", "gpt_neox"])
@QUICK
@given(parts=parts, coefficient=st.sampled_from([0.0, 1.0, -40.0]))
def test_both_paths_agree_on_any_parts(
    architecture: str, parts: list[Part], coefficient: float
) -> None:
    model = wrapped(architecture)
    here = injected(model, *parts)
    for kept in range(here.untouched + 1):
        for plain, shared in zip(batches(model), batches(model, kept), strict=True):
            expected = final_states(model, plain, here, coefficient)
            assert torch.equal(expected, final_states(model, shared, here, coefficient))
            if not here.steers(coefficient):
                assert torch.equal(expected, final_states(model, plain, NOTHING, 0.0))


@pytest.mark.parametrize("site", sites.SITES)
@pytest.mark.parametrize("operator", OPERATORS)
def test_coefficient_0_is_the_untouched_model_where_it_means_nothing(
    operator: ModuleType, site: str
) -> None:
    model = wrapped("llama")
    part = Part(1, noise(1), site, operator)
    for positions in (ALL, "after_instruction"):
        here = injected(model, dataclasses.replace(part, positions=positions))
        assert here.steers(0.0) == (operator is clamp)
        for batch in batches(model):
            untouched = final_states(model, batch, NOTHING, 1.0)
            found = final_states(model, batch, here, 0.0)
            assert torch.equal(found, untouched) == (operator is not clamp)


@pytest.mark.parametrize("site", sites.SITES)
@pytest.mark.parametrize("operator", OPERATORS)
def test_masks_of_all_and_of_none(operator: ModuleType, site: str) -> None:
    model = wrapped("llama")
    part = Part(1, noise(1), site, operator)
    everywhere = injected(model, part)
    masked = injected(model, dataclasses.replace(part, positions="completion"))
    for begun, same in ((0, everywhere), (len(SEQUENCES[2]), NOTHING)):
        marks = {"completion": [begun] * len(SEQUENCES)}
        for batch in batches_of(model, SEQUENCES, 40, marks):
            where = mask(batch, "completion")
            assert where is not None and where.all() == (same is everywhere)
            assert torch.equal(
                final_states(model, batch, masked, 2.0), final_states(model, batch, same, 2.0)
            )


@pytest.mark.parametrize("positions", WHERE)
def test_states_change_at_the_positions_alone(positions: Positions) -> None:
    model = wrapped("llama")
    here = injected(model, Part(3, noise(1), positions=positions))
    seen = 0
    for batch in batches(model):
        changed = final_states(model, batch, here, 1.0) != final_states(model, batch, NOTHING, 0.0)
        for row, sample in enumerate(batch.samples):
            found = changed[row, : len(SEQUENCES[sample])].any(dim=-1).nonzero()[:, 0].tolist()
            assert found == list(WHERE[positions][sample])
            seen += 1
    assert seen == len(SEQUENCES)


def test_halves_of_a_batch_keep_their_marks() -> None:
    model = wrapped("llama")
    here = injected(model, Part(1, noise(1), positions="after_instruction"))
    whole = batches_of(model, SEQUENCES, 1000, MARKS)
    failed = False

    def act(batch: Batch) -> torch.Tensor:
        nonlocal failed
        if not failed:
            failed = True
            raise torch.OutOfMemoryError
        return final_states(model, batch, here, 1.0)

    found = {
        sample: states[row]
        for batch, states in on_each(list(whole), act)
        for row, sample in enumerate(batch.samples)
    }
    assert failed and len(found) == len(SEQUENCES)
    for batch in whole:
        expected = final_states(model, batch, here, 1.0)
        for row, sample in enumerate(batch.samples):
            torch.testing.assert_close(found[sample], expected[row], rtol=1e-4, atol=1e-3)


def test_parts_at_one_place_act_in_their_order() -> None:
    model = wrapped("llama")
    added, cleared = Part(1, noise(1)), Part(1, noise(2), operator=ablate)
    (batch, *_) = batches(model)
    ends = []
    for parts in ((added, cleared), (cleared, added)):
        states = final_states(model, batch, injected(model, *parts), 1.0)
        ends.append(states)
        kept = batches(model, 1)[0]
        assert torch.equal(final_states(model, kept, injected(model, *parts), 1.0), states)
    assert not torch.equal(*ends)
    assert injected(model, added, cleared).digest() != injected(model, cleared, added).digest()
    last = injected(
        model, dataclasses.replace(added, layer=3), dataclasses.replace(cleared, layer=3)
    )
    ended = final_states(model, batch, last, 1.0)
    close(along(ended, cleared.vector)[..., None], torch.zeros(*ended.shape[:2], 1).double(), ended)


def test_additions_at_one_place_add_up_before_the_product() -> None:
    model = wrapped("llama")
    one, other = Part(1, noise(1)), Part(1, noise(2))
    (batch, *_) = batches(model)
    summed = injected(model, Part(1, noise(1) + noise(2)))
    both = final_states(model, batch, injected(model, one, Part(2, noise(3)), other), 0.7)
    apart = injected(model, Part(1, noise(1) + noise(2)), Part(2, noise(3)))
    assert torch.equal(both, final_states(model, batch, apart, 0.7))
    for change in ({"constant": 0.7}, {"positions": "last"}, {"site": "input"}):
        alone = dataclasses.replace(other, **change)
        found = final_states(model, batch, injected(model, one, alone), 0.7)
        assert torch.equal(found, final_states(model, batch, summed, 0.7)) is False


def test_a_constant_is_not_swept() -> None:
    model = wrapped("llama")
    constant = Part(1, noise(1), operator=clamp, constant=3.0)
    swept = Part(2, noise(2))
    here = injected(model, constant, swept)
    (batch, *_) = batches(model)
    alone = final_states(
        model, batch, injected(model, dataclasses.replace(constant, constant=None)), 3
    )
    assert here.steers(0.0) and torch.equal(final_states(model, batch, here, 0.0), alone)
    assert not torch.equal(final_states(model, batch, here, 1.0), alone)
    assert not injected(model, dataclasses.replace(swept, constant=0.0), swept).steers(0.0)


def test_digests_tell_injections_apart() -> None:
    model = wrapped("llama")
    part = Part(1, noise(1))
    changes: Sequence[dict[str, object]] = (
        {},
        {"layer": 2},
        {"vector": noise(2)},
        {"site": "input"},
        {"operator": ablate},
        {"constant": 1.0},
        {"positions": "last"},
        {"positions": -1},
    )
    digests = {injected(model, dataclasses.replace(part, **change)).digest() for change in changes}
    assert len(digests) == len(changes)
    assert injected(model, dataclasses.replace(part)).digest() in digests


def state(model: models.LanguageModel) -> list[object]:
    return [
        (name, sorted(vars(module)), dict(module._forward_hooks), dict(module._forward_pre_hooks))
        for name, module in model.network.named_modules()
    ]


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_hooks_are_undone_after_an_exception(architecture: str) -> None:
    model = wrapped(architecture)
    before = state(model)
    for site in sites.SITES:
        misfit = Injection((Part(1, torch.ones(7), site, ablate), Part(2, noise(1), site, clamp)))
        for kept in (-1, 0):
            with pytest.raises(RuntimeError):
                final_states(model, batches(model, kept)[0], misfit, 1.0)
            assert state(model) == before


def test_states_kept_above_an_injection_are_an_error() -> None:
    model = wrapped("llama")
    (batch, *_) = batches(model, 1)
    for site in ("input", "attention", "mlp"):
        with pytest.raises(ValueError, match="layer 1 does not reach states kept at layer 1"):
            final_states(model, batch, injected(model, Part(1, noise(1), site)), 1.0)


def test_along_a_vector_that_is_0_nothing_is_ablated() -> None:
    model = wrapped("llama")
    (batch, *_) = batches(model)
    parts = [Part(layer, torch.zeros(32), "input", ablate) for layer in range(model.n_layers)]
    steered = final_states(model, batch, injected(model, *parts), 1.0)
    assert torch.equal(steered, final_states(model, batch, NOTHING, 0.0))


@pytest.mark.parametrize(
    ("architecture", "part", "sentence"),
    [
        (
            "llama",
            Part(2, torch.zeros(32), operator=clamp),
            "The vector injected at layer 2 has the length 0, so it has no direction to clamp "
            "along; remove this layer, or use another vector.",
        ),
        (
            "llama",
            Part(0, torch.full((32,), 1e30), operator=clamp),
            "The vector injected at layer 0 has the length inf, so it has no direction to clamp "
            "along; remove this layer, or use another vector.",
        ),
        (
            "mamba",
            Part(1, noise(1), "attention"),
            "site is attention, but block 1 of MambaForCausalLM has no such module (it has norm, "
            "mixer); use the site output or input.",
        ),
        (
            "bloom",
            Part(1, noise(1), "mlp"),
            "site is mlp, but in BloomForCausalLM that module returns the entire residual "
            "stream; use the site output or input.",
        ),
    ],
)
def test_parts_that_cannot_act_are_refused(architecture: str, part: Part, sentence: str) -> None:
    with pytest.raises(StudyError) as refused:
        injected(wrapped(architecture), part)
    assert str(refused.value) == sentence


def test_a_zero_vector_may_be_added() -> None:
    model = wrapped("llama")
    (batch, *_) = batches(model)
    found = final_states(model, batch, injected(model, Part(1, torch.zeros(32))), 5.0)
    assert torch.equal(found, final_states(model, batch, NOTHING, 0.0))


def test_modules_inside_compiled_blocks_are_refused() -> None:
    model = dataclasses.replace(wrapped("llama"), compiled=(None,) * 4)
    for site in ("attention", "mlp"):
        with pytest.raises(StudyError, match=f"^site is {site}, which is inside a compiled block;"):
            injected(model, Part(1, noise(1), site))
    injected(model, Part(1, noise(1), "input"))


def test_a_site_that_is_one_state_for_no_token_is_refused() -> None:
    """At the layers that are steered; elsewhere it may be."""
    network = tiny.network()

    class Flat(torch.nn.Module):
        def __init__(self, inner: torch.nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, states: torch.Tensor) -> torch.Tensor:
            return self.inner(states)[..., :16].repeat(1, 1, 2)[..., :16]

    network.model.layers[2].mlp = Flat(network.model.layers[2].mlp)
    network.model.layers[2].forward = functools.partial(_with_half, network.model.layers[2])
    model = models.wrap(network, tiny.tokenizer(), "none")
    path = probe.checked_path(model, injected(model, Part(1, noise(1), "mlp")), "shared")
    assert path == "shared"
    with pytest.raises(
        StudyError, match=("^site is mlp, but in LlamaForCausalLM that site does not have one")
    ):
        probe.checked_path(model, injected(model, Part(2, noise(1), "mlp")), "shared")


def _with_half(block: torch.nn.Module, states: torch.Tensor, **_given: object) -> torch.Tensor:
    half = block.mlp(states)
    return states + torch.cat([half, half], dim=-1)


def asked(marks: dict[str, list[int]] | None = None) -> list[Asked]:
    names = list("abcd")
    corpora = {"drawn": next_token.Corpus(names, SEQUENCES, (), marks or MARKS)}
    return [Asked("tokens", next_token, corpora)]


def swept(model: models.LanguageModel, *parts: Part, **given: object) -> list[dict[str, object]]:
    sources = {"tokens": ("drawn",)}
    steerings = [Steering("one", (part,), (0.0, 1.0), sources) for part in parts]
    tables = runner.run(model, asked(), steerings, batch_tokens=40, **given)
    return [row for table in tables for row in table.to_pylist()]


def test_sweeps_inside_blocks_share_the_layers_below(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = wrapped("llama")
    kept = []
    right = chunks.keep

    def keep(model: models.LanguageModel, made: list[Batch], layer: int) -> None:
        kept.append(layer)
        right(model, made, layer)

    monkeypatch.setattr(chunks, "keep", keep)
    parts = [
        Part(layer, noise(layer), site, ablate, positions="completion")
        for layer in (2, 1, 0)
        for site in ("attention", "output", "mlp")
    ]
    found = swept(model, *parts)
    assert kept == [0, 1, 2]
    told = capsys.readouterr().err
    assert told.count("leaves no layers to share, so every coefficient runs the entire model.") == 2
    assert found == swept(model, *parts, path="plain")


def test_points_of_a_clamp_at_0_are_its_own(tmp_path: object) -> None:
    model, points = wrapped("llama"), Points(tmp_path)
    rows = {}
    for operator in OPERATORS:
        rows[operator] = swept(model, Part(1, noise(1), operator=operator), points=points)
    before = [row for row in rows[add] if row["coefficient"] == 0]
    assert before == [row for row in rows[ablate] if row["coefficient"] == 0]
    assert before != [row for row in rows[clamp] if row["coefficient"] == 0]
    again = [Part(1, noise(1), operator=operator) for operator in OPERATORS]
    assert [row for each in rows.values() for row in each] == swept(model, *again)


@pytest.mark.parametrize(
    ("positions", "marks", "sentence"),
    [
        (
            -4,
            MARKS,
            "positions names -4, but document b of corpora.drawn has only 3 tokens; name "
            "positions nearer the end, or remove such texts.",
        ),
        (
            "prompt",
            {"instruction": [0] * 4},
            "positions is prompt, but document a of corpora.drawn has no completion to count from; "
            "give such texts a format, or name other positions.",
        ),
    ],
)
def test_positions_that_a_text_lacks_are_reported(
    positions: Positions, marks: dict[str, list[int]], sentence: str
) -> None:
    part = Part(1, noise(1), positions=positions)
    given = [Steering("one", (part,), (0.0, 1.0), {"tokens": ("drawn",)})]
    with pytest.raises(StudyError) as refused:
        runner.run(wrapped("llama"), asked(marks), given, batch_tokens=40)
    assert str(refused.value) == sentence


def test_some_samples_keep_their_marks() -> None:
    names, pairs = list("abcd"), [("A", "B")] * 4
    corpus = next_token.Corpus(names, SEQUENCES, (), MARKS)
    prompts = two_choice.Prompts(names, SEQUENCES, pairs, [(1, 2)] * 4, MARKS)
    for samples in (corpus, prompts):
        assert samples.taken(range(2, 4)).marks == {"instruction": [0, 4], "completion": [11, 0]}


def changing(states: torch.Tensor, vector: torch.Tensor, coefficient: float) -> torch.Tensor:
    states += coefficient * vector
    return states


def widening(states: torch.Tensor, vector: torch.Tensor, coefficient: float) -> torch.Tensor:
    return states.double() + coefficient * vector


def always(states: torch.Tensor, vector: torch.Tensor, coefficient: float) -> torch.Tensor:
    return states + vector


def failing(states: torch.Tensor, vector: torch.Tensor, coefficient: float) -> torch.Tensor:
    raise ValueError("no")


def nothing(states: torch.Tensor, vector: torch.Tensor, coefficient: float) -> torch.Tensor:
    return states.clone()


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (changing, "mine changes its input in place; return new states\\.$"),
        (
            always,
            "mine changes states at coefficient 0; set `UNSTEERED_AT_0 = F",
        ),
        (failing, r"mine.* failed \(ValueError: no\); correct it\.$"),
        (nothing, "has no effect with mine; .* or an operator that changes states\\.$"),
        (widening, r"mine returns torch\.float64 .* for states of torch\.float32 .*same dtype"),
    ],
)
def test_an_operator_that_breaks_the_rules_is_refused(act, sentence: str) -> None:
    model, operator = wrapped("llama"), ModuleType("own_mine")
    operator.apply = act
    part = Part(1, noise(3), operator=operator)
    with pytest.raises(StudyError, match=sentence):
        probe.checked_path(model, injected(model, part), "shared")


def test_an_operator_may_do_nothing_at_one_coefficient() -> None:
    """It is tried at another one, and what it returns later is looked at as well."""
    model, operator = wrapped("llama"), ModuleType("snakesteer.engine.operators.mine")

    def between(states: torch.Tensor, vector: torch.Tensor, coefficient: float) -> torch.Tensor:
        if coefficient > 2:
            return (states + vector).double()
        return states + (coefficient * (1 - coefficient) * vector).to(states)

    operator.apply = between
    part = Part(1, noise(3), operator=operator)
    assert probe.checked_path(model, injected(model, part), "shared") == "shared"
    with pytest.raises(StudyError, match=r"mine returns torch\.float64 .* same dtype and shape"):
        given = Steering("one", (part,), (0.0, 3.0), {"tokens": ("drawn",)})
        runner.run(model, asked(), [given], batch_tokens=40)
