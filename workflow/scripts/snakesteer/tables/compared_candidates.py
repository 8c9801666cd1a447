"""Two tables of candidate directions, compared candidate by candidate.

A candidate is a vector read at a position and a layer; its value is a mean log-odds of first tokens
(`tables.first_token`) or a mean divergence (`tables.divergence`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.tables.difference_intervals import may_be_zero, square_and_add

KIND = "candidates"
# Column of the values -> what they are.
_QUANTITIES = {"log_odds": "log-odds (nats)", "kl": "KL divergence (nats)"}
_POSITION, _LAYER = "source_position", "source_layer"
_PLACE = ["position", "read_at"]
_ALIKE = ["vector", "coefficient", "source"]  # of which a table that is compared has one
_CHANCE = 20  # one in so many 95 % intervals misses


def of_candidates(table: pd.DataFrame) -> bool:
    """Whether a table is of vectors read at several positions, with values of `_QUANTITIES`."""
    return _POSITION in table and any(name in table for name in _QUANTITIES)


def compare(
    ours: pd.DataFrame, theirs: pd.DataFrame, column: str | None = None
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """A row for each candidate that both tables have; and a row on all of them together, and on
    those of each position.

    Compared is a `column` of both, or if none is named the one of `_QUANTITIES`. The columns are
    those of a scorecard's pairs, with a curve for each position and a point for each layer, and of
    its curves. Differences are the first minus the second, with an interval where both have one. A
    candidate without a number in either table is counted, and left out of the rows on several.

    Raises StudyError for a table that is not of candidates, lacks the column, or has more than one
    vector, source or coefficient. Also raises it for tables without a common candidate.
    """
    names = [str(table["sweep"].iloc[0]) for table in (ours, theirs)]
    for name, table in zip(names, (ours, theirs), strict=True):
        if not of_candidates(table):
            raise StudyError(
                f"{names[0]} and {names[1]} are not both of candidate directions, as {name} has "
                "no vectors read at several positions; compare tables of the same kind."
            )
    column = column or next(name for name in _QUANTITIES if name in ours)
    left, right = (
        _cells(name, table, column) for name, table in zip(names, (ours, theirs), strict=True)
    )
    pairs = left.merge(right, on=_PLACE, suffixes=("", "_against"))
    if pairs.empty:
        raise StudyError(
            f"{names[0]} and {names[1]} have no candidate in common; compare tables of the same "
            "positions and layers."
        )
    pairs = pairs.sort_values(_PLACE, ignore_index=True)
    difference, low, high = square_and_add(
        (pairs["value"], pairs["low"], pairs["high"]),
        (pairs["value_against"], pairs["low_against"], pairs["high_against"]),
    )
    pairs = pairs.assign(
        sweep=names[0],
        against=names[1],
        kind=KIND,
        curve=pairs["position"].map(lambda at: f"position {at:g}".replace("-", "−")),
        quantity=_QUANTITIES.get(column, column.replace("_", " ")),
        point=pairs["read_at"].map("layer {}".format),
        difference=difference,
        difference_low=low,
        difference_high=high,
        within=may_be_zero(low, high),
    )
    rows = [_summary(pairs, "all candidates")]
    for curve, own in pairs.groupby("curve", sort=False):
        rows.append(_summary(own, str(curve)))
    return pairs, rows


def same_candidate(first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    """A sentence on whether two choices (`sweeps.candidates.choose`, its `chosen`) took candidates
    of one layer and position."""
    one, other = _place(first), _place(second)
    if one == other:
        return f"The same candidate is chosen in both: {one}."
    return f"Different candidates are chosen: {one} in the first, {other} in the second."


def _place(chosen: Mapping[str, Any]) -> str:
    position = chosen["position"]
    said = "" if position is None else f"position {position}, ".replace("-", "−")
    return f"{said}layer {chosen['layer']}"


def _cells(name: str, table: pd.DataFrame, column: str) -> pd.DataFrame:
    """A row per candidate: its place, its coefficient, its value and the ends of its interval."""
    if column not in table:
        raise StudyError(
            f"a scorecard compares the column {column}, which {name} lacks; compare tables of "
            "one measure."
        )
    steered = table[~table["unsteered"].astype(bool) & table[_POSITION].notna()]
    for aspect in _ALIKE:
        if steered[aspect].nunique() > 1:
            held = ", ".join(map(str, steered[aspect].unique()[:5]))
            raise StudyError(
                f"{name} has more than one {aspect} ({held}); a scorecard compares candidates of "
                "one, so give each its own sweep or measure."
            )
    read_at = steered[_LAYER] if _LAYER in steered else steered["layer"]
    return pd.DataFrame(
        {
            "position": steered[_POSITION].astype(int),
            "read_at": read_at.astype(int),
            "coefficient": steered["coefficient"],
            "value": steered[column],
            "low": steered.get(f"{column}_low", np.nan),
            "high": steered.get(f"{column}_high", np.nan),
        }
    )


def _summary(pairs: pd.DataFrame, curve: str) -> dict[str, Any]:
    both = pairs.dropna(subset="difference")
    known = both.dropna(subset=["difference_low", "difference_high"])
    outside = int((~pairs["within"]).sum())
    half = [
        np.sqrt(((known["difference"] - known[end]) ** 2).sum()) / (len(known) or np.nan)
        for end in ("difference_low", "difference_high")
    ]
    mean = float(both["difference"].mean())
    row = {name: pairs[name].iloc[0] for name in ("sweep", "against", "kind")}
    row |= {
        "curve": curve,
        "pairs": len(both),
        "outside": outside,
        "statistic": f"mean {pairs['quantity'].iloc[0]}",
        "value": both["value"].mean(),
        "value_against": both["value_against"].mean(),
        "difference": mean,
        "difference_low": mean - half[0],
        "difference_high": mean + half[1],
        "rank_agreement": _rank_agreement(both),
    }
    within = outside <= len(both) / _CHANCE if len(known) else None
    verdict = {True: "agrees", False: "differs", None: "unknown"}[within]
    return row | {"within": within, "verdict": f"{verdict}: {_said(row, both, pairs)}"}


def _said(row: dict[str, Any], both: pd.DataFrame, pairs: pd.DataFrame) -> str:
    if both.empty:
        return "no candidate has a number in both"
    most = both.loc[both["difference"].abs().idxmax()]
    said = [
        f"differences are {row['difference']:+.3f} on average, and {most['difference']:+.3f} at "
        f"most ({most['curve']}, {most['point']})"
    ]
    if both[["difference_low", "difference_high"]].notna().all(axis=1).any():
        said.append(f"{row['outside']} of {len(both)} candidates differ")
    else:
        said.append("no difference has an interval")
    if lost := len(pairs) - len(both):
        said.append(f"{lost} without a number are not compared")
    return "; ".join(said)


def _rank_agreement(both: pd.DataFrame) -> float:
    """Spearman's rank correlation over the candidates; NaN if one side is constant."""
    ranks = both[["value", "value_against"]].rank().to_numpy()
    if len(ranks) < 2 or (ranks.std(axis=0) == 0).any():
        return float("nan")
    return float(np.corrcoef(ranks.T)[0, 1])
