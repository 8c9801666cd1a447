"""Skill trade-off: accuracy kept on the other corpus against accuracy left on the target corpus."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from snakesteer.core.errors import StudyError
from snakesteer.figures.inputs import Inputs
from snakesteer.figures.numbered import Numbered, write_beside
from snakesteer.figures.quantities import mean_of, read_at
from snakesteer.figures.style import (
    PALETTE,
    REFERENCE,
    WIDTH,
    label,
    layers_said,
    ordered_layers,
    signed,
)
from snakesteer.tables.draws import draws_column, draws_of

_CURVE = ["sweep", "vector", "layer", "read_at"]
_LINES = ["-", (0, (1, 1)), (0, (5, 1)), (0, (3, 1, 1, 1))]
# Every second layer's are hollow. Seven shapes and eight colours repeat together after 56 layers.
_MARKERS = ["o", "^", "s", "v", "D", "<", ">"]
_NAMED = 16  # curves in a column of the legend, with the explanation below
_CONTROL: dict[str, Any] = {
    "color": "#6E6E6E",
    "linestyle": (0, (4, 1.5)),
    "marker": "x",
    "zorder": 2,
}


def draw(inputs: Inputs, settings: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """One line per injected layer, of its own colour and marker; control sweeps grey and dashed.

    x: relative accuracy on the target corpus in %, y: the same on the other corpus, a point per
    coefficient, which stands beside it where there is room; error bars are 95 % intervals, without
    those of points beyond the limits. A curve that was drawn several times is the mean, in a band
    that holds the range of all draws on both axes. Needs a skill table with one other corpus.
    Settings: `layers` (labels), `limits` ([low, high] of both axes in %), `measure` ("top1",
    "top10", "kept_top1" or "kept_top10"), `controls` (names of sweeps), `titles` (of sweeps by
    name; a control's stands alone, without its layer), `permuted` (the vectors of controls that are
    another one shuffled; one alone is called so, all others by their names).

    Columns, a row for each point:
        sweep, vector, layer
        read_at (text, only where vectors are read at chosen layers or positions): What the vector
            is read at, else empty.
        coefficient, draws
        relative_…_target, relative_…_low_target, relative_…_high_target (number): The relative
            accuracy that the figure draws, `top1` by default, on the target corpus, with its
            interval. A share; the axes show percent.
        target (text): The target corpus.
        relative_…_other, relative_…_low_other, relative_…_high_other (number): The same on the
            other corpus.
        other (text): The other corpus.
    """
    measure = f"relative_{settings.get('measure', 'top1')}"
    points = _points(inputs.skill_rows(), measure)
    layers = ordered_layers(points, settings)
    points = points[points["layer"].isin(layers)]
    controls, titles = set(settings.get("controls", ())), settings.get("titles", {})
    permuted = settings.get("permuted", [])
    curves = []
    for (sweep, vector, layer, source), curve in points.groupby(_CURVE, sort=False):
        of = f"{vector} {source}".strip()
        curves.append(((str(sweep), of, str(layer)), curve))
    curves.sort(key=lambda curve: (curve[0][0] in controls, layers.index(curve[0][2])))
    steered = [key for key, _ in curves if key[0] not in controls]
    depths = [layer for layer in layers if any(key[2] == layer for key in steered)]
    sources = list(dict.fromkeys(key[:2] for key in steered))
    sweeps = {sweep for sweep, _ in sources}

    columns = 1 + len(curves) // _NAMED
    figure = Figure(figsize=(WIDTH + 1.1 * (columns - 1), 4.2), layout="compressed")
    axes = figure.subplots()
    axes.axline((0, 0), slope=1, color=REFERENCE, linestyle=":", linewidth=1, zorder=1)
    axes.axhline(100, color=REFERENCE, linestyle=":", linewidth=1, zorder=1)
    numbers = pd.concat([curve for _, curve in curves], ignore_index=True)
    highest = 100 * numbers[[f"{measure}_target", f"{measure}_other"]].max().max()
    low, high = settings.get("limits", (-3, np.nanmax([highest, 100]) + 3))
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.set_xlabel(_axis_label(points["target"].iloc[0], settings))
    axes.set_ylabel(_axis_label(points["other"].iloc[0], settings))
    if title := settings.get("title"):
        axes.set_title(title)
    handles, numbered = [], []
    lines = [np.array([[low, low], [high, high]]), np.array([[low, 100], [high, 100]])]
    for (sweep, vector, layer), rows in curves:
        curve = rows[rows["coefficient"].notna()]  # the unsteered model is at 100 % of both
        name = f"Layer {layers_said(layer)}"
        look = _CONTROL
        drawn = draws_of(curve)
        if sweep in controls:
            own = "permuted" if permuted == [vector] else label(vector, {})
            name = titles.get(sweep, f"{name} ({own})")
        else:
            if len(sources) > 1:
                named = [titles.get(sweep) or label(sweep, {})] if len(sweeps) > 1 else []
                if sum(other == sweep for other, _ in sources) > 1:
                    named.append(label(vector, {}))
                name += f" ({', '.join(named)})"
            look = _look(depths.index(layer), sources.index((sweep, vector)))
        name += mean_of(curve)
        x, y = (100 * curve[f"{measure}_{role}"].to_numpy() for role in ("target", "other"))
        handles += axes.plot(x, y, label=name.replace(" (", "\n("), **look)
        at = np.stack([x, y], axis=1)
        lines.append(at)
        if drawn:
            _draw_band(axes, curve, measure, look)
        else:
            lines += _draw_intervals(axes, curve, measure, look)
        texts = [signed(value).removeprefix("+") for value in curve["coefficient"]]
        numbered.append(Numbered(at, texts, look["color"]))
    handles.append(Line2D([], [], linestyle="none", label="Beside points:\ncoefficient"))
    figure.legend(
        handles=handles,
        loc="outside right center",
        ncols=columns,
        handlelength=2.4,
        labelspacing=0.7,
    )
    write_beside(axes, numbered, lines)
    return figure, numbers if numbers["read_at"].any() else numbers.drop(columns="read_at")


def _points(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
    """A row per curve and coefficient, the measure's columns suffixed `_target` and `_other`."""
    columns = [measure, f"{measure}_low", f"{measure}_high"]
    rows = rows.assign(read_at=read_at(rows))
    point = [*_CURVE, "coefficient", *draws_column(rows)]
    sides = {}
    for role in ("target", "other"):
        side = rows[rows["role"] == role]
        corpora = list(dict.fromkeys(side["corpus"]))
        if len(corpora) != 1:
            raise StudyError(
                f"a trade-off figure needs one {role} corpus, but its sweeps have "
                f"{', '.join(corpora) or 'none'}."
            )
        side = side[[*point, *columns]].rename(columns={name: f"{name}_{role}" for name in columns})
        sides[role] = side.assign(**{role: corpora[0]})
    return sides["target"].merge(sides["other"], on=point).sort_values("coefficient", kind="stable")


def _look(depth: int, source: int) -> dict[str, Any]:
    """How the curve of the layer of this rank by depth looks, of this rank of its sweep."""
    colour = PALETTE[depth % len(PALETTE)]
    hollow = depth % 2 == 1
    return {
        "color": colour,
        "linestyle": _LINES[source % len(_LINES)],
        "marker": _MARKERS[depth % len(_MARKERS)],
        "markerfacecolor": "white" if hollow else colour,
        "markeredgecolor": colour if hollow else "white",
        "markeredgewidth": 0.8 if hollow else 0.4,
        "markersize": 3.6 if hollow else 4.4,
        "zorder": 3,
    }


def _draw_band(axes: Axes, curve: pd.DataFrame, measure: str, look: Mapping[str, Any]) -> None:
    """Draw what lies between the ranges of neighbouring points, each a rectangle, as one area."""
    corners = []
    for x in ("low", "high"):
        for y in ("low", "high"):
            corners.append(100 * curve[[f"{measure}_{x}_target", f"{measure}_{y}_other"]])
    rectangles = np.stack(corners, axis=1)  # [points, 4, 2]
    rectangles = rectangles[np.isfinite(rectangles).all(axis=(1, 2))]
    pieces = [_hull(np.concatenate(pair)) for pair in itertools.pairwise(rectangles)]
    if pieces:
        area = Path.make_compound_path(*(Path(piece, closed=True) for piece in pieces))
        band = PathPatch(area, facecolor=look["color"], alpha=0.2, linewidth=0, zorder=1.5)
        axes.add_patch(band)


def _hull(points: np.ndarray) -> np.ndarray:
    """The convex hull of points [n, 2], counter-clockwise, its first point also its last."""
    ordered = points[np.lexsort((points[:, 1], points[:, 0]))]
    sides = []
    for way in (ordered, ordered[::-1]):
        side: list[np.ndarray] = []
        for point in way:
            while len(side) > 1 and _turn(side[-2], side[-1], point) <= 0:
                side.pop()
            side.append(point)
        sides.append(side)
    lower, upper = sides
    return np.array([*lower, *upper[1:]])


def _turn(first: np.ndarray, second: np.ndarray, third: np.ndarray) -> float:
    """Above 0 where the way over three points turns left."""
    (a, b), (c, d) = second - first, third - second
    return float(a * d - b * c)


def _draw_intervals(
    axes: Axes, curve: pd.DataFrame, measure: str, look: Mapping[str, Any]
) -> list[np.ndarray]:
    """Draw the intervals of the points inside the axes; the drawn lines, each [2, 2]."""
    lines = []
    for row in curve.to_dict("records"):
        x, y = (100 * row[f"{measure}_{role}"] for role in ("target", "other"))
        if axes.viewLim.contains(x, y):
            across, along = (
                [100 * row[f"{measure}_{end}_{role}"] for end in ("low", "high")]
                for role in ("target", "other")
            )
            lines += [np.array([across, [y, y]]).T, np.array([[x, x], along]).T]
    drawn = LineCollection(
        lines, color=look["color"], linewidth=0.7, alpha=0.4, zorder=look["zorder"] - 0.5
    )
    axes.add_collection(drawn, autolim=False)
    return lines


def _axis_label(corpus: str, settings: Mapping[str, Any]) -> str:
    name = settings.get("labels", {}).get(corpus, corpus)
    return f"Relative {name} accuracy (%)"
