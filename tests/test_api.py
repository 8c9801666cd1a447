"""snakesteer in plain Python: around a network in memory, held against hooks written here."""

from __future__ import annotations

import contextlib
import functools
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from conftest import REPOSITORY
from transformers import (
    AutoModelForCausalLM,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

import snakesteer
from snakesteer import StudyError, steer
from snakesteer.engine import extraction, generation, texts
from snakesteer.engine.batches import batches_of
from snakesteer.engine.models import wrap
from snakesteer.engine.operators import ablate, add, clamp
from snakesteer.engine.positions import END
from snakesteer.engine.steering import Part, final_states, injection
from snakesteer.hub.loaded import Loaded
from snakesteer.prompts.marks import Marked

# Where its blocks lie, and what they call attention and feed-forward network.
ARCHITECTURES = {
    "llama": ("model.layers", "self_attn", "mlp"),
    "gpt2": ("transformer.h", "attn", "mlp"),
    "gpt_neox": ("gpt_neox.layers", "attention", "mlp"),
    "gemma2": ("model.layers", "self_attn", "mlp"),
    "phi": ("model.layers", "self_attn", "mlp"),
    "mistral": ("model.layers", "self_attn", "mlp"),
    "opt": ("model.decoder.layers", "self_attn", None),
}
# In a model of pictures and texts, which makes the masks of its blocks before it calls them.
INSIDE = {"gemma3": ("model.language_model.layers", "self_attn", "mlp")}
LAYER = 1
LENGTHS = (7, 4, 6)
POSITIONS = ("all", "last", -2, "prompt", "completion")


@functools.cache
def network(architecture: str) -> PreTrainedModel:
    return tiny.network(architecture)


@functools.cache
def tokenizer() -> PreTrainedTokenizerFast:
    return tiny.tokenizer()


@functools.cache
def vectors(number: int = 0) -> torch.Tensor:
    """[4, 32]"""
    return 3 * torch.randn(4, 32, generator=torch.Generator().manual_seed(number))


@functools.cache
def prompts() -> list[list[int]]:
    noise = torch.Generator().manual_seed(5)
    return [torch.randint(2, 320, (length,), generator=noise).tolist() for length in LENGTHS]


def padded(side: str) -> dict[str, torch.Tensor]:
    """The prompts as one batch, with mask and position ids."""
    most = max(LENGTHS)
    ids, mask = [], []
    for prompt in prompts():
        padding = [1] * (most - len(prompt))
        real = [1] * len(prompt)
        none = [0] * len(padding)
        ids.append(padding + prompt if side == "left" else prompt + padding)
        mask.append(none + real if side == "left" else real + none)
    masked = torch.tensor(mask)
    places = (masked.cumsum(1) - 1).clamp(min=0)
    return {"input_ids": torch.tensor(ids), "attention_mask": masked, "position_ids": places}


def inputs(model: PreTrainedModel, side: str) -> dict[str, torch.Tensor]:
    """As the model takes them: OPT makes its own position ids of the mask."""
    given = padded(side)
    if model.config.model_type == "opt":
        del given["position_ids"]
    return given


# ---- the hooks of this test, with nothing of snakesteer in them


def by_hand(
    operator: str, states: torch.Tensor, vector: torch.Tensor, coefficient: float
) -> torch.Tensor:
    unit = vector / vector.norm()
    along = (states * unit).sum(-1, keepdim=True)
    if operator == "add":
        return states + coefficient * vector
    if operator == "ablate":
        return states - coefficient * along * unit
    return states + (coefficient - along) * unit


@contextlib.contextmanager
def hooked(
    model: PreTrainedModel, layer: int, site: str, change: Callable[[torch.Tensor], torch.Tensor]
) -> Iterator[None]:
    path, attention, mlp = (ARCHITECTURES | INSIDE)[model.config.model_type]
    block = model.get_submodule(f"{path}.{layer}")

    def after(_module: Any, _args: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (change(output[0]), *output[1:])
        return change(output)

    def before(_module: Any, args: Any, named: Any) -> Any:
        if args:
            return (change(args[0]), *args[1:]), named
        return args, named | {"hidden_states": change(named["hidden_states"])}

    if site == "input":
        handle = block.register_forward_pre_hook(before, with_kwargs=True)
    else:
        name = {"output": None, "attention": attention, "mlp": mlp}[site]
        module = block if name is None else block.get_submodule(name)
        handle = module.register_forward_hook(after)
    try:
        yield
    finally:
        handle.remove()


def places(positions: str | int, prompt: int, total: int) -> list[int]:
    if positions == "all":
        return list(range(total))
    if positions == "prompt":
        return list(range(prompt))
    if positions == "completion":
        return list(range(prompt, total))
    return [prompt + (-1 if positions == "last" else int(positions))]


def logits_by_hand(
    model: PreTrainedModel,
    ids: Sequence[int],
    prompt: int,
    positions: str | int = "all",
    operator: str = "add",
    site: str = "output",
    coefficient: float = 1.0,
    layer: int = LAYER,
) -> torch.Tensor:
    """Those of one text, without padding and without a cache: [tokens, vocabulary]."""
    where = places(positions, prompt, len(ids))

    def change(states: torch.Tensor) -> torch.Tensor:
        new = states.clone()
        new[:, where] = by_hand(operator, states[:, where], vectors()[layer], coefficient)
        return new

    with torch.no_grad(), hooked(model, layer, site, change):
        return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]


def written_by_hand(
    model: PreTrainedModel, positions: str | int, tokens: int, **how: Any
) -> tuple[list[list[int]], list[list[torch.Tensor]]]:
    """What is written of each prompt, greedily, reading all anew for every token."""
    found, scores = [], []
    for prompt in prompts():
        ids, seen = list(prompt), []
        for _ in range(tokens):
            seen.append(logits_by_hand(model, ids, len(prompt), positions, **how)[-1])
            ids.append(int(seen[-1].argmax()))
        found.append(ids[len(prompt) :])
        scores.append(seen)
    return found, scores


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=2e-4)


def untouched(model: PreTrainedModel) -> bool:
    """Whether nothing hangs on the model but what transformers itself leaves there, once it was
    asked for hidden states."""
    for module in model.modules():
        hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
        theirs = [hook for hook in hooks if hook.__module__.startswith("transformers.")]
        if len(hooks) > len(theirs) or "forward" in vars(module):
            return False
    return "generate" not in vars(model)


# ---- forward


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_forward_is_that_of_hooks_written_here(architecture: str) -> None:
    model = network(architecture)
    sides = [inputs(model, side) for side in ("left", "right")]
    with torch.no_grad():
        before = [model(**given).logits for given in sides]
    sites = ["output", "input", "attention", *(["mlp"] if ARCHITECTURES[architecture][2] else [])]
    for i, operator in enumerate(["add", "ablate", "clamp"]):
        for j, site in enumerate(sites):
            positions = POSITIONS[(i + j) % 4]
            how: dict[str, Any] = {"operator": operator, "site": site, "coefficient": 0.7}
            expected = [logits_by_hand(model, ids, len(ids), positions, **how) for ids in prompts()]
            with torch.no_grad(), steer(model, vectors(), layers=1, positions=positions, **how):
                found = [model(**given).logits for given in sides]
            for logits, given, unsteered in zip(found, sides, before, strict=True):
                for row, real in enumerate(given["attention_mask"].bool()):
                    close(logits[row, real], expected[row])
                assert not torch.allclose(logits, unsteered, atol=1e-3)
    with torch.no_grad():
        assert all(map(torch.equal, [model(**given).logits for given in sides], before))
    assert untouched(model)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_generate_with_a_cache_and_left_padding_writes_what_reading_anew_writes(
    architecture: str,
) -> None:
    model = network(architecture)
    given = padded("left")
    del given["position_ids"]
    for positions in POSITIONS:
        expected, scores = written_by_hand(model, positions, 3, coefficient=1.5)
        for cached in (True, False):
            with steer(model, vectors(), layers=LAYER, coefficient=1.5, positions=positions):
                found = model.generate(
                    **given,
                    max_new_tokens=3,
                    do_sample=False,
                    eos_token_id=None,
                    use_cache=cached,
                    return_dict_in_generate=True,
                    output_logits=True,
                )
            assert found.sequences[:, max(LENGTHS) :].tolist() == expected
            for row, seen in enumerate(scores):
                close(torch.stack(found.logits)[:, row], torch.stack(seen))
    assert untouched(model)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_loop_with_a_cache_reads_the_prompt_and_then_the_completion(side: str) -> None:
    model, given = network("llama"), padded(side)
    for positions in POSITIONS:
        with (
            torch.no_grad(),
            steer(model, vectors(), layers=LAYER, coefficient=1, positions=positions),
        ):
            read = model(**given)
            mask = torch.cat([given["attention_mask"], torch.ones(3, 2)], dim=1).long()
            more = torch.tensor([[5, 6], [7, 8], [9, 10]])
            found = model(
                input_ids=more,
                attention_mask=mask,
                position_ids=torch.tensor(LENGTHS)[:, None] + torch.arange(2),
                past_key_values=read.past_key_values,
            ).logits
            again = model(**given).logits  # begins these texts anew
        assert torch.equal(again, read.logits)
        for row, prompt in enumerate(prompts()):
            whole = [*prompt, *more[row].tolist()]
            expected = logits_by_hand(model, whole, len(prompt), positions)
            close(found[row], expected[-2:])


def test_beams_and_guessed_tokens_are_steered_alike() -> None:
    model = network("llama")
    ids = torch.tensor([prompts()[0]])
    for positions in ("last", "completion"):
        how: dict[str, Any] = {"max_new_tokens": 5, "do_sample": False, "eos_token_id": None}
        with steer(model, vectors(), layers=LAYER, coefficient=1, positions=positions):
            plain = model.generate(ids, **how)
            guessed = model.generate(ids, prompt_lookup_num_tokens=3, **how)
            beams = model.generate(ids, num_beams=3, **how)
            anew = model.generate(ids, num_beams=3, use_cache=False, **how)
            embedded = model.generate(inputs_embeds=model.get_input_embeddings()(ids), **how)
        assert guessed.tolist() == plain.tolist()
        assert beams.tolist() == anew.tolist()
        assert embedded.tolist() == plain[:, ids.shape[1] :].tolist()
    assert untouched(model)


def of_pictures_too() -> PreTrainedModel:
    texts_ = {**tiny.SHAPES["gemma3_text"], "vocab_size": 320}
    pictures = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    pictures |= {"num_attention_heads": 2, "image_size": 28, "patch_size": 14}
    marks = {"image_token_index": 300, "boi_token_index": 301, "eoi_token_index": 302}
    torch.manual_seed(0)
    config = Gemma3Config(text_config=texts_, vision_config=pictures, **marks)
    return Gemma3ForConditionalGeneration(config).eval()


def test_padding_is_known_where_blocks_are_given_masks_of_another_kind() -> None:
    model = of_pictures_too()
    given = padded("left")
    del given["position_ids"]
    for positions in ("last", "completion"):
        expected, _ = written_by_hand(model, positions, 3)
        with steer(model, vectors(), layers=LAYER, coefficient=1, positions=positions):
            found = model.generate(**given, max_new_tokens=3, do_sample=False, eos_token_id=None)
        assert found[:, max(LENGTHS) :].tolist() == expected
    assert untouched(model)


@pytest.mark.long
@pytest.mark.parametrize("inside", [False, True])
def test_a_compiled_model_is_steered_all_the_same(inside: bool) -> None:
    model, ids = tiny.network("llama"), torch.tensor([prompts()[0]])
    compiled: Any = model
    if inside:
        model.compile(backend="eager")
    else:
        compiled = torch.compile(model, backend="eager")
    with torch.no_grad():
        before = compiled(ids).logits
        with steer(compiled, vectors(), layers=LAYER, coefficient=1):
            close(compiled(ids).logits[0], logits_by_hand(network("llama"), prompts()[0], 7))
        assert torch.equal(compiled(ids).logits, before)


# ---- the same as a study


@pytest.mark.parametrize("operator", [add, ablate, clamp])
@pytest.mark.parametrize("site", ["output", "input", "attention", "mlp"])
def test_the_bits_are_those_of_the_engine(operator: Any, site: str) -> None:
    network_ = network("llama")
    model = wrap(network_, tokenizer(), "tiny")
    (batch,) = batches_of(model, [prompts()[0], prompts()[0][::-1]], batch_tokens=100)
    for positions in POSITIONS[:-1]:
        marks = {"completion": batch.lengths, END: batch.lengths}
        marked = type(batch)(batch.samples, batch.ids, batch.lengths, marks=marks)
        parts = [
            Part(layer, vectors()[layer], site, operator, positions=positions) for layer in (1, 2)
        ]
        expected = final_states(model, marked, injection(model, parts), -0.6)
        read: list[torch.Tensor] = []
        handle = network_.model.layers[-1].register_forward_hook(
            lambda _module, _args, output, read=read: read.append(output)
        )
        name = operator.__name__.rpartition(".")[2]
        with (
            torch.inference_mode(),
            steer(
                network_,
                vectors().numpy(),
                layers=[1, 2],
                coefficient=-0.6,
                operator=name,
                positions=positions,
                site=site,
            ),
        ):
            network_(input_ids=batch.ids, use_cache=False)
        handle.remove()
        assert torch.equal(read[0], expected)


def test_what_is_written_is_what_a_study_writes() -> None:
    model = wrap(network("llama"), tokenizer(), "tiny")
    rules = generation.Rules(tokens=4)
    given = padded("left")
    for positions in ("all", "last", "completion"):
        parts = [Part(LAYER, vectors()[LAYER], positions=positions)]
        swept = (injection(model, parts), 1.0)
        begun = [
            generation.Begun(Marked(ids, {"completion": len(ids)}), swept) for ids in prompts()
        ]
        expected = [text.ids for text in generation.write(model, begun, rules)]
        with steer(model.network, vectors(), layers=LAYER, coefficient=1, positions=positions):
            found = model.network.generate(
                input_ids=given["input_ids"],
                attention_mask=given["attention_mask"],
                max_new_tokens=4,
                do_sample=False,
            )
        for row, ids in zip(found[:, max(LENGTHS) :].tolist(), expected, strict=True):
            assert row[: len(ids)] == ids


def test_several_vectors_act_one_after_the_other() -> None:
    model, ids = network("gpt2"), torch.tensor([prompts()[0]])
    first, second = vectors(), vectors(1)

    def change(states: torch.Tensor) -> torch.Tensor:
        return by_hand("ablate", states + 2 * first[LAYER], second[LAYER], 1.0)

    with torch.no_grad(), hooked(model, LAYER, "output", change):
        expected = model(ids).logits
    with torch.no_grad(), steer(model, first, layers=LAYER, coefficient=2):
        with steer(model, second[LAYER], layers=LAYER, coefficient=1, operator="ablate"):
            close(model(ids).logits, expected)
        with hooked(model, LAYER, "output", lambda states: states - 2 * first[LAYER]):
            close(model(ids).logits, logits_by_hand(model, prompts()[0], 7, coefficient=0.0)[None])

    with (
        torch.no_grad(),
        hooked(model, LAYER, "output", lambda states: states + 2 * first[LAYER] - second[LAYER]),
    ):
        expected = model(ids).logits
    with torch.no_grad(), steer(model, [first, second], layers=LAYER, coefficient=[2, -1]):
        close(model(ids).logits, expected)
    with (
        torch.no_grad(),
        hooked(model, LAYER, "output", lambda states: states + 0.5 * (first + second)[LAYER]),
    ):
        expected = model(ids).logits
    with torch.no_grad(), steer(model, [first, second.numpy()], layers=LAYER, coefficient=0.5):
        close(model(ids).logits, expected)
    assert untouched(model)


# ---- what is left of it


@pytest.mark.parametrize("positions", POSITIONS)
def test_a_coefficient_that_means_nothing_changes_no_bit(positions: str | int) -> None:
    model, given = network("llama"), padded("left")
    with torch.no_grad():
        expected = model(**given).logits
        for operator in ("add", "ablate"):
            how: dict[str, Any] = {"operator": operator, "positions": positions}
            with steer(model, vectors(), layers="all", coefficient=0, **how):
                assert untouched(model)
                assert torch.equal(model(**given).logits, expected)
        with steer(model, vectors(), layers=LAYER, coefficient=0, operator="clamp"):
            assert not torch.equal(model(**given).logits, expected)


@pytest.mark.parametrize("positions", POSITIONS)
def test_a_model_is_left_as_it_was_after_an_exception(positions: str | int) -> None:
    model, given = network("llama"), padded("left")
    with torch.no_grad():
        expected = model(**given).logits
    own = model.generate
    model.generate = own  # of the user's
    try:
        with (
            pytest.raises(ZeroDivisionError),
            steer(model, vectors(), layers=[0, 2], coefficient=1, positions=positions),
        ):
            with steer(model, vectors(1), layers=1, coefficient=1, positions="last", site="mlp"):
                model.generate(**given, max_new_tokens=2)
            raise ZeroDivisionError
        assert vars(model)["generate"] == own
    finally:
        del model.generate
    assert untouched(model)
    with torch.no_grad():
        assert torch.equal(model(**given).logits, expected)


def test_a_model_in_training_stays_so_and_gradients_flow() -> None:
    model = tiny.network("gpt2", attn_pdrop=0.1).train()
    model.transformer.h[2].eval()
    modes = [module.training for module in model.modules()]
    state = torch.random.get_rng_state()
    vector = torch.ones(32)
    with steer(model, vector, layers=1, coefficient=1, positions="last"):
        assert [module.training for module in model.modules()] == modes
        assert torch.equal(torch.random.get_rng_state(), state)
        model(torch.tensor([prompts()[0]])).logits.sum().backward()
    assert model.transformer.wte.weight.grad is not None
    snakesteer.activations(model, tokenizer(), ["The river runs"])
    assert [module.training for module in model.modules()] == modes
    assert untouched(model)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_any_dtype_is_steered_as_it_is(dtype: torch.dtype) -> None:
    model, ids = tiny.network("llama").to(dtype), torch.tensor([prompts()[0]])
    with (
        torch.no_grad(),
        hooked(model, LAYER, "output", lambda states: states + (0.5 * vectors()[LAYER]).to(dtype)),
    ):
        expected = model(ids).logits
    with torch.no_grad(), steer(model, vectors(), layers=LAYER, coefficient=0.5):
        assert torch.equal(model(ids).logits, expected)


# ---- activations and vectors


def read_by_hand(model: PreTrainedModel, site: str, place: int) -> np.ndarray:
    """[texts, layers, hidden] of each text alone."""
    found = []
    for _, text in tiny.documents(4):
        ids = torch.tensor([tokenizer()(text)["input_ids"]])
        read: list[torch.Tensor] = []

        def keep(states: torch.Tensor, read: list[torch.Tensor] = read) -> torch.Tensor:
            read.append(states[0, place])
            return states

        with torch.no_grad(), contextlib.ExitStack() as stack:
            for layer in range(4):
                stack.enter_context(hooked(model, layer, site, keep))
            model(ids)
        found.append(torch.stack(read))
    return torch.stack(found).numpy()


def documents() -> list[str]:
    return [text for _, text in tiny.documents(4)]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_activations_are_those_that_hooks_written_here_see(architecture: str) -> None:
    model = network(architecture)
    for site, positions in (("output", "last"), ("input", -2), ("attention", -1)):
        place = -1 if positions == "last" else int(positions)
        found = snakesteer.activations(
            model, tokenizer(), documents(), site=site, positions=positions
        )
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, read_by_hand(model, site, place), rtol=2e-4, atol=2e-4)
    assert untouched(model)


def test_activations_are_the_hidden_states_of_transformers_and_a_studys_own() -> None:
    network_ = tiny.network("llama")  # transformers leaves hooks behind
    found = snakesteer.activations(network_, tokenizer(), documents(), batch_tokens=40)
    for text, read in zip(documents(), found, strict=True):
        ids = torch.tensor([tokenizer()(text)["input_ids"]])
        with torch.no_grad():
            states = network_(ids, output_hidden_states=True).hidden_states
        expected = torch.stack([each[0, -1] for each in states[1:-1]])  # the last one is normed
        np.testing.assert_allclose(read[:-1], expected, rtol=2e-4, atol=2e-4)
    model = wrap(network_, tokenizer(), "tiny")
    read = texts.read_documents(tokenizer(), tiny.documents(4), 1000)
    studys = extraction.of_documents(model, read, batch_tokens=40).numpy()
    assert np.array_equal(found, studys)


def test_prompts_and_completions_and_several_positions() -> None:
    model = network("llama")
    [mean] = snakesteer.activations(
        model, tokenizer(), [("The miller", " counts the sacks.")], positions={"mean": "completion"}
    )
    prompt, whole = (
        tokenizer()(text)["input_ids"] for text in ("The miller", "The miller counts the sacks.")
    )
    ids = torch.tensor([whole])
    with torch.no_grad():
        states = model(ids, output_hidden_states=True).hidden_states[2][0]
    np.testing.assert_allclose(mean[1], states[len(prompt) :].mean(0), rtol=1e-4, atol=1e-4)
    each = snakesteer.activations(model, tokenizer(), documents(), positions=[-2, -1])
    assert each.shape == (4, 2, 4, 32)
    np.testing.assert_allclose(each[:, 1], read_by_hand(model, "output", -1), rtol=2e-4, atol=2e-4)


def test_activations_under_steering_are_the_steered_ones() -> None:
    model, how = network("llama"), {"layers": LAYER, "coefficient": 1.0}
    unsteered = snakesteer.activations(model, tokenizer(), documents())
    with steer(model, vectors(), **how):
        found = snakesteer.activations(model, tokenizer(), documents())
    expected = unsteered[:, LAYER] + vectors()[LAYER].numpy()
    np.testing.assert_allclose(found[:, LAYER], expected, rtol=1e-4, atol=1e-4)
    with steer(model, vectors(), **how, positions="last"):
        assert refused(lambda: snakesteer.activations(model, tokenizer(), documents())) == (
            "Activations are read in batches without a mask, so positions cannot be counted; "
            "read them outside `steer`, or steer with positions all."
        )


def test_vectors_are_what_the_methods_are_known_for() -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    linear_model = pytest.importorskip("sklearn.linear_model")
    discriminant = pytest.importorskip("sklearn.discriminant_analysis")
    model = network("llama")
    positive = [f"{text} Yes" for text in documents()]
    negative = [f"{text} No, says she" for text in documents()]
    first, second = (
        snakesteer.activations(model, tokenizer(), each) for each in (positive, negative)
    )
    both, labels = np.concatenate([first, second]), [1] * 4 + [0] * 4

    def made(**how: Any) -> np.ndarray:
        vector = snakesteer.make_vector(model, tokenizer(), positive, negative, **how)
        assert vector.layers == (0, 1, 2, 3)
        return np.stack([*vector.directions.values()])

    difference = first.mean(0, dtype=np.float64) - second.mean(0, dtype=np.float64)
    np.testing.assert_allclose(made(), difference, atol=1e-5)
    np.testing.assert_allclose(made(method="contrast"), difference, atol=1e-5)
    components, probes = made(method="pca", centred=True), made(method="logistic", C=0.1)
    lines = made(method="lda", shrinkage=0.5)
    for layer in range(4):
        pairs = (first - second)[:, layer]
        [component] = decomposition.PCA(1).fit(pairs).components_
        component *= np.sign(component @ pairs.mean(0))
        np.testing.assert_allclose(components[layer], component, atol=1e-4)
        x = both[:, layer].astype(np.float64)
        logistic = linear_model.LogisticRegression(C=0.1, tol=1e-10, max_iter=10_000).fit(x, labels)
        np.testing.assert_allclose(probes[layer], logistic.coef_[0], atol=1e-4)
        lda = discriminant.LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5).fit(x, labels)
        found = lines[layer] / np.linalg.norm(lines[layer])
        expected = lda.coef_[0] / np.linalg.norm(lda.coef_[0])
        assert found @ expected > 0.99


def test_defaults_of_methods_are_those_of_a_study() -> None:
    from snakesteer.study import vectors as entries
    from snakesteer.vectors.from_texts import METHODS

    for name, settings in METHODS.items():
        fields = getattr(entries, f"{name.capitalize()}Vector").model_fields
        assert settings == {
            setting: field.default
            for setting, field in fields.items()
            if setting not in ("method", "scale", "seed", "of", "add", "subtract")
        }


def test_a_vector_says_what_it_was_made_of(tmp_path: Path) -> None:
    folder = tiny.folder(tmp_path / "mine")
    model = AutoModelForCausalLM.from_pretrained(folder)
    vector = snakesteer.make_vector(
        model, tokenizer(), ["The mill", "The river"], ["He says"], site="input"
    )
    assert vector.site == "input" and vector.hidden == 32 and vector.n_layers == 4
    from snakesteer.hub.manifest import manifest

    assert vector.model["fingerprint"] == manifest(folder)["fingerprint"]
    assert vector.model["source"] == "mine"
    assert vector.made["settings"]["method"] == "difference"
    assert [vector.made["texts"][side]["count"] for side in ("positive", "negative")] == [2, 1]
    with steer(model, vector, layers="all", coefficient=1):
        assert all(block._forward_pre_hooks for block in model.model.layers)
        assert not any(block._forward_hooks for block in model.model.layers)


# ---- which model a vector is of


def saved(folder: Path, **changes: Any) -> PreTrainedModel:
    """A model of this folder, as a user loads it."""
    tiny.folder(folder, tiny.network("llama", **changes))
    return AutoModelForCausalLM.from_pretrained(folder)


def of(about: dict[str, Any]) -> snakesteer.SteeringVector:
    return snakesteer.SteeringVector({1: np.ones(32, np.float32)}, model=about)


def test_a_vector_is_known_by_the_weights_that_its_model_was_loaded_from(tmp_path: Path) -> None:
    from snakesteer.hub.manifest import manifest

    model, other = saved(tmp_path / "one" / "mine"), saved(tmp_path / "two" / "mine", seed=1)
    about = manifest(tmp_path / "one" / "mine", source="elsewhere/other-name")
    how: dict[str, Any] = {"layers": 1, "coefficient": 1}
    with steer(model, of(about), **how):
        pass
    with pytest.raises(StudyError) as told, steer(other, of(about), **how):
        pass
    folder = tmp_path / "two" / "mine"
    assert str(told.value) == (
        f"The vector comes from elsewhere/other-name, not from {folder}; steer the model that it "
        "comes from, or allow this with transfer=True."
    )
    with steer(other, of(about), **how, transfer=True):
        pass


def test_large_weights_are_read_only_where_names_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snakesteer.hub import loaded, manifest

    folder = tmp_path / "models" / "mine"
    model = saved(folder)
    about = manifest.manifest(folder)
    monkeypatch.setattr(manifest, "HASHED_BYTES", 1000)  # so that these weights are large
    read: list[Path] = []
    hashed = manifest.sha256
    monkeypatch.setattr(loaded, "sha256", lambda path: (read.append(path), hashed(path))[1])
    how: dict[str, Any] = {"layers": 1, "coefficient": 1}
    with steer(model, of(about | {"source": "models/mine", "fingerprint": "0" * 64}), **how):
        assert not read
    with steer(model, of(about | {"source": "models/yours"}), **how):
        assert read == [folder / "model.safetensors"]
    with (
        pytest.raises(StudyError, match="^The vector comes from models/yours, not from "),
        steer(model, of(about | {"source": "models/yours", "fingerprint": "0" * 64}), **how),
    ):
        pass


def test_weights_of_the_hub_are_known_by_their_names_in_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    from snakesteer.hub import manifest

    model, commit = saved(tmp_path / "files"), "a" * 40
    about = manifest.manifest(tmp_path / "files")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / "models--owner--mine"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for file in (tmp_path / "files").iterdir():
        blob = repository / "blobs" / manifest.sha256(file)
        blob.write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(Path("../../blobs") / blob.name)
    monkeypatch.setattr(manifest, "HASHED_BYTES", 1000)
    model.name_or_path, model.config._commit_hash = "owner/mine", commit
    renamed = about | {"source": "other/name", "revision": "b" * 40}
    how: dict[str, Any] = {"layers": 1, "coefficient": 1}
    with steer(model, of(renamed), **how):
        pass
    with pytest.raises(StudyError) as told, steer(model, of(renamed | {"fingerprint": "0"}), **how):
        pass
    assert str(told.value) == (
        "The vector comes from other/name at bbbbbbbbbbbb, not from owner/mine at aaaaaaaaaaaa; "
        "steer the model that it comes from, or allow this with transfer=True."
    )


@pytest.mark.parametrize("transfer", [False, True])
def test_depth_is_compared_also_with_transfer(transfer: bool) -> None:
    model, about = network("llama"), {"source": "deep", "n_layers": 12}
    how: dict[str, Any] = {"layers": 1, "coefficient": 1, "transfer": transfer}
    assert refused(lambda: steer(model, of(about), **how).__enter__()) == (
        "The vector comes from deep with 12 layers, but the model in memory has 4; use a vector "
        "made with this model."
    )


def test_a_model_of_which_nothing_is_known_takes_vectors_of_its_shape() -> None:
    assert not network("llama").name_or_path
    with steer(network("llama"), of({"source": "mine", "n_layers": 4}), layers=1, coefficient=1):
        pass


def test_a_direction_may_be_a_tensor_of_any_dtype() -> None:
    direction = torch.ones(32, dtype=torch.bfloat16, requires_grad=True)
    made = snakesteer.SteeringVector({np.int64(1): direction}).directions[1]
    assert made.dtype == np.float32 and (made == 1).all()


# ---- bad input: one sentence each


def refused(act: Callable[[], Any]) -> str:
    with pytest.raises(StudyError) as told:
        act()
    assert str(told.value).count(". ") == 0 and "\n" not in str(told.value)
    return str(told.value)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"layers": 9},
            "layers names 9, but the vector has directions only for layers 0 to 3; name one of "
            "these.",
        ),
        (
            {"layers": -1},
            "layers names -1, but the vector has directions only for layers 0 to 3; name one of "
            "these.",
        ),
        ({"layers": 0.5}, "layers is 0.5; give a number, a list of numbers, or 'all'."),
        ({"layers": "some"}, "layers is 'some'; give a number, a list of numbers, or 'all'."),
        ({"layers": [1, 1]}, "layers is [1, 1]; name at least one, each only once."),
        ({"layers": []}, "layers is []; name at least one, each only once."),
        ({"coefficient": "2x"}, "coefficient is '2x'; give a number."),
        ({"coefficient": float("nan")}, "coefficient is nan; give a finite number."),
        (
            {"coefficient": [1, 2]},
            "coefficient has 2 numbers for 1 vectors; give one for each, or one number for all.",
        ),
        (
            {"operator": "ad"},
            "there is no ad among the operators ablate, add, clamp; did you mean add?",
        ),
        ({"operator": add}, f"operator is {add!r}; give its name, as add, or a file's path."),
        ({"operator": "none.py"}, "there is no file none.py; check the path."),
        ({"site": "head"}, "site is 'head'; name one of output, input, attention, mlp."),
        (
            {"positions": "after_instruction"},
            "positions is after_instruction, which needs the marks of a format; count from the "
            "end, as -5, or run a study, whose formats set these marks.",
        ),
        (
            {"positions": {"from": "[/INST]"}},
            "positions is {'from': '[/INST]'}, which needs the marks of a format; count from "
            "the end, as -5, or run a study, whose formats set these marks.",
        ),
        (
            {"positions": 3},
            "positions is 3; name all, last, prompt, completion, or a token from the end as -1.",
        ),
        (
            {"positions": None},
            "positions is None; name all, last, prompt, completion, or a token from the end as -1.",
        ),
        ({"coefficient": 10**400}, f"coefficient is {10**400}; give a number."),
        (
            {"vector": np.ones(31)},
            "vector has the shape [31], but LlamaForCausalLM needs [32], or a row for each layer, "
            "[4, 32].",
        ),
        (
            {"vector": np.zeros(32)},
            "A vector is 0 at every layer, so it has no direction; use another one.",
        ),
        (
            {"vector": np.full((4, 32), np.inf)},
            (
                "A vector is NaN or infinite at layer 0; check the activations that it was made "
                "from."
            ),
        ),
        (
            {"vector": "vector.gguf"},
            "vector is str; give a SteeringVector, or numbers as a numpy array or torch tensor.",
        ),
        ({"vector": []}, "vector is an empty list; give a vector."),
        (
            {"vector": snakesteer.SteeringVector({1: np.ones(32)}, made={"kind": "vector"})},
            "The vector's file does not record the site where it was read; load the file of "
            "that name in results/<study>/vectors/, which does, or give site.",
        ),
        (
            {"vector": snakesteer.SteeringVector({2: np.ones(32)})},
            "layers names 1, but the vector has directions only for layer 2; name one of these.",
        ),
        (
            {"vector": snakesteer.SteeringVector({1: np.ones(30)}, model={"source": "wide"})},
            "The vector comes from wide with 30 values in a state, but the model in memory has "
            "32; use a vector made with this model.",
        ),
        (
            {"model": torch.nn.Linear(2, 2)},
            "Linear is not a causal language model of transformers; give one, as "
            "AutoModelForCausalLM.from_pretrained loads it.",
        ),
    ],
)
def test_a_mistake_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    model = changes.pop("model", network("llama"))
    how = {"vector": vectors(), "layers": 1, "coefficient": 1.0} | changes
    assert refused(lambda: steer(model, **how).__enter__()) == sentence
    assert untouched(model)


@pytest.mark.parametrize("directions", [np.ones((4, 32)), {"1": np.ones(32)}, None])
def test_directions_are_a_mapping_of_layers(directions: Any) -> None:
    assert refused(lambda: snakesteer.SteeringVector(directions)).startswith(
        "The directions of a vector must map layers to arrays"
    )


def test_a_model_without_a_head_is_not_read() -> None:
    bare = network("llama").model
    assert refused(lambda: snakesteer.activations(bare, tokenizer(), ["a b"])).startswith(
        "LlamaModel has no head that predicts tokens"
    )


def test_a_format_is_a_text() -> None:
    given: Any = {"template": "Human: {prompt}"}
    told = refused(
        lambda: snakesteer.activations(network("llama"), tokenizer(), ["a b"], format=given)
    )
    assert told.endswith("name plain, chat, or a template with {prompt}.")


def test_a_model_without_one_list_of_blocks_is_named() -> None:
    sizes = {"d_model": 16, "d_kv": 4, "d_ff": 16, "num_layers": 2, "num_heads": 2}
    model = T5ForConditionalGeneration(T5Config(vocab_size=50, **sizes))
    found = refused(lambda: steer(model, np.ones(16), layers=0, coefficient=1).__enter__())
    assert found == (
        "The 2 decoder blocks of T5ForConditionalGeneration could not be found; add the right "
        "module list to BLOCK_PATHS: encoder.block (2), encoder.block.0.layer (2), "
        "encoder.block.1.layer (2), decoder.block (2), decoder.block.0.layer (3), "
        "decoder.block.1.layer (3)."
    )


def test_what_cannot_be_counted_is_refused() -> None:
    model, given = network("llama"), padded("left")
    how: dict[str, Any] = {"layers": 1, "coefficient": 1}

    def read(positions: str | int, **inputs: Any) -> Callable[[], Any]:
        def act() -> None:
            with torch.no_grad(), steer(model, vectors(), positions=positions, **how):
                model(**(given | inputs))

        return act

    assert refused(read(-5)) == (
        "positions names -5, but row 1 has only 4 tokens; name positions nearer the end, or "
        "remove such texts."
    )
    assert refused(read("completion")) == (
        "positions is completion, but `forward` without the previous call's cache reads a "
        "prompt; use `generate`, or pass the cache on."
    )
    four = torch.zeros(3, 1, 7, 7)
    assert refused(read("last", attention_mask=four)) == (
        "positions is last, but the attention mask is [3, 1, 7, 7], which does not show the "
        "padding; give a mask [batch, tokens], and no static cache."
    )

    def in_parts() -> None:
        with steer(model, vectors(), positions="last", **how):
            model.generate(given["input_ids"], max_new_tokens=2, prefill_chunk_size=3)

    assert refused(in_parts) == (
        "positions is last, but `generate` reads the prompt in parts; remove prefill_chunk_size "
        "and guidance_scale."
    )
    mamba = tiny.network("mamba")

    def recurrent() -> None:
        with steer(mamba, vectors(), positions="last", **how):
            pass

    assert refused(recurrent) == (
        "positions is last, but MambaForCausalLM has no cache of keys and values, from which "
        "positions are counted; use positions all."
    )
    with torch.no_grad():
        before = mamba(given["input_ids"]).logits
        with steer(mamba, vectors(), **how):
            assert not torch.allclose(mamba(given["input_ids"]).logits, before)
    assert untouched(model) and untouched(mamba)


def test_a_site_that_an_architecture_lacks_is_named() -> None:
    model = network("opt")
    how: dict[str, Any] = {"layers": 1, "coefficient": 1, "site": "mlp"}
    assert refused(lambda: steer(model, vectors(), **how).__enter__()) == (
        "site is mlp, but block 1 of OPTForCausalLM has no such module (it has self_attn, "
        "activation_fn, self_attn_layer_norm, fc1, fc2, final_layer_norm); use the site output or "
        "input."
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"positive": "The mill"}, "positive is str; give a list of texts."),
        ({"positive": []}, "positive is an empty list; give it texts."),
        (
            {"negative": ["The mill", 3]},
            "negative has 3 at index 1; give a string, or a tuple of a prompt and its completion.",
        ),
        (
            {"method": "pca"},
            "pca compares pairs of texts, but there are 2 positive and 1 negative ones; give "
            "the same number, in the same order, or use difference.",
        ),
        (
            {"method": "mean"},
            "method is 'mean'; name one of difference, contrast, pca, logistic, lda.",
        ),
        ({"C": 2}, "difference has no setting C (it has dtype); remove it."),
        (
            {"method": "logistic", "C": -1},
            "C is -1; give a value that logistic accepts (see docs/study.md).",
        ),
        (
            {"positions": [-2, -1]},
            "positions is [-2, -1], which are several; make a vector at one position, or of "
            "their mean.",
        ),
        (
            {"positions": "letter"},
            "positions is 'letter'; name last, a number such as -1, a list of these, "
            'after_instruction, {"mean": "completion"} or {"mean": "document"}.',
        ),
        (
            {"positions": {"mean": "completion"}},
            "positive: document 0 has no tokens of a completion, which positions needs; give it "
            "one, or use others.",
        ),
        (
            {"positions": -90},
            "positive: positions names -90, but document 0 has only 9 tokens; name positions "
            "nearer the end, or remove such texts.",
        ),
        (
            {"format": "[INST]"},
            "format is '[INST]'; name plain, chat, or a template with {prompt}.",
        ),
        (
            {"format": "chat"},
            "positive: format is chat, but the model's tokenizer has no chat template; give "
            '`format` a template, as {template: "[INST] {prompt} [/INST] "}.',
        ),
        ({"max_tokens": 0}, "max_tokens is 0; give a whole number above 0."),
        (
            {"negative": ["The mill " * 100]},
            "negative: A text of 400 tokens is longer than the model's context of 128; lower "
            "max_tokens, or shorten the question.",
        ),
        (
            {"tokenizer": None},
            "tokenizer is NoneType; give the model's, as AutoTokenizer.from_pretrained loads it.",
        ),
        (
            {"positive": ["The mill"], "negative": ["The mill"]},
            "A vector is 0 at every layer, so it has no direction; use another one.",
        ),
    ],
)
def test_a_mistake_in_texts_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    given: dict[str, Any] = {
        "tokenizer": tokenizer(),
        "positive": ["The miller counts", "The river runs"],
        "negative": ["No, he says"],
    }
    assert (
        refused(lambda: snakesteer.make_vector(network("llama"), **(given | changes))) == sentence
    )


def test_a_model_that_is_not_causal_is_not_read() -> None:
    from transformers import AutoConfig

    config = AutoConfig.for_model("bert", vocab_size=320, hidden_size=32, num_hidden_layers=2)
    config.num_attention_heads, config.intermediate_size, config.is_decoder = 4, 48, False
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(10)
    assert "a token changes the tokens before it" in refused(
        lambda: snakesteer.activations(model, tokenizer(), ["The mill"])
    )


# ---- files


def test_files_of_a_study_are_read_with_their_provenance(tmp_path: Path) -> None:
    from snakesteer.storage.files import write_tensors

    about = {"source": "mine", "revision": None, "fingerprint": "f" * 64, "hidden": 3}
    made: dict[str, Any] = {"kind": "vector", "settings": {}, "model": about, "site": "input"}
    rows = np.array([[0, 0, 0], [1, 2, 3]], np.float32)
    path = tmp_path / "vector.safetensors"
    write_tensors(path, {"vector": rows}, made)
    vector = snakesteer.read_vector(path)
    assert vector.layers == (1,) and vector.directions[1].tolist() == [1, 2, 3]
    assert (vector.site, vector.n_layers, vector.made) == ("input", 2, made)
    assert vector.model == about | {"n_layers": 2}
    assert refused(lambda: snakesteer.read_vector(path, position=-1)) == (
        f"{path} has one position; remove `position`."
    )
    assert refused(lambda: snakesteer.read_vector(path, draw=0)) == (
        f"{path} holds one vector, not several draws; remove `draw`."
    )
    write_tensors(path, {"vector": np.stack([rows, 2 * rows])}, made | {"positions": [-3, -1]})
    assert snakesteer.read_vector(path, position=-1).directions[1].tolist() == [2, 4, 6]
    assert refused(lambda: snakesteer.read_vector(path)) == (
        f"{path} has the positions -3, -1; name one of them with `position`."
    )
    write_tensors(path, {"vectors": np.stack([rows, 2 * rows])}, made)
    assert snakesteer.read_vector(path, draw=1).directions[1].tolist() == [2, 4, 6]
    assert refused(lambda: snakesteer.read_vector(path, draw=2)) == (
        f"{path} holds 2 draws of a vector, not draw 2; name one with `draw`, 0 to 1."
    )
    settings = {"site": "mlp", "positions": -2}
    write_tensors(path, {"activations": rows[None]}, made | {"settings": settings})
    read = snakesteer.read_activations(path)
    assert (read.site, read.positions) == ("mlp", -2)
    assert np.array_equal(read.tensors["activations"], rows[None])
    assert refused(lambda: snakesteer.read_vector(path)) == (
        f"{path} holds activations, not a steering vector; name the file of a vector."
    )
    other = tmp_path / "vector.gguf"
    for act in (snakesteer.read_vector, snakesteer.read_activations):
        assert refused(lambda act=act: act(other)) == f"there is no file {other}; check the path."
    other.touch()
    assert "snakesteer import" in refused(lambda: snakesteer.read_vector(other))


# ---- what importing costs


WATCHED = """
import logging, os, signal, sys, threading, warnings
def seen():
    return {
        "signals": [signal.getsignal(each) for each in signal.valid_signals()],
        "hooks": [sys.excepthook, sys.displayhook, sys.unraisablehook, threading.excepthook],
        "environment": dict(os.environ),
        "logging": [logging.root.level, list(logging.root.handlers)],
        "warnings": list(warnings.filters),
        "path": list(sys.path),
    }
def same(before):
    changed = [name for name in before if seen()[name] != before[name]]
    assert not changed, changed
before = seen()
import snakesteer
same(before)
assert "numpy" not in sys.modules
import numpy, pyarrow, safetensors
before = seen()
snakesteer.SteeringVector, snakesteer.read_vector, snakesteer.read_activations
same(before)
assert not {"torch", "transformers"} & set(sys.modules)
import torch, transformers
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.quantizers import AutoHfQuantizer
before = seen()
snakesteer.steer, snakesteer.make_vector
same(before)
"""


def test_importing_loads_neither_torch_nor_transformers_and_changes_no_interpreter() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WATCHED],
        cwd=REPOSITORY / "workflow" / "scripts",
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr


def test_every_public_name_is_there_and_described() -> None:
    assert set(snakesteer.__all__) <= set(dir(snakesteer))
    page = (REPOSITORY / "docs" / "python.md").read_text(encoding="utf-8")
    for name in snakesteer.__all__:
        assert getattr(snakesteer, name).__doc__
        assert re.search(rf"\b{name}\b", page), name
    with pytest.raises(AttributeError, match=r"^module 'snakesteer' has no attribute 'steers'$"):
        snakesteer.steers  # noqa: B018


def test_the_lines_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from snakesteer.storage.files import write_tensors

    (tmp_path / "resources").symlink_to(REPOSITORY / "resources")
    monkeypatch.chdir(tmp_path)
    path = Path("results/mine/vectors/code.safetensors")
    page = (REPOSITORY / "docs" / "python.md").read_text(encoding="utf-8")
    ran: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.S):
        if "read_vector" in block:
            made = ran["vector"]
            rows = np.stack([*made.directions.values()])
            write_tensors(path, {"vector": rows}, made.made)
        exec(block, ran)
    assert ran["steered"].shape[1] > ran["prompt"]["input_ids"].shape[1]
    assert ran["read"].shape == (2, len(rows), rows.shape[1])
    assert ran["mean"].shape == ran["spoken"].shape == (1, len(rows), rows.shape[1])
    assert np.allclose(np.linalg.norm(ran["component"].directions[1]), 1)
    assert ran["vector"].made["kind"] == "make_vector"
    assert capsys.readouterr().out.startswith("layers names 99, but the vector has directions")


def test_no_folder_of_this_machine_gets_into_a_vector(tmp_path: Path) -> None:
    """Nor that of a model whose folder is gone by then."""
    for source in (str(tmp_path), str(tmp_path / "gone" / tmp_path.name)):
        assert Loaded(source, None, 2, 8).described()["source"] == tmp_path.name
    assert Loaded("owner/gone", None, 2, 8).described()["source"] == "owner/gone"
