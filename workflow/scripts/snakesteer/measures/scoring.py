"""Scores of texts that were written: by plugins (`measures.scorers`), or by files of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa

from snakesteer.core import own_code, plugins
from snakesteer.core.errors import StudyError
from snakesteer.hub.manifest import locate_file
from snakesteer.measures.written import Written

PREFIX = "score_"  # of the columns of raw tables
OWN = ("",)  # the one column of a scorer that does not say which it has


@dataclass(frozen=True, eq=False)
class Scorer:
    """A score by its `name`: the plugin or Python file that gives it, with the settings of that."""

    name: str
    scorer: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, str]:
        """The column of tables for each that the scorer gives, which is "" for the score itself."""
        return {part: column(self.name, part) for part in parts(self.scorer)}


def column(name: str, part: str) -> str:
    """The column of tables for a part of a score."""
    return f"{name}_{part}" if part else name


def file_of(scorer: str) -> Path:
    """The file of a scorer: of a plugin, or one in the working directory or the repository.

    Raises StudyError if there is none.
    """
    if own_code.is_own(scorer):
        return locate_file(scorer, plugins.PACKAGE.parents[2])
    return plugins.file_of("scorers", scorer)


def parts(scorer: str) -> tuple[str, ...]:
    """What a scorer gives of each text, by name, without importing it."""
    return tuple(plugins.constant(file_of(scorer), "COLUMNS", OWN))


def load(scorer: str) -> ModuleType:
    """A scorer. Raises StudyError if there is none, or if its file cannot be imported."""
    if own_code.is_own(scorer):
        return own_code.load(file_of(scorer), "score")
    return plugins.load("scorers", scorer)


def scored(scorer: Scorer, written: Written, model: object) -> pa.Table:
    """What a scorer gives of each text: a column for each of its parts, missing where it is NaN.

    Raises StudyError for a scorer that fails, or that gives anything but a number for each text.
    """
    path = file_of(scorer.scorer)
    module = load(scorer.scorer)
    try:
        found = module.score(written, scorer.settings, model)
    except StudyError:
        raise
    except Exception as error:
        raise StudyError(f"{own_code.failed(path, error)}; correct it.") from error
    given = found if isinstance(found, Mapping) else {"": found}
    columns = {}
    for part in parts(scorer.scorer):
        columns[part] = _numbers(path, part, given.get(part), len(written.texts))
    return pa.table(columns)


def _numbers(path: Path, part: str, given: Sequence[float] | None, count: int) -> pa.Array:
    named = f"the column {part!r}" if part else "the score"
    if given is None:
        raise StudyError(f"{path} returns no values for {named}; return one for each text.")
    try:
        values = np.array(list(given), dtype=float)
    except (TypeError, ValueError):
        raise StudyError(
            f"{path} returns values that are not numbers for {named}; return numbers."
        ) from None
    if values.shape != (count,):
        raise StudyError(
            f"{path} returns {len(values)} values of {named} for {count} texts; return one for "
            "each."
        )
    return pa.array(values, pa.float64(), from_pandas=True)
