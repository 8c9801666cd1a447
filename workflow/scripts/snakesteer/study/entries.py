"""What the entries of every section of a study have in common."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
)
from pydantic_core import PydanticCustomError

from snakesteer.core.half_characters import half_a_character


def _distinct(values: list[Any]) -> list[Any]:
    told_apart = [_told_apart(value) for value in values]
    for value in values:
        if told_apart.count(_told_apart(value)) > 1:
            raise ValueError(f"lists {value} twice; remove one")
    return values


def _told_apart(value: Any) -> Any:
    """A value that equals no other: 1 is the second layer, and 1.0 the last."""
    return [*map(_told_apart, value)] if isinstance(value, list) else (type(value), value)


def _one_key(value: dict[str, Any]) -> dict[str, Any]:
    if len(value) != 1:
        raise ValueError(
            "needs exactly one of from, from_last_of and after, with a marker; give one of them"
        )
    return value


def _no_truth(value: Any) -> Any:
    """Refuses true and false, which Python takes for 1 and 0."""
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "true or false")
    return value


def _from_end(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        raise ValueError(
            "tokens are counted from the end, so numbers are negative; give -1 for the last one"
        )
    return value


def _some_text(value: Any) -> Any:
    if value == "":
        raise ValueError("a marker must have at least one character; give its text")
    return value


Distinct = AfterValidator(_distinct)
_NoTruth = BeforeValidator(_no_truth)
Some = Field(min_length=1)
NAME = r"^[A-Za-z0-9][A-Za-z0-9-]*$"
Name = Annotated[str, Field(pattern=NAME)]
Names = Annotated[list[Name], Some, Distinct]
MEASURE_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
MeasureName = Annotated[str, Field(pattern=MEASURE_NAME)]
# A table: of a sweep, or of one of its measures, SWEEP.MEASURE.
TABLE_NAME = r"^[A-Za-z0-9][A-Za-z0-9-]*(\.[A-Za-z0-9][A-Za-z0-9_-]*)?$"
TableName = Annotated[str, Field(pattern=TABLE_NAME)]
TableNames = Annotated[list[TableName], Some, Distinct]
Count = Annotated[int, Field(ge=1), _NoTruth]
NoneOrMore = Annotated[int, Field(ge=0), _NoTruth]
TokenId = Annotated[int, Field(ge=0, strict=True), _NoTruth]
Seed = Annotated[int, Field(ge=0), _NoTruth]


class Entry(BaseModel):
    """An entry of a study: frozen, and without keys that nobody reads."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    # Fields that hold layers, as numbers or as fractions of depth.
    layered: ClassVar[tuple[str, ...]] = ()
    # A part of a study that has such an entry, as YAML; the reference shows it.
    EXAMPLE: ClassVar[str] = ""

    @field_validator("*")
    @classmethod
    def _whole_characters(cls, value: Any) -> Any:
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and (half := half_a_character(text)):
                raise ValueError(f"{half} is half of a character; write the character itself")
        return value


Scalar = bool | int | float | str

Duplicates = Literal["drop", "keep"]

Share = Annotated[float, Field(ge=0, le=1)]

Number = Annotated[float, Field(allow_inf_nan=False)]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

Numbers = Annotated[list[Number], Some, Distinct]

# A number of a decoder block, or a fraction of the model's depth; see `depth`.
Fraction = Annotated[float, Field(ge=0, le=1, strict=True, title="fraction of depth")]

Layer = Annotated[int, Field(ge=0, strict=True)] | Fraction

Layers = Annotated[list[Layer], Some, Distinct]

LayerSet = Layer | Layers | Literal["all"]

# Keys of mappings are text in JSON.
LayerKey = Annotated[int, Field(ge=0)] | Annotated[float, Field(ge=0, le=1, title="fraction")]

# A token counted from the end of a text; -1 is the last.
FromEnd = Annotated[int, Field(le=-1, strict=True), BeforeValidator(_from_end)]

Marker = Annotated[str, Field(min_length=1), BeforeValidator(_some_text)]

# Which tokens are steered; see `prompts.which_tokens`.
Steered = (
    Literal["all", "last", "after_instruction", "prompt", "completion"]
    | FromEnd
    | Annotated[dict[Literal["from", "from_last_of", "after"], Marker], AfterValidator(_one_key)]
)

STEERED = (
    "Which tokens change. `all`: every token. `last`: the last token of each text. A "
    "negative number: counted from the end, so -1 is the last. `after_instruction`: "
    "everything after the instruction. `prompt` or `completion`: that part of the text; "
    "where only an answer's beginning is given, `completion` is that beginning. `{from: "
    "MARKER}`: from the first token of a marker on. `{from_last_of: MARKER}`: from its last "
    "token on. `{after: MARKER}`: after it. A marker is a text that every input contains."
)

Site = Literal["output", "input", "attention", "mlp"]

SITE = (
    "Where in a block. `output`: the residual stream after the block. `input`: the "
    "residual stream before it, which for layer 0 is the embedding's output. `attention` or "
    "`mlp`: the output of the attention or of the feed-forward network."
)

TRANSFER = (
    "`true` allows vectors of another model. It must have as many layers and the same "
    "width. Without it, such vectors are refused."
)

CUT = (
    "Length at which documents are cut, in tokens. Default: 4,096, or the model's "
    "context if that is shorter."
)


class Titled(Entry):
    """The authors' name for a corpus or a behaviour."""

    EXAMPLE = """
        published:
          commit: 48fe8dccfdf35ac60856ec2842952e19fac98f4c
          corpora:
            code: {key: only_code, title: Code}
    """

    key: str = Field(description="Its name in the authors' files.")
    title: str | None = Field(None, description="Name in figures.")
