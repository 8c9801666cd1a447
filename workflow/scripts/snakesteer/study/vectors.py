"""The steering vectors of a study: how each is made, and of what."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from snakesteer.core.dtypes import Dtype
from snakesteer.study.entries import Distinct, Entry, Name, Seed


class VectorEntry(Entry):
    """What vectors of every method have in common.

    `NAMES` are the fields that name what a vector is made of, and `SECTION` is where that stands.
    Of activations `READS` says whether they must be of a corpus or of a behaviour.
    """

    NAMES: ClassVar[tuple[str, ...]]
    SECTION: ClassVar[Literal["activations", "vectors"]] = "activations"
    READS: ClassVar[Literal["corpus", "behaviour"] | None] = None

    method: str
    seed: Seed = Field(13, description="Seed of resamples.")

    def operands(self) -> dict[str, list[str]]:
        """What each of `NAMES` names."""
        named = {field: getattr(self, field) for field in self.NAMES}
        return {
            field: [given] if isinstance(given, str) else list(given)
            for field, given in named.items()
        }

    def settings(self) -> dict[str, Any]:
        """What determines the vector beside its operands."""
        return self.model_dump(exclude={*self.NAMES, "seed"})


class DifferenceVector(VectorEntry):
    """Sum of mean activations minus a sum of others."""

    NAMES = ("add", "subtract")
    READS = "corpus"

    method: Literal["difference"]
    add: Annotated[list[Name], Distinct] = Field(
        [], description="Activations of corpora whose means add."
    )
    subtract: Annotated[list[Name], Distinct] = Field(
        [], description="Activations of corpora whose means subtract."
    )
    dtype: Dtype = Field(
        "float32",
        description="Number format that the sums and their difference are rounded to; the authors "
        "took the difference in `bfloat16`.",
    )

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if not self.add and not self.subtract:
            raise ValueError("names no activations; give add, subtract, or both")
        return self


class ContrastVector(VectorEntry):
    """Mean over questions of the activation at the matching answer minus that at the other."""

    NAMES = ("of",)
    READS = "behaviour"

    method: Literal["contrast"]
    of: Name = Field(description="Activations of a behaviour.")


class ControlVector(VectorEntry):
    """Another vector, shuffled over the hidden dimension, every layer by itself."""

    NAMES = ("of",)
    SECTION = "vectors"

    method: Literal["control"]
    of: Name = Field(description="Vector, which is no control itself.")
    how: Literal["permuted", "operands"] = Field(
        description="Shuffle the vector (`permuted`; same length), or what it is the difference "
        "of, both independently, as the authors did (`operands`; longer than the vector)."
    )
    seed: Seed = Field(13, description="Seed of the shuffle and of resamples.")

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"seed": self.seed}


def _with_method(entry: Any) -> Any:
    """An entry with its method, which `add` and `subtract`, or `contrast` for `of`, imply."""
    if not isinstance(entry, dict) or "method" in entry:
        return entry
    if "permute" in entry:
        how = "operands" if entry["permute"] == "operands" else "permuted"
        raise ValueError(
            "`permute` has become a method; name the vector without it in "
            f"{{method: control, of: VECTOR, how: {how}}}"
        )
    if "contrast" in entry:
        rest = {key: value for key, value in entry.items() if key != "contrast"}
        return {"method": "contrast", "of": entry["contrast"], **rest}
    implied = entry.keys() & {"add", "subtract"}
    return {"method": "difference", **entry} if implied else entry


Vector = Annotated[
    Annotated[DifferenceVector | ContrastVector | ControlVector, Field(discriminator="method")],
    BeforeValidator(_with_method),
]
METHODS: tuple[type[VectorEntry], ...] = get_args(get_args(Vector)[0])
