"""Combined steering: several behaviours' vectors in one injection, against single steering."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import seaborn
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from snakesteer.figures.inputs import Inputs
from snakesteer.figures.style import (
    COLLAPSED,
    DIRECTIONS,
    FAULTY,
    FULL_WIDTH,
    HATCHED,
    LETTER,
    draw_intervals,
    label,
    marks,
    ordered_behaviours,
    ordered_layers,
)
from snakesteer.tables.draws import draws_column

# (weighted, combine) in drawing order, from the palest shade to the darkest.
_MODES = {
    (False, "mean"): "Unweighted mean",
    (True, "mean"): "Weighted mean",
    (False, "sum"): "Unweighted sum",
    (True, "sum"): "Weighted sum",
}
_SHADES = {
    direction: seaborn.light_palette(DIRECTIONS[direction], 1 + len(_MODES)).as_hex()[1:]
    for direction in ("add", "subtract")
}
_LINES: dict[str, Any] = {"default": "-", "add": (0, (5, 1.5)), "subtract": (0, (1, 1))}
_LINE_LOOK: dict[str, Any] = {"color": "black", "linewidth": 1}
_BEHIND_BARS = 0.9
_BAR = 0.095


def draw(inputs: Inputs, settings: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Eight bars per behaviour (added and subtracted; mean and sum; weighted or not) per layer.

    Lines behind the bars are the scores of single steering. A bar with over `max_faulty` faulty
    answers, or with mode collapse, is replaced by a hatched stub and a letter; such a line keeps
    its place and has the letter at its end. Error bars are Wilson 95 %.
    Settings: `collapse` (the share of one answer that is mode collapse), `order` (behaviours),
    `layers` (labels), `max_faulty` (10).

    Columns, a row for each bar or line:
        kind, layer
        direction, combine, weighted (as tables.two_choice.table)
        coefficient, behaviour
        questions, matches, faulty, score, score_low, score_high, majority (as
            tables.two_choice.table)
        draws
        collapsed (as tables.two_choice.table)
        marked (text): `F` for too many faulty answers, `C` for mode collapse, else empty.
    """
    rows = inputs.behaviour_rows("combined", "single")
    max_faulty = settings.get("max_faulty", 10)
    bars = rows[rows["kind"] == "combined"]
    behaviours = ordered_behaviours(bars, settings)
    layers = ordered_layers(bars, settings)
    columns = ["kind", "layer", "direction", "combine", "weighted", "coefficient", "behaviour"]
    columns += ["questions", "matches", "faulty", "score", "score_low", "score_high", "majority"]
    columns += draws_column(rows)
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
    width = 0.94 * _BAR
    for direction, first in (("add", -4.2), ("subtract", 1.2)):
        for place, (weighted, combine) in enumerate(_MODES):
            shade = _SHADES[direction][place]
            mode = bars[
                (bars["direction"] == direction)
                & (bars["weighted"] == weighted)
                & (bars["combine"] == combine)
            ]
            mode = mode.assign(x=mode["behaviour"].map(behaviours.index) + (first + place) * _BAR)
            shown = mode[mode["marked"] == ""]
            axes.bar(shown["x"], shown["score"], width=width, color=shade)
            draw_intervals(axes, shown["x"], shown)
            for bar in mode[mode["marked"] != ""].to_dict("records"):
                axes.bar(bar["x"], 0.05, width=width, **HATCHED | {"edgecolor": shade})
                axes.text(bar["x"], 0.065, bar["marked"], **LETTER)
    for line in rows[rows["kind"] == "single"].to_dict("records"):
        middle = behaviours.index(line["behaviour"])
        ends = (middle - 4.9 * _BAR, middle + 4.9 * _BAR)
        dashes = _LINES[line["direction"]]
        axes.hlines(line["score"], *ends, linestyle=dashes, zorder=_BEHIND_BARS, **_LINE_LOOK)
        if line["marked"]:
            end = LETTER | {"ha": "right", "va": "center"}
            axes.text(ends[0], line["score"], line["marked"], **end)
    axes.set(ylim=(0, 1.03), xlim=(-0.55, len(behaviours) - 0.45))
    axes.grid(axis="x", visible=False)
    axes.tick_params(axis="x", length=0)


def _legend(max_faulty: int, collapse: float) -> list[Artist]:
    """Four columns of a heading and four entries each, as `ncols=4` fills them downwards."""
    lines = [
        Line2D([], [], linestyle=dashes, label=name.capitalize(), **_LINE_LOOK)
        for name, dashes in _LINES.items()
    ]
    stubs = [
        Patch(label=FAULTY.format(max_faulty=max_faulty), **HATCHED),
        Patch(label=COLLAPSED.format(percent=100 * collapse).replace(" (", "\n("), **HATCHED),
    ]
    columns: dict[str, list[Artist]] = {"Single steering": [*lines, _text("")]}
    for heading, shades in zip(("Added", "Subtracted"), _SHADES.values(), strict=True):
        named = zip(shades, _MODES.values(), strict=True)
        columns[heading] = [Patch(color=shade, label=name) for shade, name in named]
    columns["Marks"] = [*stubs, _text(""), _text("")]
    return [entry for name, entries in columns.items() for entry in (_text(name), *entries)]


def _text(text: str) -> Artist:
    return Line2D([], [], linestyle="none", label=text)
