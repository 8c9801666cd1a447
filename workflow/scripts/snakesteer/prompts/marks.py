"""Texts as tokens, with the marks by which steered tokens are found (`which_tokens`).

A mark is the place (0-based) of the first token of something: of what follows the instruction, of
the completion, and of a marker. Places are found as `passages` says, by comparing tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from snakesteer.core.errors import StudyError
from snakesteer.prompts import passages
from snakesteer.prompts.formats import PLAIN, Format, Rendered, render
from snakesteer.prompts.passages import Passage, bare
from snakesteer.prompts.questions import QuestionTokens, one_token_each
from snakesteer.prompts.tokens import TOKENIZERS_OWN, Reading, refuse_short
from snakesteer.prompts.which_tokens import AFTER, COMPLETION, PROMPT, Counted, From, Steered

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

INSTRUCTION = "instruction"  # the mark of what comes after it


@dataclass(frozen=True)
class How:
    """How texts are read: in which format, and which of their tokens are `steered`, of which every
    text must have some.
    """

    form: Format = Format()
    reading: Reading = TOKENIZERS_OWN
    steered: tuple[Steered, ...] = ()


@dataclass(frozen=True)
class Marked:
    """Token `ids` of a text, and the marks among them, by name; one that is `len(ids)` is of
    something that the text has not.
    """

    ids: list[int]
    marks: Mapping[str, int] = field(default_factory=dict)


USUAL = How()


def text(
    tokenizer: PreTrainedTokenizerBase,
    name: str,
    given: str,
    completion: str | None,
    max_tokens: int,
    how: How = USUAL,
) -> Marked:
    """A text of a corpus: in a plain format, without a completion, a document, else an instruction.

    Raises StudyError as `document` and `instruction` do.
    """
    if how.form.template == PLAIN and completion is None:
        return document(tokenizer, name, given, max_tokens, how)
    return instruction(tokenizer, name, given, completion or "", max_tokens, how)


def document(
    tokenizer: PreTrainedTokenizerBase, name: str, text: str, max_tokens: int, how: How = USUAL
) -> Marked:
    """A document as it stands, cut at `max_tokens`; its marks are those of markers alone.

    Raises StudyError, with its `name`, for fewer than two tokens, and for positions that it lacks.
    """
    read = passages.document(tokenizer, text, max_tokens, how.reading)
    refuse_short(name, read.ids)
    rendered = Rendered(text, len(text), len(text))
    marks = _of_markers(tokenizer, rendered, read.ids, how, how.reading, name)
    _refuse_lacking(read.ids, marks, how, f"document {name}")
    return Marked(read.ids, marks)


def instruction(
    tokenizer: PreTrainedTokenizerBase,
    name: str,
    prompt: str,
    completion: str,
    max_tokens: int,
    how: How = USUAL,
) -> Marked:
    """A prompt in its format, with the completion that follows it, which may be empty.

    `max_tokens` may cut away the end of a completion, and nothing else. Raises StudyError, with the
    document's `name`, where it does, for fewer than two tokens, for positions that the text lacks,
    and as `render` does.
    """
    rendered = render(tokenizer, how.form, prompt, completion)
    read = passages.passage(tokenizer, rendered, how.reading)
    if len(read.ids) > max_tokens and (not completion or read.completion >= max_tokens):
        lost = "all of its completion" if completion else "its end"
        raise StudyError(
            f"document {name} has {len(read.ids)} tokens in its format, of which max_tokens "
            f"{max_tokens} cuts {lost}; raise max_tokens, or remove such texts."
        )
    ids = read.ids[:max_tokens]
    refuse_short(name, ids)
    return Marked(ids, _all(tokenizer, rendered, read, ids, how, f"document {name}"))


def question(
    tokenizer: PreTrainedTokenizerBase,
    asked: Mapping[str, str],
    how: How = USUAL,
    answer_prefix: str = "",
    others: Sequence[str] = (),
) -> tuple[QuestionTokens, Marked]:
    """A two-choice question in its format, and what the model reads of it, up to its answers.

    Behind an `answer_prefix`, what is begun of the answer, stands the answer's letter, or its word,
    without the brackets and spaces around it; else the answer as it is. `others` are further
    answers whose tokens are asked for. All answered texts are tokenised whole, as
    `questions.question_tokens` does it, and raise the same.
    """
    answers = [told(asked[role], answer_prefix) for role in ("matching", "not_matching")]
    remedy = "use answers that are single tokens of this model"
    if not answer_prefix and answers[0].startswith("("):
        remedy = 'begin them with `answer_prefix: "("`'
    answers += others
    texts = [render(tokenizer, how.form, asked["prompt"], answer_prefix + one) for one in answers]
    read = [passages.passage(tokenizer, text, how.reading) for text in texts]
    name = f"question {asked['question']}"
    whole = [one.ids for one in read]
    start = read[0].completion
    tokens = one_token_each(tokenizer, whole, answers, start, asked["question"], remedy)
    marks = _all(tokenizer, texts[0], read[0], tokens.prompt, how, name)
    return tokens, Marked(tokens.prompt, marks)


def told(answer: str, answer_prefix: str) -> str:
    """What is told of an answer: its letter or word alone behind a prefix, else all of it."""
    return bare(answer) if answer_prefix else answer


def begun(tokenizer: PreTrainedTokenizerBase, prompt: str, how: How = USUAL) -> Marked:
    """A prompt in its format, which a model goes on from; what it writes is the completion.

    Raises StudyError for a prompt without a token, as the empty one is where the tokenizer begins
    texts with none, for positions that it lacks, and as `render` does.
    """
    rendered = render(tokenizer, how.form, prompt)
    read = passages.passage(tokenizer, rendered, how.reading)
    name = f"the prompt {prompt!r}"
    if not read.ids:
        raise StudyError(f"{name} has no token to continue from; give it a text.")
    marks = {INSTRUCTION: read.instruction, COMPLETION: read.completion}
    marks |= _of_markers(tokenizer, rendered, read.ids, how, Reading(how.reading.bos), name)
    behind = [one for one in how.steered if isinstance(one, int) or one == PROMPT]
    _refuse_lacking(read.ids, marks, How(steered=tuple(behind)), name)
    return Marked(read.ids, marks)


def prompt(tokenizer: PreTrainedTokenizerBase, name: str, given: str, how: How = USUAL) -> Marked:
    """A prompt in its format, by itself: what follows its last token is asked for.

    Raises StudyError, with its `name`, for a prompt without a token, for positions that it lacks,
    and as `render` does.
    """
    rendered = render(tokenizer, how.form, given)
    read = passages.passage(tokenizer, rendered, how.reading)
    if not read.ids:
        raise StudyError(f"{name} has no token that another could follow; give it a prompt.")
    return Marked(read.ids, _all(tokenizer, rendered, read, read.ids, how, name))


@dataclass(frozen=True)
class Continued:
    """A prompt with several continuations, `texts` each, whose tokens from `start` on are scored.

    What comes before `start` is the same in all of them.
    """

    texts: list[Marked]
    start: int


def continued(
    tokenizer: PreTrainedTokenizerBase,
    name: str,
    given: str,
    continuations: Sequence[str],
    how: How = USUAL,
) -> Continued:
    """A prompt in its format with each of its continuations.

    Both are encoded together. Scored is what comes after the prompt's tokens, spaces and line ends
    at its end left out, which so are the continuation's, as in lm-evaluation-harness
    (`_encode_pair`). Where a token joins the prompt's end with the beginning of a continuation,
    those of all are scored from there on. The marks say where tokens are steered: they split the
    prompt from its completion as everywhere, at one place for all continuations.

    Raises StudyError, with the `name`, where no token comes before a continuation, or none is
    scored; for positions that the texts lack; and as `render` does.
    """
    rendered = [render(tokenizer, how.form, given, one) for one in continuations]
    read = [passages.passage(tokenizer, text, how.reading) for text in rendered]
    starts = []
    for text, passage in zip(rendered, read, strict=True):
        characters = len(text.text[: text.prompt].rstrip())
        starts.append(passages.tokens_before(tokenizer, text, characters, passage.ids, how.reading))
    start = min(starts)
    if not start:
        raise StudyError(
            f"{name} has no token before its choices, so they have no probabilities; give it a "
            "prompt."
        )
    for passage, one in zip(read, continuations, strict=True):
        if len(passage.ids) == start:
            raise StudyError(f"the choice {one!r} of {name} has no token; correct or remove it.")
    split = {
        INSTRUCTION: min(passage.instruction for passage in read),
        COMPLETION: min(passage.completion for passage in read),
    }
    texts = []
    for text, passage in zip(rendered, read, strict=True):
        own = Reading(how.reading.bos)
        marks = split | _of_markers(tokenizer, text, passage.ids, how, own, name)
        texts.append(Marked(passage.ids, marks))
    _refuse_unsteered(texts, how, name)
    return Continued(texts, start)


def _refuse_unsteered(texts: Sequence[Marked], how: How, name: str) -> None:
    """Refuse (StudyError) positions that lie in none of the texts before its last token, which
    nothing follows."""
    longest = max(texts, key=lambda text: len(text.ids))
    end = longest.marks[COMPLETION]
    for positions in how.steered:
        of_prompt = isinstance(positions, int) or positions == PROMPT
        ids = longest.ids[:end] if of_prompt else longest.ids[:-1]
        marks = {mark: min(place, len(ids)) for mark, place in longest.marks.items()}
        _refuse_lacking(ids, marks, How(steered=(positions,)), name)


def first_counted(read: Marked, counted: Counted, name: str) -> int:
    """The place of the first token whose prediction counts: the second, or the completion's first.

    Raises StudyError for a document, by its `name`, without a completion, where that is `counted`.
    """
    if counted == "all":
        return 1
    place = read.marks.get(COMPLETION, len(read.ids))
    if place == len(read.ids):
        raise StudyError(
            f"counted is completion, but document {name} has none; remove that document, or "
            "count all."
        )
    return max(1, place)


def columns(texts: Sequence[Marked]) -> dict[str, list[int]]:
    """The marks of several texts, by name."""
    names = texts[0].marks if texts else ()
    return {name: [text.marks[name] for text in texts] for name in names}


def _all(
    tokenizer: PreTrainedTokenizerBase,
    rendered: Rendered,
    read: Passage,
    ids: list[int],
    how: How,
    name: str,
) -> dict[str, int]:
    """The marks of a text of which the model reads `ids`, the first of its tokens."""
    marks = {INSTRUCTION: read.instruction, COMPLETION: read.completion}
    marks |= _of_markers(tokenizer, rendered, read.ids, how, Reading(how.reading.bos), name)
    marks = {mark: min(place, len(ids)) for mark, place in marks.items()}
    _refuse_lacking(ids, marks, how, name)
    return marks


def _of_markers(
    tokenizer: PreTrainedTokenizerBase,
    rendered: Rendered,
    ids: Sequence[int],
    how: How,
    reading: Reading,
    name: str,
) -> dict[str, int]:
    """The marks of the markers among the positions; StudyError for one that the text has not."""
    marks = {}
    for positions in how.steered:
        if not isinstance(positions, From):
            continue
        start = rendered.text.find(positions.marker)
        if start < 0:
            raise StudyError(
                f"positions is {positions}, but {name} has no {positions.marker!r} in the form "
                "that the model reads; name a marker that all texts have, give them a format "
                "with it, or remove such texts."
            )
        end = start + len(positions.marker)

        def before(characters: int) -> int:
            return passages.tokens_before(tokenizer, rendered, characters, ids, reading)

        if positions.begins == "from":
            place = before(start)
        elif positions.begins == "after":
            place = before(end)
        else:  # the token that holds its last character
            place = max(before(end - 1), before(end) - 1)
        marks[str(positions)] = place
    return marks


def _refuse_lacking(ids: Sequence[int], marks: Mapping[str, int], how: How, name: str) -> None:
    """Refuse (StudyError) a text without a token at one of the positions."""
    for positions in how.steered:
        if isinstance(positions, int):
            if -positions > len(ids):
                raise StudyError(
                    f"positions names {positions}, but {name} has only {len(ids)} tokens; name "
                    "positions nearer the end, or remove such texts."
                )
        elif isinstance(positions, From):
            if marks[str(positions)] >= len(ids):
                raise StudyError(
                    f"positions is {positions}, but only {len(ids)} tokens of {name} are read, "
                    "all before that; raise max_tokens if it cuts the text, or name other "
                    "positions."
                )
        elif positions == AFTER and marks.get(INSTRUCTION, len(ids)) == len(ids):
            raise StudyError(
                f"positions is {positions}, but {name} has no tokens after its instruction; give "
                "it a format that ends with some, or name other positions."
            )
        elif positions == COMPLETION and marks.get(COMPLETION, len(ids)) == len(ids):
            raise StudyError(
                f"positions is {positions}, but {name} has no tokens of a completion; give it one, "
                "or name other positions."
            )
        elif positions == PROMPT and not marks.get(COMPLETION):
            raise StudyError(
                f"positions is {positions}, but {name} has no tokens of a prompt; name other "
                "positions."
            )
