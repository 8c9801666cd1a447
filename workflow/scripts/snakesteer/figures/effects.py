"""Slopes of single questions: a panel for each behaviour, a row for each layer and vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from snakesteer.core.labels import layer_order
from snakesteer.figures.inputs import Inputs, NothingToDraw
from snakesteer.figures.quantities import read_at
from snakesteer.figures.style import (
    FULL_WIDTH,
    PALETTE,
    REFERENCE,
    WIDTH,
    label,
    layers_said,
    ordered_layers,
)
from snakesteer.tables.null import SLOPE
from snakesteer.tables.slopes import ALL

_COLUMNS = 2
_ROW = 0.42  # inches of a row
_RIGHT, _WRONG, _BAND = PALETTE[0], PALETTE[3], "#DADADA"
_SPREAD = 0.3  # of the dots, in rows
_BOX = 0.16
_GOLDEN = 0.6180339887  # of which multiples spread dots evenly, in any number
_CURVE = ["vector", "layer", "read_at"]


def draw(inputs: Inputs, settings: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """A dot for each question, those that move the wrong way in another colour; a box of the
    quartiles, the mean with its 95 % interval, and at the right the share of slopes below 0.

    Behind them lies the range of the mean over the draws of a control, where there is one. Panels
    have one scale. Settings: `sweep` (the name of its table), `unit` (of propensities), `layers`
    (numbers). The numbers are the summaries.

    Columns, a row for each vector, layer and behaviour:
        * (as tables.slopes.Effects.slopes)
    """
    if not inputs.effects:
        raise NothingToDraw("this figure draws slopes of questions, but its entry names none.")
    items, slopes = (_drawn(inputs.effects[name], settings) for name in ("items", "slopes"))
    slopes = slopes[slopes["by"] == ALL]
    control = inputs.effects.get("control", pd.DataFrame())
    bands = control[control["quantity"] == SLOPE] if len(control) else control
    behaviours = list(dict.fromkeys(slopes["behaviour"]))
    rows = {behaviour: _rows(slopes, behaviour) for behaviour in behaviours}

    columns = min(_COLUMNS, len(behaviours))
    depth = -(-len(behaviours) // columns)
    most = max(map(len, rows.values()))
    width = FULL_WIDTH if columns > 1 else WIDTH
    height = (_ROW * most + 0.45) * depth + 0.35
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(depth, columns, sharex=True, squeeze=False).ravel()
    for axes in panels[len(behaviours) :]:
        axes.remove()
    for behaviour, axes in zip(behaviours, panels, strict=False):
        curves = rows[behaviour]
        for place, curve in enumerate(curves):
            own = slopes[_of(slopes, behaviour, curve)].iloc[0]
            _draw_band(axes, place, bands, own)
            _draw_row(axes, place, items[_of(items, behaviour, curve)]["slope"].to_numpy(), own)
        axes.axvline(0, color=REFERENCE, linewidth=0.8, zorder=1)
        axes.set_title(label(behaviour, settings))
        axes.set_yticks(range(len(curves)), _names(curves, behaviour, settings))
        axes.set_ylim(len(curves) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.tick_params(labelbottom=True)
        _say_shares(axes, slopes, behaviour, curves)
    unit = settings["unit"]
    figure.supxlabel(f"Slope of propensity ({unit} per unit of the coefficient)", fontsize=8)
    if title := settings.get("title"):
        figure.suptitle(title)
    return figure, slopes.drop(columns="read_at").reset_index(drop=True)


def _drawn(table: pd.DataFrame, settings: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of the sweep's own vectors at the layers to draw."""
    own = table[table["sweep"] == settings["sweep"]]
    if own.empty:
        raise NothingToDraw(
            f"this figure draws slopes of sweeps.{settings['sweep']}, but there are none."
        )
    own = own.assign(read_at=read_at(own))
    return own[own["layer"].isin(ordered_layers(own, settings))]


def _rows(slopes: pd.DataFrame, behaviour: str) -> list[tuple[str, str, str]]:
    """The curves of a behaviour, each vector's by depth of the layer."""
    own = slopes[slopes["behaviour"] == behaviour]
    curves = list(own[_CURVE].drop_duplicates().itertuples(index=False, name=None))
    vectors = list(dict.fromkeys(vector for vector, _, _ in curves))
    return sorted(curves, key=lambda curve: (vectors.index(curve[0]), layer_order(curve[1])))


def _of(rows: pd.DataFrame, behaviour: str, curve: tuple[str, str, str]) -> pd.Series:
    """Which rows are of a behaviour and a curve."""
    return (rows["behaviour"] == behaviour) & (rows[_CURVE] == list(curve)).all(axis=1)


def _names(
    curves: list[tuple[str, str, str]], behaviour: str, settings: Mapping[str, Any]
) -> list[str]:
    """What rows are called: their layer, with the vector where there are several."""
    several = len({vector for vector, _, _ in curves}) > 1
    names = []
    for vector, layer, place in curves:
        said = [label(vector, settings)] if several else []
        said += [f"layer {layers_said(layer)}"] if layer else []
        name = ", ".join(filter(None, [*said, place]))
        names.append(name[:1].upper() + name[1:])
    return names


def _draw_row(axes: Axes, place: int, slopes: np.ndarray, own: pd.Series) -> None:
    order = np.argsort(slopes, kind="stable")
    spread = (np.arange(len(slopes)) * _GOLDEN % 1 - 0.5) * 2 * _SPREAD
    colours = np.where(slopes[order] < 0, _WRONG, _RIGHT)
    size = float(np.clip(240 / len(slopes), 1.2, 9))
    axes.scatter(
        slopes[order], place + spread, s=size, c=colours, alpha=0.55, linewidth=0, zorder=2
    )
    low, middle, high = np.quantile(slopes, [0.25, 0.5, 0.75])
    box = Rectangle(
        (low, place - _BOX), high - low, 2 * _BOX, fill=False, edgecolor="#333333", linewidth=0.7
    )
    axes.add_patch(box).set_zorder(3)
    axes.plot([middle] * 2, [place - _BOX, place + _BOX], color="#333333", linewidth=0.9, zorder=3)
    axes.plot(
        own["mean"], place, "D", color="black", markersize=3.6, markeredgecolor="white", zorder=5
    )
    ends = [own["mean_low"], own["mean_high"]]
    axes.plot(ends, [place] * 2, color="black", linewidth=1.3, zorder=4)


def _draw_band(axes: Axes, place: int, bands: pd.DataFrame, own: pd.Series) -> None:
    """The range of a control's draws, behind the dots."""
    if bands.empty:
        return
    here = (bands[["vector", "layer"]] == [own["vector"], own["layer"]]).all(axis=1)
    here &= bands["source"] == own["behaviour"]
    here &= read_at(bands) == own["read_at"]
    for band in bands[here].to_dict("records"):
        axes.fill_betweenx(
            [place - 0.42, place + 0.42],
            band["band_low"],
            band["band_high"],
            color=_BAND,
            linewidth=0,
            zorder=0,
        )


def _say_shares(
    axes: Axes, slopes: pd.DataFrame, behaviour: str, curves: list[tuple[str, str, str]]
) -> None:
    """At the right of each row the share of slopes below 0, with its interval."""
    for place, curve in enumerate(curves):
        own = slopes[_of(slopes, behaviour, curve)].iloc[0]
        share, low, high = (
            100 * own[name] for name in ("anti_share", "anti_share_low", "anti_share_high")
        )
        axes.text(
            1.02,
            place,
            f"{share:.0f} % < 0\n({low:.0f} to {high:.0f})",
            transform=axes.get_yaxis_transform(),
            color=_WRONG,
            fontsize=6.5,
            va="center",
        )
