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
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullFormatter

from snakesteer.core.errors import StudyError
from snakesteer.figures.inputs import Inputs, NothingToDraw
from snakesteer.figures.quantities import mean_of
from snakesteer.figures.style import FULL_WIDTH, PALETTE, REFERENCE, label
from snakesteer.tables.draws import LEAST, MOST, draws_of

# Column of the table -> how its panel is called.
_CURVES = {
    "norm": "Length",
    "accuracy": "Training accuracy",
    "explained_variance": "Explained variance",
}
_LINES = ["-", (0, (1, 1)), (0, (5, 1)), (0, (3, 1, 1, 1))]
_THIN: dict[str, Any] = {"linewidth": 1.1, "markersize": 2.4}
_BAND: dict[str, Any] = {"alpha": 0.18, "linewidth": 0}
_SAME = 0.01  # relative, within which curves hide each other
_DASH = 3  # line widths
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
    one at each; one of zeros at every layer is left out. A control that was drawn several times is
    the mean in a band that holds the range of all draws, and of cosines the mean. Curves that would
    hide each other are dashed in turns. Settings: `vectors` (names, in order),
    `layers` (0-based).

    Columns, a row for each number:
        quantity (text): `norm`, `accuracy`, `explained_variance` or `cosine`, as in vectors.csv and
            cosines.csv.
        vector (text): The vector's title, with its position where it has several.
        other (text): The other vector of a cosine, else empty.
        layer (whole number): The layer, from 0.
        value (number): The number.
        value_min, value_max (number, only with a control that is drawn several times): The least
            and the greatest number of the draws.
    """
    if inputs.vectors is None or inputs.cosines is None:
        raise NothingToDraw("this figure draws vectors, but its entry names none.")
    rows = _named(inputs.vectors, "vector", "position", settings)
    cosines = _named(inputs.cosines, "other", "other_position", settings)
    cosines = _named(cosines, "vector", "position", settings)
    directed = set(rows.loc[rows["norm"] > 0, "vector"])
    if not directed:
        raise NothingToDraw(
            "this figure draws vectors that are zero at every layer; name other vectors."
        )
    rows = rows[rows["vector"].isin(directed)]
    cosines = cosines[cosines["vector"].isin(directed) & cosines["other"].isin(directed)]
    names = list(dict.fromkeys(rows["vector"]))
    curves = [column for column in _CURVES if rows[column].notna().any()]
    matrices = _matrices(cosines, names, settings) if len(names) > 1 else []

    depth = -(-len(matrices) // _MATRICES)
    tall = max((len(matrix) for _, matrix in matrices), default=0) * _LETTERS * 1.4 / 72
    lines = 3 if draws_of(rows) else 1  # of a name
    heights = [2.2 + 0.16 * lines * -(-len(names) // 4), depth * (tall + 0.55) + 0.75]
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
    tables = [rows[rows["vector"] == name].sort_values("layer") for name in names]
    looks: list[dict[str, Any]] = []
    for place, colour in zip(range(len(names)), cycle(PALETTE), strict=False):
        dashes = _LINES[place // len(PALETTE) % len(_LINES)]
        looks.append({"color": colour, "linestyle": dashes, "marker": "o", **_THIN})
    for column, axes in zip(curves, panels, strict=True):
        drawn = []
        for own in tables:
            values = own[column].astype(float)
            if column == "norm":
                values = values.where(values > 0)  # a layer of zeros has no direction
            drawn.append(values.to_numpy())
        for own, values, look, over in zip(tables, drawn, looks, _alike(drawn), strict=True):
            axes.plot(own["layer"], values, **look | over)
            if draws_of(own):
                ends = [own[f"{column}{end}"].where(np.isfinite(values)) for end in (LEAST, MOST)]
                axes.fill_between(own["layer"], *ends, color=look["color"], **_BAND)
        axes.set(xlabel="Layer", title=_CURVES[column])
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        _scale(axes, column, rows.filter(regex=f"^{column}(_min|_max)?$").stack())
    handles = []
    for name, own, look in zip(names, tables, looks, strict=True):
        handles.append(Line2D([], [], label=name + mean_of(own), **look))
    half.legend(handles=handles, loc="outside lower center", ncols=4, handlelength=1.8)


def _alike(curves: list[np.ndarray]) -> list[dict[str, Any]]:
    """How curves [n_layers] are drawn that would hide each other: in turns, dash by dash."""
    groups: list[list[int]] = []
    for place, curve in enumerate(curves):
        for group in groups:
            if np.allclose(curves[group[0]], curve, rtol=_SAME, atol=0, equal_nan=True):
                group.append(place)
                break
        else:
            groups.append([place])
    looks: list[dict[str, Any]] = [{} for _ in curves]
    for group in groups:
        if len(group) > 1:
            for turn, place in enumerate(group):
                dashes = (turn * _DASH, (_DASH, (len(group) - 1) * _DASH))
                start = turn % len(curves[place])
                looks[place] = {"linestyle": dashes, "markevery": (start, len(group))}
    return looks


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
    """A row per value that is drawn: `quantity`, `vector`, `other`, `layer`, `value`; where there
    are means of draws, with their range, `value_min` and `value_max`."""
    drawn = [_values(rows.assign(other=""), column) for column in curves]
    if matrices:
        at = cosines["layer"].isin(settings.get("layers") or cosines["layer"])
        drawn.append(_values(cosines[at], "cosine"))
    return pd.concat(drawn).dropna(subset="value").reset_index(drop=True)


def _values(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    named = {f"{column}{end}": f"value{end}" for end in ("", LEAST, MOST)}
    shown = ["vector", "other", "layer", *(name for name in named if name in rows)]
    values = rows[shown].rename(columns=named)
    values.insert(0, "quantity", column)
    return values
