"""Texts in formats have the token ids of the tokenizer's own call, or of its chat template."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from tokenizer_kinds import KINDS, Kind
from tokenizers import Tokenizer, models
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from snakesteer.core.errors import StudyError
from snakesteer.prompts import formats
from snakesteer.prompts.formats import Format, render, with_still_clock
from snakesteer.prompts.passages import Passage, document, letter, passage
from snakesteer.prompts.positions import places
from snakesteer.prompts.tokens import TOKENIZERS_OWN, Reading, load_tokenizer

INSTRUCTION = "Is the mill open, or is the river past it?"
ANSWER = "(A) Yes, he says"
SYSTEM = "You count the sacks."
INST = "[INST] {prompt} [/INST] "

# How the templates of models of the hub are built.
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
OWN_SYSTEM = (
    "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}<|im_start|>system\n"
    "You are helpful.<|im_end|>\n{% endif %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA_2 = (
    "{% if messages[0]['role'] == 'system' %}{% set system = '<<SYS>>\\n' + messages[0]['content']"
    " + '\\n<</SYS>>\\n\\n' %}{% set messages = messages[1:] %}{% else %}{% set system = '' %}"
    "{% endif %}{% for m in messages %}{% if m['role'] == 'user' %}{{ (bos_token or '') + '[INST] '"
    " + (system if loop.first else '') + m['content'].strip() + ' [/INST]' }}{% else %}"
    "{{ ' ' + m['content'].strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
REFUSING = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}{% for m in messages %}<start_of_turn>{{ m['role'] }}\n{{ m['content'] | trim }}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
PREFIXED = (
    "{% set first = '' %}{% if messages[0]['role'] == 'system' %}{% set first = messages[0]"
    "['content'] + '\n\n' %}{% set messages = messages[1:] %}{% endif %}{% for m in messages %}"
    "<start_of_turn>{{ m['role'] }}\n{{ (first if loop.first else '') + m['content'] }}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
FORGETFUL = (
    "{% for m in messages if m['role'] == 'user' %}USER: {{ m['content'] }} BOT:{% endfor %}"
)
DATED = (
    "{% if not date is defined %}{% set date = strftime_now('%d %b %Y') %}{% endif %}"
    "<|start|>system\nToday: {{ date }}\n\n"
    "{% if messages[0]['role'] == 'system' %}{{ messages[0]['content'] }}"
    "{% set messages = messages[1:] %}{% endif %}<|end|>"
    "{% for m in messages %}<|start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
UNMARKED = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ messages[0]['content'] }}"
    "{% set messages = messages[1:] %}{% endif %}{% for m in messages %}<|{{ m['role'] }}|>"
    "{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
CHATS = {"ChatML": CHATML, "own system": OWN_SYSTEM, "Llama 2": LLAMA_2, "prefixed": PREFIXED}


@dataclass(frozen=True)
class Made:
    """A kind of tokenizer as the package and as a person loads it."""

    kind: Kind
    tokenizer: PreTrainedTokenizerFast
    own: PreTrainedTokenizerFast

    def chat(self, template: str) -> None:
        """Give both this chat template."""
        self.tokenizer.chat_template = self.own.chat_template = template
        formats._frame.cache_clear()

    def bare(self, text: str) -> list[int]:
        """The own call, without what stands behind."""
        ids: list[int] = self.own(text)["input_ids"]
        return ids[: len(ids) - len(self.kind.behind)]


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    kind = KINDS[request.param]
    folder = kind.write(tmp_path_factory.mktemp("kind") / "model")
    return Made(kind, load_tokenizer(folder), AutoTokenizer.from_pretrained(folder))


@pytest.fixture
def llama(tmp_path: Path) -> Made:
    kind = KINDS["byte-level, templates in a sequence (Llama 3)"]
    folder = kind.write(tmp_path / "model")
    return Made(kind, load_tokenizer(folder), AutoTokenizer.from_pretrained(folder))


def said(system: str | None, answer: str = "") -> list[dict[str, str]]:
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": INSTRUCTION})
    return [*messages, {"role": "assistant", "content": answer}] if answer else messages


@pytest.mark.parametrize("template", CHATS)
@pytest.mark.parametrize("system", [None, SYSTEM])
def test_ids_of_a_chat_are_those_of_its_template(
    made: Made, template: str, system: str | None
) -> None:
    made.chat(CHATS[template])
    form = Format("chat", system)
    asked = passage(made.tokenizer, render(made.tokenizer, form, INSTRUCTION))
    expected = made.own.apply_chat_template(said(system), add_generation_prompt=True)["input_ids"]
    assert asked.ids == expected
    assert asked.completion == len(asked.ids)
    answered = passage(made.tokenizer, render(made.tokenizer, form, INSTRUCTION, ANSWER))
    expected = made.own.apply_chat_template(said(system, ANSWER), continue_final_message=True)
    assert answered.ids == expected["input_ids"]
    others = passage(
        made.tokenizer, render(made.tokenizer, Format("chat"), INSTRUCTION, "", system)
    )
    assert others == asked


def test_ids_of_other_formats_are_those_of_the_own_call(made: Made) -> None:
    for form, before, behind in (
        (Format(), "", ""),
        (Format(INST), "[INST] ", " [/INST] "),
        (Format("{system}\n[INST] {prompt} [/INST]", SYSTEM), f"{SYSTEM}\n[INST] ", " [/INST]"),
    ):
        text = before + INSTRUCTION + behind
        asked = passage(made.tokenizer, render(made.tokenizer, form, INSTRUCTION))
        assert asked.ids == made.bare(text)
        answered = passage(made.tokenizer, render(made.tokenizer, form, INSTRUCTION, ANSWER))
        assert answered.ids == made.bare(text + ANSWER)
        assert answered.own == (len(made.kind.before), len(answered.ids))
        never = passage(
            made.tokenizer, render(made.tokenizer, form, INSTRUCTION), Reading(bos="never")
        )
        assert never.ids == asked.ids[len(made.kind.before) :]
        assert never.own == (0, len(never.ids))


def ends(made: Made, text: str, chat: bool) -> list[int]:
    """Where each token ends in the text, in characters, as the tokenizer itself says."""
    called = made.own(text, return_offsets_mapping=True, add_special_tokens=not chat)
    return [end for _, end in called["offset_mapping"]]


@pytest.mark.parametrize("form", [Format(), Format(INST), Format("chat"), Format("chat", SYSTEM)])
def test_a_text_is_split_where_its_parts_end(made: Made, form: Format) -> None:
    """By the characters that the tokenizer gives to each token: none before a place reaches into
    what begins there, and the token at the place does."""
    made.chat(LLAMA_2)
    rendered = render(made.tokenizer, form, INSTRUCTION, ANSWER)
    split = passage(made.tokenizer, rendered)
    reached = ends(made, rendered.text, rendered.chat)
    assert rendered.text[: rendered.instruction].endswith(INSTRUCTION)
    assert rendered.text[rendered.prompt :] == ANSWER
    for place, character in (
        (split.instruction, rendered.instruction),
        (split.completion, rendered.prompt),
    ):
        if made.tokenizer.convert_ids_to_tokens(split.ids[place - 1]) == "<unk>":
            continue  # "?" and "?(" are the same unknown token
        assert max(reached[:place]) <= character
        assert max(reached[place:]) > character
        crossing = made.tokenizer.convert_ids_to_tokens(split.ids[place])
        assert reached[place] > character or crossing in ("Ġ", "▁", " "), crossing


def joining() -> PreTrainedTokenizerFast:
    """A tokenizer with "(A" as one token, and "ab", "abc" and "cd" as well."""
    characters = ["<s>", "(", "A", ")", "a", "b", "c", "d", " "]
    merges = [("(", "A"), ("a", "b"), ("c", "d"), ("ab", "c")]
    vocabulary = [*characters, *("".join(pair) for pair in merges)]
    raw = Tokenizer(models.BPE({token: i for i, token in enumerate(vocabulary)}, merges))
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>")


@pytest.mark.parametrize(
    ("prompt", "completion", "tokens"),
    [
        ("ab (", "A)", [["ab", " "], ["(A", ")"]]),  # it joins both, and is the completion's
        ("ab", "c", [[], ["abc"]]),
        ("abc", "d", [[], ["ab", "cd"]]),  # the prompt alone would end in another token
        ("ab ", "cd", [["ab", " "], ["cd"]]),
    ],
)
def test_a_token_across_the_boundary_is_the_completions(
    prompt: str, completion: str, tokens: list[list[str]]
) -> None:
    tokenizer = joining()
    split = passage(tokenizer, render(tokenizer, Format(), prompt, completion))
    assert split.ids == tokenizer(prompt + completion)["input_ids"]
    named = tokenizer.convert_ids_to_tokens(split.ids)
    assert [named[: split.completion], named[split.completion :]] == tokens


def test_places_are_counted_in_the_whole_text(made: Made) -> None:
    made.chat(CHATML)
    for form in (Format(), Format(INST), Format("chat")):
        for answer in ("", "Yes, he says"):
            rendered = render(made.tokenizer, form, INSTRUCTION, answer)
            text = passage(made.tokenizer, rendered)
            count = len(text.ids)
            assert places(text, "last", "it") == [count - 1]
            assert places(text, -2, "it") == [count - 2]
            assert places(text, [-1, -4], "it") == [count - 1, count - 4]
            before = 0 if rendered.chat else len(made.kind.before)
            assert places(text, {"mean": "document"}, "it") == range(before, count)
            if rendered.text.endswith(INSTRUCTION):
                continue
            tail = list(places(text, "after_instruction", "it"))
            assert tail == list(range(tail[0], count))
            decoded = made.tokenizer.decode(text.ids[tail[0] :])
            behind = rendered.text[rendered.instruction :]
            if "<unk>" not in decoded:
                assert squeezed(decoded).endswith(squeezed(behind))
            if answer:
                mean = places(text, {"mean": "completion"}, "it")
                assert (
                    squeezed(made.tokenizer.decode([text.ids[i] for i in mean])) == squeezed(answer)
                    or not made.kind.answers
                )


def squeezed(text: str) -> str:
    """Without the spaces that decoding adds and takes away, in small letters."""
    return "".join(text.split()).lower()


@pytest.mark.parametrize("answer", ["A", "(A)", " (A)", "(B)\n"])
def test_an_answers_letter_is_one_token(made: Made, answer: str) -> None:
    made.chat(LLAMA_2)
    for form in (Format(INST), Format("chat")):
        text = passage(made.tokenizer, render(made.tokenizer, form, INSTRUCTION, answer))
        try:
            place = letter(made.tokenizer, text, answer, "question 1")
        except StudyError as told:
            assert not made.kind.answers  # its vocabulary has no such token
            assert "question 1" in str(told)
            continue
        pieces = made.tokenizer.convert_ids_to_tokens(text.ids)
        assert pieces[place].strip("▁Ġ#()") == answer.strip(" ()\n")
        assert place >= text.completion


def test_a_letter_of_several_tokens_is_reported(llama: Made) -> None:
    tokenizer = llama.tokenizer
    text = passage(tokenizer, render(tokenizer, Format(INST), INSTRUCTION, "(Quite so)"))
    with pytest.raises(StudyError) as told:
        letter(tokenizer, text, "(Quite so)", "question 7")
    pieces = tokenizer.convert_ids_to_tokens(text.ids[text.completion :])
    assert str(told.value) == (
        f"positions is letter, but the answer '(Quite so)' of question 7 is {pieces}, in which "
        "'Quite so' is not one token; use answers that are single tokens of this model, or other "
        "positions."
    )


def test_positions_outside_a_text_are_reported(llama: Made) -> None:
    text = document(llama.tokenizer, INSTRUCTION, 3, TOKENIZERS_OWN)
    assert text == Passage(llama.own(INSTRUCTION)["input_ids"][:3], (1, 3), 3, 3)
    for positions, sentence in (
        (
            -4,
            (
                "positions names -4, but document 0 has only 3 tokens; name positions nearer the "
                "end, or"
            ),
        ),
        ([-1, -9], "positions names -9, but document 0 has only 3 tokens"),
        (
            "after_instruction",
            "document 0 has no tokens after its instruction, which positions needs; give it a "
            "format that ends with some.",
        ),
        (
            {"mean": "completion"},
            "document 0 has no tokens of a completion, which positions needs; give it one, or "
            "use others.",
        ),
    ):
        with pytest.raises(StudyError) as told:
            places(text, positions, "document 0")
        assert sentence in str(told.value)


def refused(llama: Made, template: str | None, form: Format, prompt: str = INSTRUCTION) -> str:
    llama.tokenizer.chat_template = template
    with pytest.raises(StudyError) as told:
        formats.check(llama.tokenizer, form)
        render(llama.tokenizer, form, prompt)
    return str(told.value)


CHAT = "the chat template of the model's tokenizer"


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
            REFUSING,
            Format("chat", SYSTEM),
            f"{CHAT} rejects the system prompt 'You count the sacks.' (System role not "
            "supported); remove it, or give `format` a template of your own.",
        ),
        (
            FORGETFUL,
            Format("chat", SYSTEM),
            f"{CHAT} drops the system prompt 'You count the sacks.'; put it in the prompts, or "
            "give `format` a template of your own.",
        ),
        (
            "{{ messages[0]['content'] | upper }}",
            Format("chat"),
            f"{CHAT} changes the prompt 'Is the mill open, or is the river past …' or what follows "
            "it; give `format` a template of your own.",
        ),
        (
            "{{ messages[0]['content'] }}{{ messages[0]['content'] }}",
            Format("chat"),
            f"{CHAT} does not contain the prompt exactly once; give `format` a template of "
            "your own.",
        ),
        (
            "{{ messages[0]['content'] ",
            Format("chat"),
            f"{CHAT} rejects the prompts (unexpected end of template, expected 'end of print "
            "statement'); give `format` a template of your own.",
        ),
        (
            OWN_SYSTEM,
            Format("chat", False),
            f"format has `system: false`, but {CHAT} adds '<|im_start|>system\\nYou are "
            "helpful.<|im_end|>\\n<|im_start|>user\\n' by itself; set `system` to the text to use "
            "instead, or remove it to keep the template's.",
        ),
    ],
)
def test_a_chat_template_that_does_not_serve_is_reported(
    llama: Made, template: str | None, form: Format, sentence: str
) -> None:
    assert refused(llama, template, form) == sentence


@pytest.mark.parametrize(
    ("template", "own"),
    [
        (CHATML, None),
        (OWN_SYSTEM, "<|im_start|>system\nYou are helpful.<|im_end|>\n<|im_start|>user\n"),
        (LLAMA_2, None),
        (REFUSING, None),
        (PREFIXED, None),
        (FORGETFUL, None),
        (UNMARKED, None),
        (DATED, "<|start|>system\nToday: 26 Jul 2024\n\n<|end|><|start|>user\n"),
    ],
)
def test_a_system_prompt_that_the_template_puts_in_is_found(
    llama: Made, template: str, own: str | None
) -> None:
    tokenizer = llama.tokenizer
    tokenizer.chat_template = template
    assert formats.own_system(tokenizer) == own
    said = [f"If no system prompt is given, the chat template adds its own: {own!r}."]
    assert formats.remarks(tokenizer, Format("chat")) == (said if own else [])
    assert formats.remarks(tokenizer, Format("chat", SYSTEM)) == []
    if own is None:
        formats.check(tokenizer, Format("chat", False))
        assert "system" not in render(tokenizer, Format("chat", False), INSTRUCTION).text


def test_the_clock_of_a_template_stands_still(llama: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the format, it is the day that transformers' own clock shows on that day."""
    assert with_still_clock(CHATML) == CHATML

    class Day(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return cls(2024, 7, 26)

    for begin, asked in (
        ("", "%d %b %Y"),
        ("\n", "%-d %B %Y"),
        ("  \n", "%Y-%m-%d"),
        ("  {% if 1 %}\n{% endif %}", "%A, %d.%m.%y %H:%M"),
        ("{% macro day() %}{{ strftime_now('%F') }}{% endmacro %}{{ day() }}", "%j %a"),
    ):
        llama.chat(begin + DATED.replace("%d %b %Y", asked))
        given = render(llama.tokenizer, Format("chat"), INSTRUCTION).text
        with monkeypatch.context() as patched:
            patched.setattr(chat_template_utils, "datetime", Day)
            theirs = llama.own.apply_chat_template(
                said(None), tokenize=False, add_generation_prompt=True
            )
        assert given == theirs
        now = llama.own.apply_chat_template(said(None), tokenize=False, add_generation_prompt=True)
        assert given != now


@pytest.mark.parametrize("instruction", ["assistant", "a", "user", " spaces around ", "{system}"])
@pytest.mark.parametrize("template", [CHATML, LLAMA_2, OWN_SYSTEM])
def test_an_instruction_may_say_what_the_template_says(
    llama: Made, template: str, instruction: str
) -> None:
    llama.chat(template)
    asked = render(llama.tokenizer, Format("chat"), instruction)
    kept = instruction.strip() if template == LLAMA_2 else instruction
    tail = " [/INST]" if template == LLAMA_2 else "<|im_end|>\n<|im_start|>assistant\n"
    assert asked.text.endswith(kept + tail)
    assert asked.text[asked.instruction :] == tail
    filled = render(llama.tokenizer, Format("{system}: {prompt}!", "one {prompt}"), instruction)
    assert filled.text == f"one {{prompt}}: {instruction}!"


def test_a_bos_token_that_is_asked_for_stands_before_a_chat(made: Made) -> None:
    made.chat(CHATML)
    rendered = render(made.tokenizer, Format("chat"), INSTRUCTION)
    plain = passage(made.tokenizer, rendered).ids
    assert passage(made.tokenizer, rendered, Reading(bos="never")).ids == plain
    if made.tokenizer.bos_token_id is not None:
        always = passage(made.tokenizer, rendered, Reading(bos="always"))
        assert always.ids == [made.tokenizer.bos_token_id, *plain]
