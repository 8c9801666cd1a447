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
    DIRECTIONS,
    HATCHED,
    WIDTH,
    label,
    ordered_behaviours,
    ordered_layers,
    score_errors,
    signed,
)

_BAR = 0.27


def single(inputs: Inputs, settings: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Three bars per behaviour, one panel per layer, each bar over its injection coefficient.

    Error bars are Wilson 95 % intervals; the share of faulty answers, where there is any, stands
    hatched on top of the bar. Settings: `order` (behaviours), `layers` (labels).
    """
    rows = inputs.behaviour_rows("single")
    behaviours = ordered_behaviours(rows, settings)
    layers = ordered_layers(rows, settings)
    columns = ["layer", "behaviour", "direction", "coefficient", "questions", "matches", "faulty"]
    numbers = rows.loc[
        rows["behaviour"].isin(behaviours) & rows["layer"].isin(layers),
        [*columns, "score", "score_low", "score_high"],
    ]
    numbers = numbers.assign(faulty_share=numbers["faulty"] / numbers["questions"])

    figure = Figure(figsize=(WIDTH, 1.85 * len(layers) + 0.25), layout="constrained")
    panels = figure.subplots(len(layers), 1, squeeze=False).ravel()
    for layer, axes in zip(layers, panels, strict=True):
        _draw_panel(axes, numbers[numbers["layer"] == layer], behaviours, settings)
        axes.set_title(f"Layer {layer}")
        axes.set_ylabel("Matching score")
    handles = [Patch(color=colour, label=name.capitalize()) for name, colour in DIRECTIONS.items()]
    if (numbers["faulty"] > 0).any():
        handles.append(Patch(label="Faulty answers", **HATCHED))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    if title := settings.get("title"):
        figure.suptitle(title)
    return figure, numbers.reset_index(drop=True)


def _draw_panel(
    axes: Axes, rows: pd.DataFrame, behaviours: list[str], settings: Mapping[str, Any]
) -> None:
    ticks, coefficients = [], []
    for offset, (direction, colour) in zip((-1, 0, 1), DIRECTIONS.items(), strict=True):
        bars = rows[rows["direction"] == direction].set_index("behaviour").reindex(behaviours)
        positions = np.arange(len(behaviours)) + offset * _BAR
        axes.bar(positions, bars["score"], width=_BAR * 0.94, color=colour)
        faulty = (bars["faulty_share"] > 0).to_numpy()
        axes.bar(
            positions[faulty],
            bars["faulty_share"][faulty],
            bottom=bars["score"][faulty],
            width=_BAR * 0.94,
            **HATCHED,
        )
        axes.errorbar(
            positions,
            bars["score"],
            yerr=score_errors(bars),
            fmt="none",
            ecolor="black",
            elinewidth=0.8,
            capsize=1.5,
            capthick=0.8,
        )
        evaluated = bars["coefficient"].notna().to_numpy()
        ticks += list(positions[evaluated])
        coefficients += [signed(value) for value in bars["coefficient"][evaluated]]
    axes.set(ylim=(0, 1.03), xlim=(-0.55, len(behaviours) - 0.45))
    axes.grid(axis="x", visible=False)
    axes.set_xticks(np.arange(len(behaviours)), [label(name, settings) for name in behaviours])
    axes.tick_params(axis="x", length=0, pad=11)
    # The middle bar's coefficient shares its place with the behaviour's name below it.
    axes.xaxis.remove_overlapping_locs = False
    axes.set_xticks(ticks, coefficients, minor=True)
    axes.tick_params(axis="x", which="minor", length=0, pad=2, labelsize=5.5)
