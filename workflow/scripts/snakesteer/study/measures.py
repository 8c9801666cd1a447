"""The measures of sweeps: what is counted under an injection, and on which texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from snakesteer.measures import next_token_settings, two_choice_settings
from snakesteer.study.entries import CUT, Count, Entry, MeasureName, Names, Share
from snakesteer.sweeps.job import Precision

PILOT = 32
SKIP = 50


class MeasureEntry(Entry):
    """What every measure says.

    Its `sources` are entries of the section `SECTION`. Fields in `READS` say which texts are read,
    all others are the settings of its plugin. With `RELATIVE` its values are held against those at
    coefficient 0.
    """

    SECTION: ClassVar[Literal["corpora", "behaviours"]]
    RELATIVE: ClassVar[bool] = False
    READS: ClassVar[frozenset[str]]

    measure: str

    @property
    def sources(self) -> list[str] | None:
        """The corpora or behaviours it names; None: the own behaviours of each vector."""
        raise NotImplementedError

    @property
    def ends_early(self) -> bool:
        """Whether a curve may end before its last coefficient."""
        return bool(getattr(self, "stopping", None))

    def settings(self) -> dict[str, Any]:
        """The settings of its plugin."""
        asked = self.model_dump(exclude={*self.READS, "measure"})
        if not asked.get("stopping", True):
            asked["stopping"] = None
        return asked

    def check(self, coefficients: Sequence[float], resamples: int | None) -> None:
        """Raise ValueError if it cannot be measured along these coefficients, or with resamples."""


class OnCorpora(MeasureEntry):
    """A measure on documents: the validation splits of corpora."""

    SECTION = "corpora"
    RELATIVE = True
    READS = frozenset(
        {"corpora", "tokens", "paired", "precision", "precision_by", "pilot", "max_tokens"}
    )

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

    @property
    def sources(self) -> list[str] | None:
        return self.corpora

    @property
    def planned(self) -> Precision | None:
        """How many documents are read, where a precision decides."""
        if self.precision is None:
            return None
        return Precision(self.precision, self.pilot, self.precision_by)

    def check(self, coefficients: Sequence[float], resamples: int | None) -> None:
        for name, given in (("precision", self.precision), ("resamples", resamples)):
            if not self.paired and given:
                raise ValueError(
                    f"{name} compares the same documents, but paired is false; remove one of them"
                )
        if resamples and self.precision_by == "coefficient":
            raise ValueError(
                "resamples takes the same documents at every coefficient, but precision_by is "
                "coefficient; remove one of them"
            )
        both_signs = min(coefficients) < 0 < max(coefficients)
        if self.ends_early and both_signs and (self.precision or not self.paired):
            name = "precision is given" if self.precision else "paired is false"
            raise ValueError(
                f"stopping ends a curve on either side of 0, but {name}, which takes one curve; "
                "take a sweep for each sign, or set stopping to false"
            )

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


class OnBehaviours(MeasureEntry):
    """A measure on questions: a split of behaviours."""

    SECTION = "behaviours"
    READS = frozenset({"behaviours", "split"})

    behaviours: Names | None = Field(
        None, description="If left out, each vector's own, those of all where several are injected."
    )
    split: Literal["validation", "test"] = "test"

    @property
    def sources(self) -> list[str] | None:
        return self.behaviours


class SkillStopping(Entry):
    """Early stopping of a curve of next-token accuracy (paper, code of the skill experiments).

    Judged on the measure's first corpus, relative to its top-1 accuracy at coefficient 0, from
    where the coefficients grow, on either side.
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


class NextToken(OnCorpora):
    """Next-token accuracy on corpora."""

    measure: Literal["next_token"]
    skip: Count = Field(SKIP, description="Most frequent tokens left out of the `kept` measures.")
    skip_tokens: Literal["fixed", "authors"] = Field(
        "fixed",
        description="`fixed`: leave out the `skip` most frequent tokens of the corpus's training "
        "split; `authors`: what their filter does, which compares with the token id 1 instead.",
    )
    stopping: SkillStopping | Literal[False] = Field(
        False, description="`{}` stops early as in the paper; `false` evaluates every coefficient."
    )

    READS = OnCorpora.READS | {"skip", "skip_tokens"}

    @model_validator(mode="after")
    def _as_many_as_the_authors(self) -> Self:
        if self.skip_tokens == "authors" and self.skip != SKIP:
            raise ValueError(
                f"skip is {self.skip}, but skip_tokens is authors, whose filter counts no tokens; "
                "remove one of them"
            )
        return self


class GridStopping(Entry):
    """When a curve of answers ends, on either side of 0 (paper, code of the grid search)."""

    collapse: Share = Field(
        two_choice_settings.Stopping.collapse,
        description="More than this share of one answer is mode collapse: the cell is not chosen, "
        "and tables and figures mark it, also in sweeps of a choice from here. The curve ends if "
        "the share is also larger than that of any answer unsteered.",
    )
    faulty: Annotated[int, Field(ge=0)] = Field(
        two_choice_settings.Stopping.faulty,
        description="Ends after more than this many faulty answers.",
    )


class TwoChoice(OnBehaviours):
    """Answers to two-choice questions, by their letters or words."""

    measure: Literal["two_choice"]
    stopping: GridStopping | Literal[False] = Field(
        False, description="`{}` stops early as in the paper; `false` evaluates every coefficient."
    )


Measure = Annotated[NextToken | TwoChoice, Field(discriminator="measure")]
MEASURES: tuple[type[MeasureEntry], ...] = get_args(get_args(Measure)[0])


def _with_measure(entries: Any) -> Any:
    """Measures with what each measures, which is its name unless the entry says it."""
    if not isinstance(entries, dict):
        return entries
    return {
        name: {"measure": name, **entry} if isinstance(entry, dict) else entry
        for name, entry in entries.items()
    }


Measures = Annotated[
    dict[MeasureName, Measure], Field(min_length=1), BeforeValidator(_with_measure)
]
