"""Any other file: one document, in the field `text`."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from snakesteer.core.errors import StudyError
from snakesteer.corpora.records import Record, Spoilt

ENDINGS = (".txt", ".md")


def read(
    stream: io.BufferedReader, shown: str, settings: Mapping[str, Any], spoilt: Spoilt
) -> Iterator[Record]:
    """The text of the file; of `final_newline: strip` without the line ends at its end.

    Raises StudyError for NUL characters, and for JSON.
    """
    yield shown, {"text": _text(stream, shown, settings["final_newline"])}


def _text(stream: io.BufferedReader, shown: str, final_newline: str) -> str:
    """The text of a file that is one document."""
    text = stream.read().decode("utf-8")
    if "\0" in text:
        raise StudyError(f"{shown} is not text, as it holds NUL characters; convert or remove it.")
    if _holds_records(text):
        raise StudyError(
            f"{shown} holds JSON records, but its name does not end in .jsonl or .json; rename it."
        )
    return text.rstrip("\r\n") if final_newline == "strip" else text


def _holds_records(text: str) -> bool:
    """Whether a text is a list of JSON objects, an object, or an object a line."""
    opening = text.lstrip()
    if not opening.startswith(("{", "[")):
        return False
    for part in (opening.split("\n", 1)[0], opening):
        try:
            found = json.loads(part)
        except (ValueError, RecursionError):
            continue
        if isinstance(found[0] if isinstance(found, list) and found else found, dict):
            return True
    return False
