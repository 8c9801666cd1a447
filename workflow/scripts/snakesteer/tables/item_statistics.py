"""The columns of tables as statistics of single items: documents, questions or prompts.

So a table's value can be taken over resamples of its items, without the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from snakesteer.sweeps.candidates import FAULTY, MAJORITY
from snakesteer.tables.continuation import raw_column
from snakesteer.tables.next_token import RATIOS
from snakesteer.tables.slopes import propensity

Statistic = Callable[[np.ndarray], np.ndarray]
"""How often each item is drawn, [resamples, items] -> the value of a column, [resamples]."""

# Measure -> the columns of raw rows that name their source and their item.
NAMED = {
    "next_token": ("corpus", "document"),
    "two_choice": ("behaviour", "question"),
    "choice": ("behaviour", "question"),
    "divergence": ("source", "sample"),
    "first_token": ("source", "sample"),
    "continuation": ("source", "sample"),
}
_RELATIVE = "relative_"


def statistic(
    measure: str, column: str, rows: pd.DataFrame, unsteered: pd.DataFrame, items: Sequence[str]
) -> Statistic | None:
    """A column of the table of a measure, as a statistic of `items`; None if it is no such.

    `rows` are the raw rows of one injection on one source at one coefficient, `unsteered` those of
    the same without steering, which relative accuracies are held against.
    """
    _, item = NAMED[measure]
    places = pd.Index(items).get_indexer(rows[item].astype(str))
    if column == MAJORITY:
        answers, which = np.unique(rows["answer"].astype(str), return_inverse=True)
        given = np.zeros((len(items), len(answers)))
        np.add.at(given, (places, which), 1)
        return lambda drawn: (drawn @ given).max(axis=1) / (drawn @ given).sum(axis=1)
    if column == "kl_p95":
        values = np.full(len(items), np.nan)
        values[places] = rows["kl"]
        return lambda drawn: _quantile(values, drawn, 0.95)
    if column.startswith(_RELATIVE):
        own = statistic(measure, column.removeprefix(_RELATIVE), rows, unsteered, items)
        base = statistic(measure, column.removeprefix(_RELATIVE), unsteered, unsteered, items)
        assert own and base
        return lambda drawn: _over(own(drawn), base(drawn))
    found = _sums(measure, column, rows)
    if found is None:
        return None
    above, below = (np.bincount(places, each, len(items)) for each in found)
    if column == "perplexity":
        return lambda drawn: np.exp(_over(drawn @ above, drawn @ below))
    return lambda drawn: _over(drawn @ above, drawn @ below)


def _sums(measure: str, column: str, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray] | None:
    """What is summed of each row, and over what; None if the column is no such ratio."""
    if measure == "next_token":
        above, below = RATIOS["nll" if column == "perplexity" else column]
        return rows[above].to_numpy(dtype=float), rows[below].to_numpy(dtype=float)
    if measure in ("two_choice", "choice"):
        counted = {"score": "match", FAULTY: "faulty"}
        if column in counted:
            values = (rows["outcome"] == counted[column]).to_numpy(dtype=float)
        elif column == "propensity":
            values = propensity(rows).to_numpy(dtype=float)
        else:
            values = rows[column].to_numpy(dtype=float)
        return values, np.ones(len(values))
    name = raw_column(column) if measure == "continuation" else column
    if name not in rows:
        return None
    values = rows[name].to_numpy(dtype=float)
    known = ~np.isnan(values)  # a text without a score is in no mean
    return np.where(known, values, 0), known.astype(float)


def _over(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The quotients; NaN over 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(below == 0, np.nan, above / below))


def _quantile(values: np.ndarray, drawn: np.ndarray, share: float) -> np.ndarray:
    """A quantile of values [items] in each resample [resamples, items], interpolated linearly
    between the two nearest, as numpy does."""
    order = np.argsort(values)
    upto = np.cumsum(drawn[:, order], axis=1)
    place = share * (upto[:, -1] - 1)
    ends = []
    for nearest in (np.floor(place), np.ceil(place)):
        ends.append(values[order][(upto > nearest[:, None]).argmax(axis=1)])
    return np.asarray(ends[0] + (place - np.floor(place)) * (ends[1] - ends[0]))
