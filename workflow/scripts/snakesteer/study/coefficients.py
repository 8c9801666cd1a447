"""Injection coefficients, given one by one or as a range."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from snakesteer.study.entries import Entry, Number, Numbers


class Range(Entry):
    """Evenly spaced coefficients; 0 is put first when the range does not contain it."""

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
            spaced = np.linspace(self.start, self.stop, self.points)
            spaced[abs(spaced) < nothing] = 0
        else:
            spaced = np.geomspace(self.start, self.stop, self.points)
        values = [float(f"{value:.12g}") for value in spaced]
        return values if 0.0 in values else [0.0, *values]


Coefficients = Numbers | Range


def coefficients(given: list[float] | Range) -> list[float]:
    """The coefficients in the order of the sweep, 0 first."""
    values = given.values() if isinstance(given, Range) else given
    return [0.0, *(value + 0.0 for value in values if value != 0)]
