"""One look for all figures, and their files: the same numbers give the same bytes."""

from __future__ import annotations

import contextlib
import io
import math
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from snakesteer.core.errors import StudyError
from snakesteer.core.labels import layer_label, layer_order
from snakesteer.figures.fonts import families_for
from snakesteer.storage.files import write_bytes

WIDTH = 5.5
FULL_WIDTH = 6.75
PNG_DPI = 220
FONT = "DejaVu Sans"  # comes with matplotlib

# Notes below a figure: points, letters an inch, inches a line.
_NOTE_SIZE = 6.5
_NOTE_LETTERS = 19
_NOTE_LINE = 0.12
_AXIS_LETTERS = 14  # letters an inch beside an axis

# Colours that stay apart under every common kind of colour blindness, without those too pale for a
# line and without grey, which is for references and controls.
_COLOURBLIND = seaborn.color_palette("colorblind").as_hex()
PALETTE = [*_COLOURBLIND[:5], _COLOURBLIND[9], _COLOURBLIND[5], "#000000"]
DIRECTIONS = {"default": "#9A9A9A", "add": PALETTE[0], "subtract": PALETTE[3]}
REFERENCE = "#8C8C8C"

# What the directions of an operator are that neither adds nor subtracts.
SIGNS = {"add": "coefficient > 0", "subtract": "coefficient < 0"}

# What marks a score that steering took out of the two-choice format.
FAULTY = "F: over {max_faulty} faulty answers"
COLLAPSED = "C: mode collapse (over {percent:g} % one answer)"
HATCHED: dict[str, Any] = {
    "facecolor": "white",
    "edgecolor": "#8C8C8C",
    "hatch": "//////",
    "linewidth": 0.5,
}

LETTER: dict[str, Any] = {"ha": "center", "fontsize": 6.5, "fontweight": "bold"}

# Seaborn's theme for papers, at 8 points. Any: the keys are matplotlib's own, which it types one by
# one.
LOOK: Any = {
    **seaborn.axes_style("ticks"),
    **seaborn.plotting_context("paper", font_scale=8 / 9.6),
    "font.family": FONT,
    "text.parse_math": False,  # titles are drawn as they are written
    "axes.titlesize": 8.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "ytick.minor.size": 2,
    "ytick.minor.width": 0.6,
    "legend.frameon": False,
    "lines.markersize": 3.6,
    "patch.force_edgecolor": False,
    "hatch.linewidth": 0.6,
    "figure.constrained_layout.h_pad": 0.05,
    "figure.constrained_layout.w_pad": 0.05,
    "pdf.fonttype": 42,
    "savefig.facecolor": "white",
}


@contextlib.contextmanager
def themed(settings: Mapping[str, Any]) -> Iterator[None]:
    """Matplotlib with the look of all figures, and with fonts for the titles in `settings`."""
    named = [settings.get("labels", {}), settings.get("titles", {})]
    titles = [title for names in named for title in names.values()]
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(LOOK)
        families = families_for([settings.get("title", ""), *titles], FONT)
        matplotlib.rcParams["font.family"] = families
        warnings.filterwarnings("ignore", "Glyph ")  # families_for has named the title
        yield


# Where coefficient 0 steers, too, the unsteered model has no place along the axis of coefficients.
UNSTEERED: dict[str, Any] = {"linewidth": 0.8, "linestyle": (0, (3, 1, 1, 1)), "alpha": 0.8}


def label(name: str, settings: Mapping[str, Any]) -> str:
    """The display name of an entry: from `labels` of the settings, or the name made readable."""
    return settings.get("labels", {}).get(name) or name.replace("-", " ").capitalize()


def ordered_behaviours(rows: pd.DataFrame, settings: Mapping[str, Any]) -> list[str]:
    """The behaviours to draw: those of `order` that the rows hold, or all as they come.

    Raises StudyError if that leaves none.
    """
    present = list(dict.fromkeys(rows["behaviour"]))
    drawn = [name for name in settings.get("order", present) if name in present]
    return _some(drawn, "order", settings, present)


def ordered_layers(rows: pd.DataFrame, settings: Mapping[str, Any]) -> list[str]:
    """The layer labels to draw by depth: those of `layers`, numbers and lists of them, that the
    rows hold, or all.

    Raises StudyError if that leaves none.
    """
    present = set(rows["layer"]) - {""}
    wanted = {
        layer_label(layer) if isinstance(layer, list) else str(layer)
        for layer in settings.get("layers", present)
    }
    drawn = sorted(present & wanted, key=layer_order)
    return _some(drawn, "layers", settings, sorted(present, key=layer_order))


def _some(
    drawn: list[str], setting: str, settings: Mapping[str, Any], present: list[str]
) -> list[str]:
    if not drawn:
        raise StudyError(
            f"a figure's {setting} {settings.get(setting)} leave nothing to draw; its sweeps "
            f"have {', '.join(present) or 'none'}."
        )
    return drawn


def wrapped(said: str, height: float) -> str:
    """What stands beside an axis, in as many lines as there is room for in a figure of this height,
    in inches."""
    return textwrap.fill(said, int(_AXIS_LETTERS * height))


def layers_said(label: str) -> str:
    """The label of layers, of three or more that follow on one another as "0–31"."""
    layers = layer_order(label)
    if len(layers) > 2 and layers == tuple(range(layers[0], layers[-1] + 1)):
        return f"{layers[0]}–{layers[-1]}"
    return label


def signed(coefficient: float) -> str:
    """A multiplier with its sign, as short as it can be: +0.5, −20, 0."""
    if math.isnan(coefficient):
        return "unsteered"
    return f"{coefficient:+g}".replace("-", "−") if coefficient else "0"


def draw_intervals(
    axes: Axes, x: Sequence[float] | pd.Series, rows: pd.DataFrame, capsize: float = 0
) -> None:
    """The intervals of scores as error bars at `x`; `capsize` is half the length of their caps, in
    points."""
    ends = [rows["score"] - rows["score_low"], rows["score_high"] - rows["score"]]
    axes.errorbar(
        x,
        rows["score"],
        yerr=np.array(ends, dtype=float).clip(0),
        fmt="none",
        ecolor="black",
        elinewidth=0.8,
        capsize=capsize,
        capthick=0.8,
    )


def ink_on(colour: Sequence[float] | np.ndarray) -> str:
    """The colour of letters that can be read on a colour (red, green, blue, each 0 to 1)."""
    return "black" if np.dot(colour[:3], (0.299, 0.587, 0.114)) > 0.5 else "white"


def marks(rows: pd.DataFrame, max_faulty: int) -> np.ndarray:
    """Per row "F" with over `max_faulty` faulty answers, "C" with mode collapse, otherwise ""."""
    return np.select([rows["faulty"] > max_faulty, rows["collapsed"]], ["F", "C"], default="")


def save_figure(
    figure: Figure, numbers: pd.DataFrame, stem: str | Path, notes: Sequence[str] = ()
) -> None:
    """Write `<stem>.pdf`, `<stem>.png` and, with the numbers behind them, `<stem>.csv`.

    `notes` are sentences that stand below the figure, which grows by them.
    """
    width, height = figure.get_size_inches()
    lines = [line for note in notes for line in textwrap.wrap(note, int(_NOTE_LETTERS * width))]
    figure.text(0.06 / width, 0, "\n".join(lines), va="top", fontsize=_NOTE_SIZE, in_layout=False)
    if lines and figure.legends:  # which else move down with the edge when the figure grows
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for legend in figure.legends:
            legend.set_bbox_to_anchor((0, 0, 1, 1), figure.transFigure)
    below = len(lines) * _NOTE_LINE
    shown = Bbox.from_bounds(0, -below, width, height + below)
    for suffix, options in (
        (".pdf", {"metadata": {"CreationDate": None, "Creator": None, "Producer": None}}),
        (".png", {"metadata": {"Software": None}, "dpi": PNG_DPI}),
    ):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix[1:], bbox_inches=shown, **options)
        write_bytes(f"{stem}{suffix}", buffer.getvalue())
        figure.set_layout_engine("none")  # the layout found for the first file serves both
    write_bytes(f"{stem}.csv", numbers.to_csv(index=False, lineterminator="\n").encode())
