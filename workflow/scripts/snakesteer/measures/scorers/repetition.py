"""How much a text repeats itself, by its tokens and by how far it can be compressed.

The share of repeated n-grams is rep-n of Welleck et al. (2020, "Neural text generation with
unlikelihood training"): 1 - distinct n-grams / n-grams.

Columns:
    SCORE (number): Share of a text's n-grams of tokens that repeat one before, from 0 to 1.
    SCORE_compression (number): Bytes of a text divided by the bytes of its zlib compression. It
        grows with repetition.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from snakesteer.measures.written import Written

COLUMNS = ("", "compression")


def score(written: Written, settings: Mapping[str, Any], model: object) -> dict[str, list[float]]:
    """The share of `n`-grams of tokens that are repeated (missing for fewer than `n` tokens), and
    the compression ratio: bytes of the text over its bytes under zlib (missing for an empty text).
    """
    return {
        "": [repeated(ids, settings["n"]) for ids in written.ids],
        "compression": [compression(text) for text in written.texts],
    }


def repeated(ids: Sequence[int], n: int) -> float:
    """In [0, 1): 0 where all n-grams differ."""
    grams = [tuple(ids[start : start + n]) for start in range(len(ids) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else math.nan


def compression(text: str) -> float:
    """How many times as long as compressed: the more, the more of it is repeated."""
    given = text.encode()
    return len(given) / len(zlib.compress(given, 9)) if given else math.nan
