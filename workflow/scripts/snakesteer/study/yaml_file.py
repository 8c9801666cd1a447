"""The YAML of a study file, read so that each mistake is one sentence with file and line."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any

import yaml

from snakesteer.core.errors import StudyError

_OTHER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


class _Twice(Exception):
    """A key with the two lines in which it stands."""


DEEPEST = 100


def _load(text: str, kind: Any) -> Any:
    depth = 0
    for event in yaml.parse(text, kind):  # what follows goes down by recursion, also in C
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"lists and mappings are nested more than {DEEPEST} deep")
    loader = kind(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_twice(loader, node, set())
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _quickly(text: str) -> Any:
    """As the fast parser in C reads it; the one in Python says better what is wrong."""
    try:
        return _load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        return _load(text, yaml.SafeLoader)


def _refuse_twice(loader: Any, node: yaml.Node, seen: set[int]) -> None:
    """Raise _Twice for a mapping that has a key twice, in a node or below it."""
    if id(node) in seen:
        return
    seen.add(id(node))
    below = list(node.value) if isinstance(node, yaml.SequenceNode) else []
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            below.append(value)
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                # As text: 3 and "3" are one key of a study.
                named, line = str(loader.construct_object(key)), key.start_mark.line + 1
                if named in lines:
                    raise _Twice(named, lines[named], line)
                lines[named] = line
    for one in below:
        _refuse_twice(loader, one, seen)


def read_yaml(path: Path) -> dict[str, Any]:
    """The keys and values of a YAML file in UTF-8, with or without a byte order mark.

    Raises StudyError with one sentence for a file that is missing, no text in UTF-8, no YAML or
    without keys, and for a mapping that has a key twice.
    """
    text = _text(path)
    try:
        data = _quickly(text)
    except _Twice as twice:
        key, first, second = twice.args
        where = f"in lines {first} and {second}" if first != second else f"in line {first}"
        raise StudyError(f"{path} has the key `{key}` twice, {where}; keep one.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        if mark and _begins_with_a_tab(text, mark.line):
            raise StudyError(
                f"{path} has a tab at the beginning of line {mark.line + 1}; indent with spaces."
            ) from None
        place = f" in line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or error
        raise StudyError(f"{path} is not YAML{place}: {reason}.") from None
    if not isinstance(data, dict):
        raise StudyError(f"{path} holds no study; give it at least `name`.")
    return data


def _begins_with_a_tab(text: str, line: int) -> bool:
    return any(each.lstrip(" ").startswith("\t") for each in text.split("\n")[line : line + 1])


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise StudyError(f"The study file {path} does not exist; check the path.") from None
    except OSError as error:
        reason = error.strerror
        raise StudyError(f"The study file {path} cannot be read ({reason}); check it.") from None
    for mark, encoding in _OTHER_MARKS.items():
        if content.startswith(mark):
            raise StudyError(f"{path} is in {encoding}; save it as UTF-8.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise StudyError(f"{path} is not in UTF-8 (see line {line}); save it as UTF-8.") from None
