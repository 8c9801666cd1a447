"""The authors' multi-steering results as rows of this workflow's behaviour tables.

Every file holds, in its own arrangement, cells `{total, matches, faulty, responses or
response_dist}`. `faulty` is taken as it stands there: what is neither of a question's two choices.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.papers.skill import coefficient_of
from snakesteer.papers.source import read_results
from snakesteer.tables.two_choice import BEHAVIOUR_COLUMNS, score_counts

# Combined steering: key of the file -> (direction, weighted).
COMBINATIONS = {
    "pos_avg_acts": ("add", False),
    "neg_avg_acts": ("subtract", False),
    "pos_weighted_acts": ("add", True),
    "neg_weighted_acts": ("subtract", True),
}

# After the first 500 questions: what the grid's `default` was measured on.
_REST = "validation and test"

# What says which result a row is; where multipliers were chosen, whichever it is.
_RESULT = ["behaviour", "layer", "direction", "combine", "weighted", "coefficient"]

Rows = Iterator[dict[str, Any]]


def read(settings: Mapping[str, Any], part: str, path: str, content: bytes) -> pd.DataFrame:
    """The counts of one file."""
    results = read_results(path, content)
    return behaviour_counts(settings["kind"], part, path, results, settings["behaviours"])


def table(settings: Mapping[str, Any], rows: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The counts by file as one table.

    Columns, a row for each published score:
        sweep, kind, vector, layer
        direction, combine, weighted (as tables.two_choice.table)
        coefficient, behaviour, split
        questions, matches, faulty, score, score_low, score_high (as tables.two_choice.table)
        majority, collapsed, propensity, propensity_low, propensity_high (as
            tables.two_choice.table)
        choice_mass (as tables.two_choice.table)
        unsteered
    """
    return behaviour_table(settings["sweep"], rows, settings["collapse"])


def behaviour_counts(
    kind: str, part: str, path: str, results: Mapping[str, Any], behaviours: Mapping[str, str]
) -> pd.DataFrame:
    """The counts of one file: the columns of `BEHAVIOUR_COLUMNS` that `score_counts` starts from.

    `kind` is that of the sweep. `part` is what a kind with two files has in this one: "add" or
    "subtract" of a grid, "mean" or "sum" of combined steering. `behaviours` maps our names to the
    file's keys. Raises StudyError for other keys or values, and for a result that is there twice.
    """
    rows = {"grid": _grid, "single": _single, "combined": _combined, "simultaneous": _simultaneous}
    found = list(rows[kind](path, results, behaviours, part))
    if not found:
        raise StudyError(f"{path} holds no result of {', '.join(behaviours.values())}")
    nothing = dict.fromkeys(["propensity", "propensity_low", "propensity_high", "choice_mass"])
    counts = pd.DataFrame(found).assign(kind=kind, **{name: np.nan for name in nothing})
    if twice := _repeated(counts):
        raise StudyError(f"{path} has {twice} twice")
    return counts


def behaviour_table(
    sweep: str, counts: Mapping[str, pd.DataFrame], collapse: float
) -> pd.DataFrame:
    """The counts by file as one table with scores and Wilson intervals (`BEHAVIOUR_COLUMNS`).

    A grid's two files both hold its default; it is kept once. Raises StudyError if files differ in
    a result that they share.
    """
    if not counts:
        return pd.DataFrame(columns=BEHAVIOUR_COLUMNS)
    joined = pd.concat(counts.values(), ignore_index=True).drop_duplicates(ignore_index=True)
    if differing := _repeated(joined):
        raise StudyError(
            f"published.sweeps.{sweep}: {' and '.join(counts)} differ in {differing}; "
            "name files of one run."
        )
    return score_counts(joined.assign(sweep=sweep), collapse)


def _repeated(counts: pd.DataFrame) -> str:
    """What the first result is that has more than one row; "" if none has."""
    columns = [name for name in _RESULT if name != "coefficient" or counts["kind"][0] != "single"]
    again = counts[counts.duplicated(columns)]
    if again.empty:
        return ""
    row = again.iloc[0]
    at = f" at layer {row['layer']}" if row["layer"] else ""
    value = row["direction"] if "coefficient" not in columns else f"{row['coefficient']:g}"
    return f"the result of {row['behaviour']}{at} for {value}"


def _grid(path: str, results: Mapping[str, Any], names: Mapping[str, str], part: str) -> Rows:
    sign = 1 if part == "add" else -1
    for behaviour, key in names.items():
        columns = _inside(path, results, key)
        if "default" not in columns:
            raise StudyError(
                f"{path}: {key} has no result 'default', which cells are compared with"
            )
        for place in columns:
            if place == "default":
                cell = _cell(f"{path}: {key}.default", columns[place])
                yield _row(behaviour, behaviour, "", "default", 0.0, _REST) | cell
                continue
            layer = _layer(f"{path}: {key}", place)
            for name, given in _inside(f"{path}: {key}", columns, place).items():
                where = f"{path}: {key}.{place}.{name}"
                size = coefficient_of(where, _after(where, name, "multiplier_"))
                row = _row(behaviour, behaviour, layer, part, sign * size, "validation")
                yield row | _cell(where, given)


def _single(path: str, results: Mapping[str, Any], names: Mapping[str, str], part: str) -> Rows:
    for layer, place in _layers(path, results):
        for behaviour, key in names.items():
            for name, given in _inside(path, results[place], key).items():
                where = f"{path}: {place}.{key}.{name}"
                value = coefficient_of(where, _after(where, name, "m_"))
                direction = _direction(value)
                yield _row(behaviour, behaviour, layer, direction, value, "test") | _cell(
                    where, given
                )


def _combined(path: str, results: Mapping[str, Any], names: Mapping[str, str], part: str) -> Rows:
    for layer, place in _layers(path, results):
        for combination, (direction, weighted) in COMBINATIONS.items():
            cells = _inside(path, results[place], combination)
            for behaviour, key in names.items():
                row = _row("all", behaviour, layer, direction, 1.0, "test")
                cell = _cell(f"{path}: {place}.{combination}.{key}", cells.get(key))
                yield row | {"combine": part, "weighted": weighted} | cell


def _simultaneous(
    path: str, results: Mapping[str, Any], names: Mapping[str, str], part: str
) -> Rows:
    for place in results:
        if place == "meta":
            continue
        cells = _inside(path, results, place)
        value = coefficient_of(path, _after(path, place, "scalar_"))
        for behaviour, key in names.items():
            row = _row("all", behaviour, part, _direction(value), value, "test")
            yield row | _cell(f"{path}: {place}.{key}", cells.get(key))


def _row(
    vector: str, behaviour: str, layer: str, direction: str, coefficient: float, split: str
) -> dict[str, Any]:
    return {
        "vector": vector,
        "behaviour": behaviour,
        "layer": layer,
        "direction": direction,
        "coefficient": coefficient,
        "split": split,
        "combine": "",
        "weighted": False,
    }


def _direction(coefficient: float) -> str:
    return "default" if coefficient == 0 else "add" if coefficient > 0 else "subtract"


def _layers(path: str, results: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for place in results:
        if place != "meta":
            yield _layer(path, place), place


def _layer(place: str, key: str) -> str:
    layer = _after(place, key, "layer_")
    if not re.fullmatch("0|[1-9][0-9]*", layer):
        raise StudyError(f"{place}: the layer of {key!r} was expected to be a whole number")
    return layer


def _inside(path: str, results: Any, key: str) -> Mapping[str, Any]:
    found = results.get(key) if isinstance(results, Mapping) else None
    if not isinstance(found, Mapping):
        raise StudyError(f"{path} has no mapping under {key!r} where one was expected")
    return found


def _after(place: str, key: str, prefix: str) -> str:
    if not key.startswith(prefix):
        raise StudyError(f"{place}: the key {key!r} was expected to begin with {prefix!r}")
    return key.removeprefix(prefix)


def _cell(place: str, cell: Any) -> dict[str, Any]:
    """Counts of one cell, checked against each other."""
    counts = {}
    for name in ("total", "matches", "faulty"):
        if not isinstance(cell, Mapping) or type(cell.get(name)) is not int:
            raise StudyError(f"{place} has no whole number {name!r}")
        counts[name] = cell[name]
    answers = _answers(place, cell)
    answered = sum(answers.values())
    if counts["total"] < 1 or answered != counts["total"]:
        raise StudyError(f"{place} has {answered} answers, but its total is {counts['total']}")
    if min(counts.values()) < 0 or counts["matches"] + counts["faulty"] > counts["total"]:
        raise StudyError(
            f"{place} counts {counts['matches']} matches and {counts['faulty']} faulty answers of "
            f"{counts['total']}; no more than all were expected"
        )
    return {
        "questions": counts["total"],
        "matches": counts["matches"],
        "faulty": counts["faulty"],
        "majority": max(answers.values()) / counts["total"],
    }


def _answers(place: str, cell: Mapping[str, Any]) -> Mapping[str, int]:
    """How often each answer was given, from a list of all or from the counts."""
    match cell:
        case {"responses": list(listed)} if all(isinstance(answer, str) for answer in listed):
            return Counter(listed)
        case {"response_dist": dict(counted)} if "responses" not in cell and all(
            type(number) is int and number >= 0 for number in counted.values()
        ):
            return counted
    raise StudyError(f"{place} has no list of answers, nor a count of each")
