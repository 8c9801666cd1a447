"""Frozen dataclasses as plain JSON types and back: what a plan writes into params, a script reads.

The fields of such a class are plain JSON types, other such classes, tuples (`tuple[T, ...]`) and
mappings by name of these, each of which may be None. One declared as `unless_said(default)` is left
out where it has its default, so that what was written before there was such a field stays the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, field, fields, is_dataclass
from functools import cache
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

Record = TypeVar("Record")
LEFT_OUT = "left out"


def unless_said(default: Any) -> Any:
    """A field that is left out of what is written where it has this default."""
    return field(default=default, metadata={LEFT_OUT: True})


def plain(value: Any) -> Any:
    """The value in plain JSON types."""
    if is_dataclass(value):
        return {
            one.name: plain(getattr(value, one.name)) for one in fields(value) if _said(value, one)
        }
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _said(value: Any, one: Field[Any]) -> bool:
    return LEFT_OUT not in one.metadata or getattr(value, one.name) != one.default


def read(record: type[Record], given: Mapping[str, Any]) -> Record:
    """The record that `plain` wrote; a field that is left out has its default.

    Raises TypeError for a field that the record has not, or that is missing.
    """
    types = _types(record)  # type: ignore[arg-type]
    return record(**{name: _value(types.get(name), item) for name, item in given.items()})


@cache
def _types(record: type[Any]) -> dict[str, Any]:
    return get_type_hints(record)


def _value(kind: Any, given: Any) -> Any:
    possible = [one for one in get_args(kind) if one is not NoneType]
    if given is None:
        return None
    if is_dataclass(kind):
        return read(kind, given)  # type: ignore[arg-type]
    if get_origin(kind) is tuple:
        return tuple(_value(possible[0], item) for item in given)
    if get_origin(kind) is Mapping:
        return {name: _value(possible[1], item) for name, item in given.items()}
    if NoneType in get_args(kind) and len(possible) == 1:
        return _value(possible[0], given)
    return given
