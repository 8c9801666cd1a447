"""A study file: read, merged over the file that it extends, validated.

A study is one YAML file; `extends` starts from another one, whose entries are overridden key by
key. Everything that can be checked without a model's depth is checked here, the rest by the plan;
every mistake is one sentence that names the entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from snakesteer.core.errors import StudyError
from snakesteer.core.own_code import is_own
from snakesteer.hub.manifest import at_home
from snakesteer.study import references
from snakesteer.study.mistakes import sentence
from snakesteer.study.schema import Study
from snakesteer.study.yaml_file import read_yaml

# What tells the entries of a section apart; another one makes another entry.
TAGS = {
    "models": "source",
    "corpora": "source",
    "behaviours": "source",
    "vectors": "method",
    "figures": "kind",
}
# The keys of each form of what a sweep holds; what is given in another form is another.
FORMS: dict[str, tuple[frozenset[str], ...]] = {
    "inject": (
        frozenset({"vector", "vectors"}),
        frozenset({"together"}),
        frozenset({"combine", "weighted"}),
    ),
    "coefficients": (
        frozenset({"start", "stop", "points", "spacing"}),
        frozenset({"magnitudes"}),
        frozenset({"choice"}),
    ),
}


def load(path: str | Path) -> Study:
    """Read, merge (`extends`), validate and cross-check a study file.

    Raises StudyError with one sentence for the first mistake found.
    """
    return parse(read(Path(path)), str(path))


def read(path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A study file as plain data, after following `extends`."""
    if path.resolve() in seen:
        raise StudyError(f"{path} extends itself; remove `extends` from one of the files.")
    return resolve(read_yaml(path), path.parent, (*seen, path.resolve()))


def resolve(data: Mapping[str, Any], folder: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Merge a study's data over the file it `extends`, looked up from `folder`."""
    own = _beside(data, folder)
    base = own.pop("extends", None)
    if base is not None and not isinstance(base, str):
        raise StudyError(f"`extends` must name one study file, not {base!r}.")
    return merge(_without_replaced(read(folder / at_home(base), seen), own), own) if base else own


def _beside(data: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A study's data with files of its vectors, scores and operators beside it named from here."""
    own = dict(data)
    for section in ("sweeps", "samples"):
        if section in own:
            own[section] = _operators_beside(own[section], folder)
    if isinstance(own.get("sweeps"), Mapping):
        own["sweeps"] = _scorers_beside(own["sweeps"], folder, ("measures", "scores"))
    if not isinstance(own.get("vectors"), Mapping):
        return own
    vectors = dict(own["vectors"])
    for name, entry in vectors.items():
        for key in ("file", "method") if isinstance(entry, Mapping) else ():
            given = entry.get(key)
            names_a_file = isinstance(given, str) and (key == "file" or given.endswith(".py"))
            if names_a_file and (folder / at_home(given)).is_file():
                vectors[name] = {**vectors[name], key: str(folder / at_home(given))}
    return own | {"vectors": vectors}


def _operators_beside(given: Any, folder: Path) -> Any:
    """What a section says, with operators that are files in the folder named from here."""
    if not isinstance(given, Mapping):
        return given
    found = {key: _operators_beside(entry, folder) for key, entry in given.items()}
    operator = found.get("operator")
    if isinstance(operator, str) and is_own(operator) and (folder / at_home(operator)).is_file():
        found["operator"] = str(folder / at_home(operator))
    return found


def _scorers_beside(entries: Any, folder: Path, inside: tuple[str, ...]) -> Any:
    """Entries that hold scores in the key at the end of a path of keys, with files that score, or
    have labels, and lie in the study's own folder named from here."""
    if not isinstance(entries, Mapping):
        return entries
    found = {}
    for name, entry in entries.items():
        if isinstance(entry, Mapping) and inside:
            if inside[0] in entry:
                within = _scorers_beside(entry[inside[0]], folder, inside[1:])
                entry = {**entry, inside[0]: within}
        elif isinstance(entry, Mapping):
            for key in ("scorer", "file", "labels"):
                given = entry.get(key)
                if isinstance(given, str) and (folder / at_home(given)).is_file():
                    entry = {**entry, key: str(folder / at_home(given))}
        found[name] = entry
    return found


def _without_replaced(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """The base without the entries to which `over` gives another source, method or kind, and
    without what of a sweep it gives in another form: nothing holds for that, as the size of another
    model, or keys that another kind does not know."""
    kept = dict(base)
    for section, tag in TAGS.items():
        entries, others = base.get(section), over.get(section)
        if isinstance(entries, Mapping) and isinstance(others, Mapping):
            tags = {
                name: entry[tag]
                for name, entry in others.items()
                if isinstance(entry, Mapping) and tag in entry
            }
            kept[section] = {
                name: entry
                for name, entry in entries.items()
                if not isinstance(entry, Mapping)
                or tags.get(name, entry.get(tag)) == entry.get(tag)
            }
    entries, others = base.get("sweeps"), over.get("sweeps")
    if isinstance(entries, Mapping) and isinstance(others, Mapping):
        kept["sweeps"] = {
            name: _in_the_same_form(entry, others.get(name)) for name, entry in entries.items()
        }
    return kept


def _in_the_same_form(entry: Any, over: Any) -> Any:
    """A sweep without what `over` gives in another form."""
    if not isinstance(entry, Mapping) or not isinstance(over, Mapping):
        return entry
    kept = dict(entry)
    for key in FORMS.keys() & entry.keys() & over.keys():
        before, after = _form(key, entry[key]), _form(key, over[key])
        if before and after and before != after:
            del kept[key]
    return kept


def _form(key: str, given: Any) -> frozenset[str] | None:
    """The form in which a sweep's `inject` or `coefficients` are given, by its keys."""
    if isinstance(given, Mapping):
        for form in FORMS[key]:
            if form & given.keys():
                return form
    return None


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Override mapping by mapping; lists and scalars are replaced, `null` removes an entry."""
    merged = dict(base)
    for key, value in over.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def parse(data: Mapping[str, Any], origin: str = "the study") -> Study:
    """Validate plain data as a study and check the references between its entries."""
    try:
        study = Study.model_validate(data)
    except ValidationError as error:
        raise StudyError(sentence(error, origin)) from None
    references.check(study)
    return study
