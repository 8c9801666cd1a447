"""Multipliers that are chosen, or given."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from snakesteer.study.entries import Entry, LayerKey, Name, Number, Share, TableName

MAX_FAULTY = 0.05


class Multipliers(Entry):
    """The multipliers of one vector at one layer, picked by hand."""

    add: Annotated[Number, Field(gt=0)]
    subtract: Annotated[Number, Field(lt=0)]


class Limit(Entry):
    """What steering may cost, by another measure of the grid's sweep."""

    table: TableName = Field(
        description="A table of the same sweep, of `next_token` on one corpus, as `grid.dose`."
    )
    perplexity: Annotated[float, Field(gt=1)] = Field(
        description="Cells whose perplexity is more than so many times the unsteered one are not "
        "chosen."
    )


class Choice(Entry):
    """Multipliers for vectors at layers: picked from a grid search by a rule, or given."""

    grid: TableName | None = Field(
        None,
        description="A sweep of vectors alone, with coefficients of both signs, that asks the "
        "questions of the validation split (`two_choice` or `choice`).",
    )
    by: Literal["score", "propensity"] = Field(
        "score", description="What is to be large where vectors are added, and small where not."
    )
    limit: Limit | None = Field(None, description="What a cell that is chosen may cost.")
    max_faulty: Share = Field(
        MAX_FAULTY, description="Cells with a larger share of faulty answers are not chosen."
    )
    multipliers: dict[Name, dict[LayerKey, Multipliers]] | None = Field(
        None,
        description="In place of `grid`: for each vector and layer `{add: …, subtract: …}`, the "
        "second negative.",
    )

    @model_validator(mode="after")
    def _from_one_place(self) -> Self:
        if (self.grid is None) == (not self.multipliers):
            raise ValueError("give either grid, to pick from it, or multipliers")
        usual = {"max_faulty": MAX_FAULTY, "by": "score", "limit": None}
        for name, value in usual.items():
            if self.multipliers and getattr(self, name) != value:
                raise ValueError(
                    f"{name} is for multipliers picked from a grid, and these are given; remove it"
                )
        return self
