"""What is wrong with a study file, by its schema, in one sentence."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import partial
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from snakesteer.study.coefficients import Chosen, Magnitudes, Range, Refined
from snakesteer.study.designs import DESIGNS
from snakesteer.study.entries import MEASURE_NAME, NAME, TABLE_NAME, Entry
from snakesteer.study.formats import Format
from snakesteer.study.measures import MEASURES
from snakesteer.study.models import COMMIT, GGUF, PACKAGE, REPOSITORY, SHA256, VERSION, PackagedFile
from snakesteer.study.schema import SECTIONS, Study

# What is said of a text that a pattern of the schema does not match.
OTHERWISE = {
    NAME: (
        "{!r} is not a valid name; use letters, digits and hyphens, and begin with a letter or "
        "digit."
    ),
    MEASURE_NAME: "{!r} is not a valid name; use letters, digits, hyphens and underscores, and "
    "begin with a letter or digit.",
    TABLE_NAME: (
        "{!r} is not the name of a sweep; give SWEEP, or SWEEP.MEASURE of one with several."
    ),
    COMMIT: "{!r} is not a commit; give its 40 hex digits.",
    PACKAGE: "{!r} is not the name of a Python package; give it as `pip download` takes it.",
    VERSION: "{!r} is not the version of a package; give one as in 0.1.2, without operators.",
    SHA256: "{!r} is not a sha256; give its 64 hex digits, as `pip hash FILE` prints them.",
    GGUF: "{!r} is not a GGUF file; give one whose name ends in .gguf.",
    REPOSITORY: "{!r} is not a repository of the hub; give OWNER/NAME.",
}


# Where in a sweep keys stand that are not its own.
INSIDE_A_SWEEP: dict[str, tuple[type[Entry], ...]] = {
    "inject": DESIGNS,
    "coefficients": (Range, Magnitudes, Chosen, Refined),
    "measures": MEASURES,
}

READ_IN_A_FORMAT = ("activations", "samples", "sweeps", "corpora")

# Keys whose values are layers, and keys whose values are lists of texts.
LAYERS = {"layer", "layers", "source_layers"}
LISTS_OF_TEXTS = {"add", "subtract", "behaviours", "corpora", "sites", "sweeps", "vectors"}

A_LIST = "a list in brackets"
# What a type of pydantic's errors is called here.
TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "list": A_LIST,
    "tuple": A_LIST,
    "dict": "keys with values",
    "model": "keys with values",
}


def sentence(error: ValidationError, origin: str) -> str:
    """The first validation error as one sentence that names the entry and the remedy.

    Where a value matches no branch of a union there is an error for each: one that is not about
    the type, or else the one that got furthest into the value, says most.
    """
    errors = error.errors()
    entry_of_first = errors[0]["loc"][:2]
    problem = max(
        (each for each in errors if each["loc"][:2] == entry_of_first),
        key=lambda each: (not _of_type(each["type"]), len(each["loc"])),
    )
    if problem["type"] == "missing":
        problem = next(filter(partial(_misspelt, problem), errors), problem)
    place = _place(problem["loc"])
    entry, kind = ".".join(place), problem["type"]
    if kind == "extra_forbidden":
        return f"{origin}: unknown key `{entry}`; {_instead(problem['loc'], place[-1])}"
    if kind == "missing" and isinstance(problem["loc"][-1], int):
        held = len(problem["input"])
        return f"{origin}: `{'.'.join(place[:-1])}` has only {held} of its values; add the others."
    if kind == "missing":
        return f"{origin}: `{entry}` is missing; add it."
    if kind.startswith("union_tag"):
        tag = f"{entry}.{problem['ctx']['discriminator']}".replace("'", "")
        if kind == "union_tag_not_found":
            return f"{origin}: `{tag}` is missing; add it."
        known = problem["ctx"]["expected_tags"].replace("'", "")
        near = difflib.get_close_matches(problem["ctx"]["tag"], known.split(", "), n=1, cutoff=0.7)
        hint = f"; did you mean `{near[0]}`?" if near else "."
        given = problem["ctx"]["tag"]
        return f"{origin}: `{tag}` is {given!r}, which is not one of {known}{hint}"
    if kind == "string_pattern_mismatch":
        return (
            f"{origin}: `{entry}`: {OTHERWISE[problem['ctx']['pattern']].format(problem['input'])}"
        )
    if told := _of_layers(problem) or _of_positions(problem, place):
        return f"{origin}: `{entry}` is {told}."
    if _of_type(kind):
        here = [each for each in errors if _place(each["loc"]) == place and _of_type(each["type"])]
        return f"{origin}: `{entry}` is {_of_another_type(problem['input'], here, place[-1])}."
    given = problem["input"]
    message = problem["msg"].removeprefix("Value error, ")
    named = isinstance(given, str) and f" {given} " in message
    shown = f" (given: {given!r})" if isinstance(given, (str, int, float)) and not named else ""
    where = f"`{entry}`: " if entry else ""
    told = f"{origin}: {where}{message[0].lower()}{message[1:]}{shown}"
    return told if told.endswith("?") else f"{told}."


def _misspelt(missing: ErrorDetails, error: ErrorDetails) -> bool:
    """Whether an unknown key stands for one that is missing at its place."""
    *place, key = error["loc"]
    wanted = str(missing["loc"][-1])
    here = error["type"] == "extra_forbidden" and place == [*missing["loc"][:-1]]
    return here and bool(difflib.get_close_matches(str(key), [wanted], cutoff=0.65))


def _of_layers(problem: ErrorDetails) -> str | None:
    """What is given as a layer and is none, and what to give."""
    given = problem["input"]
    if LAYERS.isdisjoint(map(str, problem["loc"][2:])):
        return None
    if problem["type"] == "less_than_equal":
        return f"{given!r}; give at most 1 (a share of the depth), or a whole number for a layer"
    if problem["type"] == "greater_than_equal" or (type(given) in (int, float) and given < 0):
        return f"{given!r}; layers count from 0, and negative numbers are not accepted"
    return None


def _of_positions(problem: ErrorDetails, place: list[str]) -> str | None:
    """What is given as positions and is none, and what to give."""
    if not _of_type(problem["type"]):
        return None
    if place[-2:-1] == ["positions"] and place[-1].isdigit():
        return f"{_shown(problem['input'])}; give a negative number, such as -1 for the last token"
    if place[0] == "activations" and place[-1] == "positions":
        return (
            f"{_shown(problem['input'])}; give last, letter, after_instruction, a negative number, "
            "a list of these numbers, or {mean: document} or {mean: completion}"
        )
    return None


def _of_another_type(given: Any, problems: Iterable[ErrorDetails], key: str) -> str:
    """What is given in place of one of several types under a key, and what to give."""
    wanted = {each["type"].split("_")[0]: each.get("ctx", {}).get("expected") for each in problems}
    shown = _shown(given)
    if isinstance(given, bool) and "string" in wanted:
        return (
            f"{shown}, which is how YAML reads Yes, No, On and Off without quotes; put it in quotes"
        )
    if wanted.keys() == {"string"} and isinstance(given, (int, float)):
        return f"{shown}; put it in quotes"
    if key == "exports" and isinstance(given, str):
        return f"{shown}; give {A_LIST}, such as [{given}]"
    if "float" in wanted:
        wanted.pop("int", None)
    kinds = [expected or TYPES.get(kind, kind) for kind, expected in wanted.items()]
    item = type(given) in (int, float) or (isinstance(given, str) and key in LISTS_OF_TEXTS)
    if wanted.keys() & {"list", "tuple"} and item:
        kinds[kinds.index(A_LIST)] = f"{A_LIST}, such as [{given}]"
    kinds.sort(key=lambda kind: kind.startswith(A_LIST))
    return f"{shown}; give {' or '.join(kinds).replace('False', 'false')}"


def _shown(value: Any) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return str(value).lower()
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return repr(value)


def _of_type(kind: str) -> bool:
    return kind == "literal_error" or kind.endswith(("_type", "_parsing", "_from_float"))


def _place(location: tuple[Any, ...]) -> list[str]:
    """A location as a reader's file has it, without the branches of unions pydantic puts in."""
    entry, rest = location[:2], location[2:]
    if location[:1] in (("figures",), ("corpora",), ("behaviours",), ("vectors",), ("choices",)):
        rest = rest[1:]
    elif location[:1] == ("sweeps",) and rest[:1] == ("inject",):
        rest = rest[:1] + rest[2:]
    elif location[:1] == ("sweeps",) and rest[:1] == ("measures",):
        rest = rest[:2] + rest[3:]
        if rest[2:3] == ("scores",):
            rest = rest[:4] + rest[5:]
    elif location[:2] == ("published", "sweeps"):
        rest = rest[:1] + rest[2:]
    branches = ["str", "int", "float", "Shuffle", "Scale", "Format", "Mean", "[key]"]
    branches += ["SkillStopping", "GridStopping", "PartEntry", "PackagedFile"]
    branches += ["QuestionFile", "KlDose"]
    prefixes = ("list[", "dict[", "constrained-", "function-", "literal[", "tagged-union[")
    inside = []
    for part in map(str, rest):
        if part not in branches and not part.startswith(prefixes):
            inside.append(part)
    if inside[:1] == ["coefficients"] and inside[1:2] in (
        ["range"],
        ["magnitudes"],
        ["choice"],
        ["refine"],
    ):
        inside.pop(1)
    return [*map(str, entry), *inside]


def _instead(location: tuple[Any, ...], key: str) -> str:
    """What to do about a key that is not known at its place."""
    if location[0] in READ_IN_A_FORMAT and "format" not in location and key in Format.model_fields:
        return "it belongs under `format`."
    if location[0] == "models" and len(location) == 3 and key in PackagedFile.model_fields:
        return "it belongs under `source`."
    if location[0] == "sweeps" and len(location) == 3:
        for place, entries in INSIDE_A_SWEEP.items():
            if any(key in entry.model_fields for entry in entries):
                return f"it belongs under `{place}`."
    known = [name for name in _known_keys(location) if name != key]
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.65)
    return f"did you mean `{near[0]}`?" if near else "remove it."


def _known_keys(location: tuple[Any, ...]) -> list[str]:
    if len(location) == 1:
        return [*Study.model_fields, "extends"]
    if location[0] in READ_IN_A_FORMAT and "format" in location:
        return [*Format.model_fields]
    return [key for entry in SECTIONS.get(str(location[0]), ()) for key in entry.model_fields]
