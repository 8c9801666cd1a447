"""Values separated by commas or tabs, a record a row, under a line of names."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from snakesteer.core.errors import StudyError
from snakesteer.corpora.records import Record, Spoilt, refuse_twice

ENDINGS = (".csv", ".tsv")


def read(
    stream: io.BufferedReader, shown: str, settings: Mapping[str, Any], spoilt: Spoilt
) -> Iterator[Record]:
    """A record a row; tabs separate where the name says `.tsv`."""
    csv.field_size_limit(sys.maxsize)
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    dialect = "excel-tab" if ".tsv" in Path(shown.lower()).suffixes else "excel"
    rows = csv.DictReader(text, dialect=dialect, strict=True)
    try:
        refuse_twice(rows.fieldnames or [], shown)
        for number, row in enumerate(rows, 1):
            if None in row or None in row.values():
                spoilt(
                    f"{shown} record {number} (line {rows.line_num}) does not have as many "
                    "fields as the first line"
                )
            else:
                yield f"{shown} record {number}", row
    except csv.Error as error:
        raise StudyError(f"{shown} line {rows.line_num} is not CSV ({error}).") from None
