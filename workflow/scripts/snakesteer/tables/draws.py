"""A control that was drawn several times, in tables: each draw by itself, and their mean and range.

A table with such controls has the column `draw`, from 0, which only their rows have. Behind these
stands, for every point, a row of the mean of its `draws` (how many), with the range in columns of
their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

DRAW, DRAWS = "draw", "draws"
LEAST, MOST = "_min", "_max"


def with_means(
    table: pd.DataFrame, values: Sequence[str], counted: Sequence[str], others: Sequence[str]
) -> pd.DataFrame:
    """The table with the means of the draws behind it; the same if none of it is drawn.

    The mean of each of `values` stands in its own column, the range in `…_min` and `…_max`. Of what
    is `counted` to make them, the least stands there. `others` belong to single draws alone. All
    other columns say which point a row is of.
    """
    if DRAW not in table:
        return table
    own = {DRAW, *values, *counted, *others}
    point = [name for name in table if name not in own]
    points = table[table[DRAW].notna()].groupby(point, sort=False, dropna=False)
    means = points[list(values)].mean().assign(**{name: points[name].min() for name in counted})
    means[DRAWS] = points.size()
    for name in values:
        means[f"{name}{LEAST}"], means[f"{name}{MOST}"] = points[name].min(), points[name].max()
    joined = pd.concat([table, means.reset_index()], ignore_index=True)
    return joined.astype({DRAW: "Int64", DRAWS: "Int64"})


def without_draws(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the means of what was drawn several times, without the draws."""
    if DRAW not in table:
        return table
    return table[table[DRAW].isna()].drop(columns=DRAW).reset_index(drop=True)


def single_draws(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of each draw of a table by itself, without their means."""
    return table[table[DRAW].notna()].drop(columns=DRAWS).reset_index(drop=True)


def draws_of(rows: pd.DataFrame) -> int:
    """Of how many draws rows are means; 0 for rows that are none."""
    return int(rows[DRAWS].fillna(0).max()) if DRAWS in rows else 0


def draws_column(rows: pd.DataFrame) -> list[str]:
    """The column that says how many draws rows are means of, if there is one."""
    return [DRAWS] if DRAWS in rows else []


def with_ranges(table: pd.DataFrame) -> pd.DataFrame:
    """A table `without_draws` whose `…_low` and `…_high` are the range where a row is a mean."""
    ranges = {}
    for name in table:
        for ends, own in ((LEAST, "_low"), (MOST, "_high")):
            value = name.removesuffix(ends)
            if value != name and f"{value}{own}" in table:
                ranges[f"{value}{own}"] = table[name].where(
                    table[DRAWS].notna(), table[f"{value}{own}"]
                )
    return table.assign(**ranges)
