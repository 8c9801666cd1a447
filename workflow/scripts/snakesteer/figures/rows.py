"""Rows of points with their intervals, a panel for each source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from snakesteer.figures.quantities import draw_crosses, look
from snakesteer.figures.style import FULL_WIDTH, REFERENCE, WIDTH, label

_COLUMNS = 3
_ROW, _POINT = 0.3, 0.1  # inches of a row, and of a point in it, at least
_FILLED = 0.7  # of a row, by its points at most
_APART = 0.16  # of a row, between its points at most
_ABREAST = 4  # names in a line of the legend, at most
_MARKER, _LETTER = 0.5, 0.05  # inches of a marker with its margins there, and of a letter
_UNSTEERED: dict[str, Any] = {
    "color": REFERENCE,
    "marker": "D",
    "markerfacecolor": "white",
    "markersize": 4,
}


def draw_rows(
    points: pd.DataFrame, place: str, named: Callable[[float], str], settings: Mapping[str, Any]
) -> Figure:
    """Points below each other in their `row`, in order of the column `place`, below the unsteered
    model's; `named` says what a place is called.

    `points` have `row`, `source`, `value`, `low`, `high`, `unsteered`. Settings: `shown` (of which
    the first has the `label` of the axis). A `source` of "" has no name.
    """
    rows = list(dict.fromkeys(points["row"]))
    places = sorted(points.loc[~points["unsteered"], place].unique())
    sources = list(dict.fromkeys(points["source"]))
    columns = min(_COLUMNS, len(sources))
    depth = -(-len(sources) // columns)
    row = max(_ROW, _POINT * (1 + len(places)))
    size = (FULL_WIDTH if columns > 1 else WIDTH, (row * len(rows) + 0.6) * depth + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(depth, columns, sharey=True, squeeze=False).ravel()
    for axes in panels[len(sources) :]:
        axes.remove()
    middle = len(places) / 2
    apart = min(_APART, _FILLED / max(len(places), 1))
    for source, axes in zip(sources, panels, strict=False):
        here = points[points["source"] == source]
        _draw_points(axes, here[here["unsteered"]], rows, -middle * apart, _UNSTEERED)
        for number, each in enumerate(places):
            own = here[~here["unsteered"] & (here[place] == each)]
            _draw_points(axes, own, rows, (number + 1 - middle) * apart, look(number))
        axes.set_yticks(range(len(rows)), rows)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.margins(x=0.06)
        axes.set_title(label(source, settings) if len(sources) > 1 else "")
    said = settings["shown"][0]["label"]
    if len(sources) == 1 and sources[0]:
        said = f"{said}, {label(sources[0], settings)}"
    figure.supxlabel(said, fontsize=8)
    handles = [Line2D([], [], label="Unsteered", linestyle="none", **_UNSTEERED)]
    for number, each in enumerate(places):
        style = look(number) | {"linestyle": "none"}
        handles.append(Line2D([], [], label=named(each), **style))
    letters = max(len(str(handle.get_label())) for handle in handles)
    abreast = int(size[0] / (_MARKER + _LETTER * letters))
    figure.legend(handles=handles, loc="outside upper center", ncols=min(_ABREAST, abreast))
    if title := settings.get("title"):
        figure.suptitle(title)
    return figure


def _draw_points(
    axes: Axes, own: pd.DataFrame, rows: Sequence[str], below: float, style: Mapping[str, Any]
) -> None:
    """Draw values in their rows, so far below the middle of each."""
    places = own["row"].map(rows.index) + below
    axes.plot(own["value"], places, **{**style, "linestyle": "none"}, zorder=3)
    along = pd.DataFrame({"value": places, "low": np.nan, "high": np.nan})
    draw_crosses(axes, own[["value", "low", "high"]], along, style["color"])
