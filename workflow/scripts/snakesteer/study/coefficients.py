"""Injection coefficients: given one by one, as a range, for both signs, or by a choice."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Discriminator, Field, Tag, model_validator

from snakesteer.study.entries import Count, Distinct, Entry, Name, Number, Numbers, Some


class Range(Entry):
    """Evenly spaced coefficients. The unsteered model is put first, also where 0 is not among
    them."""

    start: Number
    stop: Number
    points: Annotated[int, Field(ge=2)]
    spacing: Literal["linear", "logarithmic"] = "linear"

    @model_validator(mode="after")
    def _has_logarithms(self) -> Self:
        if self.start == self.stop:
            raise ValueError("start and stop are equal; give two ends")
        if self.spacing == "logarithmic" and self.start * self.stop <= 0:
            raise ValueError("logarithmic spacing needs start and stop of one sign, neither 0")
        return self

    @model_validator(mode="after")
    def _far_enough_apart(self) -> Self:
        if len(set(self.values())) < len(self.values()):
            raise ValueError(
                f"start {self.start!r} and stop {self.stop!r} are too close for {self.points} "
                "points, some of which would be equal in 12 digits; move them apart, or give fewer"
            )
        return self

    def values(self) -> list[float]:
        """The coefficients, rounded to 12 significant digits; in linear spacing one that would be
        nothing beside the larger end is 0."""
        if self.spacing == "linear":
            nothing = 1e-12 * max(abs(self.start), abs(self.stop))
            step = (self.stop - self.start) / (self.points - 1)
            spaced = [*(self.start + step * place for place in range(self.points - 1)), self.stop]
            spaced = [0.0 if abs(value) < nothing else value for value in spaced]
        else:
            spaced = np.geomspace(self.start, self.stop, self.points).tolist()
        return [float(f"{value:.12g}") for value in spaced]


class Magnitudes(Entry):
    """Coefficients of both signs: each magnitude added and subtracted."""

    magnitudes: Annotated[list[Annotated[Number, Field(gt=0)]], Some, Distinct]


class Chosen(Entry):
    """What a choice has for each vector and layer: 0, a multiplier to add, one to subtract. Of a
    choice among candidates, which `inject` names as well, the unsteered model and the coefficient
    that it takes."""

    choice: Name


class Refined(Entry):
    """Between the coefficient that a choice among candidates takes, which `inject` names as well,
    and the better one of its two neighbours: both, and so many evenly spaced between them."""

    refine: Count = Field(description="How many coefficients between the two.")


def _form(given: Any) -> str:
    keys = given if isinstance(given, dict) else getattr(type(given), "model_fields", {})
    for key in keys:
        if meant := difflib.get_close_matches(str(key), ["magnitudes", "choice", "refine"], n=1):
            return meant[0]
    return "range"


Coefficients = (
    Numbers
    | Annotated[
        Annotated[Range, Tag("range")]
        | Annotated[Magnitudes, Tag("magnitudes")]
        | Annotated[Chosen, Tag("choice")]
        | Annotated[Refined, Tag("refine")],
        Discriminator(_form),
    ]
)


def coefficients(
    given: list[float] | Range | Magnitudes, unsteered: float | None = 0.0
) -> tuple[float | None, ...]:
    """The coefficients in the order of the sweep, `unsteered` first: 0, or None where 0 is a
    coefficient like others."""
    if isinstance(given, Magnitudes):
        magnitudes = sorted(given.magnitudes)
        return (unsteered, *magnitudes, *(-magnitude for magnitude in magnitudes))
    values = given.values() if isinstance(given, Range) else given
    return (unsteered, *(value + 0.0 for value in values if value != unsteered))
