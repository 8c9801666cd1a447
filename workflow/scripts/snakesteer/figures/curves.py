"""Any measure over the coefficient: a line for each injection, a panel for each source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from snakesteer.core.labels import layer_order
from snakesteer.figures.doses import axis_label, check_some, with_doses
from snakesteer.figures.inputs import Inputs
from snakesteer.figures.quantities import (
    CURVE,
    curve_names,
    draw_crosses,
    look,
    mean_of,
    panel_title,
    quantity,
)
from snakesteer.figures.style import (
    FULL_WIDTH,
    REFERENCE,
    UNSTEERED,
    WIDTH,
    label,
    ordered_layers,
    wrapped,
)

_COLUMNS = 3
_NAMED = 14  # curves in a column of the legend
_CONTROL = {"color": "#6E6E6E", "linestyle": (0, (4, 1.5)), "marker": "x", "linewidth": 1.1}


def draw(inputs: Inputs, settings: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """One line per vector and layer in a band of its 95 % interval; controls grey and dashed. What
    was drawn several times is a mean in a band that holds the range of all draws.

    Where each corpus or behaviour has a vector of its own, their lines look alike. Panels, one for
    each corpus or behaviour, have one scale. Settings: `shown` (of each sweep its `table`,
    `column`, `source` and `label`), `layers` (labels), `controls` (names of sweeps), `titles` (of
    sweeps by name), `log` (the scale of the measure), `dose` (what curves run along in place of the
    coefficient, as `doses.with_doses` takes it, with its `label`): points without are left out.

    Columns, a row for each point:
        * (as figures.quantities.quantity)
        * (as figures.doses.with_doses)
    """
    shown, dose = settings["shown"], settings.get("dose")
    if dose:
        points = pd.concat([with_doses(inputs, each, dose) for each in shown], ignore_index=True)
    else:
        points = pd.concat([quantity(inputs, each) for each in shown], ignore_index=True)
    along = "dose" if dose else "coefficient"
    layers = ordered_layers(points, settings)
    points = points[points["layer"].isin(layers)]
    controls = set(settings.get("controls", ()))
    drawn = points
    if settings.get("log"):  # 0 and less have no place
        drawn = points.assign(value=points["value"].where(points["value"] > 0))
        drawn["low"] = drawn["low"].where(drawn["value"].notna())
    if dose:
        check_some(points, dose)
        drawn = drawn[drawn["dose"].notna()]
    sources = list(dict.fromkeys(points["source"]))
    key = ["sweep", *CURVE]
    if own_vectors := _own_vectors(points):
        key.remove("vector")
    curves = points[key].drop_duplicates()
    depth = curves["layer"].map(layer_order)
    curves = curves.assign(control=curves["sweep"].isin(controls), depth=depth)
    curves = curves.sort_values(["control", "depth"], kind="stable")[key]
    titled = dict(settings) | {
        "labels": {**settings.get("labels", {}), **settings.get("titles", {})}
    }

    columns = min(_COLUMNS, len(sources))
    rows = -(-len(sources) // columns)
    width = FULL_WIDTH if columns > 1 else WIDTH
    height = 2.3 * rows + 0.7
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in panels[len(sources) :]:
        axes.remove()
    handles: list[Line2D] = []
    for source, axes in zip(sources, panels, strict=False):
        handles = []
        for number, (name, curve) in enumerate(
            zip(curve_names(curves, titled), curves.itertuples(index=False), strict=True)
        ):
            of_curve = (drawn[key] == list(curve)).all(axis=1)
            own = drawn[of_curve & (drawn["source"] == source)]
            style = _CONTROL if curve.sweep in controls else look(number)
            for value in own.loc[own["coefficient"].isna(), "value"].dropna():
                axes.axhline(value, color=style["color"], **UNSTEERED)
            handles += axes.plot(own[along], own["value"], label=name + mean_of(own), **style)
            band = {"color": style["color"], "alpha": 0.18, "linewidth": 0}
            axes.fill_between(own[along], own["low"], own["high"], **band)
            if "kl" in own:
                _draw_intervals_of_kl(axes, own, style)
        vectors = points.loc[points["source"] == source, "vector"].unique() if own_vectors else []
        _finish(axes, panel_title(source, vectors, settings) if len(sources) > 1 else "")
    if settings.get("log"):
        panels[0].set_yscale("log")
        panels[0].yaxis.set_major_formatter("{x:g}")
        panels[0].yaxis.set_minor_formatter(NullFormatter())
    along_what = axis_label(drawn, dose) if dose else "Injection coefficient"
    figure.supxlabel(along_what, fontsize=8)
    said = shown[0]["label"]
    if len(sources) == 1:
        said = f"{said}, {label(sources[0], settings)}"
    figure.supylabel(wrapped(said, height), fontsize=8)
    if drawn.loc[drawn["coefficient"].isna(), "value"].notna().any():
        handles.append(Line2D([], [], label="Unsteered", color=REFERENCE, **UNSTEERED))
    legends = 1 + (len(handles) - 1) // _NAMED
    if len(handles) > 1:
        figure.legend(handles=handles, loc="outside right center", ncols=legends)
    if title := settings.get("title"):
        figure.suptitle(title)
    return figure, points.reset_index(drop=True)


def _own_vectors(points: pd.DataFrame) -> bool:
    """Whether sweeps have several vectors, each on a corpus or behaviour of its own."""
    curve = ["sweep", "layer", "read_at"]
    several = points.groupby(curve)["vector"].nunique() > 1
    on_each = points.groupby([*curve, "source"])["vector"].nunique()
    return bool(several.any() and (on_each == 1).all())


def _draw_intervals_of_kl(axes: Axes, own: pd.DataFrame, style: Mapping[str, Any]) -> None:
    sign = np.sign(own["coefficient"])
    across = pd.DataFrame(
        {"value": own["dose"], "low": sign * own["kl_low"], "high": sign * own["kl_high"]}
    )
    along = pd.DataFrame({"value": own["value"], "low": np.nan, "high": np.nan})
    draw_crosses(axes, across, along, style["color"])


def _finish(axes: Axes, title: str) -> None:
    axes.axvline(0, color=REFERENCE, linewidth=0.8, linestyle=(0, (5, 3)), zorder=1)
    axes.margins(x=0.03)
    axes.set_title(title)
