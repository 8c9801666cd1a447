"""Figures: each kind is one function from tables or arrays and settings to figure and numbers.

Every kind understands the settings `title` (a heading, none by default) and `labels` (display
names of sweeps, corpora, behaviours and vectors, by name); its own settings are in its docstring.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from snakesteer.figures.absent import absent
from snakesteer.figures.combined import combined
from snakesteer.figures.distributions import distributions
from snakesteer.figures.heatmap import heatmap
from snakesteer.figures.inputs import Inputs
from snakesteer.figures.simultaneous import simultaneous
from snakesteer.figures.single import single
from snakesteer.figures.style import LOOK, save_figure
from snakesteer.figures.tradeoff import tradeoff

FIGURES: dict[str, Callable[[Inputs, Mapping[str, Any]], tuple[Figure, pd.DataFrame]]] = {
    "tradeoff": tradeoff,
    "heatmap": heatmap,
    "single": single,
    "combined": combined,
    "simultaneous": simultaneous,
    "distributions": distributions,
}


def draw_figure(kind: str, inputs: Inputs, settings: Mapping[str, Any], stem: str | Path) -> None:
    """Draw a figure and write `<stem>.pdf`, `<stem>.png` and `<stem>.csv`.

    `kind` is one of `FIGURES`; the settings of each are told in its docstring, and those that are
    None count as left out. Raises StudyError for inputs that lack what the figure draws, unless
    published results are absent: then the figure says which and why.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(LOOK)
        if inputs.absent and inputs.lacks(kind):
            figure, numbers = absent(inputs, given)
        else:
            figure, numbers = FIGURES[kind](inputs, given)
        save_figure(figure, numbers, stem)
