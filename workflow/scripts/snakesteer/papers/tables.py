"""A published sweep as a table, from those of its files that can be had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from snakesteer.core import plugins
from snakesteer.core.errors import StudyError


def paths_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """What each file of a sweep holds of it -> its path; where a list names them, by path."""
    files = settings["files"]
    return dict(files) if isinstance(files, Mapping) else {path: path for path in files}


def published_table(
    settings: Mapping[str, Any], contents: Mapping[str, bytes]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The table of a sweep, and by path why a file is left out.

    `settings` are the sweep's, of which `reader` names the plugin: its `read` makes rows of one
    file, and its `table` one table of those of all files. If it has `left_out`, this says by path
    which files do not count beside the others. `contents` are those of the files that there are, by
    path. The table has no rows if every file is left out. Raises StudyError if files
    do not go together.
    """
    reader = plugins.load("papers", settings["reader"])
    rows: dict[str, pd.DataFrame] = {}
    missing: dict[str, str] = {}
    for part, path in paths_of(settings).items():
        if path not in contents:
            continue
        try:
            rows[path] = reader.read(settings, part, path, contents[path])
        except StudyError as error:
            missing[path] = str(error)
    if hasattr(reader, "left_out"):
        for path, sentence in reader.left_out(settings, rows).items():
            missing[path] = sentence
            del rows[path]
    return reader.table(settings, rows), missing
