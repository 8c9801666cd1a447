"""How often a rule takes each candidate, over resamples of the texts that decide: a cell for each
layer and coefficient, a panel for each vector."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from snakesteer.core.errors import StudyError
from snakesteer.figures.inputs import Inputs
from snakesteer.figures.style import FULL_WIDTH, WIDTH, ink_on, label, signed

_CELL, _WIDE, _AROUND = 0.19, 0.6, 2.4  # inches of a row, of a column, and beside the columns
_FEWEST = 4  # rows that there is room for
_COLUMNS = 3
_LEGEND = 4.2  # inches that a legend in one line takes
_LETTERS = 11  # of the title of a panel, an inch
_NUMBERED = 16  # layers from which on cells are too narrow for numbers
# A power below 1 lets shares of a few per cent be seen.
_SCALE, _COLOURS = PowerNorm(0.5, vmin=0, vmax=1), colormaps["Blues"]
_TICKS = [0, 0.05, 0.2, 0.5, 1]
_OUT: dict[str, Any] = {
    "facecolor": "#F1F1F1",
    "edgecolor": "#A9A9A9",
    "hatch": "//////",
    "linewidth": 0,
}
_CHOSEN: dict[str, Any] = {"facecolor": "none", "edgecolor": "#D55E00", "linewidth": 1.8}


def draw(inputs: Inputs, settings: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Layers across, coefficients down, or positions where candidates have one coefficient; a panel
    for each vector, of several sweeps for each of these, and for each position where candidates
    differ in both. Colour and number are the share of resamples in %, the framed cell is what is
    chosen; what the rule leaves out on all texts is hatched. Settings: none of its own.

    Columns, a row for each candidate:
        * (as tables.resampled_candidates.told.candidates)
    """
    rows = inputs.candidates
    if rows is None or inputs.chosen is None:
        raise StudyError("this figure draws a choice, but its entry names none.")
    told = inputs.chosen["resamples"]
    if told is None:
        raise StudyError(
            "this figure draws how often candidates are chosen over resamples, but the choice has "
            "none; give it `resamples`, or other scores."
        )
    rows = rows.astype({"position": float})
    along = "coefficient" if rows["coefficient"].nunique() > 1 else "position"
    apart = ["sweep", "vector", *(["position"] if along == "coefficient" else [])]
    groups = list(rows.groupby(apart, sort=False, dropna=False))
    downs = sorted(rows[along].unique())
    layers = sorted(rows["layer"].unique())
    columns = min(_COLUMNS, len(groups)) if len(layers) <= _NUMBERED else 1
    lines = -(-len(groups) // columns)
    width = FULL_WIDTH if columns > 1 else min(WIDTH, _AROUND + _WIDE * len(layers))
    height = lines * (_CELL * max(_FEWEST, len(downs)) + 0.55) + 0.8
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes in panels[len(groups) :]:
        axes.remove()
    for (_, cells), axes in zip(groups, panels, strict=False):
        _draw_panel(axes, cells, layers, downs, along)
        title = textwrap.fill(_title(cells, rows, apart, settings), int(_LETTERS * width / columns))
        axes.set_title(title if len(groups) > 1 else "", pad=3)
    for axes in panels[max(0, len(groups) - columns) : len(groups)]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("Layer")
    for axes in panels[: len(groups) : columns]:
        axes.set_ylabel(along.capitalize())
    bar = figure.colorbar(
        ScalarMappable(_SCALE, _COLOURS),
        ax=list(panels[: len(groups)]),
        location="right",
        aspect=15,
        fraction=0.06,
        ticks=_TICKS,
        format=lambda value, _: f"{100 * value:g}",
    )
    bar.set_label("Chosen in\nresamples (%)")
    bar.outline.set_visible(False)
    handles = [Patch(label="Chosen", **_CHOSEN)]
    if rows["left_out"].any():
        handles.append(Patch(label="Left out by the rule", **_OUT))
    if told["none"]:
        none = f"No candidate left in {100 * told['none']:.1f} %"
        handles.append(Patch(label=none, facecolor="none"))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles) if width > _LEGEND else 1,
    )
    if heading := settings.get("title"):
        figure.suptitle(heading)
    return figure, rows


def _title(
    cells: pd.DataFrame, rows: pd.DataFrame, apart: list[str], settings: Mapping[str, Any]
) -> str:
    """What tells a panel from the others."""
    said = []
    for name in apart:
        if rows[name].nunique(dropna=False) > 1:
            value = cells[name].iloc[0]
            if name == "position":
                said.append("one position" if pd.isna(value) else f"position {signed(value)}")
            else:
                said.append(label(str(value), settings if name == "vector" else {}))
    return ", ".join(said)


def _draw_panel(
    axes: Axes, cells: pd.DataFrame, layers: list[int], downs: list[float], along: str
) -> None:
    axes.set(xlim=(0, len(layers)), ylim=(0, len(downs)))
    axes.grid(False)
    axes.tick_params(length=0, pad=2, labelsize=6.5)
    few = max(1, -(-len(layers) // 20))
    axes.set_xticks(np.arange(len(layers))[::few] + 0.5, list(map(str, layers))[::few])
    axes.set_yticks(np.arange(len(downs)) + 0.5, list(map(_said, downs)))
    for spine in axes.spines.values():
        spine.set_visible(False)
    for cell in cells.to_dict("records"):
        x = layers.index(cell["layer"])
        y = 0 if pd.isna(cell[along]) else downs.index(cell[along])
        share, out = cell["share"], bool(cell["left_out"])
        colour = _COLOURS(_SCALE(share))
        look: dict[str, Any] = {"facecolor": colour, "linewidth": 0}
        if out:  # on all texts, but perhaps not in each resample
            look = _OUT | ({"facecolor": colour} if share else {})
        axes.add_patch(Rectangle((x, y), 1, 1, **look))
        if share and len(layers) <= _NUMBERED:
            said = f"{100 * share:.0f}" if share >= 0.005 else "<1"
            ink = ink_on(colour)
            place: dict[str, Any] = {"ha": "center", "va": "center_baseline", "fontsize": 5.5}
            axes.text(x + 0.5, y + 0.5, said, color=ink, in_layout=False, **place)
        if cell["chosen"]:
            axes.add_patch(Rectangle((x, y), 1, 1, clip_on=False, zorder=4, **_CHOSEN))
    for x in range(1, len(layers)):
        axes.axvline(x, color="white", linewidth=1.2, zorder=3)
    for y in range(1, len(downs)):
        axes.axhline(y, color="white", linewidth=1.2, zorder=3)


def _said(value: float) -> str:
    return "" if pd.isna(value) else signed(value)
