"""How long a text is: its tokens, without the end token, and its words and characters.

Columns:
    SCORE (number): Tokens of a text, without the end token.
    SCORE_words (number): Words of a text.
    SCORE_characters (number): Characters of a text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snakesteer.measures.written import Written

COLUMNS = ("", "words", "characters")


def score(written: Written, settings: Mapping[str, Any], model: object) -> dict[str, list[int]]:
    """Counts, words being what stands between white space."""
    return {
        "": [len(ids) for ids in written.ids],
        "words": [len(text.split()) for text in written.texts],
        "characters": [len(text) for text in written.texts],
    }
