"""What the columns of tables mean, as the docstrings of the code that makes them describe it.

A docstring can end with a section for each table, with the columns in their order:

    Columns, a row for each injection and coefficient:
        vector, layer
        score, score_low, score_high (number): Matches per question, with its interval.
        …_min, …_max (number, only with draws): The range of each value over the draws.
        questions, matches (as tables.two_choice.table)
        * (as tables.two_choice.table)

A column has its type in brackets, and `only` says when it is there. Names alone are described in
`COMMON`; `as` names the docstring that describes them, `*` being all of its columns. `…_min` stands
for a column behind each one described that has such an end, any other `…` for any letters, and
`SCORE` for the name of a score. A docstring of several tables has sections such as `Columns of
items:`; a JSON file has `Keys:`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from snakesteer.core.errors import StudyError
from snakesteer.core.plugins import PACKAGE, parsed

COMMON = "tables"
ALL, ANY, SCORE = "*", "…", "SCORE"
_SECTION = re.compile(r"(?P<what>Columns|Keys)(?: of (?P<part>\w+))?(?:, (?P<row>.+))?:")
_ENTRY = re.compile(r"(?P<names>[^(:]+?)(?: \((?P<about>.+?)\))?(?:: (?P<meaning>.+))?")
_ABOUT = re.compile(r"(?:as (?P<of>\S+?)|(?P<kind>.+?))(?:, (?P<when>only .+))?")


@dataclass(frozen=True)
class Column:
    """Columns that are described together, by their `names`.

    `kind` is their type and `when` the condition under which they are there, "" for always. If
    another docstring describes them, `of` is its place, and they have no `kind` and no `meaning`.
    """

    names: tuple[str, ...]
    kind: str
    meaning: str
    when: str
    of: str


@dataclass(frozen=True)
class Described:
    """The `columns` of a table, or the `keys` of a JSON file, and what each `row` is."""

    what: str
    row: str
    columns: tuple[Column, ...]


def described(place: str) -> Described:
    """The description at a place such as `tables.two_choice.table`: a module, and in it a class or
    function, and of several sections the name of one.

    Raises StudyError if there is none.
    """
    path, names = _file(place)
    node: ast.AST = parsed(path)
    part = ""
    for name in names:
        inside = [each for each in ast.iter_child_nodes(node) if getattr(each, "name", "") == name]
        if inside:
            (node,) = inside
        else:
            part = name
    assert isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    lines = (ast.get_docstring(node) or "").splitlines()
    for number, line in enumerate(lines):
        section = _SECTION.fullmatch(line)
        if section and (section["part"] or "") == part:
            found = tuple(_columns(_entries(lines[number + 1 :]), place))
            return Described(section["what"].lower(), section["row"] or "", found)
    raise StudyError(f"{place} describes no columns; add them to its docstring in {path}.")


def has_description(place: str) -> bool:
    """Whether the docstring at a place describes columns."""
    try:
        described(place)
    except StudyError:
        return False
    return True


def single(place: str, scores: Sequence[str] = ()) -> list[Column]:
    """The columns at a place one by one, in order, each with its own type and meaning.

    `scores` are the names that `SCORE` stands for. Raises StudyError for a column that is described
    nowhere.
    """
    found = []
    for column in described(place).columns:
        for one in _resolved(column, place):
            named = scores if SCORE in one.names[0] else [SCORE]
            found += [replace(one, names=(one.names[0].replace(SCORE, each),)) for each in named]
    return found


def column_of(name: str, columns: Iterable[Column]) -> Column | None:
    """The one of single columns that describes the column `name` of a table, if any does."""
    by_name = {column.names[0]: column for column in columns}
    if name in by_name:
        return by_name[name]
    for pattern, column in by_name.items():
        end = pattern.removeprefix(ANY)
        if end != pattern:
            if name.endswith(end) and name.removesuffix(end) in by_name:
                return column
        elif ANY in pattern and re.fullmatch(re.escape(pattern).replace(ANY, r"\w+"), name):
            return column
    return None


def _file(place: str) -> tuple[Path, list[str]]:
    """The file of a place's module, and the names inside it."""
    path, names = PACKAGE, place.split(".")
    while names and (path / names[0]).is_dir():
        path /= names.pop(0)
    if names and (path / f"{names[0]}.py").is_file():
        return path / f"{names[0]}.py", names[1:]
    return path / "__init__.py", names


def _entries(lines: Iterable[str]) -> Iterator[str]:
    """The entries of a section, each as one line, up to the end of the section."""
    entry = ""
    for line in lines:
        depth = len(line) - len(line.lstrip())
        if not depth:
            break
        if depth > 4:
            entry += f" {line.strip()}"
        else:
            if entry:
                yield entry
            entry = line.strip()
    if entry:
        yield entry


def _columns(entries: Iterable[str], place: str) -> Iterator[Column]:
    for entry in entries:
        found = _ENTRY.fullmatch(entry)
        about = _ABOUT.fullmatch(found["about"] or f"as {COMMON}") if found else None
        if not found or not about or bool(about["kind"]) != bool(found["meaning"]):
            raise StudyError(f"{place} describes columns with {entry!r}; correct it.")
        yield Column(
            names=tuple(found["names"].split(", ")),
            kind=about["kind"] or "",
            meaning=found["meaning"] or "",
            when=about["when"] or "",
            of=about["of"] or "",
        )


def _resolved(column: Column, place: str) -> Iterator[Column]:
    """Each of some columns by itself, as the docstring describes it that they name."""
    if not column.of:
        for name in column.names:
            yield replace(column, names=(name,))
        return
    others = single(column.of, [SCORE])
    for name in column.names:
        same = [other for other in others if name in (ALL, other.names[0])]
        if not same:
            raise StudyError(f"{place} has the column {name}, which {column.of} does not describe.")
        for other in same:
            yield replace(other, when=column.when or other.when)
