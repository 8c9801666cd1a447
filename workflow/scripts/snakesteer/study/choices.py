"""What is chosen by a rule: multipliers, which may be given as well, and one of many candidates."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from snakesteer.study.entries import (
    Count,
    Entry,
    LayerKey,
    Name,
    NoneOrMore,
    Number,
    Share,
    TableName,
    TableNames,
)
from snakesteer.tables.bootstrap import RESAMPLES

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
            raise ValueError(
                "give grid, to pick multipliers from it, or multipliers, or best, to choose among "
                "candidates"
            )
        usual = {"max_faulty": MAX_FAULTY, "by": "score", "limit": None}
        for name, value in usual.items():
            if self.multipliers and getattr(self, name) != value:
                raise ValueError(
                    f"{name} is for multipliers picked from a grid, and these are given; remove it"
                )
        return self


_COLUMN = (
    "A column of the table; the main one of its measure if left out. Of `two_choice` also "
    "`faulty`, the share of answers that are neither choice, and `majority`, that of the most "
    "frequent one."
)
_SOURCE = "One corpus or behaviour, where the table is on several."


class Best(Entry):
    """The score by which a candidate is best: `lowest` or `highest` names its table, or several of
    one measure, whose points are candidates alike."""

    lowest: TableName | TableNames | None = Field(
        None, description="Table of the score that is to be low, or a list of tables."
    )
    highest: TableName | TableNames | None = Field(
        None, description="Table of the score that is to be high, or a list of tables."
    )
    column: str | None = Field(None, description=_COLUMN)
    source: Name | None = Field(None, description=_SOURCE)

    @property
    def tables(self) -> list[str]:
        """The tables of the score."""
        return _listed(self.lowest or self.highest or [])

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.lowest) == bool(self.highest):
            raise ValueError("names a table either as lowest or as highest; give one of them")
        return self


class Bound(Entry):
    """A score that a candidate may have at most, or at least."""

    table: TableName | TableNames = Field(
        description="Table of the score, or a list of tables. A candidate is held against the one "
        "of its own sweep, if that is among them, else against those of other sweeps."
    )
    column: str | None = Field(None, description=_COLUMN)
    source: Name | None = Field(None, description=_SOURCE)
    relative: Literal["times", "difference"] | None = Field(
        None,
        description="What is bounded: `times`, the score over that of the unsteered model; "
        "`difference`, the score less that; if left out, the score itself.",
    )
    at_most: Number | None = None
    at_least: Number | None = None

    @property
    def tables(self) -> list[str]:
        """The tables of the score."""
        return _listed(self.table)

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.at_most is None and self.at_least is None:
            raise ValueError("has no bound; give at_most or at_least")
        return self


def _listed(given: str | list[str]) -> list[str]:
    return [given] if isinstance(given, str) else given


class CandidateChoice(Entry):
    """One candidate out of many: a vector, the layer and the position that it is read at, and the
    coefficient. All that the tables of `best` have are candidates. Only texts of validation splits,
    or published results, may decide. A sweep takes what was chosen as `inject: {choice: NAME}`;
    `method: chosen` makes a vector of it."""

    best: Best = Field(description="By which score, as `{lowest: SWEEP.MEASURE}`.")
    limits: list[Bound] = Field(
        [],
        description="Other scores, as `{table: SWEEP.MEASURE, at_most: 0.1}`. A table with one "
        "coefficient counts for all of them.",
    )
    layers_below: Annotated[float, Field(gt=0, le=1, strict=True)] | Count | None = Field(
        None,
        description="Only vectors read below this layer: a number, or with a decimal point a share "
        "of the model's layers, rounded down (of published results one more than their last).",
    )
    resamples: NoneOrMore = Field(
        RESAMPLES,
        description="Bootstrap resamples of the texts that decide, in each of which the rule "
        "chooses anew: how often it takes each candidate is the uncertainty of the choice. 0 for "
        "none. Published results have none.",
    )


def _kind(entry: Any) -> str:
    candidates = isinstance(entry, CandidateChoice) or (
        isinstance(entry, dict) and not entry.keys().isdisjoint(CandidateChoice.model_fields)
    )
    return "candidates" if candidates else "multipliers"


AnyChoice = Annotated[
    Annotated[Choice, Tag("multipliers")] | Annotated[CandidateChoice, Tag("candidates")],
    Discriminator(_kind),
]
