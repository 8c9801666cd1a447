"""The scores of candidates over resamples of the items that they are measured on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from snakesteer.sweeps.candidates import Rule, Score, drawn_anew, reason_left_out
from snakesteer.tables.item_statistics import NAMED, statistic
from snakesteer.tables.job import Statistics, TableJob
from snakesteer.tables.raw import by_injection, unsteered_rows

Curve = tuple[str, int, int | None]
"""A vector, and the layer and the position (None of one) that it is read at."""


@dataclass(frozen=True)
class Draws:
    """How often each item is drawn in each resample: drawn once for all that is measured on the
    same items, so that it is paired over candidates and scores."""

    statistics: Statistics
    made: dict[tuple[str, ...], np.ndarray] = field(default_factory=dict)

    def of(self, source: str, items: Sequence[str]) -> np.ndarray:
        """Those of the items of a source, [resamples, items]."""
        key = (source, *items)
        if key not in self.made:
            generator = np.random.default_rng([self.statistics.seed, len(self.made)])
            even = np.full(len(items), 1 / len(items))
            drawn = generator.multinomial(len(items), even, self.statistics.resamples)
            self.made[key] = drawn.astype(float)
        return self.made[key]


def resampled(
    rule: Rule,
    candidates: pd.DataFrame,
    tables: Mapping[str, tuple[TableJob, Sequence[pd.DataFrame]]],
    statistics: Statistics,
) -> list[np.ndarray] | None:
    """The values of each score of a rule, the best one first, [resamples, candidates].

    `candidates` are those gathered (`sweeps.candidates.gathered`), `tables` have by name the job of
    each table with its raw tables. Items are drawn with replacement, as many as there are, for all
    candidates and scores on the same items together. None where a score is no statistic of single
    items, as what a judge's agreement with people corrects.
    """
    if any(job.measure not in NAMED for job, _ in tables.values()):
        return None
    draws = Draws(statistics)
    found = []
    for score in rule.scores:
        values = np.full((statistics.resamples, len(candidates)), np.nan)
        given = {name: _Table(*tables[name], score) for name in score.tables}
        sweeps = set(candidates["sweep"])
        own = {name.split(".")[0]: table for name, table in given.items()}
        others = [table for sweep, table in own.items() if sweep not in sweeps]
        for place, candidate in enumerate(candidates.itertuples()):
            tried = [own[candidate.sweep]] if candidate.sweep in own else others
            position = None if pd.isna(candidate.position) else int(candidate.position)
            curve = (str(candidate.vector), int(candidate.layer), position)
            (table,) = (one for one in tried if curve in one.curves)
            drawn = table.drawn(curve, float(candidate.coefficient), draws)
            if drawn is None:
                return None
            values[:, place] = drawn
        found.append(values)
    return found


def told(
    rule: Rule,
    candidates: pd.DataFrame,
    choice: Mapping[str, Any],
    values: Sequence[np.ndarray] | None,
    statistics: Statistics | None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """All candidates as a table, and what the choice says of how certain it is.

    `choice` is what `sweeps.candidates.chosen` returns of those gathered, `values` what `resampled`
    does. The table has a row for each candidate: the columns gathered, `left_out` (by what, or ""),
    `chosen`, and `share`, of the resamples in which the rule takes it (NaN where there are none).
    The choice gets `resamples`: None, or how many (`resamples`), their `seed`, the share of the
    chosen one (`chosen`), that in which none was left (`none`), and the `shares` of all that were
    ever taken, most often first.

    Columns of candidates, a row for each candidate, first the one that ties go to:
        sweep (as tables)
        vector (as tables)
        layer (whole number): The layer, from 0, that the vector is read at.
        position (whole number): The position that the vector is read at; -1 is the last token.
            Empty for a vector of one position.
        coefficient (as tables)
        best (number): The score that decides.
        limit … (number, only with limits): The score of each limit, from `limit 0`, as the limit
            compares it.
        dose (number, only where doses decide ties): Magnitude of the coefficient times the vector's
            norm at that layer.
        left_out (text): The condition that leaves the candidate out. Empty text for none.
        chosen (true or false): Whether this candidate is chosen.
        share (number): Share of the resamples in which the rule chooses it. Empty without
            resamples.

    Keys of choice:
        rule (text): The rule in words.
        chosen.sweep (text, only with several sweeps): The sweep of the chosen candidate.
        chosen.vector (text): Its vector.
        chosen.layer (whole number): The layer, from 0, that the vector is read at.
        chosen.position (whole number): The position that the vector is read at, or null.
        chosen.coefficient (number): Its coefficient.
        chosen.dose (number, only where doses decide ties): Magnitude of the coefficient times the
            vector's norm at that layer.
        chosen.scores (list): Each score with its `table`, `column`, `source` and `value`, first the
            one that decides. A limit relative to the unsteered value has `relative`, too.
        candidates (whole number): Candidates before any is left out.
        left_out (list): Each `condition` in order, and how many `candidates` it leaves out.
        layers_below (whole number): The first layer that is left out, or null.
        between (list of numbers): The coefficient that is chosen and the better one of its
            neighbours on the same curve, ascending.
        resamples (null, only without resamples): Null where the choice has no resamples.
        resamples.resamples (whole number, only with resamples): How many resamples were drawn.
        resamples.seed (whole number, only with resamples): Their seed.
        resamples.chosen (number, only with resamples): Share of the resamples in which the same
            candidate is chosen.
        resamples.none (number, only with resamples): Share of the resamples in which no candidate
            is left.
        resamples.shares (list, only with resamples): Each candidate that is ever chosen, with its
            `share`, most often first.
    """
    listed = candidates.assign(left_out=reason_left_out(rule, candidates))
    own = choice["chosen"]
    here = listed["vector"] == own["vector"]
    for name in ("layer", "coefficient"):
        here &= listed[name] == own[name]
    position = listed["position"]
    here &= position.isna() if own["position"] is None else position == own["position"]
    here &= listed["sweep"] == own.get("sweep", listed["sweep"].iloc[0])
    listed = listed.assign(chosen=here, share=np.nan)
    listed["position"] = listed["position"].astype("Int64")
    if values is None or statistics is None:
        return listed, {"resamples": None}
    shares, none = drawn_anew(rule, candidates, values)
    listed["share"] = shares
    several = ["sweep"] if rule.best.further else []
    often = []
    for place in np.argsort(-shares, kind="stable"):
        if shares[place]:
            row = listed.iloc[int(place)]
            read = None if pd.isna(row["position"]) else int(row["position"])
            of: dict[str, Any] = {name: str(row[name]) for name in [*several, "vector"]}
            of |= {"layer": int(row["layer"]), "position": read}
            of |= {"coefficient": float(row["coefficient"]), "share": float(shares[place])}
            often.append(of)
    return listed, {
        "resamples": {
            "resamples": statistics.resamples,
            "seed": statistics.seed,
            "chosen": float(shares[here.to_numpy()].sum()),
            "none": none,
            "shares": often,
        }
    }


class _Table:
    """The raw rows of a table by curve, for one score."""

    def __init__(self, job: TableJob, raw: Sequence[pd.DataFrame], score: Score) -> None:
        self.measure, self.score = job.measure, score
        self.source, self.item = NAMED[job.measure]
        self.curves: dict[Curve, pd.DataFrame] = {}
        for injected, rows, _ in by_injection(job, raw, []):
            read = injected.columns
            layer = read.get("source_layer", injected.layer)
            own = rows if score.source is None else rows[rows[self.source] == score.source]
            self.curves[injected.what, int(layer), read.get("source_position")] = own
        self.items = _items(self.curves.values(), self.source, self.item)
        steered: set[float] = set()
        for rows in self.curves.values():
            steered |= {*rows.loc[~_unsteered(rows), "coefficient"]}
        self.only = steered.pop() if len(steered) == 1 else None

    def drawn(self, curve: Curve, coefficient: float, draws: Draws) -> np.ndarray | None:
        """The values of a candidate, [resamples]; None if they are no statistic of items."""
        rows = self.curves[curve]
        unsteered = rows[_unsteered(rows)]
        wanted = coefficient if self.only is None else self.only
        steered = rows[rows["coefficient"] == wanted]
        (source,) = rows[self.source].unique()
        items = self.items[source]
        values = []
        for part in (steered, unsteered) if self.score.relative else (steered,):
            of = statistic(self.measure, self.score.column, part, unsteered, items)
            if of is None:
                return None
            values.append(of(draws.of(source, items)))
        return np.asarray(self.score.held(values[0], values[-1]))


def _items(tables: Iterable[pd.DataFrame], source: str, item: str) -> dict[str, list[str]]:
    """The items of each source."""
    found: dict[str, dict[str, None]] = {}
    for rows in tables:
        for name, own in rows.groupby(source, sort=False):
            found.setdefault(str(name), {}).update(dict.fromkeys(own[item].astype(str)))
    return {name: sorted(items) for name, items in found.items()}


def _unsteered(rows: pd.DataFrame) -> np.ndarray:
    """Which rows are the unsteered model's."""
    return unsteered_rows(rows["coefficient"].to_numpy(dtype=float))
