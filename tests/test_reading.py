"""Activations of every site and position are what transformers and hooks of our own say."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import tiny
import torch
from transformers import PreTrainedTokenizerFast

from snakesteer.core.errors import StudyError
from snakesteer.engine import both_answers, extraction, models, probe, sites, steering, texts
from snakesteer.engine.steering import Spots
from snakesteer.engine.texts import What
from snakesteer.prompts.formats import Format

torch.set_num_threads(1)

SEQUENCES = [[0, 5, 9, 20, 31, 40, 2], [0, 7, 300, 4], [0, *range(10, 30)], [0, 11, 12, 13, 14]]
NAMES = list("abcd")

# Where transformers has the two modules of a block, and None where there is none that puts out what
# it adds to the residual stream.
MODULES = {
    "llama": ("model.layers.{}.self_attn", "model.layers.{}.mlp"),
    "gemma2": ("model.layers.{}.self_attn", "model.layers.{}.mlp"),
    "gpt2": ("transformer.h.{}.attn", "transformer.h.{}.mlp"),
    "gptj": ("transformer.h.{}.attn", "transformer.h.{}.mlp"),
    "gpt_neox": ("gpt_neox.layers.{}.attention", "gpt_neox.layers.{}.mlp"),
    "falcon": ("transformer.h.{}.self_attention", "transformer.h.{}.mlp"),
    "opt": ("model.decoder.layers.{}.self_attn", None),
    "bloom": (None, None),
    "mpt": ("transformer.blocks.{}.attn", None),
    "mixtral": ("model.layers.{}.self_attn", "model.layers.{}.mlp"),
    "granitemoe": ("model.layers.{}.self_attn", "model.layers.{}.block_sparse_moe"),
    "gpt_oss": ("model.layers.{}.self_attn", "model.layers.{}.mlp"),
    "deepseek_v3": ("model.layers.{}.self_attn", "model.layers.{}.mlp"),
    "llama4_text": ("model.layers.{}.self_attn", None),
    "rwkv": ("rwkv.blocks.{}.attention", "rwkv.blocks.{}.feed_forward"),
    "recurrent_gemma": (None, "model.layers.{}.mlp_block"),
    "falcon_h1": ("model.layers.{}.self_attn", "model.layers.{}.feed_forward"),
    "jamba": (None, "model.layers.{}.feed_forward"),
    "qwen3_next": (None, "model.layers.{}.mlp"),
    "lfm2": (None, "model.layers.{}.feed_forward"),
    "mamba": (None, None),
}


@functools.cache
def wrapped(architecture: str) -> models.LanguageModel:
    return models.wrap(tiny.network(architecture), tiny.tokenizer(), "none")


@torch.inference_mode()
def expected(model: models.LanguageModel, site: str) -> list[torch.Tensor]:
    """What a site has in all layers at every token of each sequence, [n_layers, tokens, hidden]."""
    found = []
    for ids in SEQUENCES:
        taken: dict[int, torch.Tensor] = {}
        handles = []
        for layer in range(model.n_layers if site in ("attention", "mlp") else 0):
            architecture = model.network.config.model_type
            path = MODULES[architecture][site == "mlp"]
            assert path is not None
            module = model.network.get_submodule(path.format(layer))
            handles.append(module.register_forward_hook(keeping(taken, layer)))
        told = model.network(
            input_ids=torch.tensor([ids]), use_cache=False, output_hidden_states=True
        )
        for handle in handles:
            handle.remove()
        hidden = list(told.hidden_states)
        if model.network.config.model_type in ("mamba", "rwkv"):  # without the embedding's output
            hidden.insert(0, model.network.get_input_embeddings()(torch.tensor([ids])))
        if site == "input":
            states = hidden[: model.n_layers]
        elif site == "output":  # of the last block transformers has the normed state
            states = hidden[1 : model.n_layers]
        else:
            states = [taken[layer] for layer in range(model.n_layers)]
        found.append(torch.stack([state[0] for state in states]))
    return found


def keeping(taken: dict[int, torch.Tensor], layer: int) -> Callable[..., None]:
    def keep(_module: object, _args: object, output: object) -> None:
        states = output[0] if isinstance(output, tuple) else output
        assert isinstance(states, torch.Tensor)
        taken[layer] = states.clone()

    return keep


def captured(model: models.LanguageModel, spots: Spots, batch_tokens: int = 1) -> torch.Tensor:
    return steering.capture(model, SEQUENCES, NAMES, batch_tokens=batch_tokens, spots=spots)


@pytest.mark.parametrize("site", ["output", "input"])
@pytest.mark.parametrize("architecture", tiny.SHAPES)
def test_the_residual_stream_is_that_of_transformers(architecture: str, site: str) -> None:
    model = wrapped(architecture)
    probe.check_site(model, site)
    found = captured(model, Spots(site, [[2]] * 4))
    states = expected(model, site)
    for sample, of in zip(found, states, strict=True):
        assert torch.equal(sample[: len(of)], of[:, 2])


@pytest.mark.parametrize("site", ["attention", "mlp"])
@pytest.mark.parametrize("architecture", MODULES)
def test_modules_are_read_where_transformers_has_them(architecture: str, site: str) -> None:
    model = wrapped(architecture)
    if MODULES[architecture][site == "mlp"] is None:
        with pytest.raises(StudyError, match=f"^site is {site}, but .*; use the site output or"):
            probe.check_site(model, site)
        return
    probe.check_site(model, site)
    found = captured(model, Spots(site, [[2]] * 4))
    for sample, states in zip(found, expected(model, site), strict=True):
        assert torch.equal(sample, states[:, 2])


def test_all_other_architectures_have_both_modules() -> None:
    for architecture in tiny.SHAPES.keys() - MODULES.keys():
        probe.check_site(wrapped(architecture), "attention")
        if architecture != "xglm":  # as in OPT, two linear layers of the block itself
            probe.check_site(wrapped(architecture), "mlp")


@pytest.mark.parametrize(
    ("architecture", "site", "sentence"),
    [
        (
            "mamba",
            "attention",
            "site is attention, but block 0 of MambaForCausalLM has no such module (it has norm, "
            "mixer); use the site output or input.",
        ),
        (
            "bloom",
            "mlp",
            "site is mlp, but in BloomForCausalLM that module returns the entire residual "
            "stream; use the site output or input.",
        ),
        (
            "llama4_text",
            "mlp",
            "site is mlp, but in Llama4ForCausalLM that site does not have one state of 32 "
            "values per token and block; use the site output or input.",
        ),
    ],
)
def test_a_site_that_an_architecture_lacks_is_reported(
    architecture: str, site: str, sentence: str
) -> None:
    with pytest.raises(StudyError) as told:
        probe.check_site(wrapped(architecture), site)
    assert str(told.value) == sentence


@pytest.mark.parametrize("site", sites.SITES)
@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gpt_neox", "falcon", "mixtral"])
def test_positions_are_read_at_every_site(architecture: str, site: str) -> None:
    model = wrapped(architecture)
    states = expected(model, site)
    layers = len(states[0])
    for batch_tokens in (1, 100):
        close = functools.partial(torch.testing.assert_close, rtol=1e-4, atol=1e-4)
        each = captured(model, Spots(site, [[3, 1]] * 4, "each"), batch_tokens)
        assert each.shape == (4, 2, model.n_layers, model.hidden)
        last = captured(model, Spots(site), batch_tokens)
        among = [range(1, 3), range(4), range(5, 20), range(2, 5)]
        mean = captured(model, Spots(site, among, "mean"), batch_tokens)
        for sample, of in enumerate(states):
            close(each[sample, 0, :layers], of[:, 3])
            close(each[sample, 1, :layers], of[:, 1])
            close(last[sample, :layers], of[:, -1])
            close(mean[sample, :layers], of[:, list(among[sample])].mean(dim=1))


def test_what_is_changed_at_a_site_reaches_what_is_above() -> None:
    """A hook's states take the place of those at the site, and are gone afterwards."""
    model = wrapped("llama")
    ids = torch.tensor(SEQUENCES[:1])
    untouched = model.network(input_ids=ids).logits
    for site in sites.SITES:
        with sites.hooked(model, 1, site, lambda states: states + 1):
            changed = model.network(input_ids=ids).logits
        with sites.hooked(model, 1, site, lambda states: states + 0):
            same = model.network(input_ids=ids).logits
        assert not torch.allclose(changed, untouched)
        assert torch.equal(same, untouched)
        assert torch.equal(model.network(input_ids=ids).logits, untouched)


def test_a_broken_activation_is_named_at_every_position() -> None:
    model = models.wrap(tiny.network(), tiny.tokenizer(), "none")
    with torch.no_grad():
        model.network.get_submodule("model.layers.2.mlp.down_proj").weight[0, 0] = torch.inf
    with pytest.raises(StudyError, match="The activation of a at layer 2 is NaN or infinite"):
        captured(model, Spots("output", [[3, 1]] * 4, "each"))


# Texts.


@pytest.fixture(scope="module")
def llama() -> models.LanguageModel:
    tokenizer = tiny.tokenizer()
    tokenizer.chat_template = (
        "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}</s>\n{% endfor %}"
        "{% if add_generation_prompt %}<s>assistant: {% endif %}"
    )
    return models.wrap(tiny.network(), tokenizer, "none")


def own(model: models.LanguageModel, ids: list[int]) -> torch.Tensor:
    """The outputs of the blocks but the last at every token, [n_layers - 1, tokens, hidden]."""
    with torch.inference_mode():
        told = model.network(input_ids=torch.tensor([ids]), output_hidden_states=True)
    return torch.stack([state[0] for state in told.hidden_states[1 : model.n_layers]])


def behind(tokenizer: PreTrainedTokenizerFast, said: list[dict[str, str]]) -> int:
    """The number of the first token that reaches into the last of the messages."""
    text = tokenizer.apply_chat_template(said, tokenize=False, continue_final_message=True)
    start = len(text) - len(said[-1]["content"])
    called = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    return next(i for i, (_, end) in enumerate(called["offset_mapping"]) if end > start)


close = functools.partial(torch.testing.assert_close, rtol=1e-4, atol=1e-4)
ROWS = [
    {"document": "0", "text": "Is the mill past the river?", "completion": "Yes, he says."},
    {"document": "1", "text": "Count the sacks", "completion": "The miller counts the sacks."},
]


def test_instructions_in_a_chat(llama: models.LanguageModel) -> None:
    tokenizer = llama.tokenizer
    chats = []
    for row in ROWS:
        said = [{"role": "user", "content": row["text"]}]
        asked = tokenizer.apply_chat_template(said, add_generation_prompt=True)["input_ids"]
        said.append({"role": "assistant", "content": row["completion"]})
        whole = tokenizer.apply_chat_template(said, continue_final_message=True)["input_ids"]
        chats.append((asked, whole, behind(tokenizer, said)))
    tail = len(tokenizer("</s>\n<s>assistant: ", add_special_tokens=False)["input_ids"])
    prompts = [{"document": row["document"], "text": row["text"]} for row in ROWS]
    form = Format("chat")
    for positions, rows, picked in (
        ("last", prompts, lambda asked, whole, _: own(llama, asked)[:, -1]),
        (-2, prompts, lambda asked, whole, _: own(llama, asked)[:, -2]),
        ([-3, -1], prompts, lambda asked, whole, _: own(llama, asked)[:, [-3, -1]].transpose(0, 1)),
        (
            "after_instruction",
            prompts,
            lambda asked, whole, _: own(llama, asked)[:, -tail:].transpose(0, 1),
        ),
        ("last", ROWS, lambda asked, whole, _: own(llama, whole)[:, -1]),
        (
            {"mean": "completion"},
            ROWS,
            lambda asked, whole, start: own(llama, whole)[:, start:].mean(dim=1),
        ),
        ({"mean": "document"}, ROWS, lambda asked, whole, _: own(llama, whole).mean(dim=1)),
    ):
        what = What(form, "output", positions)
        read = texts.read_corpus(tokenizer, rows, 100, what=what)
        found = extraction.of_documents(llama, read, batch_tokens=200)
        for sample, chat in zip(found, chats, strict=True):
            close(sample[..., : llama.n_layers - 1, :], picked(*chat))


def test_documents_at_other_positions(llama: models.LanguageModel) -> None:
    documents = tiny.documents(6)[1:]
    rows = [{"document": name, "text": text} for name, text in documents]
    for positions, picked in (
        (-2, lambda states: states[:, -2]),
        ({"mean": "document"}, lambda states: states.mean(dim=1)),
    ):
        what = What(positions=positions)
        read = texts.read_corpus(llama.tokenizer, rows, 9, what=what)
        found = extraction.of_documents(llama, read, batch_tokens=64)
        for sample, (_, text) in zip(found, documents, strict=True):
            ids = llama.tokenizer(text)["input_ids"][:9]
            close(sample[: llama.n_layers - 1], picked(own(llama, ids)))


def test_letters_share_their_prompts(llama: models.LanguageModel) -> None:
    """What stands behind the letter has no influence on it, so both sides differ in it alone."""
    tokenizer, form = llama.tokenizer, Format("[INST] {prompt} [/INST] ")
    pairs = [
        {"question": f"q{i}", "prompt": text, "matching": answer, "not_matching": other}
        for i, (text, answer, other) in enumerate(
            [("Is the mill past?", "(A)", "(B)"), ("Count the sacks", "(B)", "(A)")]
        )
    ]
    what = What(form, "output", "letter")
    read = texts.read_questions(tokenizer, pairs, what=what)
    assert isinstance(read, texts.Questions)
    found = extraction.of_questions(llama, read, batch_tokens=200)
    for side in ("matching", "not_matching"):
        for sample, pair in zip(found[side], pairs, strict=True):
            ids = tokenizer(f"[INST] {pair['prompt']} [/INST] {pair[side]}")["input_ids"]
            (place,) = [
                i for i in range(len(ids) - 3, len(ids)) if tokenizer.decode(ids[i]) in ("A", "B")
            ]
            close(sample[: llama.n_layers - 1], own(llama, ids)[:, place])


@pytest.mark.parametrize("site", sites.SITES)
def test_answers_are_read_at_every_site(llama: models.LanguageModel, site: str) -> None:
    questions = tiny.questions(4)
    read = texts.read_questions(llama.tokenizer, questions, what=What(site=site))
    assert isinstance(read, texts.Questions)
    found = extraction.of_questions(llama, read, batch_tokens=200)
    once = both_answers.shares_prompts(llama, read.prompts, read.answers, site)
    assert once
    for column, side in enumerate(("matching", "not_matching")):
        alone = [
            [*item.prompt, int(item_answers[column])]
            for item, item_answers in zip(read.tokens, read.answers, strict=True)
        ]
        names = [question["question"] for question in questions]
        expected = steering.capture(llama, alone, names, batch_tokens=1, spots=Spots(site))
        close(found[side], expected)


def test_pairs_differ_in_the_system_prompt_or_altogether(llama: models.LanguageModel) -> None:
    tokenizer = llama.tokenizer
    pair = {
        "question": "1",
        "prompt": "Count the sacks",
        "matching": "No, says she.",
        "not_matching": "Yes, he says.",
        "system_matching": "You run.",
        "system_not_matching": "You choose.",
    }
    what = What(Format("chat"), "output", {"mean": "completion"})
    found = extraction.of_questions(
        llama, texts.read_questions(tokenizer, [pair], what=what), batch_tokens=200
    )
    whole = {**pair, "prompt": "", "system_matching": None, "system_not_matching": None}
    alone_read = extraction.of_questions(
        llama, texts.read_questions(tokenizer, [whole]), batch_tokens=200
    )
    for side in ("matching", "not_matching"):
        said = [
            {"role": "system", "content": pair[f"system_{side}"]},
            {"role": "user", "content": pair["prompt"]},
        ]
        said.append({"role": "assistant", "content": pair[side]})
        ids = tokenizer.apply_chat_template(said, continue_final_message=True)["input_ids"]
        expected = own(llama, ids)[:, behind(tokenizer, said) :].mean(dim=1)
        close(found[side][0, : llama.n_layers - 1], expected)
        alone = own(llama, tokenizer(pair[side])["input_ids"])[:, -1]
        close(alone_read[side][0, : llama.n_layers - 1], alone)


def test_shards_of_several_positions_are_smaller(
    llama: models.LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "SHARD_BYTES", 4 * 4 * 32 * 4)
    prompts = [{"document": str(i), "text": f"Count {i} sacks"} for i in range(6)]
    identities = set()
    for positions, count in (("last", 2), ([-1, -2], 3), ({"mean": "document"}, 2)):
        what = What(Format("chat"), "output", positions)
        read = texts.read_corpus(llama.tokenizer, prompts, 100, what=what)
        parts = extraction.shards(llama, read, batch_tokens=100)
        assert len(parts) == count
        joined = torch.cat([part.capture()["activations"] for part in parts])
        whole = extraction.of_documents(llama, read, batch_tokens=100)
        close(joined, whole)
        identities |= {part.samples for part in parts}
    assert len(identities) == 7


@pytest.mark.parametrize(
    ("what", "most", "sentence"),
    [
        (
            What(Format("chat")),
            9,
            "document 0 has {tokens} tokens in its format, and max_tokens 9 cuts a position "
            "that is read; raise max_tokens, or remove such texts.",
        ),
        (
            What(Format("chat"), "output", {"mean": "completion"}),
            9,
            "document 0 has {tokens} tokens in its format, and max_tokens 9 cuts a position "
            "that is read; raise max_tokens, or remove such texts.",
        ),
        (
            What(Format("chat"), "output", "after_instruction"),
            100,
            "positions is after_instruction, but document 0 has {first} such tokens and document 1 "
            "has {second}; count from the end, as {list}.",
        ),
        (
            What(Format("chat"), "output", -90),
            100,
            "positions names -90, but document 0 has only {tokens} tokens; name positions "
            "nearer the end, or remove such texts.",
        ),
    ],
)
def test_positions_that_cannot_be_read_are_reported_before_the_model_runs(
    llama: models.LanguageModel, what: What, most: int, sentence: str
) -> None:
    tokenizer: PreTrainedTokenizerFast = llama.tokenizer
    tails = []
    for row in ROWS:
        said = [
            {"role": "user", "content": row["text"]},
            {"role": "assistant", "content": row["completion"]},
        ]
        whole = tokenizer.apply_chat_template(said, continue_final_message=True)["input_ids"]
        tails.append((len(whole), len(whole) - whole.index(1)))  # behind the first `</s>`
    first = tails[0][1]
    with pytest.raises(StudyError) as told:
        texts.read_corpus(tokenizer, ROWS, most, what=what)
    assert str(told.value) == sentence.format(
        tokens=tails[0][0], first=first, second=tails[1][1], list=list(range(-first, 0))
    )


@pytest.mark.parametrize(
    ("positions", "others", "sentence"),
    [
        (
            -4,
            ("(A)", "(B)"),
            "positions is -4, but up to there the two sides of question 0, and of all others, "
            "are the same; use positions after the difference.",
        ),
        (
            "after_instruction",
            ("(A)", "(A) and more"),
            "positions is after_instruction, but question 0 has {first} such tokens and question 0 "
            "has {second}; count from the end, as {list}.",
        ),
    ],
)
def test_sides_that_cannot_be_compared_are_reported(
    llama: models.LanguageModel,
    positions: int | str,
    others: tuple[str, str],
    sentence: str,
) -> None:
    tokenizer = llama.tokenizer
    matching, other = others
    pair = {"question": "0", "prompt": "Count", "matching": matching, "not_matching": other}
    head = len(tokenizer("[INST] Count")["input_ids"])
    first, second = (
        len(tokenizer(f"[INST] Count [/INST] {answer}")["input_ids"]) - head for answer in others
    )
    what = What(Format("[INST] {prompt} [/INST] "), "output", positions)
    with pytest.raises(StudyError) as told:
        texts.read_questions(tokenizer, [pair, {**pair, "question": "1"}], what=what)
    assert str(told.value) == sentence.format(
        first=first, second=second, list=list(range(-first, 0))
    )


def test_the_mean_over_a_completion_that_is_cut_is_over_what_is_left(
    llama: models.LanguageModel,
) -> None:
    what = What(Format("chat"), "output", {"mean": "completion"})
    whole = texts.read_corpus(llama.tokenizer, ROWS[:1], 100, what=what)
    assert whole.spots.places
    end = len(whole.sequences[0])
    cut = texts.read_corpus(llama.tokenizer, ROWS[:1], end - 2, what=what)
    assert cut.spots.places and cut.sequences == [whole.sequences[0][:-2]]
    assert cut.spots.places[0] == whole.spots.places[0][:-2]
