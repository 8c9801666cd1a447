"""Figures: each kind is one function from tables or arrays and settings to figure and numbers.

Every kind understands the settings `title` (a heading, none by default) and `labels` (display
names of corpora, behaviours and vectors, by name); its own settings are in its docstring.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ["MPLBACKEND"] = "agg"  # before matplotlib reads what a notebook may have set

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from snakesteer.figures.absent import absent, left_out
from snakesteer.figures.combined import combined
from snakesteer.figures.distributions import distributions
from snakesteer.figures.fonts import families_for
from snakesteer.figures.heatmap import heatmap
from snakesteer.figures.inputs import Inputs
from snakesteer.figures.overlay import overlay
from snakesteer.figures.simultaneous import simultaneous
from snakesteer.figures.single import single
from snakesteer.figures.style import FONT, LOOK, save_figure
from snakesteer.figures.tradeoff import tradeoff
from snakesteer.tables.scorecard import Scorecard

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
    published results are absent: then the figure says which and why, below what is drawn of it.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    with _look(given):
        if inputs.absent and inputs.lacks(kind, given.get("direction")):
            figure, numbers = absent(inputs, given)
            notes = []
        else:
            figure, numbers = FIGURES[kind](inputs, given)
            notes = notes_of(inputs, given)
        save_figure(figure, numbers, stem, notes)


def notes_of(inputs: Inputs, settings: Mapping[str, Any]) -> list[str]:
    """What stands below a figure: what published results it lacks, how many documents the
    bootstrap's intervals are over, and where a multiplier was chosen though none qualified.
    """
    notes = [*left_out(inputs.absent), *inputs.unqualified]
    if inputs.skill is not None and settings.get("intervals") != "vectors":
        least, most = inputs.skill["documents"].agg(["min", "max"])
        number = f"{least:,}" if least == most else f"{least:,} to {most:,}"
        notes.insert(0, f"Each 95 % interval of an accuracy is over {number} documents.")
    return notes


def draw_overlay(
    compared: Scorecard | None,
    missing: Sequence[str],
    settings: Mapping[str, Any],
    stem: str | Path,
) -> None:
    """Draw a scorecard's curves over each other, or say what is missing if there is no scorecard.

    Writes the same three files as `draw_figure`; the settings are those of `overlay`.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    with _look(given):
        if compared is None:
            figure, numbers = absent(Inputs(absent=missing), given)
            notes = []
        else:
            figure, numbers = overlay(compared, given)
            notes = left_out(missing)
        save_figure(figure, numbers, stem, notes)


@contextlib.contextmanager
def _look(settings: Mapping[str, Any]) -> Iterator[None]:
    named = [settings.get("labels", {}), settings.get("titles", {})]
    titles = [title for names in named for title in names.values()]
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(LOOK)
        families = families_for([settings.get("title", ""), *titles], FONT)
        matplotlib.rcParams["font.family"] = families
        warnings.filterwarnings("ignore", "Glyph ")  # families_for has named the title
        yield
