"""A published sweep as a table, from those of its files that can be had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.papers.behaviours import behaviour_counts, behaviour_table
from snakesteer.papers.skill import skill_curve
from snakesteer.papers.source import read_results
from snakesteer.tables.next_token import SKILL_COLUMNS, skill_table


def paths_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """What each file of a sweep holds of it -> its path; a skill sweep's are told apart by path."""
    files = settings["files"]
    return dict(files) if isinstance(files, Mapping) else {path: path for path in files}


def published_table(
    settings: Mapping[str, Any], contents: Mapping[str, bytes]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The table of a sweep, and by path why a file is left out.

    `settings` are the sweep's, `contents` those of its files that there are, by path. The columns
    are `SKILL_COLUMNS` or `BEHAVIOUR_COLUMNS`, without rows if every file is left out. Raises
    StudyError if two files are of one layer, or differ in a result that both have.
    """
    skill = settings["kind"] == "skill"
    tables: dict[str, pd.DataFrame] = {}
    missing: dict[str, str] = {}
    present = {part: path for part, path in paths_of(settings).items() if path in contents}
    for part, path in present.items():
        try:
            results = read_results(path, contents[path])
            tables[path] = (_skill if skill else _counts)(settings, part, path, results)
        except StudyError as error:
            missing[path] = str(error)
    if not skill:
        return behaviour_table(settings["sweep"], tables, settings["collapse"]), missing
    if not tables:
        return pd.DataFrame(columns=SKILL_COLUMNS), missing
    _check_layers(settings["sweep"], tables)
    return pd.concat(tables.values(), ignore_index=True), missing


def _check_layers(sweep: str, tables: Mapping[str, pd.DataFrame]) -> None:
    """Raises StudyError if two files are of one layer."""
    path_of: dict[str, str] = {}
    for path, table in tables.items():
        layer = table["layer"][0]
        if layer in path_of:
            raise StudyError(
                f"published.sweeps.{sweep}.files has two files of layer {layer}, {path_of[layer]} "
                f"and {path}; name one of them."
            )
        path_of[layer] = path


def _skill(
    settings: Mapping[str, Any], _part: str, path: str, results: Mapping[str, Any]
) -> pd.DataFrame:
    curve = skill_curve(path, results, settings["vector"], settings["corpora"])
    return skill_table(settings["sweep"], settings["target"], [curve], **settings["statistics"])


def _counts(
    settings: Mapping[str, Any], part: str, path: str, results: Mapping[str, Any]
) -> pd.DataFrame:
    return behaviour_counts(settings["kind"], part, path, results, settings["behaviours"])
