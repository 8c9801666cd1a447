"""Tokens that are steered by name: those that the tokenizer's own characters say, on any path."""

from __future__ import annotations

import functools
from collections.abc import Container, Mapping
from pathlib import Path

import pytest
import tiny
import torch
from test_formats import CHATML, INST, Made
from tokenizer_kinds import KINDS
from transformers import AutoTokenizer

import oracle
from snakesteer.core.errors import StudyError
from snakesteer.engine import generation, models, steering
from snakesteer.engine.operators import ablate, add, clamp
from snakesteer.engine.positions import places_of
from snakesteer.engine.steering import Part
from snakesteer.measures import continuation, next_token, two_choice
from snakesteer.prompts import marks
from snakesteer.prompts.formats import Format
from snakesteer.prompts.marks import How
from snakesteer.prompts.tokens import load_tokenizer
from snakesteer.prompts.which_tokens import From, Steered, steered
from snakesteer.storage.points import Points
from snakesteer.sweeps import runner
from snakesteer.sweeps.chunks import Samples
from snakesteer.sweeps.injections import Steering
from snakesteer.sweeps.runner import Asked

torch.set_num_threads(1)

CHAT = (
    "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}"
)
MARKER = "[/INST]"
INSTRUCTION = "Is he past the river?"
NAMED: list[Steered] = [
    "last",
    -3,
    "after_instruction",
    "prompt",
    "completion",
    From(MARKER),
    From(MARKER, "from_last_of"),
    From(MARKER, "after"),
]
ROWS = [
    ("0", "Is the mill past the river?", " Yes, he says."),
    ("1", "Count the sacks", " The miller counts the sacks."),
    ("2", "Out of (A) and (B)", " I choose (A)."),
]
ASKED = [
    {"question": "0", "prompt": "Is the mill past?", "matching": "(A)", "not_matching": "(B)"},
    {"question": "1", "prompt": "Count the sacks", "matching": "(B)", "not_matching": "(A)"},
    {"question": "2", "prompt": "Out of Yes and No", "matching": "(A)", "not_matching": "(B)"},
]


@functools.cache
def wrapped(architecture: str) -> models.LanguageModel:
    tokenizer = tiny.tokenizer()
    tokenizer.chat_template = CHAT
    return models.wrap(tiny.network(architecture), tokenizer, "none")


# Which tokens a name is of.


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = KINDS[request.param].write(tmp_path_factory.mktemp("kind") / "model")
    return Made(KINDS[request.param], load_tokenizer(folder), AutoTokenizer.from_pretrained(folder))


@pytest.mark.parametrize("form", [Format(INST), Format("chat")])
@pytest.mark.parametrize("marker", [MARKER, "]", "river", "im_end|>\n<|im_start|>assistant"])
def test_a_marker_begins_where_its_characters_do(made: Made, form: Format, marker: str) -> None:
    """By the characters that the tokenizer itself gives to each token."""
    made.chat(CHATML)
    said = [{"role": "user", "content": INSTRUCTION}, {"role": "assistant", "content": "(A)"}]
    text = f"[INST] {INSTRUCTION} [/INST] (A)"
    chat = form.template == "chat"
    if chat:
        text = made.own.apply_chat_template(said, tokenize=False, continue_final_message=True)
    ways = [From(marker, begins) for begins in ("from", "from_last_of", "after")]
    if marker not in text:
        with pytest.raises(StudyError, match="^positions is .*, but document 0 has no"):
            marks.instruction(
                made.tokenizer, "0", INSTRUCTION, "(A)", 90, How(form, steered=tuple(ways))
            )
        return
    read = marks.instruction(
        made.tokenizer, "0", INSTRUCTION, "(A)", 90, How(form, steered=tuple(ways))
    )
    called = made.own(text, return_offsets_mapping=True, add_special_tokens=not chat)
    ids, reached = called["input_ids"], [end for _, end in called["offset_mapping"]]
    assert read.ids == ids[: len(ids) - (0 if chat else len(made.kind.behind))]
    start = text.index(marker)
    end = start + len(marker)
    expected = [
        next(i for i, place in enumerate(reached) if place > start),
        next(i for i, place in enumerate(reached) if place >= end),
        next(i for i, place in enumerate(reached) if place > end),
    ]
    found = [read.marks[str(way)] for way in ways]
    if "<unk>" in made.tokenizer.convert_ids_to_tokens(read.ids):
        return  # of unknown tokens one is like another
    for place, right in zip(found, expected, strict=True):
        # A space that is a token of its own here, and none by itself, is what comes before.
        between = made.tokenizer.convert_ids_to_tokens(read.ids[place:right])
        assert place == right or set(between) <= {"Ġ", "▁", " "}, (found, expected, between)


def test_positions_are_said_as_in_a_study() -> None:
    assert steered("completion") == "completion" and steered(-2) == -2
    assert steered({"from": "a"}) == From("a", "from")
    assert steered({"from_last_of": "a"}) == From("a", "from_last_of")
    assert steered({"after": "a"}) == From("a", "after")


def test_both_boundaries_of_caa() -> None:
    """From the last piece of `[/INST]` on, as the published numbers are made, or behind it."""
    tokenizer = load_tokenizer(Path("resources/models/miniature-chat"))
    ways = (From(MARKER, "from_last_of"), From(MARKER, "after"))
    how = How(Format(INST), steered=ways)
    question = {**ASKED[0], "prompt": "What do you like?"}
    tokens, read = marks.question(tokenizer, question, how, "(")
    assert read.ids == tokenizer("[INST] What do you like? [/INST] (")["input_ids"]
    own = [tokenizer(f"[INST] What do you like? [/INST] ({x}")["input_ids"][-1] for x in "AB"]
    assert [tokens.matching, tokens.not_matching] == own
    columns = {name: [place] for name, place in read.marks.items()}
    shown = []
    for way in ways:
        places = places_of(read.ids, columns, way)
        assert places is not None
        shown.append(tokenizer.convert_ids_to_tokens([read.ids[place] for place in places]))
    assert shown == [["]", "Ġ("], ["Ġ("]]


# Sweeps.


def sampled(model: models.LanguageModel, form: Format, positions: Steered) -> dict[str, Samples]:
    how = How(form, steered=(positions,))
    corpus = next_token.read_corpus(
        model.tokenizer, "asked", ROWS, [], max_tokens=90, how=how, counted="completion"
    )
    questions = two_choice.read_prompts(model.tokenizer, "letters", ASKED, how, "(")
    return {"tokens": corpus, "letters": questions}


def swept(
    model: models.LanguageModel,
    samples: Mapping[str, Samples],
    part: Part,
    path: str,
    points: Points | None = None,
) -> list[dict[str, object]]:
    asked = [
        Asked("tokens", next_token, {"asked": samples["tokens"]}),
        Asked("letters", two_choice, {"letters": samples["letters"]}),
    ]
    sources = {"tokens": ("asked",), "letters": ("letters",)}
    one = Steering("one", (part,), (0.0, 1.0, -2.0), sources)
    (table,) = runner.run(model, asked, [one], batch_tokens=120, path=path, points=points)
    return table.to_pylist()


@pytest.mark.parametrize("positions", NAMED, ids=str)
@pytest.mark.parametrize(
    "architecture", ["llama", "gpt2", "gpt_neox", "gemma2", "mixtral", "bloom"]
)
def test_both_paths_are_the_same_at_every_named_token(
    architecture: str, positions: Steered
) -> None:
    model = wrapped(architecture)
    samples = sampled(model, Format(INST), positions)
    noise = torch.randn(model.hidden, generator=torch.Generator().manual_seed(5))
    for operator in (add, ablate, clamp):
        part = Part(2, noise, operator=operator, positions=positions)
        shared = swept(model, samples, part, "shared")
        assert shared == swept(model, samples, part, "plain")
        everywhere = Part(2, noise, operator=operator)
        assert shared != swept(model, samples, everywhere, "shared")


def test_points_of_the_unsteered_model_are_the_same_whatever_is_marked(tmp_path: Path) -> None:
    model, points = wrapped("llama"), Points(tmp_path)
    counts = []
    for positions in ("all", "completion", From(MARKER)):
        samples = sampled(model, Format(INST), positions)
        part = Part(2, torch.ones(model.hidden), positions=positions)
        swept(model, samples, part, "shared", points)
        counts.append(len(list(tmp_path.rglob("*.parquet"))))
    # Three coefficients of two measures, of which one is 0.
    assert counts == [6, 10, 14]


# Texts that are being written.


def generated(
    model: models.LanguageModel,
    ids: list[int],
    parts: list[tuple[int, str, torch.Tensor]],
    where: Container[int],
    tokens: int,
) -> str:
    """What transformers writes, with a hook of our own that goes by the place of each token."""
    network = model.network
    blocks = model.blocks
    handles = []
    for layer, site, vector in parts:

        def act(states: torch.Tensor, vector: torch.Tensor, begun: list[int]) -> torch.Tensor:
            places = range(begun[0], begun[0] + states.shape[1])
            begun[0] += states.shape[1]
            mask = torch.tensor([place in where for place in places])
            return states + vector * mask[None, :, None]

        begun = [0]

        def before(_module, args, kwargs, vector=vector, begun=begun):
            return (act(args[0], vector, begun), *args[1:]), kwargs

        def after(_module, _args, output, vector=vector, begun=begun):
            if isinstance(output, tuple):
                return (act(output[0], vector, begun), *output[1:])
            return act(output, vector, begun)

        module = oracle.module_of(blocks[layer], site)
        if site == "input":
            handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
        else:
            handles.append(module.register_forward_hook(after))
    given = torch.tensor([ids])
    try:
        written = network.generate(
            given, attention_mask=torch.ones_like(given), do_sample=False, max_new_tokens=tokens
        )[0, len(ids) :].tolist()
    finally:
        for handle in handles:
            handle.remove()
    shown = written[:-1] if written and written[-1] in generation.end_tokens(model) else written
    return str(model.tokenizer.decode(shown))


@pytest.mark.parametrize("sites", [["output"], ["input", "mlp"], ["attention"]], ids=str)
@pytest.mark.parametrize("positions", ["all", *NAMED], ids=str)
@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gpt_neox"])
def test_what_is_written_is_steered_as_it_is_read(
    architecture: str, positions: Steered, sites: list[str]
) -> None:
    """With a cache, as transformers writes, and without one, as the package does."""
    model = wrapped(architecture)
    prompts = ["Count the sacks", "Is the mill past the river?"]
    vector = torch.randn(model.hidden, generator=torch.Generator().manual_seed(3))
    parts = [Part(1, vector, site, positions=positions) for site in sites]
    how = How(Format(INST), steered=(positions,))
    table = continuation.run(
        model, {"noise": steering.injection(model, parts)}, [1.0], prompts, tokens=8, how=how
    )
    for prompt, found in zip(prompts, table["continuation"].to_pylist(), strict=True):
        ids, where = steered_in(model, prompt, positions)
        steered_at = [(1, site, vector) for site in sites]
        assert found == generated(model, ids, steered_at, where, 8)


def steered_in(
    model: models.LanguageModel, prompt: str, positions: Steered
) -> tuple[list[int], Container[int]]:
    """The ids of a prompt, and which places among them and what follows are steered."""
    text = f"[INST] {prompt} [/INST] "
    called = model.tokenizer(text, return_offsets_mapping=True)
    ids, ends = called["input_ids"], [end for _, end in called["offset_mapping"]]
    count, behind = len(ids), text.index(MARKER) + len(MARKER)
    first = {
        "all": 0,
        "after_instruction": next(i for i, end in enumerate(ends) if end > len(f"[INST] {prompt}")),
        "completion": count,
        From(MARKER): next(i for i, end in enumerate(ends) if end > text.index(MARKER)),
        From(MARKER, "from_last_of"): ends.index(behind),
        From(MARKER, "after"): ends.index(behind) + 1,
    }
    if positions in first:
        return ids, range(first[positions], 1000)
    return ids, {"last": [count - 1], -3: [count - 3], "prompt": range(count)}[positions]


def test_where_a_text_is_steered_says_what_is_written() -> None:
    """The names do not come to the same."""
    model = wrapped("llama")
    vector = torch.randn(model.hidden, generator=torch.Generator().manual_seed(3))
    written = {}
    for positions in ("all", *NAMED):
        ids, where = steered_in(model, "Is the mill past the river?", positions)
        written[positions] = generated(model, ids, [(1, "output", vector)], where, 12)
    assert len(set(written.values())) == len(written)


def test_a_chat_is_written_on_from_where_its_answer_begins() -> None:
    model = wrapped("llama")
    how = How(Format("chat", "Be brief."))
    nothing = {"none": steering.injection(model, [Part(1, torch.ones(model.hidden))])}
    table = continuation.run(model, nothing, [0.0], ["Count the sacks"], tokens=8, how=how)
    said = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Count the sacks"},
    ]
    ids = model.tokenizer.apply_chat_template(said, add_generation_prompt=True)["input_ids"]
    assert table["continuation"].to_pylist() == [generated(model, ids, [], (), 8)]


# What a text lacks.

LACKING = [
    (
        "completion",
        Format(INST),
        ("0", "Count the sacks", ""),
        90,
        "positions is completion, but document 0 has no tokens of a completion; give it one, or "
        "name other positions.",
    ),
    (
        "after_instruction",
        Format("{prompt}"),
        ("0", "Count the sacks", ""),
        90,
        "positions is after_instruction, but document 0 has no tokens after its instruction; give "
        "it a format that ends with some, or name other positions.",
    ),
    (
        From("</think>"),
        Format(INST),
        ("0", "Count the sacks", ""),
        90,
        "positions is {from: '</think>'}, but document 0 has no '</think>' in the form that "
        "the model reads; name a marker that all texts have, give them a format with it, or "
        "remove such texts.",
    ),
    (
        -90,
        Format(INST),
        ("0", "Count the sacks", ""),
        90,
        "positions names -90, but document 0 has only {tokens} tokens; name positions nearer "
        "the end, or remove such texts.",
    ),
    (
        "all",
        Format(INST),
        ("0", "Count the sacks", ""),
        5,
        "document 0 has {tokens} tokens in its format, of which max_tokens 5 cuts its end; "
        "raise max_tokens, or remove such texts.",
    ),
    (
        "all",
        Format(INST),
        ("0", "Count the sacks", "Yes, he says."),
        9,
        "document 0 has {tokens} tokens in its format, of which max_tokens 9 cuts all of its "
        "completion; raise max_tokens, or remove such texts.",
    ),
]


@pytest.mark.parametrize(("positions", "form", "row", "most", "sentence"), LACKING)
def test_a_text_without_what_is_steered_is_reported(
    positions: Steered, form: Format, row: tuple[str, str, str], most: int, sentence: str
) -> None:
    tokenizer = tiny.tokenizer()
    text = form.template.replace("{prompt}", row[1]) + row[2]
    tokens = len(tokenizer(text)["input_ids"])
    how = How(form, steered=(positions,))
    with pytest.raises(StudyError) as told:
        next_token.read_corpus(tokenizer, "c", [row], [], max_tokens=most, how=how)
    expected = sentence.replace("{tokens}", str(tokens))
    assert str(told.value) == f"corpora.c: {expected}"


def test_a_marker_behind_the_cut_of_a_document_is_reported() -> None:
    tokenizer = tiny.tokenizer()
    how = How(steered=(From("sacks"),))
    read = next_token.read_corpus(tokenizer, "c", [("0", tiny.PROSE)], [], max_tokens=90, how=how)
    (place,) = read.marks["{from: 'sacks'}"]
    called = tokenizer(tiny.PROSE, return_offsets_mapping=True)["offset_mapping"]
    start = tiny.PROSE.index("sacks")
    assert place == next(i for i, (_, end) in enumerate(called) if end > start)
    with pytest.raises(StudyError) as told:
        next_token.read_corpus(tokenizer, "c", [("0", tiny.PROSE)], [], max_tokens=9, how=how)
    assert str(told.value) == (
        "corpora.c: positions is {from: 'sacks'}, but only 9 tokens of document 0 are read, "
        "all before that; raise max_tokens if it cuts the text, or name other positions."
    )


def test_completions_that_count_must_be_there() -> None:
    with pytest.raises(StudyError) as told:
        next_token.read_corpus(
            tiny.tokenizer(), "c", [("0", "Count", "")], [], max_tokens=9, counted="completion"
        )
    assert str(told.value) == (
        "corpora.c: counted is completion, but document 0 has none; remove that document, or "
        "count all."
    )


@pytest.mark.parametrize("prefix", ["", "("])
def test_answers_of_several_tokens_are_reported(prefix: str) -> None:
    asked = {**ASKED[0], "matching": "(river bank)"}
    with pytest.raises(StudyError) as told:
        two_choice.read_prompts(tiny.tokenizer(), "b", [asked], How(Format(INST)), prefix)
    shown = ("river bank", "B") if prefix else ("(river bank)", "(B)")
    assert str(told.value).startswith(
        f"behaviours.b: The tokenizer does not give the answers {shown[0]!r} and {shown[1]!r} of "
        "question 0 one token each, but "
    )
    remedy = "use answers that are single tokens of this model."
    assert str(told.value).endswith(remedy if prefix else 'begin them with `answer_prefix: "("`.')


@pytest.mark.parametrize(
    ("template", "form", "sentence"),
    [
        (
            None,
            Format("chat"),
            "format is chat, but the model's tokenizer has no chat template; give `format` a "
            'template, as {template: "[INST] {prompt} [/INST] "}.',
        ),
        (
            "{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system') }}{% endif %}"
            "{% for m in messages %}{{ m['content'] }}\n{% endfor %}",
            Format("chat", "Be brief."),
            "the chat template of the model's tokenizer rejects the system prompt 'Be brief.' "
            "(No system); remove it, or give `format` a template of your own.",
        ),
    ],
)
def test_a_template_that_does_not_serve_a_measure_is_reported(
    template: str | None, form: Format, sentence: str
) -> None:
    tokenizer = tiny.tokenizer()
    tokenizer.chat_template = template
    for entry, read in (
        ("behaviours.b", lambda how: two_choice.read_prompts(tokenizer, "b", ASKED, how, "(")),
        (
            "corpora.c",
            lambda how: next_token.read_corpus(tokenizer, "c", ROWS, [], max_tokens=90, how=how),
        ),
    ):
        with pytest.raises(StudyError) as told:
            read(How(form))
        assert str(told.value) == f"{entry}: {sentence}"
