"""Grid search: matching score over layers and multipliers, one panel per behaviour and sign."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.colors import FuncNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from snakesteer.core.errors import StudyError
from snakesteer.figures.inputs import Inputs, NothingToDraw
from snakesteer.figures.style import (
    COLLAPSED,
    FAULTY,
    FULL_WIDTH,
    HATCHED,
    SIGNS,
    ink_on,
    label,
    marks,
    ordered_behaviours,
    ordered_layers,
    signed,
)
from snakesteer.tables.draws import draws_column

_VERBS = {"add": "added", "subtract": "subtracted"}
_UNVISITED = "#DCDCDC"
# One scale for every heat map, so that colours can be compared between them. A power below 1 lets a
# few percentage points be seen on it.
_POWER = 2 / 3
_SCALE = FuncNorm(
    (
        lambda value: np.sign(value) * np.abs(value) ** _POWER,
        lambda place: np.sign(place) * np.abs(place) ** (1 / _POWER),
    ),
    vmin=-1,
    vmax=1,
)
_BELOW_CELLS = 0.9  # so that the lines between cells run over the hatched ones
_TICKS = [-1, -0.5, -0.2, 0, 0.2, 0.5, 1]


def draw(inputs: Inputs, settings: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Layers across, multipliers down; colour is the difference from the default score.

    A cell carries its matching score in %. Cells with over `max_faulty` faulty answers are hatched
    and marked F, mode-collapsed ones C; cells that the search never visited are grey.
    Settings: `behaviour` and `direction` ("add", "subtract") for a single row or column of panels,
    `collapse` (the share of one answer that is mode collapse), `order` (behaviours), `layers`
    (labels), `max_faulty` (10), `operator` (one that neither adds nor subtracts: the signs of its
    coefficients are told instead).

    Columns, a row for each cell:
        behaviour
        direction (as tables.two_choice.table)
        layer, coefficient
        questions, matches, faulty (as tables.two_choice.table)
        draws
        score, score_low, score_high, majority, collapsed (as tables.two_choice.table)
        default (number): The matching score of the unsteered model, the mean over layers.
        difference (number): `score` minus `default`.
        marked (text): `F` for too many faulty answers, `C` for mode collapse, else empty.
    """
    rows = inputs.behaviour_rows("grid")
    behaviours = ordered_behaviours(rows, settings)
    if only := settings.get("behaviour"):
        if only not in behaviours:
            raise StudyError(f"the grid search has no behaviour {only!r} to draw.")
        behaviours = [only]
    directions = ["add", "subtract"]
    if direction := settings.get("direction"):
        directions = [direction]
        if not (rows["direction"] == direction).any():
            raise NothingToDraw(f"the grid search has no cells of the direction {direction}.")
    words = SIGNS if settings.get("operator") else _VERBS
    layers = ordered_layers(rows, settings)
    max_faulty = settings.get("max_faulty", 10)
    numbers = _cells(rows, behaviours, directions, layers, max_faulty)

    magnitudes = {
        behaviour: sorted(
            numbers.loc[numbers["behaviour"] == behaviour, "coefficient"].abs().unique()
        )
        for behaviour in behaviours
    }
    depths = [max(3, len(magnitudes[behaviour])) for behaviour in behaviours]
    both = len(directions) == 2
    row_height = 0.125 if len(behaviours) > 1 else 0.16
    figure = Figure(
        figsize=(
            FULL_WIDTH if both else FULL_WIDTH / 2,
            row_height * sum(depths) + 0.44 * len(depths) + (1.0 if both else 1.85),
        ),
        layout="constrained",
    )
    panels = figure.subplots(len(behaviours), len(directions), squeeze=False, height_ratios=depths)
    for behaviour, row in zip(behaviours, panels, strict=True):
        for direction, axes in zip(directions, row, strict=True):
            cells = numbers[
                (numbers["behaviour"] == behaviour) & (numbers["direction"] == direction)
            ]
            _draw_panel(axes, cells, layers, magnitudes[behaviour])
            axes.set_yticks(
                np.arange(len(magnitudes[behaviour])) + 0.5,
                [signed(size if direction == "add" else -size) for size in magnitudes[behaviour]],
            )
            default = numbers.loc[numbers["behaviour"] == behaviour, "default"].iloc[0]
            axes.set_title(
                f"{label(behaviour, settings)}, {words[direction]} (default {100 * default:.0f} %)",
                pad=3,
            )
    for axes in panels[-1]:
        axes.set_xlabel("Layer")
    if len(behaviours) == 1:
        panels[0, 0].set_ylabel("Injection\ncoefficient")
    else:
        figure.supylabel("Injection coefficient", fontsize=8)
    bar = figure.colorbar(
        panels[0, 0].collections[0],
        ax=panels,
        location="bottom",
        shrink=0.6 if both else 0.9,
        aspect=50,
        pad=0.01,
        ticks=_TICKS,
        format=lambda value, _: signed(round(100 * value, 9)),
    )
    said = [
        "Matching score minus default",
        "(percentage points);",
        "in the cells: matching score (%)",
    ]
    bar.set_label((" " if both else "\n").join(said))
    bar.outline.set_visible(False)
    figure.legend(
        handles=[
            Patch(label=FAULTY.format(max_faulty=max_faulty), **HATCHED),
            Patch(label=COLLAPSED.format(percent=100 * settings["collapse"]), **HATCHED),
            Patch(label="not visited", facecolor=_UNVISITED),
        ],
        loc="outside lower center",
        ncols=3 if both else 1,
    )
    if title := settings.get("title"):
        figure.suptitle(title)
    return figure, numbers


def _cells(
    rows: pd.DataFrame,
    behaviours: list[str],
    directions: list[str],
    layers: list[str],
    max_faulty: int,
) -> pd.DataFrame:
    defaults = rows[rows["direction"] == "default"].groupby("behaviour")["score"].mean()
    for behaviour in behaviours:
        if behaviour not in defaults:
            raise StudyError(
                f"the grid search of behaviour {behaviour!r} has no coefficient 0; "
                "add 0 to its coefficients."
            )
    cells = rows[
        rows["behaviour"].isin(behaviours)
        & rows["direction"].isin(directions)
        & rows["layer"].isin(layers)
    ]
    default = cells["behaviour"].map(defaults)
    columns = ["behaviour", "direction", "layer", "coefficient", "questions", "matches", "faulty"]
    columns += draws_column(rows)
    return (
        cells[[*columns, "score", "score_low", "score_high", "majority", "collapsed"]]
        .assign(
            default=default,
            difference=cells["score"] - default,
            marked=marks(cells, max_faulty),
        )
        .reset_index(drop=True)
    )


def _draw_panel(
    axes: Axes, cells: pd.DataFrame, layers: list[str], magnitudes: list[float]
) -> None:
    unmarked = cells[cells["marked"] == ""]
    differences = unmarked.assign(magnitude=unmarked["coefficient"].abs()).pivot(
        index="magnitude", columns="layer", values="difference"
    )
    seaborn.heatmap(
        differences.reindex(index=magnitudes, columns=layers),
        ax=axes,
        cmap="RdBu",
        norm=_SCALE,
        vmin=_SCALE.vmin,
        vmax=_SCALE.vmax,
        cbar=False,
        linewidths=0.6,
        linecolor="white",
        xticklabels=False,
        yticklabels=False,
    )
    axes.set_facecolor(_UNVISITED)
    axes.grid(False)
    axes.set(xlabel="", ylabel="")
    axes.tick_params(length=0, pad=2, labelsize=6.5)
    axes.set_xticks(np.arange(len(layers)) + 0.5, layers)
    for cell in cells.to_dict("records"):
        x, y = layers.index(cell["layer"]), magnitudes.index(abs(cell["coefficient"]))
        if cell["marked"]:
            text, ink, weight = cell["marked"], "black", "bold"
            axes.add_patch(Rectangle((x, y), 1, 1, in_layout=False, zorder=_BELOW_CELLS, **HATCHED))
        else:
            colour = axes.collections[0].to_rgba(cell["difference"])
            text, weight = f"{100 * cell['score']:.0f}", "normal"
            ink = ink_on(colour)
        axes.text(
            x + 0.5,
            y + 0.5,
            text,
            ha="center",
            va="center_baseline",
            fontsize=5.5,
            color=ink,
            fontweight=weight,
            in_layout=False,
        )
