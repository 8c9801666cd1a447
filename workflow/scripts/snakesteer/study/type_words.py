"""The types of the schema in words, for the reference."""

from __future__ import annotations

import functools
import json
import operator
import re
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import JsonValue
from pydantic.fields import FieldInfo

from snakesteer.study.entries import (
    NAME,
    TABLE_NAME,
    Distinct,
    Entry,
    FromEnd,
    Layer,
    LayerKey,
    Layers,
    LayerSet,
    MeasureName,
    Name,
    Scalar,
    Some,
    Steered,
    TableName,
)

Linked = Mapping[type[Entry], str]
"""Entries -> the anchors of their headings."""

_NAMES = (NAME, TABLE_NAME)
# Types that have words of their own.
_WORDS: tuple[tuple[Any, str], ...] = (
    (LayerSet, "layer, list of layers, or `all`"),
    (Layer, "layer"),
    (list[Layer], "list of layers"),
    (Literal["all"] | list[Layer], "list of layers, or `all`"),
    (Literal["all"] | Layers, "list of layers, or `all`"),
    (list[LayerSet], "list of layers or of sets of layers"),
    (Literal["all"] | Annotated[list[LayerSet], Some, Distinct], "list of layers, or `all`"),
    (FromEnd, "negative number"),
    (Steered, "which tokens"),
    (LayerKey, "layers"),
    (Name, "name"),
    (TableName, "name"),
    (MeasureName, "name"),
    (JsonValue, "any value"),
    (Scalar, "text, number, or true or false"),
    (str, "text"),
    (int, "whole number"),
    (float, "number"),
    (bool, "true or false"),
)


def field_in_words(field: FieldInfo, linked: Linked) -> str:
    """What a key takes, with links to entries that are `linked`."""
    if any(getattr(each, "pattern", None) in _NAMES for each in field.metadata):
        return "name"
    return _value(field.annotation, linked)


def kind_of(entry: type[Entry]) -> tuple[str, str] | None:
    """The key and the value that tell an entry from the others of its section."""
    for key in ("source", "kind", "method", "design", "measure", "scorer"):
        field = entry.model_fields.get(key)
        if field and len(get_args(field.annotation)) == 1:
            return key, get_args(field.annotation)[0]
    return None


def _value(annotation: Any, linked: Linked) -> str:
    """A type in words, with links to entries that are `linked`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    union = origin in (Union, types.UnionType)
    if union and type(None) in arguments:
        given = [item for item in arguments if item is not type(None)]
        return _value(functools.reduce(operator.or_, given), linked)
    for known, words in _WORDS:
        if annotation == known and type(annotation) is type(known):
            return words
    if origin is Literal:
        return ", ".join(f"`{json.dumps(item).strip(chr(34))}`" for item in arguments)
    if union:
        return _one_of(arguments, linked)
    if origin is list:
        return f"list of {_several(arguments[0], linked)}"
    if origin is dict:
        return f"mapping of {_several(arguments[0], linked)} to {_several(arguments[1], linked)}"
    if origin is tuple:
        return f"list of {len(arguments)} {_several(arguments[0], linked)}"
    if hasattr(annotation, "__metadata__"):
        return _value(arguments[0], linked)
    if annotation in linked:
        kind = kind_of(annotation)
        return f"[{kind[1] if kind else words_of(annotation)}](#{linked[annotation]})"
    of = dict.fromkeys(
        _value(field.annotation, linked) for field in annotation.model_fields.values()
    )
    return f"{' and '.join(f'`{name}`' for name in annotation.model_fields)}: {' or '.join(of)}"


def _one_of(types: Sequence[Any], linked: Linked) -> str:
    """One of several types, in words."""
    kinds = [kind_of(each) if each in linked else None for each in types]
    if keys := {kind[0] for kind in kinds if kind}:
        links = [_value(each, linked) for each in types]
        return f"a `{keys.pop()}`: {', '.join(links)}"
    found: list[str] = []
    rest = list(types)
    for known, words in _WORDS:
        if len(get_args(known)) > 1 and all(each in rest for each in get_args(known)):
            found.append(words)
            rest = [each for each in rest if each not in get_args(known)]
    return " or ".join(dict.fromkeys([*found, *(_value(each, linked) for each in rest)]))


def _several(annotation: Any, linked: Linked) -> str:
    """Values of a type, in words."""
    words = _value(annotation, linked)
    return re.sub(r"\b(name|number|text)\b(?!s)", r"\1s", words) if "`" not in words else words


def words_of(entry: type[Entry]) -> str:
    """The name of a class in words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", entry.__name__).lower()
