"""Texts as tokens, with the places among them that have a name.

A prompt and what follows it are tokenised together. They are split where the prompt's own tokens
end: those with which both the prompt alone and the whole text begin. So a token that joins the end
of the prompt with the beginning of the completion belongs to the completion, and one that joins the
end of an instruction with what its format puts behind it is a token after the instruction. Tokens
are compared by their ids, so that an unknown word across the boundary is the prompt's if it ends in
an unknown word itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snakesteer.core.errors import StudyError
from snakesteer.prompts.formats import Rendered
from snakesteer.prompts.questions import answer_text
from snakesteer.prompts.tokens import TOKENIZERS_OWN, Reading, encode_chat, framed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Passage:
    """A text's token `ids`, and places among them, each before the token of that number (0-based).

    The text's own tokens are those from `own[0]` to before `own[1]`; around them is what the
    tokenizer puts there. `instruction` is where the tokens after the instruction begin,
    `completion` where those of the completion do; each is the end where there are none.
    """

    ids: list[int]
    own: tuple[int, int]
    instruction: int
    completion: int


def document(
    tokenizer: PreTrainedTokenizerBase, text: str, max_tokens: int, reading: Reading
) -> Passage:
    """A document, cut after `max_tokens` tokens, as `tokens.encode` reads it."""
    ids, first, end = framed(tokenizer, text, reading)
    cut = ids[:max_tokens]
    return Passage(cut, (min(first, len(cut)), min(end, len(cut))), len(cut), len(cut))


def passage(
    tokenizer: PreTrainedTokenizerBase, rendered: Rendered, reading: Reading = TOKENIZERS_OWN
) -> Passage:
    """A text that is to go on, in its format: without what the tokenizer puts behind it."""
    reading = Reading(reading.bos)
    ids, first = _encoded(tokenizer, rendered, len(rendered.text), reading)
    places = []
    for characters in (rendered.instruction, rendered.prompt):
        if characters == len(rendered.text):
            places.append(len(ids))
        else:
            places.append(tokens_before(tokenizer, rendered, characters, ids, reading))
    return Passage(ids, (first, len(ids)), places[0], places[1])


def tokens_before(
    tokenizer: PreTrainedTokenizerBase,
    rendered: Rendered,
    characters: int,
    ids: Sequence[int],
    reading: Reading,
) -> int:
    """How many of a text's tokens `ids` end before this place in it, in characters.

    They are those with which both the text up to there and the whole begin.
    """
    return _shared(_encoded(tokenizer, rendered, characters, reading)[0], ids)


def letter(tokenizer: PreTrainedTokenizerBase, answered: Passage, answer: str, name: str) -> int:
    """The place of the one token that is an answer's letter, or its word, but for brackets and
    spaces around it.

    Raises StudyError, with the `name` of the question, where it is several tokens.
    """
    wanted = bare(answer)
    found = []
    for place in range(answered.completion, len(answered.ids)):
        text = answer_text(tokenizer, answered.ids[:place], answered.ids[place])
        if bare(text) == wanted:
            found.append(place)
    if len(found) != 1 or not wanted:
        pieces = tokenizer.convert_ids_to_tokens(answered.ids[answered.completion :])
        raise StudyError(
            f"positions is letter, but the answer {answer!r} of {name} is {pieces}, in which "
            f"{wanted!r} is not one token; use answers that are single tokens of this model, or "
            "other positions."
        )
    return found[0]


def bare(answer: str) -> str:
    """An answer without the brackets and spaces around it: its letter, or its word."""
    return answer.strip(" ()\n")


def _encoded(
    tokenizer: PreTrainedTokenizerBase, rendered: Rendered, characters: int, reading: Reading
) -> tuple[list[int], int]:
    """The ids of the first characters of a text, and how many of them the tokenizer puts before."""
    text = rendered.text[:characters]
    if rendered.chat:
        return encode_chat(tokenizer, text, reading), 0
    ids, first, end = framed(tokenizer, text, reading)
    return ids[:end], first


def _shared(some: Sequence[int], others: Sequence[int]) -> int:
    """With how many tokens both begin alike."""
    number = 0
    for one, other in zip(some, others, strict=False):
        if one != other:
            break
        number += 1
    return number
