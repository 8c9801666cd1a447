"""How a question offers its answers: the letter or word that matches, and which option is first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

MATCHING, OTHER, UNKNOWN = "matching", "other", ""
ANSWER, FIRST = "answer", "first"


def offered(questions: pd.DataFrame) -> pd.DataFrame:
    """By the id of each question its `answer` and which option is `first`.

    `questions` is a table of a behaviour. `answer` is the matching letter or word, without the
    brackets around it; it is "" where answers are longer texts. `first` is "matching" or "other":
    of items by the place among their choices, else by which answer the prompt names first; it is
    "" where the prompt does not name both.
    """
    rows = questions.to_dict("records")
    columns = {
        ANSWER: [_word(asked["matching"]) for asked in rows],
        FIRST: [_first(asked) for asked in rows],
    }
    return pd.DataFrame(columns, index=questions["question"])


def _word(answer: str) -> str:
    """An answer of one word without brackets and spaces around it; "" of several."""
    bare = answer.strip(" ()")
    return "" if len(bare.split()) > 1 else bare


def _first(asked: Mapping[str, Any]) -> str:
    place = asked.get("place")
    if place is not None and not pd.isna(place):
        return MATCHING if place == 0 else OTHER
    prompt = asked["prompt"] or ""
    matching, other = (prompt.find(_named(asked[name])) for name in ("matching", "not_matching"))
    if min(matching, other) < 0 or matching == other:
        return UNKNOWN
    return MATCHING if matching < other else OTHER


def _named(answer: str) -> str:
    """An answer as a prompt names it: a letter or word in brackets, a longer text as it is."""
    word = _word(answer)
    return f"({word})" if word else answer.strip()
