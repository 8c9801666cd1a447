"""Simultaneous steering: every behaviour's score along one global injection coefficient."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from snakesteer.figures.inputs import Inputs
from snakesteer.figures.style import (
    COLLAPSED,
    FULL_WIDTH,
    PALETTE,
    REFERENCE,
    UNSTEERED,
    label,
    ordered_behaviours,
)
from snakesteer.tables.draws import draws_column

_COLLAPSED: dict[str, Any] = {"marker": "o", "markersize": 3, "markerfacecolor": "white"}


def draw(inputs: Inputs, settings: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """A curve with its Wilson 95 % band per behaviour; over `max_faulty` faulty is not drawn.

    Points with mode collapse are circles on the curve. The alignment tax, if a skill table is
    given, is the dotted top-1 accuracy on its target corpus. Settings: `collapse` (the share of one
    answer that is mode collapse), `order` (behaviours), `max_faulty` (5).

    Columns, a row for each point:
        coefficient
        behaviour (text): The behaviour. Empty for the alignment tax.
        questions, matches, faulty (number): As in the sweep's table. Empty for the alignment tax.
        score, score_low, score_high (number): The matching score with Wilson's interval, or for the
            alignment tax the top-1 accuracy with its bootstrap interval.
        majority (number): Share of the most frequent answer. Empty for the alignment tax.
        collapsed (true or false): Whether that is mode collapse.
        draws
        series (text): `matching score` or `alignment tax`.
        drawn (true or false): Whether the point is drawn: not with too many faulty answers.
        corpus (text, only with an alignment tax): The corpus of the tax. Empty in other rows.
        tokens (number, only with an alignment tax): Tokens whose prediction counts. Empty in other
            rows.
    """
    rows = inputs.behaviour_rows("simultaneous")
    behaviours = ordered_behaviours(rows, settings)
    columns = ["coefficient", "behaviour", "questions", "matches", "faulty"]
    columns += ["score", "score_low", "score_high", "majority", "collapsed", *draws_column(rows)]
    numbers = rows.loc[rows["behaviour"].isin(behaviours), columns]
    numbers = numbers.assign(
        series="matching score", drawn=numbers["faulty"] <= settings.get("max_faulty", 5)
    )

    figure = Figure(figsize=(FULL_WIDTH, 3.3), layout="constrained")
    axes = figure.subplots()
    axes.axhline(0.5, color=REFERENCE, linewidth=0.8, linestyle=(0, (5, 3)), zorder=1)
    axes.axvline(0, color=REFERENCE, linewidth=0.8, linestyle=(0, (5, 3)), zorder=1)
    handles: list[Line2D] = []
    for behaviour, colour in zip(behaviours, cycle(PALETTE), strict=False):
        curve = numbers[numbers["behaviour"] == behaviour].sort_values("coefficient")
        for score in curve.loc[curve["coefficient"].isna(), "score"]:
            axes.axhline(score, color=colour, **UNSTEERED)
        # NaN breaks the line where a point is not drawn, instead of bridging the gap.
        shown = curve.where(curve["drawn"])
        name = label(behaviour, settings)
        handles += axes.plot(curve["coefficient"], shown["score"], color=colour, label=name)
        collapsed = curve[curve["drawn"] & curve["collapsed"]]
        axes.plot(
            collapsed["coefficient"],
            collapsed["score"],
            color=colour,
            linestyle="none",
            **_COLLAPSED,
        )
        axes.fill_between(
            curve["coefficient"],
            shown["score_low"],
            shown["score_high"],
            color=colour,
            alpha=0.15,
            linewidth=0,
        )
    if inputs.skill is not None:
        tax = _alignment_tax(inputs.skill)
        handles += axes.plot(
            tax["coefficient"],
            tax["score"],
            color="#333333",
            linestyle=":",
            linewidth=1.6,
            label="Alignment tax\n(top-1 accuracy)",
        )
        axes.fill_between(
            tax["coefficient"],
            tax["score_low"],
            tax["score_high"],
            color="#333333",
            alpha=0.15,
            linewidth=0,
        )
        numbers = pd.concat([numbers, tax], ignore_index=True)
    if numbers["coefficient"].isna().any():
        name = "Unsteered"
        handles.append(Line2D([], [], label=name, color=REFERENCE, **UNSTEERED))
    axes.set(
        ylim=(0, 1),
        xlabel="Global injection coefficient",
        ylabel="Matching score" if inputs.skill is None else "Matching score, top-1 accuracy",
    )
    axes.margins(x=0.02)
    if (numbers["drawn"] & numbers["collapsed"]).any():
        mode_collapse = COLLAPSED.format(percent=100 * settings["collapse"])
        name = mode_collapse.removeprefix("C: ").capitalize().replace(" (", "\n(")
        handles.append(Line2D([], [], color=REFERENCE, linestyle="none", label=name, **_COLLAPSED))
    figure.legend(handles=handles, loc="outside right center", labelspacing=0.8)
    if title := settings.get("title"):
        axes.set_title(title)
    return figure, numbers.reset_index(drop=True)


def _alignment_tax(skill: pd.DataFrame) -> pd.DataFrame:
    """Top-1 accuracy on the target corpus, in the columns of the scores."""
    columns = {"top1": "score", "top1_low": "score_low", "top1_high": "score_high"}
    tax = skill[skill["role"] == "target"].sort_values("coefficient")
    tax = tax[["coefficient", "corpus", "tokens", *columns]].rename(columns=columns)
    return tax.assign(series="alignment tax", drawn=True, collapsed=False)
