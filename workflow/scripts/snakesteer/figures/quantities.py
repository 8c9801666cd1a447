"""A column of a sweep's table as what an axis shows, whatever the measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from snakesteer.core.errors import StudyError
from snakesteer.figures.inputs import Inputs, NothingToDraw
from snakesteer.figures.style import PALETTE, label, layers_said
from snakesteer.tables.categories import of_category
from snakesteer.tables.draws import DRAW, DRAWS, LEAST, MOST, draws_of

CURVE = ["vector", "layer", "read_at"]
_READ_AT = {"source_layer": "of layer", "source_position": "of position"}
_SOURCES = ("corpus", "behaviour", "source")
_MARKERS = ["o", "^", "s", "v", "D", "<", ">"]  # as many as do not repeat with the colours


def quantity(inputs: Inputs, shown: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of a table with `sweep`, `vector`, `layer`, `coefficient`, `source`, `unsteered`,
    and the column's `value` with its interval, `low` and `high` (NaN where it has none). Rows of
    single draws have their `draw`.

    `read_at` says what the vector is read at where that is chosen among several, else "". Where
    rows are means of draws, `draws` says of how many, and the interval is their range.

    `shown` has the names of `table` and `column`, of one `source` or None for all, and may have a
    `category` of questions. Raises StudyError for what the table does not hold.

    Columns:
        sweep, vector, layer, coefficient, unsteered
        read_at (text): What the vector is read at where that is chosen among several, else empty.
        source
        value (number): The value of the column that is drawn.
        low, high (number): Its interval. Empty for a column without one. In a mean of draws, the
            range of the draws.
        draw, draws
    """
    rows, column = table_of(inputs, shown["table"]), shown["column"]
    if column not in rows:
        raise StudyError(
            f"a figure draws the column {column} of sweeps.{shown['table']}, which has "
            f"{', '.join(rows.select_dtypes('number'))}; name one of these."
        )
    rows = of_category(rows, shown.get("category"), shown["table"])
    (source,) = (name for name in _SOURCES if name in rows)
    numbers = rows[["sweep", "vector", "layer", "coefficient", "unsteered"]].assign(
        read_at=read_at(rows),
        source=rows[source],
        value=rows[column].astype(float),
        low=rows.get(f"{column}_low", np.nan),
        high=rows.get(f"{column}_high", np.nan),
    )
    if DRAW in rows:
        numbers[DRAW] = rows[DRAW]
    if DRAWS in rows:
        drawn = rows[DRAWS].notna()
        numbers = numbers.assign(
            draws=rows[DRAWS],
            low=rows[f"{column}{LEAST}"].where(drawn, numbers["low"]),
            high=rows[f"{column}{MOST}"].where(drawn, numbers["high"]),
        )
    if shown.get("source"):
        numbers = numbers[numbers["source"] == shown["source"]]
    return numbers.sort_values("coefficient", kind="stable")


def table_of(inputs: Inputs, name: str) -> pd.DataFrame:
    """The rows of a table by its name; NothingToDraw if there are none."""
    for table in inputs.tables:
        rows = table[table["sweep"] == name]
        if not rows.empty:
            return rows
    raise NothingToDraw(f"this figure draws sweeps.{name}, which has no rows.")


def read_at(rows: pd.DataFrame) -> pd.Series:
    """What vectors are read at, where that is chosen among several, else "", [n_rows]."""
    said = pd.Series("", index=rows.index)
    for column, words in _READ_AT.items():
        if column in rows and rows[column].notna().any():
            chosen = rows[column].notna()
            places = rows.loc[chosen, column].map("{:g}".format).str.replace("-", "−")
            said[chosen] = (said[chosen] + f" {words} " + places).str.strip()
    return said


def look(number: int, colour: str | None = None) -> dict[str, Any]:
    """How a curve of this number looks, in a colour of its own unless one is given."""
    colour, hollow = colour or PALETTE[number % len(PALETTE)], number % 2 == 1
    return {
        "color": colour,
        "marker": _MARKERS[number % len(_MARKERS)],
        "markerfacecolor": "white" if hollow else colour,
        "markeredgecolor": colour if hollow else "white",
        "markeredgewidth": 0.8 if hollow else 0.4,
        "markersize": 3.6 if hollow else 4.4,
        "linewidth": 1.1,
    }


def curve_names(curves: pd.DataFrame, settings: Mapping[str, Any]) -> list[str]:
    """The name of each curve, by what differs between them: sweep, vector, what that is read at,
    layer, source."""
    names = []
    for curve in curves.to_dict("records"):
        said = []
        for column, value in curve.items():
            if curves[column].nunique() > 1 and value:
                said.append(_said(column, str(value), settings))
        names.append(", ".join(said) or f"Layer {layers_said(curve['layer'])}")
    return names


def vector_names(vectors: Sequence[tuple[str, str, str]], settings: Mapping[str, Any]) -> list[str]:
    """The name of each vector, given as sweep, vector, what that is read at: the sweep is named
    where several have it."""
    titles = settings.get("titles", {})
    names = []
    for sweep, vector, place in vectors:
        said = [label(vector, settings), place]
        if len({other for other, name, _ in vectors if name == vector}) > 1:
            said.append(titles.get(sweep) or label(sweep, {}))
        names.append(", ".join(filter(None, said)))
    return names


def panel_title(source: str, vectors: Sequence[str], settings: Mapping[str, Any]) -> str:
    """The name of a panel, with that of its vector where it has one of another name."""
    names = [label(source, settings)]
    if len(vectors) == 1:
        names.append(label(vectors[0], settings))
    return ", ".join(dict.fromkeys(names))


def _said(column: str, value: str, settings: Mapping[str, Any]) -> str:
    if column == "layer":
        return f"Layer {layers_said(value)}"
    return value if column == "read_at" else label(value, settings)


def mean_of(points: pd.DataFrame) -> str:
    """What the legend adds to the name of a curve that is the mean of several draws, else ""."""
    drawn = draws_of(points)
    return f"\nmean and range\nof {drawn} draws" if drawn else ""


def draw_crosses(axes: Axes, x: pd.DataFrame, y: pd.DataFrame, colour: str) -> list[np.ndarray]:
    """Draw the intervals of points on one or both axes; the drawn lines, each [2, 2]."""
    lines = []
    for across, along in zip(x.to_dict("records"), y.to_dict("records"), strict=True):
        ends = [[across["low"], along["value"]], [across["high"], along["value"]]]
        lines.append(np.array(ends))
        ends = [[across["value"], along["low"]], [across["value"], along["high"]]]
        lines.append(np.array(ends))
    lines = [line for line in lines if np.isfinite(line).all()]
    axes.add_collection(LineCollection(lines, color=colour, linewidth=0.7, alpha=0.45, zorder=2))
    return lines
