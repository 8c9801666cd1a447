"""Combined steering: several behaviours' vectors in one injection, against single steering."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke

from snakesteer.figures.inputs import Inputs
from snakesteer.figures.style import (
    COLLAPSED,
    FAULTY,
    FULL_WIDTH,
    HATCHED,
    label,
    marks,
    ordered_behaviours,
    ordered_layers,
    score_errors,
)

# (weighted, combine) in drawing order, with its shade for the added and the subtracted side.
_MODES = {
    (False, "mean"): ("Unweighted mean", "#A6CDE8", "#F9CFA9"),
    (True, "mean"): ("Weighted mean", "#5FA3D3", "#F0A05A"),
    (False, "sum"): ("Unweighted sum", "#2171B5", "#D55E00"),
    (True, "sum"): ("Weighted sum", "#08335E", "#7F3300"),
}
_LINES: dict[str, Any] = {"default": "-", "add": (0, (5, 1.5)), "subtract": (0, (1, 1))}
_LINE_LOOK: dict[str, Any] = {
    "color": "black",
    "linewidth": 1,
    "path_effects": [Stroke(linewidth=1.8, foreground="white"), Normal()],
    "zorder": 3,
}
_BAR = 0.095


def combined(inputs: Inputs, settings: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Eight bars per behaviour (added and subtracted; mean and sum; weighted or not) per layer.

    Lines are the scores of single steering. A bar with over `max_faulty` faulty answers, or with
    mode collapse, is replaced by a hatched stub and a letter. Error bars are Wilson 95 %.
    Settings: `collapse` (the share of one answer that is mode collapse), `order` (behaviours),
    `layers` (labels), `max_faulty` (10).
    """
    rows = inputs.behaviour_rows("combined", "single")
    max_faulty = settings.get("max_faulty", 10)
    bars = rows[rows["kind"] == "combined"]
    behaviours = ordered_behaviours(bars, settings)
    layers = ordered_layers(bars, settings)
    columns = ["kind", "layer", "direction", "combine", "weighted", "coefficient", "behaviour"]
    columns += ["questions", "matches", "faulty", "score", "score_low", "score_high", "majority"]
    drawn = (
        rows["behaviour"].isin(behaviours)
        & rows["layer"].isin(layers)
        & ((rows["kind"] == "single") | (rows["direction"] != "default"))
    )
    numbers = rows.loc[drawn, [*columns, "collapsed"]]
    numbers = numbers.assign(marked=marks(numbers, max_faulty))

    figure = Figure(figsize=(FULL_WIDTH, 1.85 * len(layers) + 0.95), layout="constrained")
    panels = figure.subplots(len(layers), 1, sharey=True, squeeze=False).ravel()
    for layer, axes in zip(layers, panels, strict=True):
        _draw_panel(axes, numbers[numbers["layer"] == layer], behaviours)
        axes.set_xticks(range(len(behaviours)), [label(name, settings) for name in behaviours])
        axes.set_title(f"Layer {layer}")
        axes.set_ylabel("Matching score")
    figure.legend(
        handles=_legend(max_faulty, settings["collapse"]),
        loc="outside lower center",
        ncols=4,
        handlelength=1.8,
    )
    if title := settings.get("title"):
        figure.suptitle(title)
    return figure, numbers.reset_index(drop=True)


def _draw_panel(axes: Axes, rows: pd.DataFrame, behaviours: list[str]) -> None:
    bars = rows[rows["kind"] == "combined"]
    for side, (direction, left) in enumerate((("add", -4.5), ("subtract", 0.5))):
        for place, ((weighted, combine), (_, *shades)) in enumerate(_MODES.items()):
            mode = (
                bars[
                    (bars["direction"] == direction)
                    & (bars["weighted"] == weighted)
                    & (bars["combine"] == combine)
                ]
                .set_index("behaviour")
                .reindex(behaviours)
            )
            positions = np.arange(len(behaviours)) + (left + place + 0.5) * _BAR
            valid = (mode["marked"] == "").to_numpy()
            shown = mode[valid]
            axes.bar(positions[valid], shown["score"], width=_BAR * 0.94, color=shades[side])
            axes.errorbar(
                positions[valid],
                shown["score"],
                yerr=score_errors(shown),
                fmt="none",
                ecolor="black",
                elinewidth=0.6,
                zorder=4,
            )
            for x, mark in zip(positions, mode["marked"].fillna(""), strict=True):
                if mark:
                    axes.bar(x, 0.05, width=_BAR * 0.94, **HATCHED | {"edgecolor": shades[side]})
                    axes.text(x, 0.065, mark, ha="center", fontsize=6.5, fontweight="bold")
    for line in rows[rows["kind"] == "single"].to_dict("records"):
        middle = behaviours.index(line["behaviour"])
        axes.hlines(
            line["score"],
            middle - 4.9 * _BAR,
            middle + 4.9 * _BAR,
            linestyle=_LINES[line["direction"]],
            **_LINE_LOOK,
        )
    axes.set(ylim=(0, 1.03), xlim=(-0.55, len(behaviours) - 0.45))
    axes.grid(axis="x", visible=False)
    axes.tick_params(axis="x", length=0)


def _legend(max_faulty: int, collapse: float) -> list[Artist]:
    """Four columns of a heading and four entries each, as `ncols=4` fills them downwards."""
    lines = [
        Line2D([], [], linestyle=dashes, label=name.capitalize(), **_LINE_LOOK)
        for name, dashes in _LINES.items()
    ]
    added, subtracted = (
        [Patch(color=shades[side], label=name) for name, *shades in _MODES.values()]
        for side in (0, 1)
    )
    stubs = [
        Patch(label=FAULTY.format(max_faulty=max_faulty), **HATCHED),
        Patch(label=COLLAPSED.format(percent=100 * collapse).replace(" (", "\n("), **HATCHED),
    ]
    columns: dict[str, list[Artist]] = {
        "Single steering": [*lines, _text("")],
        "Added": list(added),
        "Subtracted": list(subtracted),
        "No score": [*stubs, _text(""), _text("")],
    }
    return [entry for name, entries in columns.items() for entry in (_text(name), *entries)]


def _text(text: str) -> Artist:
    return Line2D([], [], linestyle="none", label=text)
