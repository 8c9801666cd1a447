"""The reference of the study file: a page to read and a JSON Schema for editors."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from snakesteer.study import schema
from snakesteer.study.entries import Entry
from snakesteer.study.type_words import Linked, field_in_words, kind_of, words_of

_INTRODUCTION = """# The study file

A study is one YAML file. [your-own-study.md](your-own-study.md) writes one step by step. This page
lists every key, with an example for each kind of entry. Your editor can check a study against
`config/study.schema.json`, a JSON Schema.

## Sections

A study has these keys at its top. Only `name` is required. Each section holds entries by name, and
entries refer to each other by these names.

{sections}

## Rules for all sections

**Names.** A name has letters, digits and hyphens, and begins with a letter or digit. Names of
measures can also have underscores.

**Paths.** A relative path is looked up in the folder where `snakemake` runs, then in the
repository. Files of vectors, operators and scores are looked up next to the study first. `extends`
is relative to the study's folder.

**Layers.** A layer is the number of a decoder block, from 0. Its activation is the output of that
block. A number with a decimal point is a share of the model's depth: 0.0 is the first layer, 1.0
the last. In between it is the nearest layer, and the lower of two that are equally near. Of 32
layers, 0.25 is layer 8 and 0.5 is layer 15. Shares that give the same layer count once. A set of
one layer, `[15]`, is that layer. A figure of models with different depths takes a share only if it
is the same layer in each.

**Starting from another study.** `extends: other.yaml` takes over another study and changes single
keys. A key with the value `null` is removed, and a list is replaced. A model, corpus, behaviour,
vector or figure with another `source`, `method` or `kind` is replaced as a whole. So are `inject`
and `coefficients` of a sweep that are given in another form.

**Mistakes.** Mistakes in the file are reported in one sentence before anything runs. The sentence
names the entry and what to do. Mistakes in the contents of data files are reported by the job that
reads them.

## The example study

The examples on this page are parts of studies that extend this one:

```yaml
{example}
```

This page is generated from `workflow/scripts/snakesteer/study/` by `make docs`.
"""

# The study that all examples extend.
EXAMPLE = """\
name: example

models:
  base: {source: models/base}
  chat: {source: models/chat}

corpora:
  code: {source: installed, kind: code, train: 400, validation: 48}
  text: {source: installed, kind: text, train: 400, validation: 48}
  requests:
    source: files
    splits: {train: {files: [requests.jsonl]}, validation: {files: [requests.jsonl], skip: 64}}
    train: 64
    validation: 32

behaviours:
  sycophancy: {source: generated, trait: sycophancy}
  myopia: {source: generated, trait: myopia}

activations:
  code: {model: base, corpus: code}
  text: {model: base, corpus: text}
  sycophancy: {model: chat, behaviour: sycophancy}
  myopia: {model: chat, behaviour: myopia}

vectors:
  less-code: {method: difference, add: [text], subtract: [code]}
  random: {method: control, of: less-code, how: random}
  sycophancy: {method: contrast, of: sycophancy}
  sycophancy-pca: {method: pca, of: sycophancy}
  myopia: {method: contrast, of: myopia}
  myopia-pca: {method: pca, of: myopia}

sweeps:
  skill: &skill
    model: base
    inject: {vector: less-code, layers: [4, 8]}
    coefficients: [0, 1, 2]
    measures: {next_token: {corpora: [code, text]}}
  skill-random: {<<: *skill, inject: {vector: random, layers: [4, 8]}}
  grid:
    model: chat
    inject: {vectors: [sycophancy, myopia], layers: [4, 8]}
    coefficients: [-1, -0.5, 0, 0.5, 1]
    measures:
      two_choice: {split: validation}
      divergence: {split: validation}
  compared:
    model: chat
    inject: {vectors: [sycophancy, myopia, sycophancy-pca, myopia-pca], layers: [8]}
    coefficients: [0, 1]
    measures: {two_choice: {}}

choices:
  multipliers: {grid: grid.two_choice}
  candidate: {best: {highest: grid.two_choice, column: propensity}}

effects:
  grid: {sweep: grid.two_choice}

rankings:
  methods:
    sweeps: [compared]
    arms: {difference: [sycophancy, myopia], pca: [sycophancy-pca, myopia-pca]}
"""

SEVERAL = 3  # entries that have a key alike, from which on the page has it once

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
    headings = _headings()
    linked = {entry: _anchor(heading) for entry, heading in headings.items()}
    shown = {"sections": _sections(), "example": EXAMPLE.strip()}
    parts = [_INTRODUCTION.format(**shown)]
    for section in schema.SECTIONS:
        parts += [f"\n## {section}\n", *_section(section, headings, linked)]
    return "\n".join(parts)


def _section(section: str, headings: Mapping[type[Entry], str], linked: Linked) -> Iterator[str]:
    """The parts of a section below its heading."""
    first, *others = schema.SECTIONS[section]
    if headings[first] == section:
        yield _entry(first, None, linked)
    else:
        yield f"{schema.Study.model_fields[section].description}\n"
        others = [first, *others]
    if len(others) > 1:
        yield _contents(headings[entry] for entry in others)
    shared = {key: _shared(section, key, alike) for key, alike in _by_key(others).items()}
    for entry in others:
        kind = kind_of(entry)
        yield f"### {headings[entry]}\n"
        yield _entry(entry, shared[kind[0]] if kind else None, linked)
    for key, alike in _by_key(others).items():
        if shared[key].having:
            yield f"### {shared[key].heading}\n"
            yield _shared_keys(alike, shared[key].having, linked)


def _headings() -> dict[type[Entry], str]:
    """The heading of every entry. The first of a section has the section's, unless a key tells it
    from others."""
    found: dict[type[Entry], str] = {}
    for section, entries in schema.SECTIONS.items():
        for place, entry in enumerate(entries):
            kind = kind_of(entry)
            heading = f"{kind[0]}: {kind[1]}" if kind else words_of(entry)
            if heading in found.values():
                heading = f"{heading} ({section})"
            found[entry] = section if place == 0 and not kind else heading
    return found


def _sections() -> str:
    """The keys of a study, each section with a link."""
    lines = ["| key | what it holds |", "| --- | --- |"]
    lines.append("| `extends` | Study file to start from, relative to this one. |")
    for name, field in schema.Study.model_fields.items():
        shown = f"[`{name}`](#{name})" if name in schema.SECTIONS else f"`{name}`"
        lines.append(f"| {shown} | {field.description} |")
    return "\n".join(lines)


def _contents(headings: Iterable[str]) -> str:
    """Links to the entries of a section, a line for each kind of heading."""
    lines: dict[str, list[str]] = {}
    for heading in headings:
        key, _, name = heading.rpartition(": ")
        lines.setdefault(key, []).append(f"[{name}](#{_anchor(heading)})")
    said = []
    for key, links in sorted(lines.items(), key=lambda line: not line[0]):
        said.append(f"- {f'`{key}`' if key else 'parts'}: {', '.join(links)}")
    return "\n".join(said) + "\n"


def _anchor(heading: str) -> str:
    """The anchor that a page gives a heading."""
    return re.sub(r"[^\w -]", "", heading).replace(" ", "-")


def _by_key(entries: Iterable[type[Entry]]) -> dict[str, list[type[Entry]]]:
    """Entries by the key that tells them apart, without those that have none."""
    found: dict[str, list[type[Entry]]] = {}
    for entry in entries:
        if kind := kind_of(entry):
            found.setdefault(kind[0], []).append(entry)
    return found


@dataclass(frozen=True)
class _Shared:
    """Keys that several entries have alike, by name with the values that tell those entries apart,
    and the heading below which the page has them."""

    heading: str
    having: Mapping[str, tuple[str, ...]]


def _shared(section: str, key: str, entries: list[type[Entry]]) -> _Shared:
    """What entries that a key tells apart have alike."""
    rows: dict[str, dict[str, list[str]]] = {}
    for entry in entries:
        for name, field in entry.model_fields.items():
            if name != key:
                alike = rows.setdefault(name, {}).setdefault(_row(name, field, {}), [])
                alike.append(_named(entry))
    having = {}
    for name, by_row in rows.items():
        most = max(by_row.values(), key=len)
        if len(most) >= SEVERAL:
            having[name] = tuple(most)
    return _Shared(f"{section}: keys of several {key}s", having)


def _shared_keys(
    entries: list[type[Entry]],
    shared: Mapping[str, tuple[str, ...]],
    linked: Linked,
) -> str:
    """The keys that several entries have alike, those of the same entries together."""
    parts = []
    for having in dict.fromkeys(shared.values()):
        names = [name for name, each in shared.items() if each == having]
        first = next(entry for entry in entries if _named(entry) == having[0])
        whose = f"`{'`, `'.join(having)}`" if len(having) < len(entries) else "All of them"
        parts.append(f"{whose}:\n\n{_fields(first, names, linked)}")
    return "\n".join(parts)


def _named(entry: type[Entry]) -> str:
    """The value that tells an entry from others."""
    kind = kind_of(entry)
    assert kind is not None
    return kind[1]


def _entry(entry: type[Entry], shared: _Shared | None, linked: Linked) -> str:
    """What an entry is, its example, and its keys; of those that it shares only the names, with a
    link."""
    key, value = kind_of(entry) or ("", "")
    having = shared.having if shared else {}
    others = [name for name in entry.model_fields if value in having.get(name, ())]
    names = [name for name in entry.model_fields if name not in (key, *others)]
    names.sort(key=lambda name: not entry.model_fields[name].is_required())
    parts = [inspect.cleandoc(entry.__doc__ or "") + "\n"]
    parts.append(f"```yaml\n{inspect.cleandoc(entry.EXAMPLE)}\n```\n")
    if names:
        parts.append(_fields(entry, names, linked))
    if shared and others:
        needed = [name for name in others if entry.model_fields[name].is_required()]
        listed = ", ".join(f"`{name}`{' (required)' * (name in needed)}" for name in others)
        where = f"[keys of several {key}s](#{_anchor(shared.heading)})"
        parts.append(f"{'Also' if names else 'Keys'}, from the {where}: {listed}.\n")
    return "\n".join(parts)


def _fields(entry: type[Entry], names: Iterable[str], linked: Linked) -> str:
    lines = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    lines += [_row(name, entry.model_fields[name], linked) for name in names]
    return "\n".join(lines) + "\n"


def _row(name: str, field: FieldInfo, linked: Linked) -> str:
    described = (field.description or "").replace("|", "\\|")
    default = "implied" if name in IMPLIED and field.is_required() else _default(field)
    value = field_in_words(field, linked)
    return f"| `{name}` | {value} | {default} | {described} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default in (None, PydanticUndefined):
        return ""
    if isinstance(field.default, Entry):
        return "its defaults"
    return f"`{json.dumps(field.default)}`"
