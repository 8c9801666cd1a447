"""What a figure is drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from snakesteer.errors import StudyError


@dataclass(frozen=True)
class Inputs:
    """The tables and arrays of one figure.

    `skill` and `behaviour` are aggregate tables (`skill_tables.SKILL_COLUMNS`,
    `behaviour_tables.BEHAVIOUR_COLUMNS`) holding the rows of the figure's sweeps and no others;
    `arrays` are mean activations or vectors by display order, each [n_layers, hidden].
    """

    skill: pd.DataFrame | None = None
    behaviour: pd.DataFrame | None = None
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    def skill_rows(self) -> pd.DataFrame:
        """The skill table; StudyError if the figure was given none."""
        if self.skill is None or self.skill.empty:
            raise StudyError("this figure draws a skill sweep, but its entry names none.")
        return self.skill

    def behaviour_rows(self, *kinds: str) -> pd.DataFrame:
        """The behaviour rows of these kinds; StudyError if there are none of the first kind."""
        if self.behaviour is not None:
            rows = self.behaviour[self.behaviour["kind"].isin(kinds)]
            if (rows["kind"] == kinds[0]).any():
                return rows
        raise StudyError(
            f"this figure draws a {kinds[0]} behaviour sweep, but its entry names none."
        )
