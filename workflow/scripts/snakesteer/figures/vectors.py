"""Vectors in numbers: length, training accuracy and explained variance by layer, and cosines."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator, NullFormatter

from snakesteer.core.errors import StudyError
from snakesteer.figures.inputs import Inputs, NothingToDraw
from snakesteer.figures.style import FULL_WIDTH, PALETTE, REFERENCE, label

# Column of the table -> how its panel is called.
_CURVES = {
    "norm": "Length",
    "accuracy": "Training accuracy",
    "explained_variance": "Explained variance",
}
_LINES = ["-", (0, (1, 1)), (0, (5, 1)), (0, (3, 1, 1, 1))]
_CHANCE = 0.5
_DECADES = 10  # times the shortest, from which on lengths are drawn on a logarithmic scale
_MATRICES = 3  # beside each other
_NO_COSINE = "#DCDCDC"
_WRITTEN = 12  # columns of a heat map, up to which cells carry their number
_TICKS = 16  # layers that are named below a heat map
_LETTERS = 7.5  # points of a name's height in a heat map

Matrices = list[tuple[str, pd.DataFrame]]


def draw(inputs: Inputs, settings: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """A curve by layer for each vector in each of the upper panels; below, cosines as heat maps.

    A panel of which no vector has numbers is left out: accuracies need two classes of samples, an
    explained variance pairs. Without `layers` one heat map has the cosine of every two vectors at
    every layer; with them each has those of all vectors at one. A vector at several positions is
    one at each; one of zeros at every layer is left out. Settings: `vectors` (names, in order),
    `layers` (0-based).
    """
    if inputs.vectors is None or inputs.cosines is None:
        raise NothingToDraw("this figure draws vectors, but its entry names none.")
    rows = _named(inputs.vectors, "vector", "position", settings)
    cosines = _named(inputs.cosines, "other", "other_position", settings)
    cosines = _named(cosines, "vector", "position", settings)
    directed = set(rows.loc[rows["norm"] > 0, "vector"])
    if not directed:
        raise NothingToDraw("this figure draws vectors that are zeros at every layer.")
    rows = rows[rows["vector"].isin(directed)]
    cosines = cosines[cosines["vector"].isin(directed) & cosines["other"].isin(directed)]
    names = list(dict.fromkeys(rows["vector"]))
    curves = [column for column in _CURVES if rows[column].notna().any()]
    matrices = _matrices(cosines, names, settings) if len(names) > 1 else []

    depth = -(-len(matrices) // _MATRICES)
    tall = max((len(matrix) for _, matrix in matrices), default=0) * _LETTERS * 1.4 / 72
    heights = [2.2 + 0.16 * -(-len(names) // 4), depth * (tall + 0.55) + 0.75]
    parts = 2 if matrices else 1
    figure = Figure(figsize=(FULL_WIDTH, sum(heights[:parts])), layout="constrained")
    halves = figure.subfigures(parts, 1, squeeze=False, height_ratios=heights[:parts]).ravel()
    _draw_curves(halves[0], rows, names, curves)
    if matrices:
        _draw_matrices(halves[1], matrices, depth)
    if title := settings.get("title"):
        figure.suptitle(title)
    return figure, _numbers(rows, cosines, curves, matrices, settings)


def _named(
    table: pd.DataFrame, name: str, position: str, settings: Mapping[str, Any]
) -> pd.DataFrame:
    """The rows of the vectors to draw, in their order, by names that can be read."""
    order = settings["vectors"]
    table = table[table[name].isin(order)]
    table = table.sort_values(name, key=lambda given: given.map(order.index), kind="stable")
    shown = table[name].map(lambda given: label(given, settings))
    if position in table:
        at = table[position].map(lambda given: f", {given:.0f}".replace("-", "−"))
        shown = shown.where(table[position].isna(), shown + at)
    return table.assign(**{name: shown})


def _matrices(cosines: pd.DataFrame, names: list[str], settings: Mapping[str, Any]) -> Matrices:
    """What each heat map is of, and its cosines."""
    if layers := settings.get("layers"):
        found = []
        for layer in layers:
            here = cosines[cosines["layer"] == layer]
            if here.empty:
                raise StudyError(
                    f"a figure of vectors asks for layer {layer}, but the model has layers 0 to "
                    f"{cosines['layer'].max()}; name some of these."
                )
            matrix = _either_way(here).pivot(index="vector", columns="other", values="cosine")
            matrix = matrix.reindex(index=names[1:], columns=names[:-1])
            below = np.tril(np.ones(matrix.shape, bool))
            found.append((f"Layer {layer}", matrix.where(below)))
        return found
    both = cosines["vector"] + " · " + cosines["other"]
    by_layer = cosines.assign(both=both).pivot(index="both", columns="layer", values="cosine")
    return [("", by_layer.reindex(index=list(dict.fromkeys(both))))]


def _either_way(cosines: pd.DataFrame) -> pd.DataFrame:
    turned = cosines.rename(columns={"vector": "other", "other": "vector"})
    return pd.concat([cosines, turned])[["vector", "other", "cosine"]]


def _draw_curves(half: SubFigure, rows: pd.DataFrame, names: list[str], curves: list[str]) -> None:
    panels = half.subplots(1, len(curves), squeeze=False).ravel()
    for column, axes in zip(curves, panels, strict=True):
        for place, (name, colour) in enumerate(zip(names, cycle(PALETTE), strict=False)):
            own = rows[rows["vector"] == name].sort_values("layer")
            dashes = _LINES[place // len(PALETTE) % len(_LINES)]
            look = {"color": colour, "linestyle": dashes, "linewidth": 1.1, "markersize": 2.4}
            values = own[column].astype(float)
            if column == "norm":
                values = values.where(values > 0)  # a layer of zeros has no direction
            axes.plot(own["layer"], values, marker="o", label=name, **look)
        axes.set(xlabel="Layer", title=_CURVES[column])
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        _scale(axes, column, rows[column])
    handles, labels = panels[0].get_legend_handles_labels()
    half.legend(handles, labels, loc="outside lower center", ncols=4, handlelength=1.8)


def _scale(axes: Axes, column: str, values: pd.Series) -> None:
    lengths = values[values > 0]
    if column == "norm":
        if len(lengths) and lengths.max() >= _DECADES * lengths.min():
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        else:
            axes.set_ylim(0, None)
    elif column == "accuracy":
        axes.axhline(_CHANCE, color=REFERENCE, linestyle=":", linewidth=1, zorder=1)
        axes.set_ylim(min(_CHANCE, values.min()) - 0.03, 1.03)
    else:
        axes.set_ylim(0, None)


def _draw_matrices(half: SubFigure, matrices: Matrices, depth: int) -> None:
    columns = min(len(matrices), _MATRICES)
    panels = half.subplots(depth, columns, squeeze=False).ravel()
    for axes in panels[len(matrices) :]:
        axes.remove()
    for (name, matrix), axes in zip(matrices, panels, strict=False):
        seaborn.heatmap(
            matrix.astype(float),
            ax=axes,
            cmap="RdBu",
            vmin=-1,
            vmax=1,
            cbar=False,
            annot=_written(matrix) if matrix.shape[1] * columns <= _WRITTEN else False,
            fmt="",
            annot_kws={"fontsize": 5.5},
            linewidths=0.4,
            linecolor="white",
            xticklabels=True if name else -(-matrix.shape[1] // _TICKS),
            yticklabels=True,
        )
        axes.set_facecolor("white" if name else _NO_COSINE)
        axes.grid(False)
        axes.tick_params(length=0, pad=2, labelsize=6.5)
        axes.tick_params(axis="x", rotation=45 if name else 0)
        axes.tick_params(axis="y", rotation=0)
        axes.set(xlabel="" if name else "Layer", ylabel="", title=name)
    bar = half.colorbar(
        panels[0].collections[0],
        ax=panels[: len(matrices)].tolist(),
        shrink=0.9,
        aspect=18,
        ticks=[-1, -0.5, 0, 0.5, 1],
    )
    bar.set_label("Cosine")
    bar.outline.set_visible(False)


def _written(matrix: pd.DataFrame) -> pd.DataFrame:
    return matrix.map(lambda cosine: f"{round(cosine, 2) + 0:.2f}".replace("-", "−"))


def _numbers(
    rows: pd.DataFrame,
    cosines: pd.DataFrame,
    curves: list[str],
    matrices: Matrices,
    settings: Mapping[str, Any],
) -> pd.DataFrame:
    """A row per value that is drawn: `quantity`, `vector`, `other`, `layer`, `value`."""
    drawn = rows.melt(["vector", "layer"], curves, var_name="quantity").assign(other="")
    if matrices:
        at = cosines[cosines["layer"].isin(settings.get("layers") or cosines["layer"])]
        angles = at.rename(columns={"cosine": "value"}).assign(quantity="cosine")
        drawn = pd.concat([drawn, angles])
    shown = drawn[["quantity", "vector", "other", "layer", "value"]]
    return shown.dropna(subset="value").reset_index(drop=True)
