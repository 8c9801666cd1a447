"""Injection coefficients: given one by one, as a range, for both signs, or by a choice."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Discriminator, Field, Tag, model_validator

from snakesteer.study.entries import Count, Distinct, Entry, Name, Number, Numbers, Some


class Range(Entry):
    """Evenly spaced coefficients. The unsteered model always comes first, even if 0 is not among
    them."""

    EXAMPLE = """
        sweeps:
          skill: {coefficients: {start: -2, stop: 2, points: 9}}
    """

    start: Number = Field(description="First coefficient.")
    stop: Number = Field(description="Last coefficient.")
    points: Annotated[int, Field(ge=2)] = Field(
        description="Number of coefficients, both ends included."
    )
    spacing: Literal["linear", "logarithmic"] = Field(
        "linear",
        description="`linear`: equal differences. `logarithmic`: equal ratios; both ends "
        "have the same sign.",
    )

    @model_validator(mode="after")
    def _has_logarithms(self) -> Self:
        if self.start == self.stop:
            raise ValueError("start and stop are equal; give two different numbers")
        if self.spacing == "logarithmic" and self.start * self.stop <= 0:
            raise ValueError(
                "logarithmic spacing needs start and stop of the same sign, neither of them 0"
            )
        return self

    @model_validator(mode="after")
    def _far_enough_apart(self) -> Self:
        if len(set(self.values())) < len(self.values()):
            raise ValueError(
                f"start {self.start!r} and stop {self.stop!r} are too close for {self.points} "
                "points, some of which would have the same 12 digits; move them apart, or give "
                "fewer"
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
    """Coefficients of both signs: each magnitude is added and subtracted."""

    EXAMPLE = """
        sweeps:
          skill: {coefficients: {magnitudes: [0.5, 1, 2]}}
    """

    magnitudes: Annotated[list[Annotated[Number, Field(gt=0)]], Some, Distinct] = Field(
        description="Positive numbers."
    )


class Chosen(Entry):
    """The coefficients of a choice. A choice of multipliers has, for each vector and layer, 0,
    one to add and one to subtract. A choice among candidates, which `inject` names too, has the
    unsteered model and its coefficient."""

    EXAMPLE = """
        sweeps:
          single:
            model: chat
            inject: {layers: [4, 8]}
            coefficients: {choice: multipliers}
            measures: {two_choice: {}}
    """

    choice: Name = Field(description="An entry of `choices`.")


class Refined(Entry):
    """Coefficients between the one that a choice among candidates takes and the better of its
    two neighbours. Both ends are included. `inject` names the choice."""

    EXAMPLE = """
        sweeps:
          finer:
            model: chat
            inject: {choice: candidate}
            coefficients: {refine: 3}
            measures: {two_choice: {split: validation}}
    """

    refine: Count = Field(description="Number of coefficients between the two.")


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
