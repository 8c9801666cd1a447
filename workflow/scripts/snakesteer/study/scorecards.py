"""Comparisons of sweeps."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from snakesteer.study.entries import Entry, Name, Some, TableNames
from snakesteer.tables.scorecard import Along


class Scorecard(Entry):
    """Two sets of sweeps over the same figure, compared curve by curve: published against one's
    own, or one setting against another."""

    sweeps: TableNames = Field(description="Sweeps of this study, its own or published ones.")
    against: Annotated[list[str], Some] = Field(
        description="As many sweeps to compare them with, in the same order; `STUDY/SWEEP` is one "
        "of another study that was run in the same folder."
    )
    column: str | None = Field(
        None,
        description="Column of both tables that is compared, such as `probability`; if left out, "
        "relative top-1 accuracies, and matching scores.",
    )
    along: Along = Field(
        "coefficient",
        description="What a curve runs along. With `layer` there is one for each behaviour and "
        "coefficient, of vectors alone; with `coefficient` one for each behaviour and layer.",
    )
    by_category: bool = Field(
        False,
        description="Compare each category of questions by itself, too, which both tables must "
        "tell; if left out, all questions together and the mean over categories.",
    )
    choices: Annotated[list[Name], Field(min_length=2, max_length=2)] | None = Field(
        None,
        description="Two choices with `best`, out of `sweeps` and out of `against`: whether they "
        "take the same candidate is said.",
    )
    title: str | None = Field(None, description="Heading of the page and the figure.")
    caption: str | None = Field(None, description="Caption in the report.")

    @model_validator(mode="after")
    def _in_pairs(self) -> Self:
        if len(self.sweeps) != len(self.against):
            raise ValueError(
                f"sweeps names {len(self.sweeps)} and against {len(self.against)}; name as many "
                "in both, in the same order"
            )
        return self
