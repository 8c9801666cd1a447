"""Comparisons of sweeps."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from snakesteer.study.entries import Entry, Name, Some, TableNames
from snakesteer.tables.scorecard import Along


class Scorecard(Entry):
    """Two sets of sweeps compared curve by curve: published results with your own, or one
    setting with another."""

    EXAMPLE = """
        scorecards:
          random: {sweeps: [skill], against: [skill-random]}
          earlier: {sweeps: [skill], against: [another-study/skill]}
    """

    sweeps: TableNames = Field(description="Sweeps of this study, its own or published ones.")
    against: Annotated[list[str], Some] = Field(
        description="The sweeps to compare them with, as many and in the same order. "
        "`STUDY/SWEEP` names a sweep of another study that was run in the same folder."
    )
    column: str | None = Field(
        None,
        description="Column of both tables that is compared, such as `probability`. "
        "Default: the relative top-1 accuracy or the matching score.",
    )
    along: Along = Field(
        "coefficient",
        description="What a curve runs along. `coefficient`: a curve for each behaviour "
        "and layer. `layer`: a curve for each behaviour and coefficient, of vectors alone.",
    )
    by_category: bool = Field(
        False,
        description="`true` also compares each category of questions, which both tables "
        "must have. `false` compares all questions together and the mean over categories.",
    )
    choices: Annotated[list[Name], Field(min_length=2, max_length=2)] | None = Field(
        None,
        description="Two choices with `best`, one from `sweeps` and one from `against`. "
        "The scorecard reports whether they take the same candidate.",
    )
    title: str | None = Field(None, description="Heading of the page and the figure.")
    caption: str | None = Field(None, description="Caption in the report.")

    @model_validator(mode="after")
    def _in_pairs(self) -> Self:
        if len(self.sweeps) != len(self.against):
            raise ValueError(
                f"sweeps has {len(self.sweeps)} names and against has {len(self.against)}; give "
                "both the same number, in the same order"
            )
        return self
