"""Questions by category, in tables: each category by itself, and the mean over categories.

A table with categories has the column `category`. It is "" in the rows of all questions, `MEAN` in
those of the mean over categories, in which each counts alike, and else a category's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.tables.intervals import mean_interval

CATEGORY, ALL, MEAN = "category", "", "mean"
_COUNTS = ["questions", "matches", "faulty"]


def by_category(raw: pd.DataFrame, questions: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The raw rows twice: as they are, and with the category of their question.

    `questions` are by behaviour the tables of its questions, with their `category`. Raises
    StudyError for a behaviour whose questions have none, or one that is called `MEAN`.
    """
    parts = [raw.assign(**{CATEGORY: ALL})]
    for behaviour, asked in questions.items():
        known = set(asked[CATEGORY].dropna()) if CATEGORY in asked else set()
        if not known or asked[CATEGORY].isna().any():
            raise StudyError(
                f"behaviours.{behaviour} has questions without a category, but its measure has "
                "by_category; name the field that holds the category, or remove by_category."
            )
        for category in known:
            named(f"behaviours.{behaviour}", category)
        category_of = dict(zip(asked["question"], asked[CATEGORY], strict=True))
        own = raw[raw["behaviour"] == behaviour]
        parts.append(own.assign(**{CATEGORY: own["question"].map(category_of)}))
    return pd.concat(parts, ignore_index=True)


def named(place: str, category: Any) -> str:
    """The name of a category; StudyError, with the `place`, for one that tables call something
    else."""
    if not isinstance(category, str) or category in (ALL, MEAN):
        raise StudyError(
            f"{place} has the category {category!r}; a text other than {ALL!r} and {MEAN!r} was "
            "expected"
        )
    return category


def cell_of(raw: pd.DataFrame) -> list[str]:
    """The columns that say which row of a table a raw row belongs to."""
    return ["coefficient", "behaviour", *([CATEGORY] if CATEGORY in raw else [])]


def with_mean(found: pd.DataFrame) -> pd.DataFrame:
    """The means over categories behind the rows of `found`, whose index says what they are of.

    The same if it has no categories. Counts of questions and answers are summed. A value with an
    interval, `…_low` and `…_high`, has Student's over the categories.
    """
    if CATEGORY not in found.index.names:
        return found
    own = found[~found.index.get_level_values(CATEGORY).isin([ALL, MEAN])]
    point = [name for name in found.index.names if name != CATEGORY]
    groups = own.groupby(level=point, sort=False, dropna=False)
    means, deviations, count = groups.mean(), groups.std(), groups.size().to_numpy()
    for name in means:
        if f"{name}_low" in means:
            low, high = mean_interval(means[name].to_numpy(), deviations[name].to_numpy(), count)
            means[f"{name}_low"], means[f"{name}_high"] = low, high
    for name in set(_COUNTS) & set(means):
        means[name] = groups[name].sum()
    means = means.assign(**{CATEGORY: MEAN}).set_index(CATEGORY, append=True)
    means = means.reorder_levels(found.index.names)
    joined = pd.concat([found, means])
    kept = {name: found[name].dtype for name in _COUNTS if name in found}
    return joined.astype({name: kind for name, kind in kept.items() if kind != np.dtype(float)})


def without_categories(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of all questions alone."""
    if CATEGORY not in table:
        return table
    return table[table[CATEGORY] == ALL].drop(columns=CATEGORY).reset_index(drop=True)


def means_alone(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of all questions and those of the mean over categories."""
    if CATEGORY not in table:
        return table
    return table[table[CATEGORY].isin([ALL, MEAN])].reset_index(drop=True)


def of_category(rows: pd.DataFrame, category: str | None, table: str) -> pd.DataFrame:
    """The rows of one category, `MEAN` being the mean over all, or those of all questions.

    Raises StudyError if the table, by this name, has none of them.
    """
    held = rows[CATEGORY] if CATEGORY in rows else pd.Series(ALL, index=rows.index)
    found = rows[held == (category or ALL)]
    if found.empty and not rows.empty:
        known = sorted(set(held) - {ALL})
        if category is None:
            sentence = f"sweeps.{table} by category alone; give it `category`"
        else:
            sentence = f"the category {category} of sweeps.{table}; name another"
        raise StudyError(f"a figure draws {sentence}: {', '.join(known) or 'it has none'}.")
    return found
