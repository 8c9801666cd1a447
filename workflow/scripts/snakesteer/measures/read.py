"""Which samples a measure reads."""

from __future__ import annotations

from dataclasses import dataclass

from snakesteer.prompts.tokens import TOKENIZERS_OWN, Reading


@dataclass(frozen=True)
class Read:
    """The corpora or behaviours in `sources`, each its `split`: of documents as many as hold
    `tokens` (all if None), cut at `max_tokens`.
    """

    sources: tuple[str, ...]
    split: str = "validation"
    tokens: int | None = None
    max_tokens: int | None = None
    reading: Reading = TOKENIZERS_OWN
