"""What a ranking says, in sentences: how far each arm moves answers, and which are ties."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from snakesteer.figures.ranking import arm_names
from snakesteer.reports.findings import with_interval
from snakesteer.tables.ranking import ARM


def of_ranking(arms: pd.DataFrame, pairs: pd.DataFrame, titles: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each arm, the largest change first; `titles` are those of sweeps."""
    order = list(arms[ARM].itertuples(index=False, name=None))
    names = arm_names(order, {"titles": titles})
    ties = pairs[pairs["tie"]]
    for arm, name, row in zip(order, names, arms.to_dict("records"), strict=True):
        sign = "+" if row["change"] > 0 else ""
        change = sign + with_interval(row["change"], row["change_low"], row["change_high"])
        first = (ties["arm"] == arm[0]) & (ties["sweep"] == arm[1])
        second = (ties["against"] == arm[0]) & (ties["against_sweep"] == arm[1])
        tied = int((first | second).sum())
        said = (
            f"a tie with {tied} of {len(order) - 1} other arms" if tied else "a tie with no other"
        )
        yield (
            f"{row['rank']}. {name}: propensity changes by {change} nats, the mean over "
            f"{row['behaviours']} behaviours; {said}."
        )
