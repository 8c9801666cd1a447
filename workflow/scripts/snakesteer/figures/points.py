"""Any measure of several sweeps: a row for each, with a point at every coefficient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from snakesteer.core.errors import StudyError
from snakesteer.figures.inputs import Inputs
from snakesteer.figures.quantities import draw_crosses, look, quantity
from snakesteer.figures.style import FULL_WIDTH, REFERENCE, WIDTH, label, signed

_COLUMNS = 3
_ROW, _POINT = 0.3, 0.1  # inches of a row, and of a point in it, at least
_FILLED = 0.7  # of a row, by its points at most
_APART = 0.16  # of a row, between its points at most
_UNSTEERED: dict[str, Any] = {
    "color": REFERENCE,
    "marker": "D",
    "markerfacecolor": "white",
    "markersize": 4,
}


def draw(inputs: Inputs, settings: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Rows are sweeps by their titles, or else vectors; sweeps of one title share a row. Points are
    of coefficients, from the smallest down, below the unsteered model's; error bars are 95 %
    intervals. A panel for each corpus or behaviour.

    Settings: `shown` (of each sweep its `table`, `column`, `source` and `label`), `titles` (of
    sweeps by name). Raises StudyError for two values of one row at a coefficient.
    """
    shown = settings["shown"]
    points = pd.concat([quantity(inputs, each) for each in shown], ignore_index=True)
    titles = settings.get("titles", {})
    named = [
        titles.get(sweep) or label(vector, settings)
        for sweep, vector in zip(points["sweep"], points["vector"], strict=True)
    ]
    points = points.assign(row=named)
    steered = points[~points["unsteered"]]
    _check_single(steered)
    rows = list(dict.fromkeys(points["row"]))
    coefficients = sorted(steered["coefficient"].unique())
    sources = list(dict.fromkeys(points["source"]))
    columns = min(_COLUMNS, len(sources))
    depth = -(-len(sources) // columns)
    row = max(_ROW, _POINT * (1 + len(coefficients)))
    size = (FULL_WIDTH if columns > 1 else WIDTH, (row * len(rows) + 0.6) * depth + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(depth, columns, sharey=True, squeeze=False).ravel()
    for axes in panels[len(sources) :]:
        axes.remove()
    middle = len(coefficients) / 2
    apart = min(_APART, _FILLED / max(len(coefficients), 1))
    for source, axes in zip(sources, panels, strict=False):
        here = points[points["source"] == source]
        _draw_points(axes, here[here["unsteered"]], rows, -middle * apart, _UNSTEERED)
        for number, coefficient in enumerate(coefficients):
            own = here[~here["unsteered"] & (here["coefficient"] == coefficient)]
            _draw_points(axes, own, rows, (number + 1 - middle) * apart, look(number))
        axes.set_yticks(range(len(rows)), rows)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.margins(x=0.06)
        axes.set_title(label(source, settings) if len(sources) > 1 else "")
    said = shown[0]["label"]
    figure.supxlabel(
        said if len(sources) > 1 else f"{said}, {label(sources[0], settings)}", fontsize=8
    )
    handles = [Line2D([], [], label="Unsteered", linestyle="none", **_UNSTEERED)]
    for number, coefficient in enumerate(coefficients):
        style = look(number) | {"linestyle": "none"}
        handles.append(Line2D([], [], label=f"Coefficient {signed(coefficient)}", **style))
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    if title := settings.get("title"):
        figure.suptitle(title)
    return figure, points


def _check_single(steered: pd.DataFrame) -> None:
    twice = steered[steered.duplicated(["row", "source", "coefficient"])]
    if not twice.empty:
        one = twice.iloc[0]
        raise StudyError(
            f"a figure of points has room for one value of {one['row']} on {one['source']} at "
            f"coefficient {one['coefficient']:g}, but its sweeps have several; draw them as "
            "`kind: layers`, or give sweeps other titles."
        )


def _draw_points(
    axes: Axes, own: pd.DataFrame, rows: list[str], below: float, style: Mapping[str, Any]
) -> None:
    """Draw values in their rows, so far below the middle of each."""
    places = own["row"].map(rows.index) + below
    axes.plot(own["value"], places, **{**style, "linestyle": "none"}, zorder=3)
    along = pd.DataFrame({"value": places, "low": np.nan, "high": np.nan})
    draw_crosses(axes, own[["value", "low", "high"]], along, style["color"])
