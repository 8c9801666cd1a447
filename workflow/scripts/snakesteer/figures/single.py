"""Single steering: matching score by default, with the vector added, and with it subtracted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from snakesteer.figures.inputs import Inputs
from snakesteer.figures.style import (
    COLLAPSED,
    DIRECTIONS,
    HATCHED,
    LETTER,
    SIGNS,
    WIDTH,
    draw_intervals,
    label,
    ordered_behaviours,
    ordered_layers,
    signed,
)
from snakesteer.tables.draws import draws_column

_BAR = 0.27
_FAULTY = HATCHED | {"hatch": "....."}


def draw(inputs: Inputs, settings: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Three bars per behaviour, one panel per layer, each bar over its injection coefficient.

    Error bars are Wilson 95 % intervals; the share of faulty answers, where there is any, stands
    dotted on top of the bar. A bar with mode collapse is hatched and carries the letter C.
    Settings: `collapse` (the share of one answer that is mode collapse), `order` (behaviours),
    `layers` (labels), `operator` (as in heat maps).

    Columns, a row for each bar:
        layer, behaviour
        direction (as tables.two_choice.table)
        coefficient
        questions, matches, faulty (as tables.two_choice.table)
        draws
        score, score_low, score_high, majority, collapsed (as tables.two_choice.table)
        faulty_share (number): `faulty` divided by `questions`.
        marked (text): `C` for mode collapse, else empty.
    """
    rows = inputs.behaviour_rows("single")
    behaviours = ordered_behaviours(rows, settings)
    layers = ordered_layers(rows, settings)
    columns = ["layer", "behaviour", "direction", "coefficient", "questions", "matches", "faulty"]
    columns += draws_column(rows)
    numbers = rows.loc[
        rows["behaviour"].isin(behaviours) & rows["layer"].isin(layers),
        [*columns, "score", "score_low", "score_high", "majority", "collapsed"],
    ]
    numbers = numbers.assign(
        faulty_share=numbers["faulty"] / numbers["questions"],
        marked=np.where(numbers["collapsed"], "C", ""),
    )

    figure = Figure(figsize=(WIDTH, 1.85 * len(layers) + 0.25), layout="constrained")
    panels = figure.subplots(len(layers), 1, squeeze=False).ravel()
    for layer, axes in zip(layers, panels, strict=True):
        _draw_panel(axes, numbers[numbers["layer"] == layer], behaviours, settings)
        axes.set_title(f"Layer {layer}")
        axes.set_ylabel("Matching score")
    words = SIGNS if settings.get("operator") else {}
    handles = []
    for name, colour in DIRECTIONS.items():
        handles.append(Patch(color=colour, label=words.get(name, name).capitalize()))
    if (numbers["faulty"] > 0).any():
        handles.append(Patch(label="Faulty answers", **_FAULTY))
    if numbers["collapsed"].any():
        collapsed = COLLAPSED.format(percent=100 * settings["collapse"])
        handles.append(Patch(label=collapsed, **HATCHED))
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 4))
    if title := settings.get("title"):
        figure.suptitle(title)
    return figure, numbers.reset_index(drop=True)


def _draw_panel(
    axes: Axes, rows: pd.DataFrame, behaviours: list[str], settings: Mapping[str, Any]
) -> None:
    offsets = dict(zip(DIRECTIONS, (-_BAR, 0, _BAR), strict=True))
    rows = rows.assign(
        x=rows["behaviour"].map(behaviours.index) + rows["direction"].map(offsets),
        top=rows["score"] + rows["faulty_share"],
    )
    width = 0.94 * _BAR
    for bar in rows.to_dict("records"):
        colour = DIRECTIONS[bar["direction"]]
        look = HATCHED | {"edgecolor": colour} if bar["marked"] else {"color": colour}
        axes.bar(bar["x"], bar["score"], width=width, **look)
        if bar["faulty"]:
            axes.bar(bar["x"], bar["faulty_share"], bottom=bar["score"], width=width, **_FAULTY)
        if bar["marked"]:
            above = max(bar["top"], bar["score_high"]) + 0.015
            axes.text(bar["x"], above, bar["marked"], **LETTER)
    draw_intervals(axes, rows["x"], rows, capsize=1.5)
    axes.set(ylim=(0, 1.12), xlim=(-0.55, len(behaviours) - 0.45))
    axes.grid(axis="x", visible=False)
    axes.set_xticks(np.arange(len(behaviours)), [label(name, settings) for name in behaviours])
    axes.tick_params(axis="x", length=0, pad=11)
    # The middle bar's coefficient shares its place with the behaviour's name below it.
    axes.xaxis.remove_overlapping_locs = False
    axes.set_xticks(rows["x"], [signed(value) for value in rows["coefficient"]], minor=True)
    axes.tick_params(axis="x", which="minor", length=0, pad=2, labelsize=5.5)
