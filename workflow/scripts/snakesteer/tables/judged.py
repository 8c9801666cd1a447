"""How far people agree with a judge, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WORDS = {
    "accuracy": "accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "bias": "mean difference (people less judge)",
    "error": "absolute",
}


def said(score: str, row: Mapping[str, Any], texts: str = "texts") -> str:
    """The agreement in the columns of a table's row, with its 95 % intervals, on these `texts`."""
    if f"{score}_labels" not in row:
        return f"The judge of {score} has not been compared with people."
    numbers = []
    for part, words in _WORDS.items():
        name = f"{score}_{part}"
        if name in row:
            value, low, high = (f"{row[f'{name}{end}']:.2f}" for end in ("", "_low", "_high"))
            numbers.append(f"{words} {value} [{low}, {high}]".replace("-", "−"))
    labels = f"{int(row[f'{score}_labels']):,}"
    found = f"The judge of {score} on {labels} {texts} labelled by people: {', '.join(numbers)}."
    ends = [row.get(f"{score}_{part}", 1.0) for part in ("sensitivity", "specificity")]
    if not sum(ends) > 1:
        found += " It does not distinguish positive from negative, so there is no share."
    return found
