"""The steering vectors of a study: how each is made, and of what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BeforeValidator, Field, JsonValue, model_validator

from snakesteer.core.dtypes import Dtype
from snakesteer.study.entries import (
    Count,
    Distinct,
    Entry,
    Name,
    Names,
    Number,
    Positive,
    Seed,
    Some,
)

Kind = Literal["corpus", "behaviour"]


class Scale(Entry):
    """`scale` by other vectors, as they are before their own `scale`, or by activations: one of the
    three."""

    norm_of: Name | None = Field(None, description="As long as this vector.")
    mean_norm: Names | None = Field(
        None, description="As long as these vectors in the mean (CAA); its own name may be there."
    )
    share: Positive | None = Field(
        None, description="This share of the mean length of the activations that it is made of."
    )

    @property
    def vectors(self) -> list[str]:
        """The vectors whose lengths are asked for."""
        return _listed(self.norm_of or self.mean_norm)

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [self.norm_of, self.mean_norm, self.share]
        if given.count(None) != 2:
            raise ValueError("give one of norm_of, mean_norm and share")
        return self


class VectorEntry(Entry):
    """What vectors of every method have in common.

    `READS` are the fields that name activations, and of what these must be; `OF` are those that
    name other vectors.
    """

    READS: ClassVar[Mapping[str, Kind]] = {}
    OF: ClassVar[tuple[str, ...]] = ()

    method: str
    scale: Literal["unit"] | Positive | Scale | None = Field(
        None,
        description="How long the vector is made at every layer: `unit`, a number, or by other "
        "vectors or activations (below); as the method makes it if left out.",
    )
    seed: Seed = Field(13, description="Seed of resamples.")

    def activations(self) -> dict[str, list[str]]:
        """The activations that each of `READS` names."""
        return {field: _listed(getattr(self, field)) for field in self.READS}

    def vectors(self) -> dict[str, list[str]]:
        """The vectors that each of `OF` names."""
        return {field: _listed(getattr(self, field)) for field in self.OF}

    def settings(self) -> dict[str, Any]:
        """What determines the vector beside what it is made of."""
        return self.model_dump(exclude={*self.READS, *self.OF, "scale", "seed"})


def _listed(named: str | list[str] | None) -> list[str]:
    return [named] if isinstance(named, str) else list(named or [])


class DifferenceVector(VectorEntry):
    """Sum of mean activations minus a sum of others."""

    READS = {"add": "corpus", "subtract": "corpus"}

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

    READS = {"of": "behaviour"}

    method: Literal["contrast"]
    of: Name = Field(description="Activations of a behaviour.")


class PcaVector(VectorEntry):
    """First principal component of the differences between matching and other answers, of length 1
    and on the side of their mean."""

    READS = {"of": "behaviour"}

    method: Literal["pca"]
    of: Name = Field(description="Activations of a behaviour.")
    centred: bool = Field(
        False,
        description="Take the differences' mean out before: the direction in which they vary most, "
        "in place of the one in which they are largest.",
    )


class SamplesVector(VectorEntry):
    """A vector made of the samples of a behaviour, or of corpora."""

    READS = {"of": "behaviour", "add": "corpus", "subtract": "corpus"}

    of: Name | None = Field(
        None, description="Activations of a behaviour: matching answers against the others."
    )
    add: Annotated[list[Name], Distinct] = Field(
        [],
        description="In place of `of`: activations of corpora, whose documents are the class "
        "that the vector points to.",
    )
    subtract: Annotated[list[Name], Distinct] = Field(
        [], description="Activations of corpora whose documents are the other class."
    )

    def activations(self) -> dict[str, list[str]]:
        return {field: named for field, named in super().activations().items() if named}


class ClassesVector(SamplesVector):
    """A vector that tells two classes of samples apart."""

    paired: bool = Field(
        False,
        description="With `of`: take the mean of the two answers to each question out of them "
        "before, so that only what differs in them is told apart.",
    )

    @model_validator(mode="after")
    def _of_two_classes(self) -> Self:
        one_behaviour = self.of and not self.add and not self.subtract
        corpora = not self.of and self.add and self.subtract
        if not (one_behaviour or corpora):
            raise ValueError("needs two classes; give `of`, or both `add` and `subtract`")
        if self.paired and not self.of:
            raise ValueError("paired is for the two answers of a behaviour (`of`); remove it")
        return self


class LogisticVector(ClassesVector):
    """The weights of a logistic regression that tells two classes of samples apart, as they are;
    `scale` says how long they shall be."""

    method: Literal["logistic"]
    C: Positive = Field(
        1.0,
        description="How much the samples count against the penalty on the weights, as in "
        "scikit-learn's `LogisticRegression`.",
    )


class LdaVector(ClassesVector):
    """The weights of a linear discriminant analysis of two classes of samples, as they are;
    `scale` says how long they shall be."""

    method: Literal["lda"]
    shrinkage: Literal["auto"] | Annotated[float, Field(gt=0, le=1)] = Field(
        "auto",
        description="Share by which the covariance within the classes is shrunk towards a multiple "
        "of the identity; `auto` is Ledoit and Wolf's.",
    )


class CombineVector(VectorEntry):
    """Other vectors combined into one: their weighted sum or mean, less what points along another
    vector."""

    OF = ("of", "without")

    method: Literal["combine"]
    of: Names | Annotated[dict[Name, Number], Some] = Field(
        description="Vectors, or vectors with the weight of each."
    )
    how: Literal["sum", "mean"] = Field(
        "sum", description="`mean` is the sum over the number of vectors."
    )
    without: Name | None = Field(
        None, description="Vector whose component is taken out of the result, layer by layer."
    )

    def vectors(self) -> dict[str, list[str]]:
        return {"of": list(self.of), "without": _listed(self.without)}

    def settings(self) -> dict[str, Any]:
        weights = list(self.of.values()) if isinstance(self.of, dict) else [1.0] * len(self.of)
        return super().settings() | {"weights": weights, "without": self.without is not None}


class FileVector(VectorEntry):
    """A vector of another tool, from its file: `.safetensors`, `.pt` (nothing in it is run) or
    `.gguf` (llama.cpp's control vectors). It is one of the residual stream after a decoder block.
    Layers that the file lacks are zeros."""

    method: Literal["file"]
    file: str = Field(
        description="A file: beside the study, absolute, in the working directory, or in the "
        "repository; `~` is the home folder."
    )
    model: Name = Field(description="Model that the vector is for.")
    behaviour: Name | None = Field(
        None, description="Behaviour that it is for, whose questions a behaviour sweep asks."
    )
    tensor: str | None = Field(
        None,
        description="Name of the tensor [layers, hidden], or of those of one layer each, with "
        "`{layer}` in place of the number. In a `.pt` file a name is the keys above a tensor, "
        "joined with dots. Not needed where all names differ in one number only.",
    )
    layer: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Layer of a file that holds the vector of one layer alone."
    )
    offset: Annotated[int, Field(ge=-1)] = Field(
        0,
        description="Added to the file's numbers of layers, or of rows, from 0. It is -1 for a "
        "file that counts layers from 1, or by their inputs, or as `hidden_states` of transformers "
        "does, whose 0 is the embedding's output (which is left out).",
    )

    def settings(self) -> dict[str, Any]:
        return self.model_dump(exclude={"method", "model", "behaviour", "scale", "seed"})


class ChosenVector(VectorEntry):
    """One direction out of a vector: what that has at the layer and position that a choice among
    candidates took."""

    OF = ("of",)

    method: Literal["chosen"]
    of: Name = Field(description="Vector that the choice is among.")
    choice: Name = Field(description="Choice with `best`.")
    at: Literal["all", "own"] = Field(
        "all",
        description="`all`: the direction stands at every layer, to be injected at any. `own`: at "
        "its own layer, and zeros elsewhere, so that adding it at `layers: [all]` adds it at its "
        "own.",
    )

    def settings(self) -> dict[str, Any]:
        return {"at": self.at}


class OwnVector(SamplesVector):
    """A method of one's own: the function `fit` of a Python file, which `method: FILE.py` names for
    short. Its code, and that of the modules beside it that it imports, is part of the key."""

    method: Literal["own"]
    file: str = Field(
        description="A Python file: beside the study, absolute, in the working directory, or in "
        "the repository; `~` is the home folder."
    )
    options: dict[str, JsonValue] = Field({}, description="What `fit` gets as its settings.")

    def settings(self) -> dict[str, Any]:
        return {"method": "own", "options": self.options}

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if not self.activations():
            raise ValueError("names no activations; give of, add or subtract")
        return self


class ControlVector(VectorEntry):
    """Another vector made to point nowhere in particular."""

    OF = ("of",)

    method: Literal["control"]
    of: Name = Field(description="Vector, which is no control itself.")
    how: Literal["permuted", "operands", "random", "labels"] = Field(
        description="`permuted`: the vector, shuffled over the hidden dimension (same length). "
        "`operands`: what it is the difference of, both shuffled independently, as the authors did "
        "(longer than the vector). `random`: a random direction of its length at each layer. "
        "`labels`: what its method finds in its samples with shuffled labels."
    )
    draws: Count | None = Field(
        None,
        description="Draw it so many times anew: `NAME-draws.safetensors` among the vectors of the "
        "results. A sweep injects every draw; tables and figures show their mean and range.",
    )
    seed: Seed = Field(13, description="Seed of the shuffle and of resamples.")

    def settings(self) -> dict[str, Any]:
        match self.how:
            case "random":
                return {"method": "random-direction", "seed": self.seed}
            case "labels":
                return {"method": "shuffled-labels", "seed": self.seed}
        return {"method": "control", "how": self.how, "seed": self.seed}


def _with_method(entry: Any) -> Any:
    """An entry with its method, which `add` and `subtract`, or `contrast` for `of`, imply; a Python
    file as the method is one's own."""
    if not isinstance(entry, dict):
        return entry
    if "method" in entry:
        method = str(entry["method"])
        own = {"file": method, **entry, "method": "own"}
        return own if method.endswith(".py") else entry
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
    Annotated[
        DifferenceVector
        | ContrastVector
        | PcaVector
        | LogisticVector
        | LdaVector
        | CombineVector
        | FileVector
        | ChosenVector
        | OwnVector
        | ControlVector,
        Field(discriminator="method"),
    ],
    BeforeValidator(_with_method),
]
METHODS: tuple[type[VectorEntry], ...] = get_args(get_args(Vector)[0])
