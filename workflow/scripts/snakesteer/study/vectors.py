"""The steering vectors of a study."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from snakesteer.core.dtypes import Dtype
from snakesteer.study.entries import Distinct, Entry, Name, Seed


class Vector(Entry):
    """A steering vector: means added minus means subtracted, or the mean of a contrast."""

    add: Annotated[list[Name], Distinct] | None = Field(
        None, description="Activations of corpora whose means add."
    )
    subtract: Annotated[list[Name], Distinct] | None = Field(
        None, description="Activations whose means subtract."
    )
    permute: Literal["operands", "difference"] | None = Field(
        None,
        description="Control: shuffle both sums independently over the hidden dimension, as the "
        "authors did (`operands`; longer than the vector), or their difference (same length).",
    )
    seed: Seed = Field(13, description="Seed of the permutation and of resamples.")
    dtype: Dtype = Field(
        "float32",
        description="Number format that the sums and their difference are rounded to; the authors "
        "took the difference in `bfloat16`.",
    )
    contrast: Name | None = Field(None, description="Activations of a behaviour.")

    @model_validator(mode="after")
    def _one_method(self) -> Self:
        if (self.contrast is None) == (not self.add and not self.subtract):
            raise ValueError("give either contrast, or add and subtract")
        if self.contrast and (self.permute or self.dtype != "float32"):
            raise ValueError("permute and dtype are for vectors of add and subtract")
        return self
