"""What a figure says of published results that are absent: in its place, or below it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from snakesteer.figures.style import WIDTH

_SHOWN = 8


def absent(sentences: Sequence[str]) -> tuple[Figure, pd.DataFrame]:
    """The sentences that say what is absent and why, as text; they are the numbers as well.

    Columns, a row for each published result that is absent:
        absent (text): What is absent, and why.
    """
    lines = [textwrap.fill(sentence, 78) for sentence in _first(sentences)]
    text = "\n".join(["Not drawn: published results are absent.", "", *lines])
    figure = Figure(figsize=(WIDTH, 0.6 + 0.15 * (text.count("\n") + 1)))
    figure.text(0.04, 0.94, text, va="top", fontsize=7.5)
    return figure, pd.DataFrame({"absent": list(sentences)})


def left_out(sentences: Sequence[str]) -> list[str]:
    """The notes of a figure that is drawn without what these sentences are on."""
    return _first([f"Skipped: {sentence}." for sentence in sentences])


def _first(sentences: Sequence[str]) -> list[str]:
    rest = len(sentences) - _SHOWN
    return [*sentences[:_SHOWN], *([f"and {rest} more"] if rest > 0 else [])]
