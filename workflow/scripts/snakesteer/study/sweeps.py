"""The sweeps of a study: what is injected, and what is measured."""

from __future__ import annotations

import itertools
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from snakesteer.core.dtypes import Dtype
from snakesteer.measures import next_token_settings, two_choice_settings
from snakesteer.study.coefficients import Coefficients, coefficients
from snakesteer.study.entries import (
    CUT,
    TRANSFER,
    Count,
    Distinct,
    Entry,
    Layers,
    LayerSet,
    Name,
    Names,
    Number,
    OwnLayers,
    Share,
    Some,
)

PILOT = 32


SKIP = 50


class SkillStopping(Entry):
    """Early stopping of a skill sweep (paper, code of the skill experiments).

    Judged on the sweep's first corpus, relative to its top-1 accuracy at coefficient 0, from where
    the coefficients must grow in one direction.
    """

    stop: Share = Field(
        next_token_settings.Stopping.stop,
        description="Below this relative accuracy the curve ends.",
    )
    leap_below: Share = Field(
        next_token_settings.Stopping.leap_below,
        description="Below this, several coefficients are skipped.",
    )
    leap: Count = Field(
        next_token_settings.Stopping.leap,
        description="Places to advance in the list below `leap_below`.",
    )


class GridStopping(Entry):
    """When a column of a grid search ends (paper, code of the grid search)."""

    collapse: Share = Field(
        two_choice_settings.Stopping.collapse,
        description="More than this share of one answer is mode collapse: the cell is not chosen, "
        "and tables and figures mark it, also in sweeps of a choice from here. The column ends if "
        "the share is also larger than that of any answer unsteered.",
    )
    faulty: Annotated[int, Field(ge=0)] = Field(
        two_choice_settings.Stopping.faulty,
        description="Ends after more than this many faulty answers.",
    )


class Run(Entry):
    """What every sweep says about running the model."""

    model: Name
    path: Literal["shared", "plain"] = Field(
        "shared",
        description="`shared`: layers below the injection run once for all coefficients; "
        "`plain`: the whole model for each, the reference.",
    )
    dtype: Dtype | None = Field(
        None,
        description="Number format of the model in this sweep; the model's own if left out.",
    )
    vector_dtype: Dtype = Field(
        "float32",
        description="Number format that vectors are rounded to before they are injected. (The "
        "product with the coefficient is taken in float32, the sum in the model's format.)",
    )
    transfer: bool = Field(False, description=TRANSFER)
    resamples: Annotated[int, Field(ge=2)] | None = Field(
        None,
        description="Also run the sweep with this many bootstrap resamples of its vectors: the "
        "documents or questions that they are means over are drawn anew, from the activations that "
        "are there. Tables get intervals over vectors (`…_vector_low`, `…_vector_high`).",
    )

    layered: ClassVar = ("layers", "inject")


class SkillSweep(Run):
    """Next-token accuracy on corpora along injection coefficients."""

    kind: Literal["skill"]
    title: str | None = Field(
        None, description="Name in trade-off figures, as a control or beside other sweeps."
    )
    inject: Name | OwnLayers = Field(
        description="A vector, injected at each of `layers`; or several, each with its layer."
    )
    layers: Literal["all"] | Annotated[list[LayerSet], Some, Distinct] | None = Field(
        None, description="One curve per layer, or per set of layers steered together."
    )
    coefficients: Coefficients
    corpora: Names = Field(
        description="Validation splits evaluated; the first is the one steered away from."
    )
    tokens: Count = Field(
        500_000, description="Tokens per coefficient and corpus, about; with `precision`, at most."
    )
    paired: bool = Field(
        True,
        description="Evaluate the same documents at every coefficient, so that comparisons are "
        "paired; `false` reads on from coefficient to coefficient, as the authors do, which takes "
        "as many more documents and is less precise.",
    )
    precision: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Half-width of the 95 % interval that the relative top-1 accuracy shall have "
        "on every corpus at every coefficient visited, paired over documents. Only as many "
        "documents are evaluated as that takes.",
    )
    precision_by: Literal["curve", "coefficient"] = Field(
        "curve",
        description="`curve`: the same documents at every coefficient, as many as the one that "
        "takes most; `coefficient`: at each the first ones, as many as it takes itself, held "
        "against the same ones at 0, which takes far fewer tokens where a curve begins.",
    )
    pilot: Annotated[int, Field(ge=2)] = Field(
        PILOT,
        description="Documents per corpus that `precision` is planned with; with `stopping`, they "
        "alone decide which coefficients are visited.",
    )
    max_tokens: Count | None = Field(None, description=CUT)
    skip: Count = Field(SKIP, description="Most frequent tokens left out of the `kept` measures.")
    skip_tokens: Literal["fixed", "authors"] = Field(
        "fixed",
        description="`fixed`: leave out the `skip` most frequent tokens of the corpus's training "
        "split; `authors`: what their filter does, which compares with the token id 1 instead.",
    )
    stopping: SkillStopping | Literal[False] = Field(
        False, description="`{}` stops early as in the paper; `false` evaluates every coefficient."
    )

    @model_validator(mode="after")
    def _paired_where_it_has_to_be(self) -> Self:
        for name in ("precision", "resamples"):
            if not self.paired and getattr(self, name):
                raise ValueError(
                    f"{name} compares the same documents, but paired is false; remove one of them"
                )
        return self

    @model_validator(mode="after")
    def _stops_away_from_0(self) -> Self:
        values = coefficients(self.coefficients)
        for before, after in itertools.pairwise(values) if self.stopping else ():
            if before * after < 0 or abs(after) < abs(before):
                raise ValueError(
                    "stopping ends a curve where its accuracy is lost, so coefficients must grow "
                    f"from 0 in one direction, but {after:g} comes after {before:g}; order them "
                    "so, take a sweep for each sign, or set stopping to false"
                )
        return self

    @model_validator(mode="after")
    def _with_a_precision_only(self) -> Self:
        if self.precision is None:
            for name, given in (
                ("pilot", self.pilot != PILOT),
                ("precision_by", self.precision_by != "curve"),
            ):
                if given:
                    raise ValueError(
                        f"{name} is for `precision`, which is missing; add it, or remove {name}"
                    )
        return self

    @model_validator(mode="after")
    def _as_many_as_the_authors(self) -> Self:
        if self.skip_tokens == "authors" and self.skip != SKIP:
            raise ValueError(
                f"skip is {self.skip}, but skip_tokens is authors, whose filter counts no tokens; "
                "remove one of them"
            )
        return self

    @model_validator(mode="after")
    def _resampled_on_the_same_documents(self) -> Self:
        if self.resamples and self.precision_by == "coefficient":
            raise ValueError(
                "resamples takes the same documents at every coefficient, but precision_by is "
                "coefficient; remove one of them"
            )
        return self

    @model_validator(mode="after")
    def _layers_once(self) -> Self:
        if isinstance(self.inject, str) == (self.layers is None):
            raise ValueError(
                "layers belongs to a single injected vector; a mapping names each vector's layer"
            )
        return self


class GridSweep(Run):
    """Grid search on a split: each vector on its own behaviour, layers by multipliers by sign."""

    kind: Literal["grid"]
    vectors: Names
    layers: Literal["all"] | Layers
    multipliers: Annotated[list[Annotated[Number, Field(gt=0)]], Some, Distinct]
    split: Literal["validation", "test"] = "validation"
    stopping: GridStopping | Literal[False] = Field(
        GridStopping(), description="`false` evaluates every cell."
    )


class SingleSweep(Run):
    """Single steering: default, add and subtract, with chosen multipliers."""

    kind: Literal["single"]
    choice: Name
    layers: Layers
    split: Literal["validation", "test"] = "test"


class CombinedSweep(Run):
    """All vectors of a choice combined into one, added and subtracted, on all behaviours."""

    kind: Literal["combined"]
    choice: Name
    layers: Layers
    combine: Annotated[list[Literal["mean", "sum"]], Some, Distinct] = ["mean", "sum"]
    weighted: Annotated[list[bool], Some, Distinct] = Field(
        [False, True], description="Without and with the chosen multipliers as weights."
    )
    split: Literal["validation", "test"] = "test"


class SimultaneousSweep(Run):
    """Several vectors at their own layers, all times one global coefficient."""

    kind: Literal["simultaneous"]
    inject: OwnLayers = Field(description="Each vector's layer.")
    coefficients: Coefficients
    split: Literal["validation", "test"] = "test"


Sweep = Annotated[
    SkillSweep | GridSweep | SingleSweep | CombinedSweep | SimultaneousSweep,
    Field(discriminator="kind"),
]
