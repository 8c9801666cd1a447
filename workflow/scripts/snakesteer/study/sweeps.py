"""The sweeps of a study: a design, the coefficients along it, and what is measured."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from snakesteer.core.dtypes import Dtype
from snakesteer.study.coefficients import Chosen, Coefficients, Refined, coefficients
from snakesteer.study.designs import ChosenDesign, CombinedDesign, Design, TogetherDesign
from snakesteer.study.entries import TRANSFER, Entry, Name
from snakesteer.study.measures import Measures


class SweepEntry(Entry):
    """A design and its measures, on one model. With one measure, the table has the sweep's name.
    With several, there is a table for each, named `SWEEP.MEASURE`. Figures, choices and
    scorecards use these names."""

    EXAMPLE = """
        sweeps:
          skill-by-layer:
            model: base
            inject: {vector: less-code, layers: all}
            coefficients: [0, 0.5, 1, 2]
            measures:
              accuracy: {measure: next_token, corpora: [code, text], tokens: 20000}
              dose: {measure: divergence, corpora: [text]}
    """

    model: Name = Field(description="Model that is steered.")
    inject: Design = Field(description="What is injected, and where: one of the designs.")
    coefficients: Coefficients = Field(
        description="A list that contains 0, the unsteered model. Or a range, `{start: …, "
        "stop: …, points: …}`. Or `{magnitudes: […]}`, each added and subtracted. Or "
        "`{choice: NAME}`, those of a choice. Or `{refine: …}`, between a chosen coefficient "
        "and its neighbour. With `stopping` they are visited from 0 outward."
    )
    measures: Measures = Field(
        description="Measures by name. `measure` gives the kind; leave it out if the name "
        "is the kind."
    )
    title: str | None = Field(
        None, description="Name in trade-off figures, as a control or next to other sweeps."
    )
    path: Literal["shared", "plain"] = Field(
        "shared",
        description="`shared` runs the layers below the injection once for all "
        "coefficients. `plain` runs the entire model for each; it is the reference.",
    )
    dtype: Dtype | None = Field(
        None,
        description="Number format of the model in this sweep. Default: the model's own.",
    )
    vector_dtype: Dtype = Field(
        "float32",
        description="Number format that vectors are rounded to before injection. The "
        "product with the coefficient is taken in float32, and the sum in the model's format.",
    )
    transfer: bool = Field(False, description=TRANSFER)
    resamples: Annotated[int, Field(ge=2)] | None = Field(
        None,
        description="Also runs the sweep with this many bootstrap resamples of its "
        "vectors. The documents or questions of each vector are drawn again from its "
        "activations. Tables then have intervals over vectors (`…_vector_low`, "
        "`…_vector_high`).",
    )

    @property
    def choice(self) -> str | None:
        """The choice of multipliers that its coefficients are."""
        if self.candidate is not None or not isinstance(self.coefficients, Chosen):
            return None
        return self.coefficients.choice

    @property
    def candidate(self) -> str | None:
        """The choice among candidates that says what is injected, and where."""
        return self.inject.choice if isinstance(self.inject, ChosenDesign) else None

    @property
    def values(self) -> tuple[float | None, ...] | None:
        """Its coefficients, the unsteered model first: 0, or None where 0 steers as well.

        None in place of all where a choice has them. Combined vectors have one, 1, beside the
        unsteered model where that is asked for.
        """
        unsteered = 0.0 if self.inject.unsteered_at_0 else None
        if isinstance(self.inject, CombinedDesign):
            relative = any(measure.RELATIVE for measure in self.measures.values())
            return (unsteered, 1.0) if relative else (1.0,)
        if isinstance(self.coefficients, Chosen | Refined):
            return None
        return coefficients(self.coefficients, unsteered)

    @property
    def steered(self) -> tuple[float, ...]:
        """Those of its coefficients that are numbers; none where a choice has them."""
        return tuple(value for value in self.values or () if value is not None)

    @property
    def kind(self) -> str:
        """What its tables call it: grid, single, combined or simultaneous steering, or that of the
        candidate that a choice takes."""
        if isinstance(self.inject, ChosenDesign):
            return "candidate"
        if isinstance(self.inject, TogetherDesign):
            return "simultaneous"
        if isinstance(self.inject, CombinedDesign):
            return "combined"
        return "single" if self.choice else "grid"

    @model_validator(mode="after")
    def _from_a_choice_or_not(self) -> Self:
        design = self.inject.design
        if design == "together" and self.choice:
            raise ValueError(
                "coefficients come from a choice, which has them for one vector at one layer, "
                "but inject has several together; give a list"
            )
        if isinstance(self.inject, TogetherDesign) and not self.inject.swept:
            raise ValueError(
                "inject gives every vector a constant coefficient, so none is swept; remove one "
                "of these coefficients"
            )
        if design == "combined" and not self.choice:
            raise ValueError(
                "inject combines the vectors of a choice, but coefficients name no choice; give "
                "`coefficients: {choice: NAME}`"
            )
        if isinstance(self.coefficients, Refined) and self.candidate is None:
            raise ValueError(
                "coefficients refine those of a choice, but inject names no choice; give "
                "`inject: {choice: NAME}`"
            )
        if isinstance(self.coefficients, Chosen) and self.candidate is not None:
            if self.coefficients.choice != self.candidate:
                raise ValueError(
                    f"inject takes what the choice {self.candidate} takes, but coefficients come "
                    f"from {self.coefficients.choice}; name the same choice in both"
                )
            return self
        if self.inject.named is None and self.candidate is None and not self.choice:
            raise ValueError("inject names no vector; give it `vector` or `vectors`")
        return self

    @model_validator(mode="after")
    def _measured_along_them(self) -> Self:
        without_0 = isinstance(self.coefficients, list) and 0 not in self.coefficients
        if without_0 and self.inject.unsteered_at_0:
            raise ValueError(
                "coefficients lacks 0, the unsteered model that results are compared with; add it"
            )
        for name, measure in self.measures.items():
            if measure.before_last and any(
                positions in ("last", -1) for positions in self.inject.all_positions
            ):
                raise ValueError(
                    f"measures.{name} predicts the next tokens of documents, but "
                    "inject.positions steers only the last token, which has none; name other "
                    "positions, or remove them"
                )
            try:
                measure.check(self.steered or (-1.0, 1.0), self.resamples)
            except ValueError as error:
                raise ValueError(f"measures.{name}: {error}") from None
        return self


# What the keys of a sweep of each former kind have become.
FORMER = {
    "skill": "inject: {{vector: {inject}, layers: {layers}}}, coefficients as they are, and "
    "{rest} under measures: {{next_token: …}}",
    "grid": "inject: {{vectors: {vectors}, layers: {layers}}}, coefficients: {{magnitudes: "
    "{multipliers}}}, and measures: {{two_choice: {{split: {split}, stopping: {stopping}}}}}",
    "single": "inject: {{layers: {layers}}}, coefficients: {{choice: {choice}}}, and measures: "
    "{{two_choice: {{split: {split}}}}}",
    "combined": "inject: {{combine: {combine}, layers: {layers}}}, coefficients: {{choice: "
    "{choice}}}, and measures: {{two_choice: {{split: {split}}}}}",
    "simultaneous": "inject: {{together: {inject}}}, coefficients as they are, and measures: "
    "{{two_choice: {{split: {split}}}}}",
}
_OF_A_MEASURE = (
    *("corpora", "tokens", "paired", "precision", "precision_by", "pilot", "max_tokens"),
    *("skip", "skip_tokens", "stopping"),
)


def _of_today(entry: Any) -> Any:
    """The entry, unless it is of a form that studies had."""
    if not isinstance(entry, dict) or entry.get("kind") not in FORMER:
        return entry
    kind, inject = entry["kind"], entry.get("inject")
    if "measures" in entry and isinstance(inject, dict):
        raise ValueError("remove `kind`; `inject` and `measures` replace it")
    said = FORMER[kind]
    if kind == "skill" and isinstance(inject, dict):
        said = said.replace("{{vector: {inject}, layers: {layers}}}", "{{together: {inject}}}")
    if "weighted" in entry:
        said = said.replace("{combine}", "{combine}, weighted: {weighted}")
    given = {"split": "validation" if kind == "grid" else "test"}
    given |= {"stopping": "{}", "combine": "[mean, sum]"}
    given |= {key: _flow(value) for key, value in entry.items()}
    given["rest"] = ", ".join(key for key in _OF_A_MEASURE if key in entry) or "corpora"
    blank = dict.fromkeys(("inject", "layers", "vectors", "multipliers", "choice"), "…")
    raise ValueError(
        f"`kind: {kind}` is now a design and a measure; write {said.format(**blank | given)}"
    )


def _flow(value: Any) -> str:
    """A value as YAML in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


Sweep = Annotated[SweepEntry, BeforeValidator(_of_today)]
