"""Arms by how far they move answers, and which of them are ties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from snakesteer.figures.inputs import Inputs, NothingToDraw
from snakesteer.figures.style import FULL_WIDTH, PALETTE, REFERENCE
from snakesteer.tables.null import ALPHA
from snakesteer.tables.ranking import ARM

_ROW = 0.3  # inches of an arm
_WIDTHS = (1.0, 1.25)  # of the two panels
_NUMBERED = 16  # arms from which on cells are too narrow for numbers
_LETTERS = 60  # points of all numbers of a row
_TIE = "#ECECEC"
# Farther and nearer: by Holm's p, or by Benjamini and Hochberg's alone.
_CLEAR, _PALE = ("#9DC3E6", "#F4B183"), ("#DCE9F5", "#FBE5D6")
_THIN: dict[str, Any] = {"color": PALETTE[0], "linewidth": 1.0, "zorder": 2}
_THICK: dict[str, Any] = {"color": PALETTE[0], "linewidth": 3.0, "zorder": 3}
_DOT: dict[str, Any] = {"color": REFERENCE, "marker": ".", "markersize": 4, "alpha": 0.7}
_MEAN: dict[str, Any] = {"color": PALETTE[0], "marker": "D", "markersize": 4.5, "zorder": 4}


def draw(inputs: Inputs, settings: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Arms down, the farthest first: at the left the mean change of each with two intervals and the
    change of each behaviour, at the right its difference from every other, ties in grey or pale.

    Settings: `unit` (of propensities), `titles` (of sweeps). The numbers are pairs behind arms.

    Columns, a row for each arm, and behind these one for every two:
        * (as tables.ranking.Ranked.arms)
        against, against_sweep, difference, difference_low, difference_high, p, p_holm, p_bh,
            tests, tie (as tables.ranking.Ranked.pairs)
    """
    if not inputs.ranking:
        raise NothingToDraw("this figure draws a ranking, but its entry names none.")
    arms, pairs, vectors = (inputs.ranking[name] for name in ("arms", "pairs", "vectors"))
    order = list(arms[ARM].itertuples(index=False, name=None))
    figure = Figure(figsize=(FULL_WIDTH, _ROW * len(order) + 1.0), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=_WIDTHS)
    _draw_changes(left, arms, vectors)
    names = arm_names(order, settings)
    left.set_yticks(range(len(order)), [f"{i}  {name}" for i, name in enumerate(names, 1)])
    left.set_ylim(len(order) - 0.5, -0.5)
    left.set_xlabel(f"Change of propensity ({settings['unit']})")
    left.grid(axis="y", visible=False)
    _draw_pairs(right, pairs, order)
    right.set_xlabel("Row minus column; grey, pale: a tie")
    if title := settings.get("title"):
        figure.suptitle(title)
    return figure, pd.concat([arms, pairs], ignore_index=True)


def arm_names(order: Sequence[tuple[str, str]], settings: Mapping[str, Any]) -> list[str]:
    """What each arm is called: with its sweep, where an arm is in several."""
    several = len({sweep for _, sweep in order}) > 1
    names = []
    for arm, sweep in order:
        said = f"{arm[:1].upper()}{arm[1:]}".replace("-", " ")
        names.append(f"{said}, {settings['titles'][sweep]}" if several else said)
    return names


def _draw_changes(axes: Axes, arms: pd.DataFrame, vectors: pd.DataFrame) -> None:
    for place, arm in enumerate(arms.to_dict("records")):
        own = vectors[(vectors["arm"] == arm["arm"]) & (vectors["sweep"] == arm["sweep"])]
        axes.plot(own["change"], np.full(len(own), place), linestyle="none", **_DOT)
        axes.plot([arm["change_low"], arm["change_high"]], [place, place], **_THIN)
        axes.plot([arm["questions_low"], arm["questions_high"]], [place, place], **_THICK)
        axes.plot([arm["change"]], [place], linestyle="none", **_MEAN)
    axes.axvline(0, color=REFERENCE, linewidth=0.8, zorder=1)


def _draw_pairs(axes: Axes, pairs: pd.DataFrame, order: list[tuple[str, str]]) -> None:
    axes.set(xlim=(0, len(order)), ylim=(len(order), 0))
    axes.grid(False)
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(len(order)) + 0.5, list(map(str, range(1, len(order) + 1))))
    axes.set_yticks(np.arange(len(order)) + 0.5, list(map(str, range(1, len(order) + 1))))
    for spine in axes.spines.values():
        spine.set_visible(False)
    for pair in pairs.to_dict("records"):
        one = order.index((pair["arm"], pair["sweep"]))
        other = order.index((pair["against"], pair["against_sweep"]))
        for row, column, value in (
            (one, other, pair["difference"]),
            (other, one, -pair["difference"]),
        ):
            shades = _PALE if pair["tie"] else _CLEAR
            colour = _TIE if pair["p_bh"] > ALPHA else shades[value < 0]
            axes.add_patch(Rectangle((column, row), 1, 1, facecolor=colour, edgecolor="white"))
            if len(order) <= _NUMBERED:
                text = f"{value:+.2f}".replace("-", "−")
                size = min(5.0, _LETTERS / len(order))
                place: dict[str, Any] = {"ha": "center", "va": "center_baseline", "fontsize": size}
                axes.text(column + 0.5, row + 0.5, text, in_layout=False, **place)
