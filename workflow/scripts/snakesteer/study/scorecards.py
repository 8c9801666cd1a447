"""Comparisons of sweeps."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from snakesteer.study.entries import Distinct, Entry, Some, TableNames


class Scorecard(Entry):
    """Two sets of sweeps over the same figure, compared curve by curve: published against one's
    own, or one setting against another."""

    sweeps: TableNames = Field(description="Sweeps of this study, its own or published ones.")
    against: Annotated[list[str], Some, Distinct] = Field(
        description="As many sweeps to compare them with, in the same order; `STUDY/SWEEP` is one "
        "of another study that was run in the same folder."
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
