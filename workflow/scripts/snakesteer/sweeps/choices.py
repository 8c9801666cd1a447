"""The rule that picks multipliers, and the layer, from a grid search on validation questions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.core.labels import layer_order

RULE = (
    "Per behaviour and layer, on validation questions: among the positive (add) or negative "
    "(subtract) multipliers with a faulty share of at most {max_faulty_share:g} and without mode "
    "collapse (more than a share of {collapse_share:g} of one answer), the one with the highest "
    "(add) or lowest (subtract) matching score, ties to the smaller magnitude; where none "
    "qualifies, the smallest magnitude evaluated. Layer: the one with the widest "
    "add-minus-subtract difference of matching scores, layers with more qualifying multipliers "
    "first, ties to the lower layer."
)


def choose(grid: pd.DataFrame, max_faulty_share: float, collapse_share: float) -> dict[str, Any]:
    """The choice made from a grid search, ready for JSON.

    `grid` is a behaviour table (rows of kind "grid") on the validation split, made with
    `collapse_share`, which the rule names. Returns
    `{"rule": str, "multipliers": {behaviour: {layer: cell}}, "layers": {behaviour: layer}}`, where
    a cell holds for both `add` and `subtract` the multiplier, and under `add_score`, `add_faulty`,
    `add_qualifies` (and the same for subtract) what the validation questions said about it, with
    `default_score` of the unsteered model (None if it was not evaluated) and `span`, the add score
    minus the subtract score.

    Raises StudyError if the rows are not of the validation split, or if a layer has no multiplier
    of one sign.
    """
    foreign = sorted(set(grid["split"]) - {"validation"})
    if foreign:
        raise StudyError(
            f"multipliers are chosen on the validation split only, but the grid also holds "
            f"{', '.join(foreign)}; give the grid search `split: validation`."
        )
    multipliers: dict[str, dict[str, dict[str, Any]]] = {}
    for behaviour, rows in grid.groupby("behaviour", sort=False):
        layers = sorted(rows["layer"].unique(), key=layer_order)
        multipliers[str(behaviour)] = {
            layer: _cell(rows[rows["layer"] == layer], str(behaviour), layer, max_faulty_share)
            for layer in layers
        }
    return {
        "rule": RULE.format(max_faulty_share=max_faulty_share, collapse_share=collapse_share),
        "multipliers": multipliers,
        "layers": {behaviour: _widest(layers) for behaviour, layers in multipliers.items()},
    }


def given(multipliers: Mapping[str, Any]) -> dict[str, Any]:
    """A choice that the study makes itself: `{behaviour: {layer: {"add": …, "subtract": …}}}`."""
    return {"rule": "Given in the study.", "multipliers": multipliers}


def _cell(
    rows: pd.DataFrame, behaviour: str, layer: str, max_faulty_share: float
) -> dict[str, Any]:
    cell: dict[str, Any] = {}
    for direction, sign in (("add", 1), ("subtract", -1)):
        evaluated = rows[rows["coefficient"] * sign > 0]
        if evaluated.empty:
            raise StudyError(
                f"the grid search of behaviour {behaviour!r} has no multiplier to {direction} at "
                f"layer {layer}; give it positive and negative multipliers."
            )
        evaluated = evaluated.assign(
            magnitude=evaluated["coefficient"].abs(), gain=evaluated["score"] * sign
        )
        qualifying = evaluated[
            (evaluated["faulty"] / evaluated["questions"] <= max_faulty_share)
            & ~evaluated["collapsed"]
        ]
        if qualifying.empty:
            best = evaluated.sort_values("magnitude").iloc[0]
        else:
            best = qualifying.sort_values(["gain", "magnitude"], ascending=[False, True]).iloc[0]
        cell[direction] = float(best["coefficient"])
        cell[f"{direction}_score"] = float(best["score"])
        cell[f"{direction}_faulty"] = int(best["faulty"])
        cell[f"{direction}_qualifies"] = not qualifying.empty
    default = rows.loc[rows["unsteered"], "score"]
    cell["default_score"] = None if default.empty else float(default.iloc[0])
    cell["span"] = cell["add_score"] - cell["subtract_score"]
    return cell


def _widest(layers: dict[str, dict[str, Any]]) -> str:
    def preference(layer: str) -> tuple[int, float]:
        cell = layers[layer]
        return cell["add_qualifies"] + cell["subtract_qualifies"], cell["span"]

    return max(layers, key=preference)
