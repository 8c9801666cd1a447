"""How varied a text's words are: distinct words over all words, and the same of pairs of words
(distinct-1 and distinct-2, Li et al. 2016).

Columns:
    SCORE (number): Different words divided by all words of a text.
    SCORE_pairs (number): Different pairs of neighbouring words divided by all pairs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from snakesteer.measures.written import Written

COLUMNS = ("", "pairs")


def score(written: Written, settings: Mapping[str, Any], model: object) -> dict[str, list[float]]:
    """Shares in (0, 1], missing for a text without words, or pairs; words in lower case, being what
    stands between white space."""
    words = [text.lower().split() for text in written.texts]
    return {
        "": [share(each) for each in words],
        "pairs": [share(list(zip(each, each[1:], strict=False))) for each in words],
    }


def share(items: Sequence[object]) -> float:
    """Distinct items over all items; NaN where there is none."""
    return len(set(items)) / len(items) if items else math.nan
