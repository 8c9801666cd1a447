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


class _Loader(yaml.SafeLoader):
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                # As text: 3 and "3" are one key of a study.
                named = str(self.construct_object(key))
                if named in lines:
                    raise _Twice(named, lines[named], line)
                lines[named] = line
        return node


def read_yaml(path: Path) -> dict[str, Any]:
    """The keys and values of a YAML file in UTF-8, with or without a byte order mark.

    Raises StudyError with one sentence for a file that is missing, no text in UTF-8, no YAML or
    without keys, and for a mapping that has a key twice.
    """
    text = _text(path)
    try:
        data = yaml.load(text, _Loader)
    except _Twice as twice:
        key, first, second = twice.args
        where = f"in lines {first} and {second}" if first != second else f"in line {first}"
        raise StudyError(f"{path} has the key `{key}` twice, {where}; keep one.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or error
        raise StudyError(f"{path} is not YAML{place}: {reason}.") from None
    if not isinstance(data, dict):
        raise StudyError(f"{path} holds no study; it needs at least `name`.")
    return data


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
        raise StudyError(f"{path} is not in UTF-8, by its line {line}; save it as UTF-8.") from None
