"""Any measure over the layer: a line for each vector and coefficient, a panel for each source."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from snakesteer.core.errors import StudyError
from snakesteer.figures.inputs import Inputs
from snakesteer.figures.quantities import draw_crosses, look, mean_of, quantity, vector_names
from snakesteer.figures.style import (
    FULL_WIDTH,
    PALETTE,
    REFERENCE,
    WIDTH,
    label,
    ordered_layers,
    signed,
)
from snakesteer.tables.draws import draws_of

_COLUMNS = 3
_NAME = 0.17  # inches of a line in the legend
_TICKS = 16  # layers that are all named on the axis
_VECTOR = ["sweep", "vector", "read_at"]
_LETTERS = 24  # letters of a name in the legend, from which on it takes another line
_LINES = ["-", ":", "-."]  # each for as many vectors as there are colours
_CONTROL, _ANY = "#6E6E6E", "#222222"
_UNSTEERED: dict[str, Any] = {"linewidth": 1, "linestyle": (0, (5, 3)), "zorder": 1}

Vector = tuple[str, str, str]
"""Sweep, vector, and what that is read at."""


def draw(inputs: Inputs, settings: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """One line per vector and coefficient, whose error bars are 95 % intervals; the unsteered model
    dashed. What was drawn several times is a mean in a band that holds the range of all draws.

    Markers are of coefficients. So are colours where a panel has one vector; otherwise they are of
    vectors. Controls are grey. A line is open at a layer where its curve ended before. Panels, one
    for each corpus or behaviour, have one scale. Settings: `shown` (of each sweep its `table`,
    `column`, `source` and `label`), `coefficients` (all if left out), `layers` (numbers),
    `controls` (names of sweeps), `titles` (of sweeps by name).
    """
    shown = settings["shown"]
    points = pd.concat([quantity(inputs, each) for each in shown], ignore_index=True)
    points = points[points["layer"].isin(_single_layers(points, settings))]
    points = points.assign(depth=points["layer"].astype(int)).sort_values("depth", kind="stable")
    steered, unsteered = _at(points, settings), points[points["unsteered"]]
    places = sorted(steered["coefficient"].unique())
    sources = list(dict.fromkeys(points["source"]))
    controls = set(settings.get("controls", ()))
    own = points[~points["sweep"].isin(controls)]
    one_each = bool(own[[*_VECTOR, "source"]].drop_duplicates()["source"].is_unique)
    names = _names(points, controls, settings)
    styles: dict[Vector, dict[str, Any]] = {}
    for number, vector in enumerate(names):
        of_vector = None if one_each else PALETTE[number % len(PALETTE)]
        colour = _CONTROL if vector[0] in controls else of_vector
        dashes = _LINES[0 if one_each else number // len(PALETTE) % len(_LINES)]
        styles[vector] = {"color": colour, "linestyle": dashes}
    handles = _handles(places, names, styles, steered)
    named = sum(1 + str(handle.get_label()).count("\n") for handle in handles)

    columns = min(_COLUMNS, len(sources))
    rows = -(-len(sources) // columns)
    width = FULL_WIDTH if columns > 1 else WIDTH
    height = max(2.3 * rows + 0.7, _NAME * named + 0.3)
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in panels[len(sources) :]:
        axes.remove()
    for source, axes in zip(sources, panels, strict=False):
        _draw_unsteered(axes, unsteered[unsteered["source"] == source], styles)
        for vector in names:
            depths = points.loc[_of(points, vector, source), "depth"].unique()
            for place, coefficient in enumerate(places):
                line = steered[
                    _of(steered, vector, source) & (steered["coefficient"] == coefficient)
                ]
                style = styles[vector]
                _draw_line(axes, line, depths, style | look(place, style["color"]))
        vectors = own.loc[own["source"] == source, "vector"].unique()
        axes.set_title(_title(source, vectors, settings) if len(sources) > 1 else "")
        axes.margins(x=0.03)
    depths = sorted(points["depth"].unique())
    if len(depths) > _TICKS // columns:
        panels[0].xaxis.set_major_locator(MaxNLocator(_TICKS // columns, integer=True))
    else:
        panels[0].set_xticks(depths)
    for axes in panels[len(sources) - columns : len(sources)]:  # also where none is below
        axes.tick_params(labelbottom=True)
    figure.supxlabel("Layer", fontsize=8)
    measured = shown[0]["label"]
    if len(sources) == 1:
        measured = f"{measured}, {label(sources[0], settings)}"
    figure.supylabel(measured, fontsize=8)
    figure.legend(handles=handles, loc="outside right center")
    if title := settings.get("title"):
        figure.suptitle(title)
    drawn = pd.concat([unsteered, steered]).drop(columns="depth")
    return figure, drawn.reset_index(drop=True)


def _single_layers(points: pd.DataFrame, settings: Mapping[str, Any]) -> list[str]:
    """The layers to draw; StudyError for several steered together, which have no place."""
    layers = ordered_layers(points, settings)
    for layer in layers:
        if not layer.isdigit():
            raise StudyError(
                f"a figure over the layer has no place for layers {layer} steered together; name "
                "single ones in its `layers`."
            )
    return layers


def _at(points: pd.DataFrame, settings: Mapping[str, Any]) -> pd.DataFrame:
    """The rows at the coefficients to draw; StudyError if there are none."""
    steered = points[~points["unsteered"]]
    wanted = settings.get("coefficients", steered["coefficient"])
    drawn = steered[steered["coefficient"].isin(wanted)]
    if drawn.empty:
        held = ", ".join(f"{value:g}" for value in sorted(steered["coefficient"].unique()))
        raise StudyError(
            f"a figure's coefficients {settings.get('coefficients')} leave nothing to draw; its "
            f"sweeps hold {held or 'none'}."
        )
    return drawn


def _of(points: pd.DataFrame, vector: Vector, source: str | None = None) -> pd.Series:
    """Which rows are of a vector, and of a source if one is given."""
    own = (points[_VECTOR] == list(vector)).all(axis=1)
    return own if source is None else own & (points["source"] == source)


def _names(
    points: pd.DataFrame, controls: set[str], settings: Mapping[str, Any]
) -> dict[Vector, str]:
    """What the legend calls the vectors; controls last, by the titles of their sweeps if any."""
    vectors = points[_VECTOR].drop_duplicates()
    control = vectors["sweep"].isin(controls)
    vectors = pd.concat([vectors[~control], vectors[control]])
    keys = list(vectors.itertuples(index=False, name=None))
    names = dict(zip(keys, vector_names(keys, settings), strict=True))
    titles = settings.get("titles", {})
    return {
        vector: titles.get(vector[0], name) if vector[0] in controls else name
        for vector, name in names.items()
    }


def _handles(
    places: Sequence[float],
    names: Mapping[Vector, str],
    styles: Mapping[Vector, Mapping[str, Any]],
    steered: pd.DataFrame,
) -> list[Line2D]:
    """The legend: the coefficients, the vectors that have a colour, and the unsteered model."""
    of_coefficients = any(style["color"] is None for style in styles.values())
    handles = []
    for place, coefficient in enumerate(places):
        style = look(place) if of_coefficients else look(place, _ANY) | {"linestyle": "none"}
        handles.append(Line2D([], [], label=f"Coefficient {signed(coefficient)}", **style))
    for vector, name in names.items():
        if styles[vector]["color"]:
            said = textwrap.fill(name, _LETTERS) + mean_of(steered[_of(steered, vector)])
            handles.append(Line2D([], [], label=said, linewidth=1.1, **styles[vector]))
    return [*handles, Line2D([], [], label="Unsteered", color=REFERENCE, **_UNSTEERED)]


def _title(source: str, vectors: Sequence[str], settings: Mapping[str, Any]) -> str:
    """The name of a panel, with that of its vector where it has one of another name."""
    names = [label(source, settings)]
    if len(vectors) == 1:
        names.append(label(vectors[0], settings))
    return ", ".join(dict.fromkeys(names))


def _draw_unsteered(
    axes: Axes, unsteered: pd.DataFrame, styles: Mapping[Vector, Mapping[str, Any]]
) -> None:
    """Draw the unsteered value: one for all, or at each layer, or of each vector."""
    at = unsteered.groupby("depth")["value"]
    if unsteered["value"].nunique() == 1:
        axes.axhline(unsteered["value"].iloc[0], color=REFERENCE, **_UNSTEERED)
    elif (at.nunique() <= 1).all():
        axes.plot(at.first(), color=REFERENCE, **_UNSTEERED)
    else:
        for vector, own in unsteered.groupby(_VECTOR, sort=False):
            colour = styles[vector]["color"] or REFERENCE
            axes.plot(own["depth"], own["value"], color=colour, **_UNSTEERED)


def _draw_line(
    axes: Axes, line: pd.DataFrame, depths: np.ndarray, style: Mapping[str, Any]
) -> None:
    """Draw the values at these layers, with intervals; open where there is none."""
    at = line.set_index("depth")[["value", "low", "high"]].reindex(depths)
    axes.plot(at.index, at["value"], zorder=3, **style)
    if draws_of(line):
        band = {"color": style["color"], "alpha": 0.18, "linewidth": 0}
        axes.fill_between(at.index, at["low"], at["high"], **band)
    across = pd.DataFrame({"value": at.index, "low": np.nan, "high": np.nan})
    draw_crosses(axes, across, at, style["color"])
