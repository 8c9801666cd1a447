"""Which tokens of a text are read.

last                the last token
-k                  the k-th token from the end; -1 is the last
[-k, …]             each of these
letter              the token of an answer's letter
after_instruction   every token after the instruction
{mean: completion}  the mean over the completion's tokens
{mean: document}    the mean over all tokens but those that the tokenizer puts around a text
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from snakesteer.core.errors import StudyError
from snakesteer.prompts.passages import Passage

LAST, LETTER, AFTER = "last", "letter", "after_instruction"
COMPLETION, DOCUMENT = "completion", "document"

Positions = str | int | Sequence[int] | Mapping[str, str]

Taken = Literal["one", "each", "mean"]
"""What becomes of the activations at the places of a text: the one, each of them, their mean."""


def taken(positions: Positions) -> Taken:
    """What becomes of the activations at these positions."""
    if isinstance(positions, Mapping):
        return "mean"
    listed = isinstance(positions, Sequence) and not isinstance(positions, str)
    return "each" if listed or positions == AFTER else "one"


def places(
    text: Passage, positions: Positions, name: str, letter: int | None = None
) -> Sequence[int]:
    """The numbers (0-based) of the tokens at these positions, in the order of the positions.

    `letter` is the place of the answer's letter, in a question. Raises StudyError, with the `name`
    of the text, for a position outside it.
    """
    if isinstance(positions, int):
        return [_from_end(text, positions, name)]
    if isinstance(positions, Mapping):
        return _all_of(text, positions["mean"], name)
    if not isinstance(positions, str):
        return [_from_end(text, position, name) for position in positions]
    if positions == LETTER:
        assert letter is not None
        return [letter]
    if positions == AFTER:
        return _all_of(text, AFTER, name)
    return [_from_end(text, -1, name)]


def _all_of(text: Passage, part: str, name: str) -> range:
    """The tokens of a part of a text; StudyError if it has none."""
    found, remedy = {
        AFTER: (range(text.instruction, len(text.ids)), "give it a format that ends with some"),
        COMPLETION: (range(text.completion, len(text.ids)), "give it one, or use others"),
        DOCUMENT: (range(*text.own), "leave it out"),
    }[part]
    if not found:
        of = {AFTER: "after its instruction", COMPLETION: "of a completion", DOCUMENT: "of its own"}
        raise StudyError(f"{name} has no tokens {of[part]}, which positions needs; {remedy}.")
    return found


def _from_end(text: Passage, position: int, name: str) -> int:
    if -position > len(text.ids):
        raise StudyError(
            f"positions names {position}, but {name} has only {len(text.ids)} tokens; name "
            "positions nearer the end, or remove such texts."
        )
    return len(text.ids) + position
