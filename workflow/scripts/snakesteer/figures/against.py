"""Any measure against any other one of the same injections, with the Pareto front marked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from snakesteer.core.errors import StudyError
from snakesteer.core.labels import layer_order
from snakesteer.figures.inputs import Inputs
from snakesteer.figures.numbered import Numbered, write_beside
from snakesteer.figures.quantities import CURVE, curve_names, draw_crosses, look, mean_of, quantity
from snakesteer.figures.style import REFERENCE, WIDTH, label, ordered_layers, signed
from snakesteer.tables.draws import DRAWS, draws_column

_NAMED = 16
_UNSTEERED: dict[str, Any] = {
    "color": REFERENCE,
    "marker": "*",
    "markersize": 6.5,
    "markeredgecolor": "white",
    "markeredgewidth": 0.4,
    "linestyle": "none",
    "zorder": 3.5,
}
_FRONT: dict[str, Any] = {
    "color": "#222222",
    "marker": "o",
    "markersize": 8.5,
    "markerfacecolor": "none",
    "markeredgewidth": 0.9,
    "linewidth": 0.7,
    "linestyle": (0, (1, 1.5)),
    "zorder": 4,
}


def draw(inputs: Inputs, settings: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """A line per vector and layer through its coefficients, which stand beside points where there
    is room; crosses are 95 % intervals, of what was drawn several times the range around its mean.
    Dotted is the unsteered model, where it is the same for all; where 0 steers as well, it is a
    star.

    Points of the Pareto front are ringed: none is at least as good on both axes and better on one.
    Means of draws are no points of it, as no single vector has them.
    Settings: `x` and `y` (each its `table`, `column`, `source`, `label`, and which values are
    `better`: "lower" or "higher"), `layers` (labels).

    Columns, a row for each point:
        vector, layer
        read_at (as figures.quantities.quantity)
        source (text, only where both axes have several corpora or behaviours): The corpus or
            behaviour.
        coefficient
        value_x, low_x, high_x (number): The value across, with its interval.
        unsteered
        draws
        value_y, low_y, high_y (number): The value upwards, with its interval.
        on_front (true or false): Whether the point is on the Pareto front.
    """
    sides = {axis: quantity(inputs, settings[axis]) for axis in ("x", "y")}
    points = _points(sides, settings)
    layers = ordered_layers(points, settings)
    points = points[points["layer"].isin(layers)].copy()
    better = [settings[axis]["better"] for axis in ("x", "y")]
    single = points["draws"].isna() if DRAWS in points else np.full(len(points), True)
    points["on_front"] = False
    values = points.loc[single, ["value_x", "value_y"]].to_numpy()
    points.loc[single, "on_front"] = on_front(values, better)
    key = [*CURVE, *(["source"] if "source" in points else [])]
    curves = points[key].drop_duplicates()
    depth = curves["layer"].map(layer_order)
    curves = curves.assign(depth=depth).sort_values("depth", kind="stable")[key]

    columns = 1 + len(curves) // _NAMED
    figure = Figure(figsize=(WIDTH + 1.1 * (columns - 1), 3.9), layout="constrained")
    axes = figure.subplots()
    handles, numbered, lines = [], [], []
    names = curve_names(curves, settings)
    for number, (name, curve) in enumerate(zip(names, curves.itertuples(index=False), strict=True)):
        own = points[(points[key] == list(curve)).all(axis=1) & points["coefficient"].notna()]
        x, y = (_side(own, axis) for axis in ("x", "y"))
        style = look(number)
        handles += axes.plot(x["value"], y["value"], label=name + mean_of(own), zorder=3, **style)
        at = np.stack([x["value"], y["value"]], axis=1)
        lines += [at, *draw_crosses(axes, x, y, style["color"])]
        texts = [signed(value).removeprefix("+") for value in own["coefficient"]]
        numbered.append(Numbered(at, texts, style["color"]))
    apart = points[points["coefficient"].isna()]
    if len(apart):
        handles += axes.plot(apart["value_x"], apart["value_y"], label="Unsteered", **_UNSTEERED)
    front = points[points["on_front"]].sort_values(["value_x", "value_y"])
    handles += axes.plot(front["value_x"], front["value_y"], label="Pareto front", **_FRONT)
    lines.append(front[["value_x", "value_y"]].to_numpy())
    unsteered = points[points["unsteered"]]
    for line, side in ((axes.axvline, "value_x"), (axes.axhline, "value_y")):
        values = unsteered[side].dropna().to_numpy()
        if len(values) and np.allclose(values, values[0]):  # means of draws are rounded
            line(values[0], color=REFERENCE, linestyle=":", linewidth=1, zorder=1)
    handles.append(Line2D([], [], linestyle="none", label="Beside points:\ncoefficient"))
    axes.margins(0.06)
    axes.set_xlabel(_axis_label(settings["x"], sides["x"], settings))
    axes.set_ylabel(_axis_label(settings["y"], sides["y"], settings))
    if title := settings.get("title"):
        axes.set_title(title)
    figure.legend(
        handles=handles,
        loc="outside right center",
        ncols=columns,
        labelspacing=0.7,
    )
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
    write_beside(axes, numbered, lines)
    return figure, points.reset_index(drop=True)


def on_front(values: np.ndarray, better: list[str]) -> np.ndarray:
    """Which of the points [n, 2] no other one dominates; never one with NaN."""
    costs = values * np.where(np.array(better) == "lower", 1.0, -1.0)
    finite = np.isfinite(costs).all(axis=1)
    front = np.zeros(len(costs), dtype=bool)
    for place in np.flatnonzero(finite):
        own = costs[place]
        as_good = (costs[finite] <= own).all(axis=1)
        front[place] = not (as_good & (costs[finite] < own).any(axis=1)).any()
    return front


def _points(sides: Mapping[str, pd.DataFrame], settings: Mapping[str, Any]) -> pd.DataFrame:
    """A row per injection and coefficient that both sides have, their columns suffixed by axis.

    Where both have several corpora or behaviours, the same ones, each has a row.
    """
    point = [*CURVE, "coefficient"]
    several = [axis for axis, side in sides.items() if side.duplicated(point).any()]
    if several:
        given = [set(side["source"]) for side in sides.values()]
        if given[0] != given[1]:
            axis = several[0]
            names = ", ".join(dict.fromkeys(sides[axis]["source"]))
            raise StudyError(
                f"a figure's {axis} draws sweeps.{settings[axis]['table']}, which is measured on "
                f"{names}; set `source` to one of them."
            )
        point = [*CURVE, "source", "coefficient"]
    columns = [*point, "value", "low", "high"]
    merged = sides["x"][[*columns, "unsteered", *draws_column(sides["x"])]].merge(
        sides["y"][columns], on=point, suffixes=("_x", "_y")
    )
    if merged.empty:
        raise StudyError(
            f"a figure draws sweeps.{settings['x']['table']} against "
            f"sweeps.{settings['y']['table']}, which share no injection and coefficient; name "
            "measures of one sweep."
        )
    return merged.sort_values("coefficient", kind="stable")


def _side(points: pd.DataFrame, axis: str) -> pd.DataFrame:
    names = {f"{name}_{axis}": name for name in ("value", "low", "high")}
    return points[list(names)].rename(columns=names)


def _axis_label(shown: Mapping[str, Any], side: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    sources = list(dict.fromkeys(side["source"]))
    of = f", {label(sources[0], settings)}" if len(sources) == 1 else ""
    return f"{shown['label']}{of}"
