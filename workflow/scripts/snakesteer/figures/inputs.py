"""What a figure is drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.storage.files import read_json, read_provenance, read_table, read_tensors
from snakesteer.tables.categories import without_categories
from snakesteer.tables.draws import DRAW, DRAWS, single_draws, with_ranges, without_draws
from snakesteer.tables.vector_intervals import with_intervals

# Kind of table -> a column that no other kind has.
_COLUMN = {"skill": "role", "behaviour": "faulty", "histograms": "bin"}


class NothingToDraw(StudyError):
    """What a figure is about is missing altogether."""


@dataclass(frozen=True)
class Inputs:
    """The tables and arrays of one figure.

    `skill` and `behaviour` are aggregate tables (`skill_tables.SKILL_COLUMNS`,
    `behaviour_tables.BEHAVIOUR_COLUMNS`) holding the rows of the figure's sweeps and no others;
    `arrays` are mean activations or vectors by display order, each [n_layers, hidden], or else
    `histograms` of them (`histograms.HISTOGRAM_COLUMNS`). `vectors` and `cosines` are the study's
    vectors in numbers (`vectors.described`). `tables` are all tables, whatever they are of,
    and `drawn` of those with draws the rows of each by itself.
    `effects` are tables of slopes of questions by what they are, "items", "slopes" and, if there
    are controls, "control" (`tables.slopes`, `tables.null`).
    `ranking` are the tables of a ranking, "arms", "pairs" and "vectors" (`tables.ranking`).
    `chosen` is a choice among candidates (`sweeps.candidates.chosen`), `candidates` are all of them
    (`tables.resampled_candidates.told`).
    `absent` says what is missing of published results, `unqualified` where a multiplier was chosen
    though none qualified.
    """

    skill: pd.DataFrame | None = None
    behaviour: pd.DataFrame | None = None
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    histograms: pd.DataFrame | None = None
    vectors: pd.DataFrame | None = None
    cosines: pd.DataFrame | None = None
    tables: Sequence[pd.DataFrame] = ()
    effects: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    ranking: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    drawn: Sequence[pd.DataFrame] = ()
    chosen: Mapping[str, Any] | None = None
    candidates: pd.DataFrame | None = None
    absent: Sequence[str] = ()
    unqualified: Sequence[str] = ()

    def skill_rows(self) -> pd.DataFrame:
        """The skill table; NothingToDraw if the figure was given none."""
        if self.skill is None or self.skill.empty:
            raise NothingToDraw("this figure draws a skill sweep, but its entry names none.")
        return self.skill

    def behaviour_rows(self, *kinds: str) -> pd.DataFrame:
        """The behaviour rows of these kinds; NothingToDraw if there are none of the first kind."""
        if self.behaviour is not None:
            rows = self.behaviour[self.behaviour["kind"].isin(kinds)]
            if (rows["kind"] == kinds[0]).any():
                return rows
        raise NothingToDraw(
            f"this figure draws a {kinds[0]} behaviour sweep, but its entry names none."
        )


def read_inputs(
    tables: Sequence[str],
    arrays: Mapping[str, str],
    intervals: Literal["items", "vectors", "both"] = "items",
    described: Sequence[str] = (),
    choice: Sequence[str] = (),
    effects: Sequence[str] = (),
    ranking: Sequence[str] = (),
) -> Inputs:
    """The inputs of a figure from files: of tables of any kind, of its arrays by name, of the two
    tables of vectors in numbers, of a choice among candidates, behind which these stand, of the
    tables of effects, and of those of a ranking.

    `intervals`: see `vector_intervals.with_intervals`. What was drawn several times has the range
    of its draws in their place, and how many in the column `draws`. A table without rows is one
    that published results are missing for altogether.
    """
    held = [table.to_pandas() for path in tables if len(table := read_table(path))]
    read = [_shown(table, intervals) for table in held]
    joined = {}
    for kind, column in _COLUMN.items():
        of_kind = [without_categories(table) for table in read if column in table]
        joined[kind] = pd.concat(of_kind, ignore_index=True) if of_kind else None
    vectors, cosines = [pd.read_csv(path) for path in described] or (None, None)
    origins = [read_provenance(path) for path in tables]
    unqualified = (origin.get("unqualified") for origin in origins)
    return Inputs(
        **joined,
        tables=read,
        drawn=[single_draws(table) for table in held if DRAW in table],
        arrays={name: next(iter(read_tensors(path).values())) for name, path in arrays.items()},
        vectors=vectors,
        cosines=cosines,
        effects={_what(path): without_draws(read_table(path).to_pandas()) for path in effects},
        ranking={_what(path): read_table(path).to_pandas() for path in ranking},
        chosen=next(map(read_json, choice[:1]), None),
        candidates=next((read_table(path).to_pandas() for path in choice[1:]), None),
        absent=list(
            dict.fromkeys(
                sentence for origin in origins for sentence in origin.get("missing", {}).values()
            )
        ),
        unqualified=list(dict.fromkeys(filter(None, unqualified))),
    )


def _what(path: str) -> str:
    """What a table of effects, or of a ranking, is of: the word before the ending of its name."""
    return Path(path).suffixes[-2].removeprefix(".")


def _shown(table: pd.DataFrame, intervals: Literal["items", "vectors", "both"]) -> pd.DataFrame:
    shown = without_draws(table)
    return with_ranges(shown) if DRAWS in shown else with_intervals(shown, intervals)
