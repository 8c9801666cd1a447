"""What stands in a figure's place when the published results that it draws are absent."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from snakesteer.figures.inputs import Inputs
from snakesteer.figures.style import WIDTH

_SHOWN = 8


def absent(inputs: Inputs, settings: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """The sentences that say what is absent and why, as text; they are the numbers as well."""
    lines = [textwrap.fill(sentence, 78) for sentence in inputs.absent[:_SHOWN]]
    if len(inputs.absent) > _SHOWN:
        lines.append(f"and {len(inputs.absent) - _SHOWN} more")
    text = "\n".join(["Not drawn: published results are absent.", "", *lines])
    figure = Figure(figsize=(WIDTH, 0.6 + 0.15 * (text.count("\n") + 1)))
    figure.text(0.04, 0.94, text, va="top", fontsize=7.5)
    return figure, pd.DataFrame({"absent": list(inputs.absent)})
