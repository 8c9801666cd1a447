"""Any measure of several sweeps: a row for each, with a point at every coefficient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from snakesteer.core.errors import StudyError
from snakesteer.figures.inputs import Inputs
from snakesteer.figures.quantities import quantity
from snakesteer.figures.rows import draw_rows
from snakesteer.figures.style import label, signed


def draw(inputs: Inputs, settings: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Rows are sweeps by their titles, or else vectors; sweeps of one title share a row. Points are
    of coefficients, from the smallest down, below the unsteered model's; error bars are 95 %
    intervals. A panel for each corpus or behaviour.

    Settings: `shown` (of each sweep its `table`, `column`, `source` and `label`), `titles` (of
    sweeps by name). Raises StudyError for two values of one row at a coefficient.

    Columns, a row for each point:
        * (as figures.quantities.quantity)
        row (text): The name of the row in the figure.
    """
    shown = settings["shown"]
    points = pd.concat([quantity(inputs, each) for each in shown], ignore_index=True)
    titles = settings.get("titles", {})
    named = [
        titles.get(sweep) or label(vector, settings)
        for sweep, vector in zip(points["sweep"], points["vector"], strict=True)
    ]
    points = points.assign(row=named)
    _check_single(points[~points["unsteered"]])
    figure = draw_rows(points, "coefficient", lambda at: f"Coefficient {signed(at)}", settings)
    return figure, points


def _check_single(steered: pd.DataFrame) -> None:
    twice = steered[steered.duplicated(["row", "source", "coefficient"])]
    if not twice.empty:
        one = twice.iloc[0]
        raise StudyError(
            f"a figure of points draws one value of {one['row']} on {one['source']} at "
            f"coefficient {one['coefficient']:g}, but its sweeps have several; draw `kind: "
            "layers`, or retitle sweeps."
        )
