"""Published scores without their items: a table in a CSV file, a row a point.

Columns: `behaviour` (of the vector), `layer`, `multiplier` and `score`, the mean probability of the
matching answer. `commit` is kept. Where scores are by `category`, `aggregation` says what `all` is:
the mean of items, or of categories. Further columns are for the study to choose rows by.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.tables.categories import ALL, CATEGORY, MEAN, named
from snakesteer.tables.two_choice import BEHAVIOUR_COLUMNS, PROBABILITY, score_counts

UNSTEERED = "unsteered"
_NEEDED = ["behaviour", "layer", "multiplier", "score"]
_POINT = ["vector", "behaviour", "layer", "coefficient", CATEGORY]
_AGGREGATED = {"item-mean": ALL, "category-mean": MEAN, "category-mean-computed-here": MEAN}


def read(settings: Mapping[str, Any], part: str, path: str, content: bytes) -> pd.DataFrame:
    """The points of one file that the study names; of the `UNSTEERED` part those of multiplier 0.

    Raises StudyError for a file without the columns or the rows, for values that are no numbers or
    no probabilities, and for a point that is there twice.
    """
    rows = list(_rows(settings, path, content))
    if part == UNSTEERED:
        rows = [row for row in rows if row["coefficient"] == 0]
    if not rows:
        raise StudyError(f"{path} has no row of {', '.join(settings['vectors'].values())} there")
    points = pd.DataFrame(rows)
    again = points[points.duplicated(_POINT)]
    if len(again):
        raise StudyError(f"{path} has {_said(again.iloc[0])} twice")
    return points


def table(settings: Mapping[str, Any], rows: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The points as a table of answers, in which nothing but `probability` is known of these.

    Columns, a row for each published score:
        * (as tables.two_choice.table)
        commit (text, only where the published file has it): The commit of the published code.
    """
    if not rows:
        return pd.DataFrame(columns=[*BEHAVIOUR_COLUMNS, *PROBABILITY])
    points = pd.concat(rows.values(), ignore_index=True)
    again = points[points.duplicated(_POINT)]
    if len(again):
        raise StudyError(
            f"published.sweeps.{settings['sweep']}: {' and '.join(rows)} both have "
            f"{_said(again.iloc[0])}; name one of them."
        )
    if set(points[CATEGORY]) == {ALL}:
        points = points.drop(columns=CATEGORY)
    known = [*points, "sweep", "collapsed", "unsteered"]
    usual = [*BEHAVIOUR_COLUMNS, *PROBABILITY]
    unknown = dict.fromkeys([name for name in usual if name not in known], np.nan)
    found = score_counts(points.assign(sweep=settings["sweep"], **unknown), collapse=1)
    return found[[*usual, *(name for name in found if name not in usual)]]


def _rows(settings: Mapping[str, Any], path: str, content: bytes) -> Iterator[dict[str, Any]]:
    """The rows of a file that are of the study's vectors, and as it says."""
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig")), strict=True)
        listed = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise StudyError(f"{path} is not a CSV file in UTF-8 ({error})") from None
    lacking = [name for name in _NEEDED if name not in (reader.fieldnames or [])]
    if lacking:
        raise StudyError(
            f"{path} has no column {' and no '.join(lacking)}; it has "
            f"{', '.join(reader.fieldnames or ['none'])}"
        )
    names = {key: name for name, key in settings["vectors"].items()}
    for number, row in enumerate(listed, start=2):
        if None in row or None in row.values():
            raise StudyError(f"{path} line {number} does not have as many values as columns")
        if row["behaviour"] not in names:
            continue
        if any(row.get(column, value) != value for column, value in settings["only"].items()):
            continue
        yield _point(f"{path} line {number}", row, names[row["behaviour"]], settings["asked"])


def _point(place: str, row: Mapping[str, str], vector: str, asked: str | None) -> dict[str, Any]:
    numbers = {}
    for column in ("layer", "multiplier", "score"):
        try:
            numbers[column] = float(row[column])
        except ValueError:
            raise StudyError(
                f"{place} has the {column} {row[column]!r}; a number was expected"
            ) from None
    if not (numbers["layer"].is_integer() and numbers["layer"] >= 0):
        raise StudyError(f"{place} has the layer {row['layer']!r}; a whole number was expected")
    if not np.isfinite(numbers["multiplier"]) or not 0 <= numbers["score"] <= 1:
        raise StudyError(
            f"{place} has the multiplier {row['multiplier']} and the score {row['score']}; a "
            "finite one and one from 0 to 1 were expected"
        )
    coefficient = numbers["multiplier"]
    signed = "add" if coefficient > 0 else "subtract"
    commit = {"commit": row["commit"]} if "commit" in row else {}
    return {
        "kind": "grid",
        "vector": vector,
        "layer": str(int(numbers["layer"])),
        "direction": signed if coefficient else "default",
        "combine": "",
        "weighted": False,
        "coefficient": coefficient,
        "behaviour": asked or vector,
        "split": "test",
        "probability": numbers["score"],
        CATEGORY: _category(place, row),
        **commit,
    }


def _category(place: str, row: Mapping[str, str]) -> str:
    """The category of a row: its own, `ALL` of the questions, or the `MEAN` over categories."""
    if row.get(CATEGORY, "all") != "all":
        return named(place, row[CATEGORY])
    aggregation = row.get("aggregation", "item-mean")
    if aggregation not in _AGGREGATED:
        raise StudyError(
            f"{place} is of all categories by {aggregation!r}; {' or '.join(_AGGREGATED)} was "
            "expected"
        )
    return _AGGREGATED[aggregation]


def _said(row: pd.Series) -> str:
    category = f", {row[CATEGORY]}," if row[CATEGORY] else ""
    return f"{row['vector']}{category} at layer {row['layer']} for {row['coefficient']:g}"
