"""Any measure over the layer: a line for each vector and coefficient, a panel for each source.

The layer is the one that is injected at. Of what a vector has at several layers, injected in one
place, it is the one that it is read at.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, NullFormatter

from snakesteer.core.errors import StudyError
from snakesteer.figures.inputs import Inputs
from snakesteer.figures.quantities import (
    draw_crosses,
    look,
    mean_of,
    panel_title,
    quantity,
    read_at,
    table_of,
    vector_names,
)
from snakesteer.figures.style import (
    FULL_WIDTH,
    PALETTE,
    REFERENCE,
    WIDTH,
    label,
    ordered_layers,
    signed,
    wrapped,
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
_LEFT_OUT: dict[str, Any] = {"facecolor": "#E9E9E9", "linewidth": 0}
_RING: dict[str, Any] = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 10,
    "markerfacecolor": "none",
    "markeredgecolor": "#222222",
    "markeredgewidth": 1.2,
}

Vector = tuple[str, str, str]
"""Sweep, vector, and what that is read at."""


def draw(inputs: Inputs, settings: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """One line per vector and coefficient, whose error bars are 95 % intervals; the unsteered model
    dashed. What was drawn several times is a mean in a band that holds the range of all draws.

    Markers are of coefficients. So are colours where a panel has one vector; otherwise they are of
    vectors. Controls are grey. A line is open at a layer where its curve ended before. Panels, one
    for each corpus or behaviour, have one scale. Where `inputs` have a candidate that was chosen,
    it is ringed, and the layers that its rule leaves out are shaded. Settings: `shown` (of each
    sweep its `table`, `column`, `source` and `label`), `coefficients` (all if left out), `layers`
    (numbers), `controls` (names of sweeps), `titles` (of sweeps by name), `log` (the scale of the
    measure).

    Columns, a row for each point:
        * (as figures.quantities.quantity)
        source_layer
    """
    shown = settings["shown"]
    points = pd.concat([_over_layers(inputs, each) for each in shown], ignore_index=True)
    points = points[points["along"].isin(_single_layers(points, settings))]
    points = points.assign(depth=points["along"].astype(int)).sort_values("depth", kind="stable")
    if settings.get("log"):  # 0 and less have no place
        points["value"] = points["value"].where(points["value"] > 0)
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
    handles = _handles(places, names, styles, points)
    ringed = _chosen(own[~own["unsteered"]], places, inputs.chosen)
    handles += _choice_handles(points, ringed, inputs.chosen)
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
        here = ringed[ringed["source"] == source]
        axes.plot(here["depth"], here["value"], zorder=4, **_RING)
        vectors = own.loc[own["source"] == source, "vector"].unique()
        axes.set_title(panel_title(source, vectors, settings) if len(sources) > 1 else "")
        axes.margins(x=0.03)
        _shade(axes, points, inputs.chosen)
    depths = sorted(points["depth"].unique())
    if len(depths) > _TICKS // columns:
        panels[0].xaxis.set_major_locator(MaxNLocator(_TICKS // columns, integer=True))
    else:
        panels[0].set_xticks(depths)
    for axes in panels[len(sources) - columns : len(sources)]:  # also where none is below
        axes.tick_params(labelbottom=True)
    if settings.get("log"):
        panels[0].set_yscale("log")
        panels[0].yaxis.set_major_formatter("{x:g}")
        panels[0].yaxis.set_minor_formatter(NullFormatter())
    read = "source_layer" in points
    figure.supxlabel("Layer that the vector is read at" if read else "Layer", fontsize=8)
    measured = shown[0]["label"]
    if len(sources) == 1:
        measured = f"{measured}, {label(sources[0], settings)}"
    figure.supylabel(wrapped(measured, height), fontsize=8)
    figure.legend(handles=handles, loc="outside right center")
    if title := settings.get("title"):
        figure.suptitle(title)
    drawn = pd.concat([unsteered, steered]).drop(columns=["depth", "along", "position"])
    return figure, drawn.reset_index(drop=True)


def _over_layers(inputs: Inputs, shown: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of a quantity, with the label of the layer `along` which they are drawn, and the
    `position` that the vector is read at (NaN where it is of one)."""
    points = quantity(inputs, shown)
    rows = table_of(inputs, shown["table"]).loc[points.index]
    position = rows.get("source_position", np.nan)
    points = points.assign(along=points["layer"], position=position).astype({"position": float})
    if "source_layer" not in rows or rows["source_layer"].isna().any():
        return points
    source = rows["source_layer"].astype(int)
    if rows["layer"].nunique() > 1 and (source.astype(str) != rows["layer"]).any():
        return points
    place = read_at(rows.drop(columns="source_layer"))
    return points.assign(along=source.astype(str), source_layer=source, read_at=place)


def _single_layers(points: pd.DataFrame, settings: Mapping[str, Any]) -> list[str]:
    """The layers to draw; StudyError for several steered together, which have no place."""
    layers = ordered_layers(points.assign(layer=points["along"]), settings)
    for layer in layers:
        if not layer.isdigit():
            raise StudyError(
                f"a figure over the layer draws single layers, but layers {layer} were steered "
                "together; name single layers in its `layers`."
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
            f"sweeps have {held or 'none'}."
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
    if len(keys) > 1 and len({(sweep, vector) for sweep, vector, _ in keys}) == 1:
        names = {key: key[2].removeprefix("of ").capitalize() for key in keys}
    titles = settings.get("titles", {})
    return {
        vector: titles.get(vector[0], name) if vector[0] in controls else name
        for vector, name in names.items()
    }


def _handles(
    places: Sequence[float],
    names: Mapping[Vector, str],
    styles: Mapping[Vector, Mapping[str, Any]],
    points: pd.DataFrame,
) -> list[Line2D | Patch]:
    """The legend: the coefficients, the vectors that have a colour, and the unsteered model."""
    steered = points[~points["unsteered"]]
    of_coefficients = any(style["color"] is None for style in styles.values())
    handles: list[Line2D | Patch] = []
    for place, coefficient in enumerate(places):
        style = look(place) if of_coefficients else look(place, _ANY) | {"linestyle": "none"}
        handles.append(Line2D([], [], label=f"Coefficient {signed(coefficient)}", **style))
    for vector, name in names.items():
        if styles[vector]["color"]:
            said = textwrap.fill(name, _LETTERS) + mean_of(steered[_of(steered, vector)])
            handles.append(Line2D([], [], label=said, linewidth=1.1, **styles[vector]))
    if points.loc[points["unsteered"], "value"].notna().any():
        handles.append(Line2D([], [], label="Unsteered", color=REFERENCE, **_UNSTEERED))
    return handles


def _chosen(
    steered: pd.DataFrame, places: Sequence[float], choice: Mapping[str, Any] | None
) -> pd.DataFrame:
    """The rows of the candidate that was chosen: at its coefficient, or at the one drawn."""
    if choice is None:
        return steered[:0]
    chosen = choice["chosen"]
    here = (steered["vector"] == chosen["vector"]) & (steered["depth"] == chosen["layer"])
    read = steered["position"]
    here &= read.isna() if chosen["position"] is None else read == chosen["position"]
    if len(places) > 1:
        here &= steered["coefficient"] == chosen["coefficient"]
    return steered[here & steered["coefficient"].isin(places)]


def _choice_handles(
    points: pd.DataFrame, ringed: pd.DataFrame, choice: Mapping[str, Any] | None
) -> list[Line2D | Patch]:
    """The legend of what was chosen, and of the layers that its rule leaves out."""
    handles: list[Line2D | Patch] = []
    if choice is not None and not ringed.empty:
        layer, position = choice["chosen"]["layer"], choice["chosen"]["position"]
        at = "" if position is None else f",\nposition {position}".replace("-", "−")
        handles.append(Line2D([], [], label=f"Chosen: layer {layer}{at}", **_RING))
    if _first_left_out(points, choice) is not None:
        handles.append(Patch(label="Left out by its layer", **_LEFT_OUT))
    return handles


def _first_left_out(points: pd.DataFrame, choice: Mapping[str, Any] | None) -> int | None:
    """The first of the drawn layers that the rule of a choice leaves out, if it does."""
    below = None if choice is None else choice["layers_below"]
    if below is None or points["depth"].max() < below:
        return None
    return int(below)


def _shade(axes: Axes, points: pd.DataFrame, choice: Mapping[str, Any] | None) -> None:
    """Shade the layers that the rule of a choice leaves out."""
    first = _first_left_out(points, choice)
    if first is not None:
        last = points["depth"].max() + 0.5
        axes.axvspan(first - 0.5, last, zorder=0, **_LEFT_OUT)
        axes.set_xlim(points["depth"].min() - 0.5, last)


def _draw_unsteered(
    axes: Axes, unsteered: pd.DataFrame, styles: Mapping[Vector, Mapping[str, Any]]
) -> None:
    """Draw the unsteered value: one for all, or at each layer, or of each vector."""
    at = unsteered.groupby("depth")["value"]
    if unsteered["value"].isna().all():
        return
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
