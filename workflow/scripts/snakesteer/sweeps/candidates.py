"""The rule that chooses one of many candidates: a vector as it is read at one layer and position,
and a coefficient.

The rule is that of Arditi et al. (2024): limits leave candidates out, and of the rest the one with
the best score is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.core.records import unless_said

RULE = (
    "Candidates are the steered points of {table}: a vector, the layer and the position that it is "
    "read at, and a coefficient. Left out, in this order: {conditions}. Of the rest the one with "
    "the {best} {score}; ties to the coefficient nearer to 0, then to the lower layer, then to the "
    "later position."
)
NOT_A_NUMBER = "a score is not a number"
CANDIDATE = ["vector", "layer", "position", "coefficient"]
_SOURCES = ("corpus", "behaviour", "source")


@dataclass(frozen=True)
class Score:
    """A column of a table, on one `source` where the table has several.

    As a limit it may be `at_most` or `at_least` so much.
    """

    table: str
    column: str
    source: str | None = unless_said(None)
    at_most: float | None = unless_said(None)
    at_least: float | None = unless_said(None)

    @property
    def named(self) -> str:
        """What it is called in sentences."""
        on = f" on {self.source}" if self.source else ""
        return f"{self.column} of {self.table}{on}"

    @property
    def condition(self) -> str:
        """What leaves a candidate out."""
        over = [] if self.at_most is None else [f"over {self.at_most:g}"]
        under = [] if self.at_least is None else [f"under {self.at_least:g}"]
        return f"{self.named} {' or '.join([*over, *under])}"

    def within(self, values: pd.Series) -> pd.Series:
        """Which values are within its bounds."""
        kept = pd.Series(True, index=values.index)
        if self.at_most is not None:
            kept &= values <= self.at_most
        if self.at_least is not None:
            kept &= values >= self.at_least
        return kept


def choose(
    tables: Mapping[str, pd.DataFrame],
    best: Score,
    lowest: bool,
    limits: Sequence[Score],
    layers_below: float | int | None = None,
    layers: int | None = None,
) -> dict[str, Any]:
    """The candidate with the `lowest` score, or else the highest, ready for JSON.

    `tables` have the rows of measures by name. Only vectors read at layers below `layers_below`
    count: a 0-based layer, or as a float a share of the `layers` of the model, rounded down; where
    these are None, there is one more than the last layer that `best` has. Limits are joined by
    vector, layer and position, and by coefficient where their table has several.

    Returns `{"rule": str, "chosen": {vector, layer, position, coefficient, scores}, "candidates":
    int, "left_out": [{"condition": str, "candidates": int}], "layers_below": int | None}`. The
    position is None where vectors are of one; `scores` has the value of each score.

    Raises StudyError for tables that hold other splits than validation or layers together, for a
    candidate that a table lacks or has twice, and where no candidate is left.
    """
    candidates = _values(tables[best.table], best)
    names = ["best", *(f"limit {place}" for place in range(len(limits)))]
    candidates = candidates.rename(columns={"value": "best"})
    for name, limit in zip(names[1:], limits, strict=True):
        candidates[name] = _joined(candidates, _values(tables[limit.table], limit), limit)
    below = layers_below
    if isinstance(layers_below, float):
        below = int(layers_below * (layers or int(candidates["layer"].max()) + 1))
    conditions = [(NOT_A_NUMBER, candidates[names].notna().all(axis=1))]
    if below is not None:
        conditions.append((f"read at layer {below} or above", candidates["layer"] < below))
    for name, limit in zip(names[1:], limits, strict=True):
        conditions.append((limit.condition, limit.within(candidates[name])))
    left, left_out = candidates, []
    for condition, holds in conditions:
        kept = left[holds[left.index]]
        left_out.append({"condition": condition, "candidates": len(left) - len(kept)})
        left = kept
    if left.empty:
        said = ", ".join(f"{each['condition']} ({each['candidates']})" for each in left_out)
        raise StudyError(
            f"none of the {len(candidates)} candidates of {best.table} is left; left out: {said}; "
            "loosen a limit."
        )
    chosen = _first(left, lowest)
    scores = [
        {"table": score.table, "column": score.column, "source": score.source, "value": value}
        for score, value in zip([best, *limits], map(float, chosen[names]), strict=True)
    ]
    position = chosen["position"]
    return {
        "rule": RULE.format(
            table=best.table,
            conditions="; ".join(condition for condition, _ in conditions),
            best="lowest" if lowest else "highest",
            score=best.named,
        ),
        "chosen": {
            "vector": str(chosen["vector"]),
            "layer": int(chosen["layer"]),
            "position": None if pd.isna(position) else int(position),
            "coefficient": float(chosen["coefficient"]),
            "scores": scores,
        },
        "candidates": len(candidates),
        "left_out": left_out,
        "layers_below": below,
    }


def _first(candidates: pd.DataFrame, lowest: bool) -> pd.Series:
    ordered = candidates.assign(
        magnitude=candidates["coefficient"].abs(), later=-candidates["position"].fillna(0)
    ).sort_values(
        ["best", "magnitude", "layer", "later"],
        ascending=[lowest, True, True, True],
        kind="stable",
    )
    return ordered.iloc[0]


def _values(table: pd.DataFrame, score: Score) -> pd.DataFrame:
    """The steered rows of a score: columns `CANDIDATE` and its `value`."""
    foreign = sorted(set(table["split"]) - {"validation"}) if "split" in table else []
    if foreign:
        raise StudyError(
            f"candidates are chosen on the validation split only, but {score.table} also holds "
            f"{', '.join(foreign)}; give its measure `split: validation`."
        )
    rows = table[~table["unsteered"].astype(bool)]
    if score.source:
        (source,) = (name for name in _SOURCES if name in rows)
        rows = rows[rows[source] == score.source]
    layer = rows["layer"]
    if "source_layer" in rows:
        layer = rows["source_layer"].astype("Int64").astype("string").fillna(layer)
    several = [str(label) for label in layer if not str(label).isdigit()]
    if several:
        raise StudyError(
            f"{score.table} has vectors at layers {several[0]} together, and a candidate is read "
            "at one; name another table."
        )
    found = pd.DataFrame(
        {
            "vector": rows["vector"],
            "layer": layer.astype(int),
            "position": rows["source_position"] if "source_position" in rows else float("nan"),
            "coefficient": rows["coefficient"].astype(float),
            "value": rows[score.column].astype(float),
        }
    ).astype({"position": float})
    twice = found[found.duplicated(CANDIDATE)]
    if not twice.empty:
        raise StudyError(
            f"{score.table} has several rows of {_said(twice.iloc[0])}; name one corpus or "
            "behaviour as `source`, or another table."
        )
    return found.reset_index(drop=True)


def _joined(candidates: pd.DataFrame, values: pd.DataFrame, score: Score) -> pd.Series:
    """The values of the candidates, in their order."""
    one = values["coefficient"].nunique() == 1
    on = CANDIDATE[:-1] if one else CANDIDATE
    joined = candidates[CANDIDATE].merge(
        values[[*on, "value"]], on=on, how="left", indicator="found"
    )
    lacking = joined[joined["found"] == "left_only"]
    if not lacking.empty:
        raise StudyError(
            f"{score.table} has no row of {_said(lacking.iloc[0])}, a candidate of the choice; "
            "measure it there, too."
        )
    return joined["value"]


def _said(candidate: pd.Series) -> str:
    position = candidate["position"]
    read = "" if pd.isna(position) else f" and position {position:g}"
    return (
        f"{candidate['vector']} read at layer {candidate['layer']}{read}, with the coefficient "
        f"{candidate['coefficient']:g}"
    )
