"""How a text becomes the model's input: as it stands, in its chat template, or in a study's own.

A format puts something before and behind a prompt; an answer or another completion may follow. What
the model's own chat template makes of it is rendered by transformers (`apply_chat_template`). Where
such a template reads the clock, the clock stands still, so that a study means the same next year.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinja2 import TemplateError

from snakesteer.core.errors import StudyError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PLAIN, CHAT = "plain", "chat"
PROMPT, SYSTEM = "{prompt}", "{system}"

# The day of all chat templates: the one that Llama's takes where it finds no clock.
DAY = {
    **{"%d": "26", "%-d": "26", "%e": "26", "%j": "208"},
    **{"%b": "Jul", "%h": "Jul", "%B": "July", "%m": "07", "%-m": "7"},
    **{"%Y": "2024", "%y": "24", "%a": "Fri", "%A": "Friday"},
    **{"%F": "2024-07-26", "%H": "00", "%I": "12", "%M": "00", "%S": "00", "%p": "AM"},
}
CLOCK = "strftime_now"

# Stand for texts where it is asked what a template puts around them.
_PROMPT, _COMPLETION, _SYSTEM = "THEPROMPT", "THECOMPLETION", "THESYSTEMPROMPT"


@dataclass(frozen=True)
class Format:
    """What stands around a prompt.

    `template`: "plain" for nothing, "chat" for the chat template of the model's tokenizer, or a
    text with `{prompt}` in it, and `{system}` where it has a system prompt. `system` is the system
    prompt; None gives none, so that a chat template may put in its own; False makes sure that there
    is none.
    """

    template: str = PLAIN
    system: str | bool | None = None


@dataclass(frozen=True)
class Rendered:
    """A text as the model reads it.

    `instruction` and `prompt` are places in `text`, in characters: behind the last of the
    instruction, and before the first of the completion, which is the end where there is none.
    `chat` says that the tokenizer puts nothing around it, as after a chat template.
    """

    text: str
    instruction: int
    prompt: int
    chat: bool = False


def render(
    tokenizer: PreTrainedTokenizerBase,
    form: Format,
    prompt: str,
    completion: str = "",
    system: str | None = None,
) -> Rendered:
    """A prompt in its format, with what follows it.

    `system` is a system prompt of this text's own, in place of the format's. In a chat the
    completion is the beginning of the assistant's answer; where there is none, the text ends where
    that answer would begin. Raises StudyError where the tokenizer has no chat template, and where
    that refuses a system prompt, leaves it out, or changes the texts.
    """
    given = system if system is not None else form.system
    said = given if isinstance(given, str) else None
    if form.template == PLAIN:
        return Rendered(prompt + completion, len(prompt), len(prompt))
    if form.template == CHAT:
        return _chat(tokenizer, prompt, completion, said)
    before, behind = template_parts(form.template, said or "")
    instruction = len(before) + len(prompt)
    whole = before + prompt + behind
    return Rendered(whole + completion, instruction, len(whole))


def template_parts(template: str, system: str) -> tuple[str, str]:
    """What a template of a study puts before its prompt, and behind it."""
    parts: list[str] = [""]
    for part in re.split(f"({re.escape(PROMPT)}|{re.escape(SYSTEM)})", template):
        if part == PROMPT:
            parts.append("")
        else:
            parts[-1] += system if part == SYSTEM else part
    before, behind = parts
    return before, behind


def own_system(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """What the chat template puts before a prompt where it has a system prompt by itself.

    None if it has none: then the text without a system prompt does not have the place that one
    takes, or has nothing there, and nothing before it that is not the prompt's own.
    """
    before, behind = _frame(tokenizer, None, False)
    without = before + _PROMPT + behind
    try:
        told = _applied(tokenizer, _messages(_PROMPT, "", _SYSTEM))
    except TemplateError:
        return None
    start, found, end = told.partition(_SYSTEM)
    there = without[len(start) : len(without) - len(end)]
    if not found or without != start + there + end:
        return None
    headed = start.removeprefix(tokenizer.bos_token or "").strip() and not end.startswith(_PROMPT)
    return before if there.strip() or headed else None


def remarks(tokenizer: PreTrainedTokenizerBase, form: Format) -> list[str]:
    """What a log should say of a format, in sentences."""
    own = own_system(tokenizer) if form.template == CHAT and form.system is None else None
    if own is None:
        return []
    return [f"If no system prompt is given, the chat template adds its own: {own!r}."]


def check(tokenizer: PreTrainedTokenizerBase, form: Format) -> None:
    """Refuse (StudyError) a chat template that puts in a system prompt where none shall be."""
    if form.template == CHAT and form.system is False and (own := own_system(tokenizer)):
        raise StudyError(
            "format has `system: false`, but the chat template of the model's tokenizer adds "
            f"{own!r} by itself; set `system` to the text to use instead, or remove it to keep "
            "the template's."
        )


def _chat(
    tokenizer: PreTrainedTokenizerBase, prompt: str, completion: str, system: str | None
) -> Rendered:
    before, between = _frame(tokenizer, system, bool(completion))
    text = _rendered(tokenizer, _messages(prompt, completion, system))
    for asked in _trims(prompt):
        start = before + asked + between
        if text.startswith(start) and text[len(start) :] in _trims(completion):
            return Rendered(text, len(before) + len(asked), len(start), chat=True)
    raise StudyError(
        f"the chat template of the model's tokenizer changes the prompt {_short(prompt)} or what "
        "follows it; give `format` a template of your own."
    )


@functools.cache
def _frame(
    tokenizer: PreTrainedTokenizerBase, system: str | None, completed: bool
) -> tuple[str, str]:
    """What a chat template puts before a prompt, and between that and the answer."""
    messages = _messages(_PROMPT, _COMPLETION if completed else "", system)
    text = _rendered(tokenizer, messages)
    before, found, rest = text.partition(_PROMPT)
    if not found or _PROMPT in rest:
        raise StudyError(
            "the chat template of the model's tokenizer does not contain the prompt exactly "
            "once; give `format` a template of your own."
        )
    if system is not None and not any(kept in text for kept in _trims(system)):
        raise StudyError(
            "the chat template of the model's tokenizer drops the system prompt "
            f"{_short(system)}; put it in the prompts, or give `format` a template of your own."
        )
    return before, rest.partition(_COMPLETION)[0]


def _messages(prompt: str, completion: str, system: str | None) -> list[dict[str, str]]:
    messages = [{"role": "user", "content": prompt}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    if completion:
        messages.append({"role": "assistant", "content": completion})
    return messages


def _rendered(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]]) -> str:
    """Messages in the chat template, up to the end of an answer that goes on."""
    if tokenizer.chat_template is None:
        raise StudyError(
            "format is chat, but the model's tokenizer has no chat template; give `format` a "
            'template, as {template: "[INST] {prompt} [/INST] "}.'
        )
    try:
        return _applied(tokenizer, messages)
    except (TemplateError, TypeError, ValueError) as error:
        system = messages[0]["role"] == "system"
        what = f"the system prompt {_short(messages[0]['content'])}" if system else "the prompts"
        remedy = "remove it, or " if system else ""
        raise StudyError(
            f"the chat template of the model's tokenizer rejects {what} ({_first_line(error)}); "
            f"{remedy}give `format` a template of your own."
        ) from None


def _applied(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]]) -> str:
    answered = messages[-1]["role"] == "assistant"
    text: str = tokenizer.apply_chat_template(
        messages,
        chat_template=with_still_clock(tokenizer.get_chat_template()),
        tokenize=False,
        add_generation_prompt=not answered,
        continue_final_message=answered,
    )
    return text


def with_still_clock(template: str) -> str:
    """A chat template for which it is always the same day (`DAY`), if it reads the clock."""
    if CLOCK not in template:
        return template
    told = "format"
    for directive, value in DAY.items():
        told += f"|replace({directive!r}, {value!r})"
    # The line end is taken away with the block before it, so that the template begins a line.
    return f"{{%- macro {CLOCK}(format) -%}}{{{{ {told} }}}}{{%- endmacro %}}\n{template}"


def _trims(text: str) -> list[str]:
    """The text as it is, and as templates take away the spaces around it."""
    return [text, text.strip(), text.lstrip(), text.rstrip()]


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:39]}…")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
