"""Activation distributions: histograms over the hidden dimensions of means or vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import seaborn
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from snakesteer.core.errors import StudyError
from snakesteer.figures.inputs import Inputs, NothingToDraw
from snakesteer.figures.style import FULL_WIDTH, PALETTE, label
from snakesteer.tables.histograms import histogram

# Panels beside each other for a single layer, by the number of arrays; 3 for any other number.
_COLUMNS = {1: 1, 2: 2, 4: 2}


def draw(inputs: Inputs, settings: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """One column of panels per array, one row per layer, axes shared.

    A single layer is laid out in rows of two. Settings: `order` (names), `layers` (0-based; the
    middle layer by default), `bins` (100, over each panel's own range), `log` (counts; true).

    Columns, a row for each bin:
        name (as tables.histograms.histogram)
        layer (as tables.histograms.histogram)
        low, high, count (as tables.histograms.histogram)
    """
    layers, binned = _binned(inputs, settings)
    names = [
        name
        for name in settings.get("order", dict.fromkeys(binned["name"]))
        if name in set(binned["name"])
    ]
    cells = [(layer, name) for layer in layers for name in names]
    columns = len(names) if len(layers) > 1 else _COLUMNS.get(len(names), 3)
    depth = -(-len(cells) // columns)
    figure = Figure(figsize=(FULL_WIDTH, 1.45 * depth + 0.35), layout="constrained")
    panels = figure.subplots(depth, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in panels[len(cells) :]:
        axes.remove()
    numbers = []
    for (layer, name), axes in zip(cells, panels, strict=False):
        rows = binned[(binned["name"] == name) & (binned["layer"] == layer)]
        seaborn.histplot(
            x=(rows["low"] + rows["high"]) / 2,
            weights=rows["count"],
            bins=[*rows["low"], rows["high"].iloc[-1]],
            ax=axes,
            color=PALETTE[0],
            alpha=1,
            edgecolor=PALETTE[0],  # shows where a bar is narrower than a pixel
            linewidth=0.4,
        )
        axes.set(xlabel="", ylabel="")
        axes.grid(axis="x", visible=False)
        axes.xaxis.set_major_locator(MaxNLocator(3 if columns > 3 else 5))
        if len(layers) == 1 or layer == layers[0]:
            axes.set_title(label(name, settings))
        if len(layers) > 1 and name == names[0]:
            axes.set_ylabel(f"Layer {layer}")
        numbers.append(rows.drop(columns="bin"))
    if settings.get("log", True):
        panels[0].set_yscale("log")
        panels[0].set_ylim(0.7, max(12, panels[0].get_ylim()[1]))
        panels[0].yaxis.set_major_formatter("{x:g}")
        panels[0].yaxis.set_minor_formatter(NullFormatter())
    figure.supxlabel("Value" + (f" at layer {layers[0]}" if len(layers) == 1 else ""), fontsize=8)
    figure.supylabel("Hidden dimensions per bin", fontsize=8)
    if title := settings.get("title"):
        figure.suptitle(title)
    return figure, pd.concat(numbers, ignore_index=True)


def _binned(inputs: Inputs, settings: Mapping[str, Any]) -> tuple[list[int], pd.DataFrame]:
    """The layers to draw, and the histograms: those given, or of the arrays."""
    if inputs.histograms is not None:
        layers = settings.get("layers", sorted(set(inputs.histograms["layer"])))
        return layers, inputs.histograms
    if not inputs.arrays:
        raise NothingToDraw(
            "this figure draws mean activations or vectors, but its entry names none."
        )
    n_layers = len(next(iter(inputs.arrays.values())))
    layers = [int(layer) for layer in settings.get("layers", [n_layers // 2])]
    for layer in layers:
        if not 0 <= layer < n_layers:
            raise StudyError(
                f"a distributions figure asks for layer {layer}, but the model has layers 0 to "
                f"{n_layers - 1}."
            )
    bins = settings.get("bins", 100)
    made = [histogram(name, array, layers, bins) for name, array in inputs.arrays.items()]
    return layers, pd.concat(made, ignore_index=True)
