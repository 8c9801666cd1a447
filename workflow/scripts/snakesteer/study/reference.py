"""The reference of the study file: a page to read and a JSON Schema for editors."""

from __future__ import annotations

import json
import re
import types
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from snakesteer.study import schema
from snakesteer.study.entries import Entry

_INTRODUCTION = """# The study file

One YAML file describes a study. `name` is its folder under `results/`, and `question` says in plain
words what it asks, which stands first on its page. Its sections hold named entries, and entries
refer to each other by name. `extends: other.yaml` starts from another study, key by key; a key set
to `null` is removed, and a model, corpus, behaviour, vector or figure that is given another
`source`, `method` or `kind` is replaced as a whole, and so are `inject` and `coefficients` of a
sweep that are given in another form. `layers` count decoder blocks from 0, and a layer's activation
is that block's output. A layer with a decimal point is a fraction of the model's depth: 0.0 is the
first, 1.0 the last, and in between stands the nearest one, of two equally near ones the lower (of
32 layers 0.25 is layer 8, 0.5 layer 15); two fractions that are one layer are that layer once, and
a set of one layer, `[15]`, is that layer. In a figure of models of different depth a fraction is
refused unless it is the same layer of all.
[sources.md](sources.md) shows where models, documents and questions may come from.

This page is made from the schema in `workflow/scripts/snakesteer/study/` by
`make docs`; editors that read JSON Schema can use `config/study.schema.json`.
"""


# Keys that the name of an entry or its other keys imply.
IMPLIED = ("design", "measure", "scorer", "format")


def json_schema() -> str:
    """The JSON Schema of a study file; `extends` is resolved before it applies."""
    made = schema.Study.model_json_schema()
    made["properties"]["extends"] = {
        "type": "string",
        "description": "Study file to start from, relative to this one.",
    }
    made["required"] = []
    _allow_implied(made)
    return json.dumps(made, indent=1, sort_keys=True) + "\n"


def _allow_implied(node: Any) -> None:
    """Let every schema in a schema do without the keys that are implied."""
    for item in node.values() if isinstance(node, dict) else node:
        if isinstance(item, dict | list):
            _allow_implied(item)
    if not isinstance(node, dict):
        return
    if "required" in node:
        node["required"] = [key for key in node["required"] if key not in IMPLIED]
    if node.get("discriminator", {}).get("propertyName") in IMPLIED:
        del node["discriminator"]
        node["anyOf"] = node.pop("oneOf")


def markdown() -> str:
    """The reference page."""
    parts = [_INTRODUCTION]
    for section, entries in schema.SECTIONS.items():
        parts.append(f"\n## {section}\n")
        for place, entry in enumerate(entries):
            heading = _heading(entry, first=place == 0)
            parts.append(f"{heading}{_sentence(entry)}\n\n{_fields(entry)}")
    return "\n".join(parts)


def _heading(entry: type[Entry], first: bool) -> str:
    """What tells an entry from the others of its section: its kind, source or the like, or what
    it is, unless it is the section's own."""
    for key in ("source", "kind", "method", "design", "measure", "scorer"):
        field = entry.model_fields.get(key)
        if field and len(get_args(field.annotation)) == 1:
            return f"### {key}: {get_args(field.annotation)[0]}\n\n"
    return "" if first else f"### {_value(entry)}\n\n"


def _sentence(entry: type[Entry]) -> str:
    return " ".join((entry.__doc__ or "").split())


def _fields(entry: type[Entry]) -> str:
    lines = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    for name, field in entry.model_fields.items():
        described = (field.description or "").replace("|", "\\|")
        default = "implied" if name in IMPLIED and field.is_required() else _default(field)
        lines.append(f"| `{name}` | {_value(field.annotation)} | {default} | {described} |")
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default in (None, PydanticUndefined):
        return ""
    if isinstance(field.default, Entry):
        return "its defaults"
    return f"`{json.dumps(field.default)}`"


def _value(annotation: Any) -> str:
    """A type in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{item}`" for item in arguments)
    if origin in (Union, types.UnionType):
        named = [_value(item) for item in arguments if item is not type(None)]
        return " or ".join(dict.fromkeys(named))
    if origin is list:
        return f"list of {_value(arguments[0])}"
    if origin is dict:
        return f"mapping of {_value(arguments[0])} to {_value(arguments[1])}"
    if origin is tuple:
        return ", ".join(_value(item) for item in arguments)
    if hasattr(annotation, "__metadata__"):
        titles = [getattr(each, "title", None) for each in annotation.__metadata__]
        return next(filter(None, titles), None) or _value(arguments[0])
    words = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    name = words.get(annotation, getattr(annotation, "__name__", str(annotation)))
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
