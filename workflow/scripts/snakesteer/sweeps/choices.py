"""The rule that picks multipliers, and the layer, from a grid search on validation questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.core.labels import layer_order

RULE = (
    "Per behaviour and layer, on validation questions: among the positive (add) or negative "
    "(subtract) multipliers {qualifying}, the one with the highest (add) or lowest (subtract) "
    "{by}, ties to the smaller magnitude; where none qualifies, the smallest magnitude evaluated. "
    "Layer: the one with the widest add-minus-subtract difference of these, layers with more "
    "qualifying multipliers first, ties to the lower layer."
)
OF_ANSWERS = (
    "with a faulty share of at most {max_faulty_share:g} and without mode collapse (more than a "
    "share of {collapse_share:g} of one answer)"
)
OF_COSTS = "with a perplexity of at most {times:g} times the unsteered one"
COST = "perplexity"


@dataclass(frozen=True)
class Limit:
    """What a cell may cost: at most so many `times` the perplexity of the unsteered model.

    `costs` is a table of accuracies on one corpus, of the same injections.
    """

    costs: pd.DataFrame
    times: float

    def within(self, grid: pd.DataFrame) -> pd.Series:
        """Which rows of a grid cost no more, [n_rows].

        Raises StudyError for costs on several corpora.
        """
        corpora = list(dict.fromkeys(self.costs["corpus"]))
        if len(corpora) > 1:
            raise StudyError(
                f"limit is a perplexity on one corpus, but its table has {', '.join(corpora)}; "
                "give it a measure on one of them."
            )
        unsteered = self.costs.loc[self.costs["unsteered"], ["vector", "layer", COST]]
        cell = ["vector", "layer", "coefficient"]
        costs = self.costs.merge(unsteered, on=["vector", "layer"], suffixes=("", "_unsteered"))
        joined = grid[cell].merge(costs, on=cell, how="left")
        within = joined[COST] <= self.times * joined[f"{COST}_unsteered"]
        return pd.Series(within.to_numpy(), index=grid.index)


def choose(
    grid: pd.DataFrame,
    max_faulty_share: float,
    collapse_share: float,
    by: str = "score",
    limit: Limit | None = None,
) -> dict[str, Any]:
    """The choice made from a grid search, ready for JSON.

    `grid` is a behaviour table (rows of kind "grid") on the validation split, made with
    `collapse_share`, which the rule names; of choices by likelihood, none is faulty or collapsed.
    `by` is the column that is to be high or low. Returns
    `{"rule": str, "multipliers": {behaviour: {layer: cell}}, "layers": {behaviour: layer}}`, where
    a cell holds for both `add` and `subtract` the multiplier, and under `add_score`, `add_faulty`,
    `add_qualifies` (and the same for subtract) what the validation questions said about it, with
    `default_score` of the unsteered model (None if it was not evaluated) and `span`, the add score
    minus the subtract score; by another column that stands in place of `score`.

    Raises StudyError if the rows are not of the validation split, or if a layer has no multiplier
    of one sign.

    Keys:
        rule (text): The rule in words, or `Given in the study.`
        multipliers.BEHAVIOUR.LAYER.add, multipliers.BEHAVIOUR.LAYER.subtract (number): The
            multipliers to add and to subtract the vector with.
        multipliers.BEHAVIOUR.LAYER.add_COLUMN, multipliers.BEHAVIOUR.LAYER.subtract_COLUMN (number,
            only where a grid is the source): The value at that multiplier on validation questions,
            of the column that the choice goes by: `score` by default.
        multipliers.BEHAVIOUR.LAYER.add_faulty, multipliers.BEHAVIOUR.LAYER.subtract_faulty (whole
            number, only in a two-choice grid): Faulty answers at that multiplier.
        multipliers.BEHAVIOUR.LAYER.add_qualifies, multipliers.BEHAVIOUR.LAYER.subtract_qualifies
            (true or false, only where a grid is the source): Whether any multiplier met the
            conditions.
        multipliers.BEHAVIOUR.LAYER.default_COLUMN (number, only where a grid is the source): That
            value of the unsteered model, or null.
        multipliers.BEHAVIOUR.LAYER.span (number, only where a grid is the source): The value to add
            minus the value to subtract.
        layers.BEHAVIOUR (text, only where a grid is the source): The layer with the widest span.
    """
    foreign = sorted(set(grid["split"]) - {"validation"})
    if foreign:
        raise StudyError(
            f"multipliers are chosen on the validation split only, but the grid also holds "
            f"{', '.join(foreign)}; give the grid search `split: validation`."
        )
    qualifying = []
    allowed = pd.Series(True, index=grid.index)
    if "faulty" in grid:
        shares = grid["faulty"] / grid["questions"]
        allowed &= (shares <= max_faulty_share) & ~grid["collapsed"]
        qualifying.append(
            OF_ANSWERS.format(max_faulty_share=max_faulty_share, collapse_share=collapse_share)
        )
    if limit:
        allowed &= limit.within(grid)
        qualifying.append(OF_COSTS.format(times=limit.times))
    grid = grid.assign(qualifies=allowed)
    multipliers: dict[str, dict[str, dict[str, Any]]] = {}
    for behaviour, rows in grid.groupby("behaviour", sort=False):
        layers = sorted(rows["layer"].unique(), key=layer_order)
        multipliers[str(behaviour)] = {
            layer: _cell(rows[rows["layer"] == layer], str(behaviour), layer, by)
            for layer in layers
        }
    named = {"score": "matching score"}.get(by, by)
    rule = RULE.format(qualifying=" and ".join(qualifying) or "evaluated", by=named)
    return {
        "rule": rule,
        "multipliers": multipliers,
        "layers": {behaviour: _widest(layers) for behaviour, layers in multipliers.items()},
    }


def given(multipliers: Mapping[str, Any]) -> dict[str, Any]:
    """A choice that the study makes itself: `{behaviour: {layer: {"add": …, "subtract": …}}}`."""
    return {"rule": "Given in the study.", "multipliers": multipliers}


def _cell(rows: pd.DataFrame, behaviour: str, layer: str, by: str) -> dict[str, Any]:
    cell: dict[str, Any] = {}
    for direction, sign in (("add", 1), ("subtract", -1)):
        evaluated = rows[rows["coefficient"] * sign > 0]
        if evaluated.empty:
            raise StudyError(
                f"the grid search of behaviour {behaviour!r} has no multiplier to {direction} at "
                f"layer {layer}; give it positive and negative multipliers."
            )
        evaluated = evaluated.assign(
            magnitude=evaluated["coefficient"].abs(), gain=evaluated[by] * sign
        )
        qualifying = evaluated[evaluated["qualifies"]]
        if qualifying.empty:
            best = evaluated.sort_values("magnitude").iloc[0]
        else:
            best = qualifying.sort_values(["gain", "magnitude"], ascending=[False, True]).iloc[0]
        cell[direction] = float(best["coefficient"])
        cell[f"{direction}_{by}"] = float(best[by])
        if "faulty" in best:
            cell[f"{direction}_faulty"] = int(best["faulty"])
        cell[f"{direction}_qualifies"] = not qualifying.empty
    default = rows.loc[rows["unsteered"], by]
    cell[f"default_{by}"] = None if default.empty else float(default.iloc[0])
    cell["span"] = cell[f"add_{by}"] - cell[f"subtract_{by}"]
    return cell


def _widest(layers: dict[str, dict[str, Any]]) -> str:
    def preference(layer: str) -> tuple[int, float]:
        cell = layers[layer]
        return cell["add_qualifies"] + cell["subtract_qualifies"], cell["span"]

    return max(layers, key=preference)
