"""Which samples a measure reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from snakesteer.prompts.marks import How


@dataclass(frozen=True)
class Read:
    """The corpora or behaviours in `sources`, each its `split`: of documents as many as hold
    `tokens` (all if None), cut at `max_tokens`; `how` texts are read is the same for all.
    """

    sources: tuple[str, ...]
    split: str = "validation"
    tokens: int | None = None
    max_tokens: int | None = None
    how: How = How()


def marks_at(marks: Mapping[str, Sequence[int]], places: Sequence[int]) -> dict[str, Sequence[int]]:
    """The marks of the samples at these places alone."""
    return {name: [marked[place] for place in places] for name, marked in marks.items()}
