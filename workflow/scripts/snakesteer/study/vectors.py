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
    """A length taken from other vectors or from activations. Give one of the three keys. Other
    vectors count as they are before their own `scale`."""

    EXAMPLE = """
        vectors:
          sycophancy: {method: contrast, of: sycophancy, scale: {mean_norm: [sycophancy, myopia]}}
          myopia: {method: contrast, of: myopia, scale: {share: 0.1}}
    """

    norm_of: Name | None = Field(None, description="The length of this vector.")
    mean_norm: Names | None = Field(
        None,
        description="The mean length of these vectors (CAA). The list can include the "
        "vector itself.",
    )
    share: Positive | None = Field(
        None,
        description="This share of the mean length of the activations that the vector is "
        "made from.",
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
        description="Length of the vector at every layer. `unit` is 1, a number is that "
        "length, and a mapping takes it from other vectors or activations. Default: the "
        "length that the method gives.",
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
    """The sum of some mean activations minus the sum of others. `method` is optional: `add`
    and `subtract` imply it."""

    EXAMPLE = """
        vectors:
          less-code: {method: difference, add: [text], subtract: [code]}
    """

    READS = {"add": "corpus", "subtract": "corpus"}

    method: Literal["difference"]
    add: Annotated[list[Name], Distinct] = Field(
        [], description="Activations of corpora whose means are added."
    )
    subtract: Annotated[list[Name], Distinct] = Field(
        [], description="Activations of corpora whose means are subtracted."
    )
    dtype: Dtype = Field(
        "float32",
        description="Number format that the sums and their difference are rounded to. The "
        "authors took the difference in `bfloat16`.",
    )

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if not self.add and not self.subtract:
            raise ValueError("names no activations; give add or subtract, or both")
        return self


class ContrastVector(VectorEntry):
    """The mean, over questions, of the activation at the matching answer minus that at the other
    answer."""

    EXAMPLE = """
        vectors:
          sycophancy: {method: contrast, of: sycophancy}
    """

    READS = {"of": "behaviour"}

    method: Literal["contrast"]
    of: Name = Field(description="Activations of a behaviour.")


class PcaVector(VectorEntry):
    """The first principal component of the differences between matching and other answers. It
    has length 1 and points to the side of their mean."""

    EXAMPLE = """
        vectors:
          sycophancy-pca: {method: pca, of: sycophancy}
    """

    READS = {"of": "behaviour"}

    method: Literal["pca"]
    of: Name = Field(description="Activations of a behaviour.")
    centred: bool = Field(
        False,
        description="`true` subtracts the mean of the differences first. The vector is "
        "then the direction in which they vary most, not the one in which they are largest.",
    )


class SamplesVector(VectorEntry):
    """A vector made of the samples of a behaviour, or of corpora."""

    READS = {"of": "behaviour", "add": "corpus", "subtract": "corpus"}

    of: Name | None = Field(
        None,
        description="Activations of a behaviour. The matching answers are one class, and "
        "the others the second class.",
    )
    add: Annotated[list[Name], Distinct] = Field(
        [],
        description="Activations of corpora that are the class the vector points to. Use "
        "them instead of `of`.",
    )
    subtract: Annotated[list[Name], Distinct] = Field(
        [], description="Activations of corpora that are the other class."
    )

    def activations(self) -> dict[str, list[str]]:
        return {field: named for field, named in super().activations().items() if named}


class ClassesVector(SamplesVector):
    """A vector that tells two classes of samples apart."""

    paired: bool = Field(
        False,
        description="With `of`: subtracts from both answers to a question their mean. Only "
        "the difference between the two then counts.",
    )

    @model_validator(mode="after")
    def _of_two_classes(self) -> Self:
        one_behaviour = self.of and not self.add and not self.subtract
        corpora = not self.of and self.add and self.subtract
        if not (one_behaviour or corpora):
            raise ValueError("needs two classes; give `of`, or both `add` and `subtract`")
        if self.paired and not self.of:
            raise ValueError("paired needs the two answers of a behaviour (`of`); remove it")
        return self


class LogisticVector(ClassesVector):
    """The weights of a logistic regression between two classes of samples. They are not scaled
    unless `scale` is given."""

    EXAMPLE = """
        vectors:
          code-logistic: {method: logistic, add: [text], subtract: [code], scale: unit}
    """

    method: Literal["logistic"]
    C: Positive = Field(
        1.0,
        description="Weight of the samples against the penalty, as in scikit-learn's "
        "`LogisticRegression`.",
    )


class LdaVector(ClassesVector):
    """The weights of a linear discriminant analysis of two classes of samples. They are not
    scaled unless `scale` is given."""

    EXAMPLE = """
        vectors:
          sycophancy-lda: {method: lda, of: sycophancy, paired: true, scale: {norm_of: sycophancy}}
    """

    method: Literal["lda"]
    shrinkage: Literal["auto"] | Annotated[float, Field(gt=0, le=1)] = Field(
        "auto",
        description="Share by which the covariance within the classes is shrunk towards a "
        "multiple of the identity. `auto` is Ledoit and Wolf's.",
    )


class CombineVector(VectorEntry):
    """The weighted sum or mean of other vectors. `without` removes the component along another
    vector."""

    EXAMPLE = """
        vectors:
          both: {method: combine, of: [sycophancy, myopia], how: mean}
          rest: {method: combine, of: {sycophancy: 2}, without: myopia}
    """

    OF = ("of", "without")

    method: Literal["combine"]
    of: Names | Annotated[dict[Name, Number], Some] = Field(
        description="Vectors, or a mapping of vectors to weights."
    )
    how: Literal["sum", "mean"] = Field(
        "sum", description="`sum`, or `mean`: the sum divided by the number of vectors."
    )
    without: Name | None = Field(
        None, description="Vector whose component is removed from the result, layer by layer."
    )

    def vectors(self) -> dict[str, list[str]]:
        return {"of": list(self.of), "without": _listed(self.without)}

    def settings(self) -> dict[str, Any]:
        weights = list(self.of.values()) if isinstance(self.of, dict) else [1.0] * len(self.of)
        return super().settings() | {"weights": weights, "without": self.without is not None}


class FileVector(VectorEntry):
    """A vector from a file of another tool: `.safetensors`, `.pt` (nothing in it is run) or
    `.gguf` (llama.cpp's control vectors). It belongs to the residual stream after a decoder
    block. Layers that the file lacks are zero."""

    EXAMPLE = """
        vectors:
          theirs: {method: file, file: theirs.gguf, model: chat}
          one-layer: {method: file, file: layer-8.pt, model: chat, layer: 8}
    """

    method: Literal["file"]
    file: str = Field(
        description="A file: next to the study, absolute, in the working directory, or in "
        "the repository. `~` is the home folder."
    )
    model: Name = Field(description="Model that the vector is for.")
    behaviour: Name | None = Field(
        None,
        description="Behaviour that the vector is for. Sweeps on behaviours ask its questions.",
    )
    tensor: str | None = Field(
        None,
        description="Name of the tensor [layers, hidden]. For a tensor per layer, write "
        "`{layer}` for the number. In a `.pt` file a name joins the keys above a tensor with "
        "dots. Not needed if all names differ in one number only.",
    )
    layer: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Layer of a file that holds the vector of one layer only."
    )
    offset: Annotated[int, Field(ge=-1)] = Field(
        0,
        description="Added to the file's numbers of layers or rows, which count from 0. "
        "Use -1 if the file counts layers from 1 or by their inputs. Use -1 also for "
        "`hidden_states` of transformers; its entry 0, the embedding's output, is then left "
        "out.",
    )

    def settings(self) -> dict[str, Any]:
        return self.model_dump(exclude={"method", "model", "behaviour", "scale", "seed"})


class ChosenVector(VectorEntry):
    """One direction of a vector: that at the layer and position which a choice among candidates
    took."""

    EXAMPLE = """
        vectors:
          direction: {method: chosen, of: less-code, choice: least-code}
        choices:
          least-code: {best: {lowest: skill, source: code}}
    """

    OF = ("of",)

    method: Literal["chosen"]
    of: Name = Field(description="Vector that the choice is among.")
    choice: Name = Field(description="Choice with `best`.")
    at: Literal["all", "own"] = Field(
        "all",
        description="`all`: every layer has the direction, so it can be injected anywhere. "
        "`own`: only its own layer has it, and others are zero. Adding it at `layers: [all]` "
        "then adds it at its own layer.",
    )

    def settings(self) -> dict[str, Any]:
        return {"at": self.at}


class OwnVector(SamplesVector):
    """Your own method: the function `fit` of a Python file. `method: FILE.py` is short for it.
    The code of the file, and of the modules next to it that it imports, is part of the key."""

    EXAMPLE = """
        vectors:
          mine: {method: my_method.py, add: [text], subtract: [code], options: {quantile: 0.5}}
    """

    method: Literal["own"]
    file: str = Field(
        description="A Python file: next to the study, absolute, in the working directory, "
        "or in the repository. `~` is the home folder."
    )
    options: dict[str, JsonValue] = Field({}, description="Settings that `fit` receives.")

    def settings(self) -> dict[str, Any]:
        return {"method": "own", "options": self.options}

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if not self.activations():
            raise ValueError("names no activations; give of, add or subtract")
        return self


class ControlVector(VectorEntry):
    """A control: a vector made to point nowhere in particular."""

    EXAMPLE = """
        vectors:
          sycophancy-random: {method: control, of: sycophancy, how: random, draws: 20}
          code-shuffled: {method: control, of: less-code, how: permuted}
    """

    OF = ("of",)

    method: Literal["control"]
    of: Name = Field(description="Vector that it controls for. It cannot be a control itself.")
    how: Literal["permuted", "operands", "random", "labels"] = Field(
        description="`permuted`: the vector, shuffled over the hidden dimension (same "
        "length). `operands`: the two operands of the difference, shuffled independently, as "
        "the authors did (longer than the vector). `random`: a random direction of the same "
        "length at each layer. `labels`: the result of the method on samples with shuffled "
        "labels."
    )
    draws: Count | None = Field(
        None,
        description="Number of independent draws. A sweep injects each of them, and tables "
        "and figures show their mean and range. The draws are in `NAME-draws.safetensors` "
        "among the results.",
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
            "`permute` is now a method; name the vector without it in {method: control, of: "
            f"VECTOR, how: {how}}}"
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
