"""Overlay: the curves of two sets of tables over each other, a panel per curve."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ["MPLBACKEND"] = "agg"  # before matplotlib reads what a notebook may have set

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from snakesteer.figures.absent import absent, left_out
from snakesteer.figures.style import FULL_WIDTH, PALETTE, REFERENCE, save_figure, themed
from snakesteer.tables.compared_candidates import KIND as CANDIDATES
from snakesteer.tables.scorecard import Scorecard, of_target, sorted_curves

_COLUMNS = 3
_DENSE = 25  # points of a curve, above which intervals are a band
_LABEL_SIZE = 6.5
_SIDES: dict[str, dict[str, Any]] = {
    "": {"color": PALETTE[0], "marker": "o"},
    "_against": {"color": PALETTE[3], "marker": "s", "markerfacecolor": "white"},
}
_THIN: dict[str, Any] = {
    "linewidth": 0.6,
    "markersize": 1.7,
    "markeredgewidth": 0.5,
    "elinewidth": 0.9,
    "capsize": 1.3,
    "capthick": 0.7,
}
_OFFSET = {"": -0.6, "_against": 0.6}  # points to the right and down, so that equal curves show


def draw_overlay(
    compared: Scorecard | None,
    missing: Sequence[str],
    settings: Mapping[str, Any],
    stem: str | Path,
) -> None:
    """Draw a scorecard's curves over each other, or say what is missing if there is no scorecard.

    Writes `<stem>.pdf`, `<stem>.png` and `<stem>.csv`; the settings are those of `overlay`.
    """
    with themed(settings):
        if compared is None:
            figure, numbers = absent(missing)
            notes = []
        else:
            figure, numbers = overlay(compared, settings)
            notes = left_out(missing)
        save_figure(figure, numbers, stem, notes)


def overlay(compared: Scorecard, settings: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """First set filled and blue, second hollow and red; error bars, or bands over many points, are
    95 % intervals.

    Curves are a little off their place, the first to the upper left, the second to the lower right.

    A skill curve on two corpora has relative accuracies on target and other corpus on its axes, in
    %. On any other number of corpora it has that on the target over its points, and any other curve
    the matching score, or what else was compared. Settings: `title`, `names` (of the two sets).
    """
    panels = []
    for (sweep, _), rows in compared.pairs.groupby(["sweep", "against"], sort=False):
        for curve in sorted_curves(rows):
            panels.append((f"{sweep}\n{curve}", rows[rows["curve"] == curve]))
    columns = min(_COLUMNS, len(panels))
    depth = -(-len(panels) // columns)
    named = (compared.pairs["kind"] == "combined").any()
    size = (FULL_WIDTH * max(columns, 2) / _COLUMNS, (2.6 if named else 2.1) * depth + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    axes_of = figure.subplots(depth, columns, squeeze=False).ravel()
    for axes in axes_of[len(panels) :]:
        axes.remove()
    several = compared.pairs["sweep"].nunique() > 1
    for (name, rows), axes in zip(panels, axes_of, strict=False):
        axes.set_title(name if several else name.split("\n")[1], fontsize=6.5)
        if rows["kind"].iloc[0] == "skill" and rows["quantity"].nunique() == 2:
            _tradeoff(axes, rows)
        else:
            _scores(axes, of_target(rows))
    names = settings.get("names", ["first", "second"])
    handles = [
        Line2D([], [], label=name, linewidth=1, **look)
        for name, look in zip(names, _SIDES.values(), strict=True)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=1 if columns < 3 else 2)
    if title := settings.get("title"):
        figure.suptitle(title)
    return figure, compared.pairs


def _tradeoff(axes: Axes, rows: pd.DataFrame) -> None:
    axes.set_box_aspect(1)
    axes.axline((0, 0), slope=1, color=REFERENCE, linestyle=":", linewidth=0.8, zorder=1)
    first = rows["quantity"].str.startswith("target")
    target, other = (side.sort_values("coefficient") for side in (rows[first], rows[~first]))
    for end, look in _SIDES.items():
        x, y = (100 * side[f"value{end}"].to_numpy() for side in (target, other))
        errors = [_errors(side, end) for side in (target, other)]
        _draw(axes, _OFFSET[end], x, y, xerr=100 * errors[0], yerr=100 * errors[1], **look)
    axes.set_xlabel(f"{_named(target)} (%)", fontsize=_LABEL_SIZE)
    axes.set_ylabel(f"{_named(other)} (%)", fontsize=_LABEL_SIZE)


def _scores(axes: Axes, rows: pd.DataFrame) -> None:
    layers = rows["point"].str.extract(r"^layer (\d+)$")[0].astype(float)
    over_layers = bool(layers.notna().all())
    rows = rows.assign(place=layers if over_layers else rows["coefficient"])
    named = rows["point"].iloc[0] != "" and not over_layers
    rows = rows if named else rows.sort_values("place")
    places = np.arange(len(rows)) if named else rows["place"].to_numpy()
    for shift, (end, look) in zip((-0.1, 0.1), _SIDES.items(), strict=True):
        style = look | ({"linestyle": "none"} if named else {})
        x, y = places + shift * named, rows[f"value{end}"].to_numpy()
        offset = 0.0 if named else _OFFSET[end]
        _draw(axes, offset, x, y, yerr=_errors(rows, end), **style)
    if named:
        axes.set_xticks(places, rows["point"], rotation=90 if len(rows) > 3 else 0, fontsize=6)
        axes.set_xlim(-0.5, len(rows) - 0.5)
    else:
        said = "Layer" if over_layers else "Injection coefficient"
        axes.set_xlabel(said, fontsize=_LABEL_SIZE)
    values = rows[["value", "value_against"]]
    shares = (values >= 0).all(axis=None) and (values <= 1).all(axis=None)
    if shares and rows["kind"].iloc[0] != CANDIDATES:
        axes.set_ylim(-0.03, 1.03)
    axes.set_ylabel(_named(rows), fontsize=_LABEL_SIZE)


def _named(rows: pd.DataFrame) -> str:
    """What the values are: "Matching score", or "Relative code accuracy"."""
    quantity = str(rows["quantity"].iloc[0])
    if rows["kind"].iloc[0] != "skill":
        return quantity[:1].upper() + quantity[1:]
    return f"Relative {quantity.split(' ', 1)[1]}\naccuracy"


def _draw(axes: Axes, offset: float, x: np.ndarray, y: np.ndarray, **style: Any) -> None:
    """Points with intervals, `offset` seventy-seconds of an inch right of their place and below."""
    if len(x) > _DENSE and "xerr" not in style:
        low, high = style["yerr"]
        band = axes.fill_between(x, y - low, y + high, color=style["color"], alpha=0.25, lw=0)
        drawn: list[Artist] = [*axes.plot(x, y, color=style["color"], linewidth=0.9), band]
    else:
        drawn = axes.errorbar(x, y, **_THIN, **style).get_children()
    figure, inches = axes.get_figure(root=True), offset / 72
    assert figure
    aside = ScaledTranslation(inches, -inches, figure.dpi_scale_trans)
    for artist in drawn:
        artist.set_transform(axes.transData + aside)


def _errors(rows: pd.DataFrame, end: str) -> np.ndarray:
    value = rows[f"value{end}"]
    ends = [value - rows[f"low{end}"], rows[f"high{end}"] - value]
    return np.nan_to_num(np.array(ends, dtype=float)).clip(0)
