"""The rule that chooses one of many candidates: a vector as it is read at one layer and position,
and a coefficient; of several sweeps also which one.

The rule is that of Arditi et al. (2024): limits leave candidates out, and of the rest the one with
the best score is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.core.records import unless_said

RULE = (
    "Candidates are the steered points of {table}: a vector, the layer and the position that "
    "it is read at, and a coefficient. Excluded, in this order: {conditions}. Chosen: of the "
    "rest, the one with the {best} {score}. Ties go to {nearer}, then to the lower layer, "
    "then to the later position."
)
NEARER = "the coefficient nearer to 0"
SMALLER = "the smaller dose (the coefficient's magnitude times the vector's norm at that layer)"
NOT_A_NUMBER = "a score is not a number"
CURVE = ["sweep", "vector", "layer", "position"]
CANDIDATE = [*CURVE, "coefficient"]
# Of answers: a count in tables, which is a share of the questions here, and a share.
COUNTED = FAULTY, MAJORITY = "faulty", "majority"
_SOURCES = ("corpus", "behaviour", "source")


@dataclass(frozen=True)
class Score:
    """A column of a table, on one `source` where the table has several; of `further` tables
    likewise, for candidates of other sweeps.

    As a limit it may be `at_most` or `at_least` so much: itself, or `relative` to the unsteered
    value, so many `times` that, or by a `difference`.
    """

    table: str
    column: str
    source: str | None = unless_said(None)
    at_most: float | None = unless_said(None)
    at_least: float | None = unless_said(None)
    further: tuple[str, ...] = unless_said(())
    relative: Literal["times", "difference"] | None = unless_said(None)

    @property
    def tables(self) -> tuple[str, ...]:
        """All its tables."""
        return (self.table, *self.further)

    @property
    def named(self) -> str:
        """What it is called in sentences."""
        on = f" on {self.source}" if self.source else ""
        return f"{self.column} of {' and '.join(self.tables)}{on}"

    @property
    def condition(self) -> str:
        """What leaves a candidate out."""
        over = [] if self.at_most is None else [f"over {self.at_most:g}"]
        under = [] if self.at_least is None else [f"under {self.at_least:g}"]
        than = {None: "", "times": " times unsteered", "difference": " more than unsteered"}
        return f"{self.named} {' or '.join([*over, *under])}{than[self.relative]}"

    def within(self, values: np.ndarray) -> np.ndarray:
        """Which values are within its bounds."""
        kept = np.full(values.shape, True)
        if self.at_most is not None:
            kept &= values <= self.at_most
        if self.at_least is not None:
            kept &= values >= self.at_least
        return kept

    def held(self, values: Any, unsteered: Any) -> Any:
        """The values that are bounded, from the scores and those of the unsteered model."""
        match self.relative:
            case "times":
                return values / unsteered
            case "difference":
                return values - unsteered
        return values


@dataclass(frozen=True)
class Rule:
    """The candidate with the `lowest` score is `best`, or else the one with the highest, of those
    within the limits.

    Only vectors read at layers below `layers_below` count: a 0-based layer, or as a float a share
    of the model's `layers`, rounded down. If `layers` is None, the model has one layer more than
    the last layer in `best`.
    """

    best: Score
    lowest: bool
    limits: tuple[Score, ...] = ()
    layers_below: float | int | None = None
    layers: int | None = None

    @property
    def scores(self) -> list[Score]:
        """The best one and the limits."""
        return [self.best, *self.limits]

    def below(self, candidates: pd.DataFrame) -> int | None:
        """The first layer that is left out, if any is."""
        if isinstance(self.layers_below, float):
            layers = self.layers or int(candidates["layer"].max()) + 1
            return int(self.layers_below * layers)
        return self.layers_below

    def conditions(
        self, layers: np.ndarray, below: int | None, values: Sequence[np.ndarray]
    ) -> list[tuple[str, np.ndarray]]:
        """What leaves candidates out, in order, each with those that it keeps.

        `layers` [candidates] and the `values` of each score [..., candidates] say of what.
        """
        known = np.logical_and.reduce([~np.isnan(each) for each in values])
        kept = [(NOT_A_NUMBER, known)]
        if below is not None:
            low = np.broadcast_to(layers < below, known.shape)
            kept.append((f"read at layer {below} or above", low))
        for limit, each in zip(self.limits, values[1:], strict=True):
            kept.append((limit.condition, limit.within(each)))
        return kept


def choose(
    tables: Mapping[str, pd.DataFrame],
    best: Score,
    lowest: bool,
    limits: Sequence[Score],
    layers_below: float | int | None = None,
    layers: int | None = None,
) -> dict[str, Any]:
    """What a rule chooses from `tables`, the rows of measures by name: see `chosen`."""
    rule = Rule(best, lowest, tuple(limits), layers_below, layers)
    return chosen(rule, gathered(tables, rule))


def gathered(
    tables: Mapping[str, pd.DataFrame],
    rule: Rule,
    norms: Mapping[str, Mapping[tuple[int, int | None], float]] | None = None,
) -> pd.DataFrame:
    """The candidates, first those that ties go to: columns `CANDIDATE`, `best`, and `limit 0` and
    so on.

    `tables` have the rows of measures by name. `norms` are those of vectors by layer and position
    (None of one position); with them there is a column `dose`, the magnitude of the coefficient
    times the norm, and ties go to the smaller one, else to the coefficient nearer to 0. Limits are
    joined by vector, layer and position, and by coefficient where their table has several. Tables
    of the candidate's own sweep take precedence over those of other sweeps.

    Raises StudyError for tables that hold other splits than validation or layers together, and for
    a candidate that a table lacks or has twice.
    """
    found = [_values(name, tables[name], rule.best) for name in rule.best.tables]
    candidates = pd.concat(found, ignore_index=True).rename(columns={"value": "best"})
    sweeps = set(candidates["sweep"])
    for place, limit in enumerate(rule.limits):
        given = {name: _values(name, tables[name], limit) for name in limit.tables}
        candidates[f"limit {place}"] = _joined(candidates, given, limit, sweeps)
    tie = candidates["coefficient"].abs()
    if norms is not None:
        places = zip(*(candidates[name] for name in CURVE[1:]), strict=True)
        of = [norms[vector][int(layer), _whole(position)] for vector, layer, position in places]
        tie = tie * np.array(of)
        candidates["dose"] = tie
    later = -candidates["position"].fillna(0)
    ordered = candidates.assign(tie=tie, later=later).sort_values(
        ["tie", "layer", "later"], kind="stable"
    )
    return ordered.drop(columns=["tie", "later"]).reset_index(drop=True)


def chosen(rule: Rule, candidates: pd.DataFrame) -> dict[str, Any]:
    """The candidate that a rule takes of those `gathered`, ready for JSON.

    Returns `{"rule": str, "chosen": {vector, layer, position, coefficient, scores}, "candidates":
    int, "left_out": [{"condition": str, "candidates": int}], "layers_below": int | None, "between":
    [float]}`. The position is None where vectors are of one; `scores` has the value of each score.
    Of several sweeps `chosen` has the `sweep`, with norms the `dose`. `between` are the chosen
    coefficient and the better-scoring of its two neighbours on the same curve, within the limits or
    not, ascending; 0 in place of a neighbour if there is none.

    Raises StudyError where no candidate is left.
    """
    values = [candidates[name].to_numpy(dtype=float) for name in _names(rule)]
    below = rule.below(candidates)
    conditions = rule.conditions(candidates["layer"].to_numpy(), below, values)
    left, left_out = np.full(len(candidates), True), []
    for condition, holds in conditions:
        left_out.append({"condition": condition, "candidates": int((left & ~holds).sum())})
        left &= holds
    if not left.any():
        said = ", ".join(f"{each['condition']} ({each['candidates']})" for each in left_out)
        tables = " and ".join(rule.best.tables)
        raise StudyError(
            f"none of the {len(candidates)} candidates of {tables} is left (excluded: {said}); "
            "loosen a limit."
        )
    taken = candidates.iloc[int(_first(values[0], left, rule.lowest))]
    scores = []
    for score, name in zip(rule.scores, _names(rule), strict=True):
        table = _table_of(score, str(taken["sweep"]))
        of: dict[str, Any] = {"table": table, "column": score.column, "source": score.source}
        of |= {"relative": score.relative} if score.relative else {}
        scores.append(of | {"value": float(taken[name])})
    several = {"sweep": str(taken["sweep"])} if rule.best.further else {}
    dose = {"dose": float(taken["dose"])} if "dose" in candidates else {}
    return {
        "rule": RULE.format(
            table=" and ".join(rule.best.tables),
            conditions="; ".join(condition for condition, _ in conditions),
            best="lowest" if rule.lowest else "highest",
            score=rule.best.named,
            nearer=SMALLER if "dose" in candidates else NEARER,
        ),
        "chosen": {
            **several,
            "vector": str(taken["vector"]),
            "layer": int(taken["layer"]),
            "position": _whole(taken["position"]),
            "coefficient": float(taken["coefficient"]),
            **dose,
            "scores": scores,
        },
        "candidates": len(candidates),
        "left_out": left_out,
        "layers_below": below,
        "between": _between(candidates, taken, rule.lowest),
    }


def drawn_anew(
    rule: Rule, candidates: pd.DataFrame, resampled: Sequence[np.ndarray]
) -> tuple[np.ndarray, float]:
    """How often a rule takes each candidate, and how often none is left, over resamples.

    `resampled` has the values of each score, the best one first, [resamples, candidates] in the
    order of those `gathered`. Returns shares [candidates] and the share of resamples in which no
    candidate is left.
    """
    below = rule.below(candidates)
    conditions = rule.conditions(candidates["layer"].to_numpy(), below, resampled)
    left = np.logical_and.reduce([holds for _, holds in conditions])
    some = left.any(axis=1)
    taken = _first(resampled[0], left, rule.lowest)[some]
    shares = np.bincount(taken, minlength=len(candidates)) / len(some)
    return shares, float((~some).mean())


def reason_left_out(rule: Rule, candidates: pd.DataFrame) -> list[str]:
    """The first condition that leaves each candidate out, "" for those that are left."""
    values = [candidates[name].to_numpy(dtype=float) for name in _names(rule)]
    reasons = np.full(len(candidates), "", dtype=object)
    layers, below = candidates["layer"].to_numpy(), rule.below(candidates)
    for condition, holds in reversed(rule.conditions(layers, below, values)):
        reasons[~holds] = condition
    return [str(reason) for reason in reasons]


def _names(rule: Rule) -> list[str]:
    """The columns of scores."""
    return ["best", *(f"limit {place}" for place in range(len(rule.limits)))]


def _first(values: np.ndarray, left: np.ndarray, lowest: bool) -> np.ndarray:
    """The place of the first best value, [..., candidates], among those that are left."""
    signed = values if lowest else -values
    return np.asarray(np.where(left, signed, np.inf).argmin(axis=-1))


def _between(candidates: pd.DataFrame, taken: pd.Series, lowest: bool) -> list[float]:
    """The coefficient of a candidate and that of its better neighbour on the same curve."""
    place, known = taken["position"], candidates[candidates["best"].notna()]
    same = known["position"].isna() if pd.isna(place) else known["position"] == place
    for name in CURVE[:-1]:
        same &= known[name] == taken[name]
    curve = known[same].set_index("coefficient")["best"].sort_index()
    own = float(taken["coefficient"])
    signed = curve if lowest else -curve
    sides = [signed[signed.index < own].iloc[-1:], signed[signed.index > own].iloc[:1]]
    neighbours = pd.concat(sides)
    if neighbours.empty:
        return sorted({own, 0.0})
    return sorted([own, float(neighbours.idxmin())])


def _values(name: str, table: pd.DataFrame, score: Score) -> pd.DataFrame:
    """The steered rows of a score in a table: columns `CANDIDATE` and its `value`."""
    validated(name, table)
    unsteered = table["unsteered"].astype(bool)
    found = placed(name, table[~unsteered], score)
    twice = found[found.duplicated(CANDIDATE)]
    if not twice.empty:
        raise StudyError(
            f"{name} has several rows of {read_at(twice.iloc[0])}; name one corpus or "
            "behaviour as `source`, or another table."
        )
    if score.relative:
        base = placed(name, table[unsteered], score).drop_duplicates(CURVE)
        against = found[CURVE].merge(base[[*CURVE, "value"]], on=CURVE, how="left")["value"]
        found = found.assign(value=score.held(found["value"].to_numpy(), against.to_numpy()))
    return found


def validated(name: str, table: pd.DataFrame) -> None:
    """Raise StudyError for a table that is not of validation splits alone."""
    foreign = sorted(set(table["split"]) - {"validation"}) if "split" in table else []
    if foreign:
        raise StudyError(
            f"candidates are chosen on the validation split only, but {name} also holds "
            f"{', '.join(foreign)}; give its measure `split: validation`."
        )


def placed(name: str, table: pd.DataFrame, score: Score) -> pd.DataFrame:
    """Rows of a table with the columns `CANDIDATE` and the `value` of a score."""
    rows = table
    if score.source:
        (source,) = (column for column in _SOURCES if column in rows)
        rows = rows[rows[source] == score.source]
    layer = rows["layer"]
    if "source_layer" in rows:
        layer = rows["source_layer"].astype("Int64").astype("string").fillna(layer)
    several = [str(label) for label in layer if not str(label).isdigit()]
    if several:
        raise StudyError(
            f"{name} has vectors at layers {several[0]} together, but a candidate is read at "
            "one; name another table."
        )
    values = rows[score.column].astype(float)
    if score.column == FAULTY:
        values = values / rows["questions"]
    found = pd.DataFrame(
        {
            "sweep": name.split(".")[0],
            "vector": rows["vector"],
            "layer": layer.astype(int),
            "position": rows["source_position"] if "source_position" in rows else float("nan"),
            "coefficient": rows["coefficient"].astype(float),
            "value": values,
        }
    ).astype({"position": float})
    return found.reset_index(drop=True)


def _joined(
    candidates: pd.DataFrame, given: Mapping[str, pd.DataFrame], score: Score, sweeps: set[str]
) -> pd.Series:
    """The values of the candidates, in their order, from the tables of a limit by name."""
    found = pd.Series(np.nan, index=candidates.index)
    own = {name.split(".")[0]: name for name in given if name.split(".")[0] in sweeps}
    others = [name for name in given if name.split(".")[0] not in sweeps]
    for sweep, rows in candidates.groupby("sweep", sort=False):
        names = [own[str(sweep)]] if sweep in own else others
        if not names:
            raise StudyError(
                f"{score.named} is not a score of the candidates of {sweep}; name a table of "
                "that sweep, too."
            )
        values = pd.concat([given[name] for name in names], ignore_index=True)
        one = values["coefficient"].nunique() == 1
        on = CANDIDATE[1:-1] if one else CANDIDATE[1:]
        twice = values[values.duplicated(on)]
        if not twice.empty:
            raise StudyError(
                f"{' and '.join(names)} have several rows of {read_at(twice.iloc[0])}; name one "
                "table."
            )
        joined = rows[CANDIDATE].merge(values[[*on, "value"]], on=on, how="left", indicator="found")
        lacking = joined[joined["found"] == "left_only"]
        if not lacking.empty:
            raise StudyError(
                f"{' and '.join(names)} has no row of {read_at(lacking.iloc[0])}, a candidate of "
                "the choice; measure it there as well."
            )
        found[rows.index] = joined["value"].to_numpy()
    return found


def _table_of(score: Score, sweep: str) -> str:
    """The table that the value of a score is from, for a candidate of a sweep."""
    own = [name for name in score.tables if name.split(".")[0] == sweep]
    return own[0] if own else " and ".join(score.tables)


def _whole(position: Any) -> int | None:
    return None if pd.isna(position) else int(position)


def read_at(candidate: pd.Series) -> str:
    """A candidate in words: its vector, where that is read at, and its coefficient."""
    position = candidate["position"]
    read = "" if pd.isna(position) else f" and position {position:g}"
    return (
        f"{candidate['vector']} read at layer {candidate['layer']}{read}, with the coefficient "
        f"{candidate['coefficient']:g}"
    )
