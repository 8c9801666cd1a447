"""What scorers get: the texts of one point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Written:
    """Texts with the prompts that they go on from, both as texts and as token ids, item by item.

    `prompts` are as the study has them, `prompt_ids` as the model reads them, in their format.
    `ids` are without the end token; a text ends before what stopped it, its ids do not.
    """

    texts: Sequence[str]
    prompts: Sequence[str]
    ids: Sequence[Sequence[int]]
    prompt_ids: Sequence[Sequence[int]]
