"""The catalogue of a study's part of the cache: a row per file, which makes keys readable."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from snakesteer.core.errors import DamagedFile
from snakesteer.storage.files import write_text

COLUMNS = ["stage", "name", "key", "path", "settings", "size"]


def write_catalogue(path: str | Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Write rows (all of `COLUMNS` but the size, which is looked up, in bytes) as CSV.

    Columns, a row for each file of the cache that the study uses:
        stage (text): What kind of artefact it is, the name of its folder's rule.
        name (text): The artefact's name.
        key (text): The hash in the file's name, of all that determines its content.
        path (text): Where the file lies.
        settings (text): The settings that are part of the key, as JSON.
        size (whole number): Bytes.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, "size": Path(row["path"]).stat().st_size})
    write_text(path, text.getvalue())


def read_catalogue(path: str | Path) -> list[dict[str, str]]:
    """The rows of a catalogue; StudyError if it is damaged."""
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise DamagedFile(path, str(error)) from error
    if any(None in row or None in row.values() for row in rows):
        raise DamagedFile(path, "a row has too many or too few cells")
    return rows
