"""What is chosen by a rule: multipliers, which may be given as well, and one of many candidates."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from snakesteer.core.errors import StudyError
from snakesteer.study.entries import (
    Count,
    Entry,
    LayerKey,
    Name,
    NoneOrMore,
    Number,
    Positive,
    Share,
    TableName,
    TableNames,
)
from snakesteer.tables.bootstrap import RESAMPLES

MAX_FAULTY = 0.05


class Multipliers(Entry):
    """The multipliers of one vector at one layer, given by hand."""

    EXAMPLE = """
        choices:
          by-hand: {multipliers: {sycophancy: {8: {add: 1.5, subtract: -1}}}}
    """

    add: Annotated[Number, Field(gt=0)] = Field(description="Multiplier to add with, above 0.")
    subtract: Annotated[Number, Field(lt=0)] = Field(
        description="Multiplier to subtract with, below 0."
    )


class Limit(Entry):
    """A limit on the cost of steering, by another measure of the grid's sweep."""

    EXAMPLE = """
        sweeps:
          grid: {measures: {cost: {measure: next_token, corpora: [text]}}}
        choices:
          multipliers: {limit: {table: grid.cost, perplexity: 1.2}}
    """

    table: TableName = Field(
        description="A table of the same sweep, of `next_token` on one corpus, such as `grid.cost`."
    )
    perplexity: Annotated[float, Field(gt=1)] = Field(
        description="Largest ratio of a cell's perplexity to that of the unsteered model. "
        "Cells above it are not chosen."
    )


class Choice(Entry):
    """Multipliers for vectors at layers. A rule picks them from a grid search, or you give them."""

    EXAMPLE = """
        choices:
          picked: {grid: grid.two_choice, by: propensity}
    """

    grid: TableName | None = Field(
        None,
        description="A sweep of vectors alone, with coefficients of both signs. It asks "
        "the questions of the validation split (`two_choice` or `choice`).",
    )
    by: Literal["score", "propensity"] = Field(
        "score",
        description="Value that should be large where vectors are added, and small where "
        "they are subtracted.",
    )
    limit: Limit | None = Field(None, description="Limit on the cost of a chosen cell.")
    max_faulty: Share = Field(
        MAX_FAULTY, description="Largest share of faulty answers in a chosen cell."
    )
    multipliers: dict[Name, dict[LayerKey, Multipliers]] | None = Field(
        None,
        description="Given multipliers, instead of `grid`. For each vector and layer: "
        "`{add: …, subtract: …}`, where the second is negative.",
    )

    @model_validator(mode="after")
    def _from_one_place(self) -> Self:
        if (self.grid is None) == (not self.multipliers):
            raise ValueError(
                "give one of grid (to pick multipliers from it), multipliers, or best (to "
                "choose among candidates)"
            )
        usual = {"max_faulty": MAX_FAULTY, "by": "score", "limit": None}
        for name, value in usual.items():
            if self.multipliers and getattr(self, name) != value:
                raise ValueError(
                    f"{name} is for multipliers picked from a grid, but multipliers are given; "
                    "remove it"
                )
        return self


_COLUMN = (
    "A column of the table. Default: the main one of its measure. For `two_choice` it "
    "can also be `faulty`, the share of answers that are neither choice, or `majority`, the "
    "share of the most frequent answer."
)
_SOURCE = "One corpus or behaviour, if the table has several."


class Best(Entry):
    """The score that decides. `lowest` or `highest` names its table, or several tables of one
    measure whose points are all candidates."""

    EXAMPLE = """
        choices:
          least-code: {best: {lowest: skill, column: relative_top1, source: code}}
    """

    lowest: TableName | TableNames | None = Field(
        None, description="Table whose score should be low, or a list of tables."
    )
    highest: TableName | TableNames | None = Field(
        None, description="Table whose score should be high, or a list of tables."
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
            raise ValueError("set `lowest` or `highest` to a table")
        return self


class Bound(Entry):
    """A limit on another score of a candidate."""

    EXAMPLE = """
        choices:
          harmless:
            best: {lowest: skill, source: code}
            limits: [{table: skill, source: text, column: top1, relative: times, at_least: 0.9}]
    """

    table: TableName | TableNames = Field(
        description="Table of the score, or a list of tables. A candidate is compared with "
        "the table of its own sweep if it is listed, otherwise with those of other sweeps."
    )
    column: str | None = Field(None, description=_COLUMN)
    source: Name | None = Field(None, description=_SOURCE)
    relative: Literal["times", "difference"] | None = Field(
        None,
        description="What the bound applies to. `times`: the score divided by that of the "
        "unsteered model. `difference`: the score minus that. Default: the score itself.",
    )
    at_most: Number | None = Field(None, description="Largest value.")
    at_least: Number | None = Field(None, description="Smallest value.")

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


class AtKl(Entry):
    """The KL divergence at which vectors are compared."""

    EXAMPLE = """
        choices:
          each:
            best: {highest: grid.two_choice, column: propensity}
            at_kl: {table: grid.divergence, kl: 0.1}
    """

    table: TableName = Field(
        description="A table of the same sweep that has the divergence, as `search.divergence`."
    )
    kl: Positive = Field(description="The divergence from the unsteered model, in nats per token.")
    source: Name | None = Field(None, description=_SOURCE)

    column: ClassVar[str] = "kl"

    @property
    def tables(self) -> list[str]:
        """The tables of the divergence."""
        return [self.table]


class CandidateChoice(Entry):
    """One candidate out of many: a vector, the layer and position it is read at, and a
    coefficient. Every point in the tables of `best` is a candidate. Only validation splits, or
    published results, can decide. A sweep takes the choice with `inject: {choice: NAME}`, and
    `method: chosen` makes a vector of it. With `at_kl` it chooses one for every vector."""

    EXAMPLE = """
        choices:
          strongest:
            best: {highest: grid.two_choice, column: propensity}
            limits: [{table: grid.divergence, at_most: 0.5}]
            layers_below: 0.8
    """

    best: Best = Field(description="Score that decides, such as `{lowest: SWEEP.MEASURE}`.")
    limits: list[Bound] = Field(
        [],
        description="Limits on other scores, such as `{table: SWEEP.MEASURE, at_most: "
        "0.1}`. A table with one coefficient counts for all of them.",
    )
    layers_below: Annotated[float, Field(gt=0, le=1, strict=True)] | Count | None = Field(
        None,
        description="Considers only vectors read below this layer. A number with a decimal "
        "point is a share of the model's layers, rounded down. Published results have one "
        "more layer than their last.",
    )
    resamples: NoneOrMore = Field(
        RESAMPLES,
        description="Bootstrap resamples of the texts that decide. The rule chooses again "
        "in each, and the frequency of each candidate is the uncertainty of the choice. 0 "
        "takes none. Published results have none.",
    )
    at_kl: AtKl | None = Field(
        None,
        description="Compares the vectors of the sweep at equal KL. For each vector, layer, "
        "position and side of 0, the coefficient that reaches this KL is interpolated. The layer, "
        "position and side with the best score there are chosen, one for every vector. A sweep "
        "injects them all with `inject: {choice: NAME}` and `coefficients: {choice: NAME}`.",
    )

    @model_validator(mode="after")
    def _of_one_table_at_kl(self) -> Self:
        if self.at_kl is None:
            return self
        usual: dict[str, Any] = {"limits": [], "layers_below": None, "resamples": RESAMPLES}
        for name, value in usual.items():
            if getattr(self, name) != value:
                raise ValueError(f"{name} cannot be combined with at_kl; remove one of them")
        if len(self.best.tables) > 1:
            raise ValueError("with at_kl, best must name one table")
        return self


def _kind(entry: Any) -> str:
    candidates = isinstance(entry, CandidateChoice) or (
        isinstance(entry, dict) and not entry.keys().isdisjoint(CandidateChoice.model_fields)
    )
    return "candidates" if candidates else "multipliers"


AnyChoice = Annotated[
    Annotated[Choice, Tag("multipliers")] | Annotated[CandidateChoice, Tag("candidates")],
    Discriminator(_kind),
]


def of_one(entry: str, name: str, choice: AnyChoice) -> None:
    """Raise StudyError for a choice that takes a candidate for every vector, where an entry needs
    one."""
    if isinstance(choice, CandidateChoice) and choice.at_kl:
        raise StudyError(
            f"{entry} names {name}, which chooses at equal KL for every vector; name a choice of "
            "one candidate, without at_kl."
        )
