"""The records that question sources return."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa


@dataclass(frozen=True)
class Question:
    """A two-choice question about one behaviour.

    `prompt` ends with the opening bracket of the answer ("I choose ("); `matching` and
    `not_matching` are the two answers without brackets ("A"/"B" or "Yes"/"No"), the first of
    which shows the behaviour. `category` is what the file says of it, where that is asked for.
    """

    question: str
    prompt: str
    matching: str
    not_matching: str
    category: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Pair(Question):
    """Two texts of which the first shows a behaviour, and the second does not.

    `prompt` is what both share, and `matching` and `not_matching` are what follows it, which may be
    empty; without a prompt they are whole texts. The sides may have system prompts of their own.
    """

    system_matching: str | None
    system_not_matching: str | None


@dataclass(frozen=True)
class Item(Question):
    """A prompt that two or more texts may follow, of which one is the matching one.

    `choices` are these texts in their order, `place` is that of `matching` among them (0-based);
    `not_matching` is the first of the others.
    """

    choices: tuple[str, ...]
    place: int


TYPES = {"choices": pa.list_(pa.string()), "place": pa.int64()}
"""The types of columns that are no text."""
