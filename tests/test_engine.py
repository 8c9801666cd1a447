"""Reading and steering: exact on both paths, and the model is left as it was."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from itertools import combinations, pairwise

import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from snakesteer.core.errors import StudyError
from snakesteer.engine import batches as batching
from snakesteer.engine import both_answers, compilation, head, models, probe, steering
from snakesteer.engine.compilation import with_compiled_blocks
from snakesteer.engine.steering import Part
from snakesteer.hub.manifest import manifest

torch.set_num_threads(1)

SEQUENCES = [[0, 5, 9, 20, 31, 40, 2], [0, 7, 300], [0, *range(10, 30)], [0, 11, 12, 13]]


@pytest.fixture(scope="module", params=tiny.SHAPES)
def model(request: pytest.FixtureRequest) -> models.LanguageModel:
    return models.wrap(tiny.network(request.param), tiny.tokenizer(), "none")


@pytest.fixture(scope="module")
def llama() -> models.LanguageModel:
    return models.wrap(tiny.network(), tiny.tokenizer(), "none")


def vector(seed: int = 1, hidden: int = 32) -> torch.Tensor:
    return torch.randn(hidden, generator=torch.Generator().manual_seed(seed))


def injected(model: models.LanguageModel, *parts: tuple[int, torch.Tensor]) -> steering.Injection:
    return steering.injection(model, [Part(*part) for part in parts])


def batches(model: models.LanguageModel, layer: int, path: str, **settings: int):
    made = batching.batches_of(model, SEQUENCES, **{"batch_tokens": 40} | settings)
    if path == "shared":
        for kept in sorted({0, layer // 2, layer}):
            steering.keep(model, made, kept)
    return made


def state(model: models.LanguageModel) -> list[object]:
    """Everything that hooks and overrides could leave behind."""
    return [
        (name, sorted(vars(module)), dict(module._forward_hooks), dict(module._forward_pre_hooks))
        for name, module in model.network.named_modules()
    ] + [vars(module).get("forward") for module in model.network.modules()]


@pytest.mark.parametrize("layer", [0, 2, 3])
def test_shared_path_gives_the_bits_of_the_plain_path(model, layer):
    probe.check(model)
    assert probe.checked_path(model, injected(model, (layer, vector())), "shared") == "shared"
    injection = injected(model, (layer, vector()))
    for plain, shared in zip(
        batches(model, layer, "plain"), batches(model, layer, "shared"), strict=True
    ):
        assert shared.kept is not None
        for coefficient in (0.0, 1.5, -40.0, 0.0):
            expected = steering.final_states(model, plain, injection, coefficient)
            assert torch.equal(
                expected, steering.final_states(model, shared, injection, coefficient)
            )


def test_coefficient_0_is_the_untouched_model(model):
    injection = injected(model, (1, vector()))
    for path in ("plain", "shared"):
        for batch in batches(model, 1, path):
            with torch.inference_mode():
                untouched = model.network(input_ids=batch.ids, use_cache=False).logits
            states = steering.final_states(model, batch, injection, 0.0)
            logits = head.logits_of(model, states.flatten(0, 1)).view(untouched.shape)
            assert torch.equal(logits, untouched)


def test_several_parts_act_where_they_are(model):
    parts = [(1, vector(1)), (2, vector(2)), (1, vector(3))]
    injection = injected(model, *parts)
    assert injection.layers == (1, 2)
    plain, shared = (batches(model, 1, path) for path in ("plain", "shared"))
    merged = injected(model, (1, vector(1) + vector(3)), (2, vector(2)))
    apart = injected(model, (1, vector(1) + vector(3)))
    for one, other in zip(plain, shared, strict=True):
        states = steering.final_states(model, one, injection, 0.7)
        assert torch.equal(states, steering.final_states(model, other, injection, 0.7))
        assert torch.equal(states, steering.final_states(model, other, merged, 0.7))
        assert not torch.equal(states, steering.final_states(model, other, apart, 0.7))


def test_padding_does_not_reach_the_real_tokens(model):
    together = steering.capture(model, SEQUENCES, list("abcd"), batch_tokens=1000)
    alone = steering.capture(model, SEQUENCES, list("abcd"), batch_tokens=1)
    assert together.shape == (4, 4, 32)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4 * float(alone.abs().max()))


def test_captured_activations_are_block_outputs(model):
    outputs = []
    handles = [
        block.register_forward_hook(lambda _module, _args, output: outputs.append(output))
        for block in model.blocks
    ]
    with torch.inference_mode():
        logits = model.network(input_ids=torch.tensor(SEQUENCES[:1]), use_cache=False).logits
    for handle in handles:
        handle.remove()
    expected = torch.stack([models.states_of(output)[0, -1] for output in outputs])
    found = steering.capture(model, SEQUENCES[:1], ["a"], batch_tokens=1)
    assert torch.equal(found[0], expected)
    torch.testing.assert_close(head.logits_of(model, found[:, -1]), logits[:, -1])


def test_model_is_left_as_it_was(model):
    before = state(model)
    injection = injected(model, (1, vector()), (3, vector()))
    for path in ("plain", "shared"):
        for batch in batches(model, 1, path):
            states = steering.final_states(model, batch, injection, 2.0)
            head.logits_of(model, states[:, 0])
    steering.capture(model, SEQUENCES, list("abcd"), batch_tokens=40)
    assert state(model) == before
    broken = batching.Batch((0,), torch.tensor([[10**6]]), torch.tensor([1]))
    with pytest.raises(IndexError):
        steering.final_states(model, broken, injection, 2.0)
    misfit = steering.Injection((Part(1, torch.ones(7)),))
    with pytest.raises(RuntimeError):
        steering.final_states(model, batches(model, 1, "shared")[0], misfit, 2.0)
    with pytest.raises(RuntimeError):
        head.logits_of(model, torch.ones(3, 7))
    for act in (
        lambda: steering.keeping(model, broken, 1),
        lambda: steering.read_at(model, broken, steering.LAST),
        lambda: both_answers._both_outputs(model, broken, torch.tensor([0])),
    ):
        with pytest.raises(IndexError):
            act()
    assert state(model) == before


def test_own_forward_of_a_block_comes_back(llama):
    block = llama.blocks[0]
    block.forward = own = block.forward
    try:
        batches(llama, 0, "shared")
        assert vars(block)["forward"] is own
    finally:
        del block.forward


def test_a_missing_compiler_is_reported(capsys):
    model = models.wrap(tiny.network("gpt2"), tiny.tokenizer(), "none")
    without = torch._inductor.config.patch({"cpp.cxx": ("/nowhere/c++",)})
    told = r"^GPT2Block\.forward .*No working C\+\+ compiler.* `compile: false` for the model\.$"
    before = state(model)
    with without, pytest.raises(StudyError, match=told):
        with_compiled_blocks(model)
    assert state(model) == before
    assert "No working C++ compiler" in capsys.readouterr().err


class Unrolled(torch.nn.Module):
    """A block that goes over the tokens one by one, as recurrent ones do."""

    def __init__(self, block: torch.nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, states: torch.Tensor, **given: object) -> torch.Tensor:
        summed, running = [], torch.zeros_like(states[:, 0])
        for token in range(states.shape[1]):
            running = running * 0.5 + states[:, token]
            summed.append(running)
        return torch.stack(summed, dim=1)


def test_blocks_that_would_be_compiled_for_every_length_are_refused(monkeypatch):
    network = tiny.network()
    for layer, block in enumerate(network.model.layers):
        network.model.layers[layer] = Unrolled(block)
    model = models.wrap(network, tiny.tokenizer(), "none")
    monkeypatch.setattr(compilation, "OPTIONS", {})
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    with pytest.raises(StudyError, match="Unrolled.forward .* again for every length or layer"):
        with_compiled_blocks(model)


def test_batches_hold_their_budget_and_every_sequence():
    lengths = [7, 3, 21, 4, 100, 3]
    plan = batching.batch_plan(lengths, 24, 64)
    assert sorted(place for batch in plan for place in batch) == list(range(6))
    assert plan == [(1, 5, 3), (0,), (2,), (4,)]
    assert batching.batch_plan([], 24, 64) == []


@given(
    st.lists(st.integers(2, 900), min_size=1, max_size=9),
    st.integers(1, 3000),
    st.sampled_from([64, 200]),
    st.none() | st.integers(2, 900),
)
def test_no_plan_of_batches_costs_less(lengths, budget, per_pass, apart):
    def allowed(batch):
        longest, real = max(batch), sum(batch)
        padded = longest * len(batch)
        return len(batch) == 1 or (
            padded <= budget
            and padded - real <= max(per_pass, real / 10)
            and not (apart is not None and min(batch) <= apart < longest)
        )

    def cost(batches):
        return sum(max(batch) * len(batch) + per_pass for batch in batches)

    plan = batching.batch_plan(lengths, budget, per_pass, apart)
    assert [place for batch in plan for place in batch] == sorted(
        range(len(lengths)), key=lambda place: (lengths[place], place)
    )
    taken = [[lengths[place] for place in batch] for batch in plan]
    assert all(map(allowed, taken))
    ordered, gaps = sorted(lengths), range(1, len(lengths))
    every = (
        [ordered[start:end] for start, end in pairwise([0, *cuts, len(lengths)])]
        for count in range(len(lengths))
        for cuts in combinations(gaps, count)
    )
    assert cost(taken) == min(cost(batches) for batches in every if all(map(allowed, batches)))


def test_ranks_break_ties_like_argmax(llama, monkeypatch):
    logits = torch.tensor([[1.0, 3.0, 3.0, 0.0], [2.0, 2.0, 2.0, 2.0], [0.0, 0.0, 5.0, 1.0]])
    monkeypatch.setattr(head, "logits_of", lambda _model, states: states)
    monkeypatch.setattr(head, "HEAD_LOGITS", {"cpu": 2 * llama.vocabulary})
    monkeypatch.setattr(head, "READ_LOGITS", {"cpu": llama.vocabulary})
    for targets, ranks in (([1, 0, 2], [0, 0, 0]), ([2, 3, 1], [1, 3, 3])):
        rank, loss = head.predictions(llama, logits, torch.tensor(targets))
        assert rank.tolist() == ranks
        elsewhere = head._beating_at_once(logits, torch.tensor(targets)[:, None])
        assert elsewhere.dtype == rank.dtype and elsewhere.tolist() == ranks
        expected = torch.nn.functional.cross_entropy(
            logits, torch.tensor(targets), reduction="none"
        )
        torch.testing.assert_close(loss, expected)
    tokens, offered, mass = head.answers(llama, logits, torch.tensor([[0, 1], [3, 2], [2, 0]]))
    assert tokens.tolist() == head.greedy(logits).tolist() == [1, 0, 2]
    assert offered.tolist() == [[1, 3], [2, 2], [5, 0]]
    both = logits.softmax(dim=1).double()[[[0], [1], [2]], [[0, 1], [3, 2], [2, 0]]].sum(dim=1)
    assert torch.equal(mass, both)


def test_sharing_that_is_not_exact_falls_back_to_plain(llama, monkeypatch, capsys):
    right = steering.keeping

    def wrong(*given):
        batch = right(*given)
        return dataclasses.replace(batch, kept=batch.kept + 1)

    monkeypatch.setattr(probe, "keeping", wrong)
    assert probe.checked_path(llama, injected(llama, (1, vector())), "shared") == "plain"
    assert "other values" in capsys.readouterr().err


@pytest.mark.parametrize("failure", [torch.OutOfMemoryError, torch.AcceleratorError])
def test_a_failure_of_the_device_is_not_blamed_on_a_model(llama, monkeypatch, failure):
    def fail(*_given):
        raise failure("no")

    monkeypatch.setattr(probe, "keeping", fail)
    with pytest.raises(failure):
        probe.checked_path(llama, injected(llama, (1, vector())), "shared")


def test_injections_below_the_kept_states_are_an_error(llama):
    injection = injected(llama, (0, vector()), (2, vector()))
    with pytest.raises(ValueError, match="layer 0 does not reach states kept at layer 1"):
        steering.final_states(llama, batches(llama, 1, "shared")[0], injection, 1.0)


def test_shared_keys_and_values_fall_back_to_plain(capsys):
    [(architecture, shape)] = tiny.THREADED.items()
    network = tiny.network(architecture, **shape)
    model = models.wrap(network, tiny.tokenizer(), "none")
    paths = [
        probe.checked_path(model, injected(model, (layer, vector())), "shared")
        for layer in range(6)
    ]
    assert paths == ["shared", "shared", "plain", "plain", "plain", "shared"]
    assert "runs the entire model" in capsys.readouterr().err


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("architecture", ["llama", "gemma2", "gpt_neox", "qwen3", "mixtral"])
def test_shared_path_gives_the_bits_of_the_plain_path_in_half_the_bytes(architecture, dtype):
    network = tiny.network(architecture).to(dtype)
    test_shared_path_gives_the_bits_of_the_plain_path(
        models.wrap(network, tiny.tokenizer(), "none"), layer=1
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_models_that_see_ahead_are_refused(dtype):
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4}
    network = tiny.network("bert", num_attention_heads=4, is_decoder=False, **shape).to(dtype)
    model = models.wrap(network, tiny.tokenizer(), "none")
    with pytest.raises(StudyError, match="changes the tokens before it"):
        probe.check(model)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_heads_that_need_more_than_the_last_output_are_refused(monkeypatch, dtype):
    model = models.wrap(tiny.network().to(dtype), tiny.tokenizer(), "none")
    right = head.logits_of
    monkeypatch.setattr(probe, "logits_of", lambda *given: 1.05 * right(*given))
    with pytest.raises(StudyError, match="needs more than the last block's output"):
        probe.check(model)


def test_states_wider_than_the_weights(capsys):
    network = tiny.network("mamba").bfloat16()
    model = models.wrap(network, tiny.tokenizer(), "none")
    assert model.dtype == torch.float32
    probe.check(model)
    assert probe.checked_path(model, injected(model, (1, vector())), "shared") == "shared"
    assert steering.capture(model, SEQUENCES, list("abcd"), batch_tokens=40).dtype == torch.float32


def test_nan_logits_are_no_model():
    network = tiny.network()
    with torch.no_grad():
        network.model.norm.weight.fill_(float("nan"))
    with pytest.raises(StudyError, match="NaN or infinite logits"):
        probe.check(models.wrap(network, tiny.tokenizer(), "none"))


def test_long_contexts_do_not_change_short_ones():
    rope = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [9.0] * 4}
    rope |= {"original_max_position_embeddings": 16, "rope_theta": 10000.0}
    network = tiny.network("phi3", rope_parameters=rope, original_max_position_embeddings=16)
    model = models.wrap(network, tiny.tokenizer(), "none")
    sequences = [[0, *range(2, 16)], [0, *range(2, 20)]]
    together, alone = (
        steering.capture(model, sequences, ["a", "b"], batch_tokens=budget) for budget in (1000, 1)
    )
    assert torch.equal(together, alone)


def test_an_attention_that_a_model_lacks_is_refused(tmp_path):
    folder = tiny.folder(tmp_path, tiny.network("bloom"))
    with pytest.raises(StudyError, match="attention 'sdpa'"):
        models.load(folder, manifest(folder), attention="sdpa")
    models.load(folder, manifest(folder))


def test_a_failure_to_load_names_all_that_may_be_the_cause(tmp_path, monkeypatch):
    folder = tiny.folder(tmp_path)

    def fail(*_args, **_settings):
        raise ImportError("\nUsing `device_map` requires accelerate.\nRead on.")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", fail)
    told = (
        r"cannot be loaded with device_map 'auto' \(ImportError: Using `device_map` requires "
        r"accelerate\. Read on\); install it, or name another model\.$"
    )
    with pytest.raises(StudyError, match=told):
        models.load(folder, manifest(folder), device_map="auto")


def test_layers_on_several_devices(tmp_path):
    """Layers that accelerate's hooks bring from disk stand for layers on another GPU."""
    folder = tiny.folder(tmp_path / "model")
    places = {f"model.layers.{layer}": "disk" if layer > 1 else "cpu" for layer in range(4)}
    places |= dict.fromkeys(("model.embed_tokens", "model.norm", "lm_head"), "cpu")
    network = AutoModelForCausalLM.from_pretrained(
        folder, device_map=places, offload_folder=tmp_path / "disk"
    )
    with pytest.raises(StudyError, match="leaves no room for model\\.layers\\.2\\..*"):
        models.load(folder, manifest(folder), device_map=places)
    spread = models.wrap(network, tiny.tokenizer(), "none")
    whole = models.load(folder, manifest(folder), device_map="auto")
    probe.check(spread)
    for layer in (1, 2):
        assert probe.checked_path(spread, injected(spread, (layer, vector())), "shared") == "shared"
    found, expected = (
        steering.capture(model, SEQUENCES, list("abcd"), batch_tokens=40)
        for model in (spread, whole)
    )
    assert torch.equal(found, expected)


def test_logits_stay_on_the_device_of_the_states(llama):
    """Accelerate's hooks hand them to the device that the ids were on."""
    given = []
    handle = llama.network.register_forward_pre_hook(
        lambda _module, _args, settings: given.append(settings["input_ids"].device.type),
        with_kwargs=True,
    )
    try:
        head.logits_of(llama, torch.ones(1, 32))
        with contextlib.suppress(RuntimeError):
            head.logits_of(llama, torch.ones(1, 32, device="meta"))
    finally:
        handle.remove()
    assert given == ["cpu", "meta"]


def test_unsuitable_injections_are_refused(llama):
    for parts, word in (
        ([(4, vector())], "0 to 3"),
        ([(0, vector(hidden=8))], "hidden size is 32"),
        ([(0, vector() * float("nan"))], "NaN"),
        ([], "no parts"),
    ):
        with pytest.raises(StudyError, match=word):
            injected(llama, *parts)


def test_nan_names_sample_and_layer():
    network = tiny.network()
    model = models.wrap(network, tiny.tokenizer(), "none")
    with torch.no_grad():
        network.model.layers[2].mlp.down_proj.weight.fill_(float("inf"))
    with pytest.raises(StudyError, match="activation of b at layer 2"):
        steering.capture(model, SEQUENCES[:2], ["b", "a"], batch_tokens=1000)


def test_unknown_blocks_list_the_candidates():
    network = tiny.network()
    network.config.num_hidden_layers = 9
    with pytest.raises(StudyError, match=r"model\.layers \(4\)"):
        models.find_blocks(network)
