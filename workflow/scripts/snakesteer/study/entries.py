"""What the entries of every section of a study have in common."""

from __future__ import annotations

from typing import Annotated, Any

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
            raise ValueError(f"names {value} twice; remove one")
    return values


def _told_apart(value: Any) -> Any:
    """A value that equals no other: 1 is the second layer, and 1.0 the last."""
    return [*map(_told_apart, value)] if isinstance(value, list) else (type(value), value)


def _no_truth(value: Any) -> Any:
    """Refuses true and false, which Python takes for 1 and 0."""
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "true or false")
    return value


Distinct = AfterValidator(_distinct)
_NoTruth = BeforeValidator(_no_truth)
Some = Field(min_length=1)
NAME = r"^[A-Za-z0-9][A-Za-z0-9-]*$"
Name = Annotated[str, Field(pattern=NAME)]
Names = Annotated[list[Name], Some, Distinct]
Count = Annotated[int, Field(ge=1), _NoTruth]
Seed = Annotated[int, Field(ge=0), _NoTruth]


class Entry(BaseModel):
    """An entry of a study: frozen, and without keys that nobody reads."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @field_validator("*")
    @classmethod
    def _whole_characters(cls, value: Any) -> Any:
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and (half := half_a_character(text)):
                raise ValueError(f"{half} is half of a character; write the character itself")
        return value
