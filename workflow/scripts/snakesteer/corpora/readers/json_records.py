"""JSON: a list of objects or of texts, or an object a line."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from snakesteer.core.errors import StudyError
from snakesteer.corpora.records import Record, Spoilt, kind_of

ENDINGS = (".json", ".jsonl", ".jsonlines", ".ndjson")


def read(
    stream: io.BufferedReader, shown: str, settings: Mapping[str, Any], spoilt: Spoilt
) -> Iterator[Record]:
    """The objects of a list, or of the lines; a text in a list is the field of the documents'
    text."""
    if not stream.peek(1).lstrip().startswith(b"["):
        yield from _lines(stream, shown, spoilt)
        return
    try:
        records = json.load(stream)
    except ValueError as error:
        raise StudyError(f"{shown} is not JSON ({error}); correct it.") from None
    except RecursionError:
        raise StudyError(f"{shown} is nested too deeply to be read; correct it.") from None
    for number, record in enumerate(records, 1):
        if isinstance(record, str) and settings.get("field"):
            record = {settings["field"]: record}
        yield from _object(record, f"{shown} record {number}", spoilt)


def _lines(stream: io.BufferedReader, shown: str, spoilt: Spoilt) -> Iterator[Record]:
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        place = f"{shown} line {number}"
        try:
            record = json.loads(line)
        except ValueError as error:
            spoilt(f"{place} is not JSON ({error})")
        except RecursionError:
            spoilt(f"{place} is nested too deeply to be read")
        else:
            yield from _object(record, place, spoilt)


def _object(record: Any, place: str, spoilt: Spoilt) -> Iterator[Record]:
    if isinstance(record, dict):
        yield place, record
    else:
        spoilt(f"{place} is {kind_of(record)}, not an object with fields")
