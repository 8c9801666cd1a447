"""Documents in files on this machine: JSON lines, Parquet, CSV and plain text."""

from __future__ import annotations

import codecs
import csv
import glob
import io
import json
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from snakesteer.core.errors import StudyError
from snakesteer.corpora.records import Record, Spoilt, draw, kind_of, refuse, refuse_shared
from snakesteer.hub.manifest import at_home, file_identity

COMPRESSED = {".gz": "gzip", ".zst": "zstd"}
BUFFER = 2**20


def identity(settings: Mapping[str, Any], repository: str | Path) -> dict[str, Any]:
    """The files of each split with what they are known by: their hash, or above 64 MB their size
    and modification time.

    Raises StudyError if there is no such file, or if documents can be in both splits.
    """
    found = {split: _found(settings, split, repository) for split in ("train", "validation")}
    train, validation = (
        [str(path.resolve()) for path in paths.values()] for paths in found.values()
    )
    refuse_shared(train, validation, settings)
    return {
        split: {name: file_identity(path) for name, path in paths.items()}
        for split, paths in found.items()
    }


def documents(
    settings: Mapping[str, Any],
    split: str,
    workers: int,
    repository: str | Path,
    apart: Collection[str] = frozenset(),
) -> list[tuple[str, str]]:
    """The documents of a split as (id, text), in the order of `records.draw`, without those whose
    text is one of `apart`.

    Raises StudyError naming file and line or record for what is not as it should be.
    """
    found = _found(settings, split, repository)
    shards = [partial(_read, path, name, settings) for name, path in found.items()]
    skip = settings["splits"][split]["skip"]
    return draw(shards, settings, settings[split], skip, apart=apart)


def _found(settings: Mapping[str, Any], split: str, repository: str | Path) -> dict[str, Path]:
    """The files of a split by their name in the study, in the order of the names."""
    found: dict[str, Path] = {}
    for given in settings["splits"][split]["files"]:
        pattern = at_home(given)
        matches = _matches(pattern, Path()) or _matches(pattern, Path(repository))
        if not matches:
            raise StudyError(f"splits.{split}.files names {given}, {_why(pattern, repository)}.")
        found |= matches
    return dict(sorted(found.items()))


def _why(pattern: str, repository: str | Path) -> str:
    """Why there is no file of this name or pattern, and what to do."""
    if not any((root / pattern).is_dir() for root in (Path(), Path(repository))):
        return "but there is no such file; check the path"
    endings = ", ".join(sorted(DOCUMENTS))
    return (
        f"a folder in which no file ends in {endings}; name files of other endings by a pattern, "
        f"as {pattern}/**/*.py"
    )


def _matches(pattern: str, root: Path) -> dict[str, Path]:
    if (root / pattern).is_file():
        return {pattern: root / pattern}
    folder = (root / pattern).is_dir()
    inside = f"{glob.escape(pattern)}/**/*" if folder else _escaped(pattern, root)
    names = glob.glob(inside, root_dir=root, recursive=True)  # noqa: PTH207, also absolute ones
    if folder:
        names = [name for name in names if _ending(name) in DOCUMENTS]
    return {name: root / name for name in names if (root / name).is_file()}


def _escaped(pattern: str, root: Path) -> str:
    """The pattern with the folders at its beginning that are there, whatever their names hold,
    taken by their names."""
    folder, below = Path(), list(Path(pattern).parts)
    while below and (root / folder / below[0]).is_dir():
        folder /= below.pop(0)
    return str(Path(glob.escape(str(folder)), *below))


def _ending(name: str) -> str:
    """The ending of a file's name in small letters, before that of its compression."""
    path = Path(name.lower())
    return path.with_suffix("").suffix if path.suffix in COMPRESSED else path.suffix


def _read(path: Path, name: str, settings: Mapping[str, Any]) -> Iterator[Record]:
    try:
        with path.open("rb") as stream:
            yield from read(stream, name, settings)
    except OSError as error:
        raise StudyError(f"{name} cannot be read ({error.strerror}); check it.") from None


def read(
    stream: BinaryIO, name: str, settings: Mapping[str, Any], spoilt: Spoilt = refuse
) -> Iterator[Record]:
    """The records of a file by the ending of its name; a file of another ending than those of
    records is one document, in the field `text`. A byte order mark is left out.

    Settings: `field` and `filter`, whose columns alone are read of a Parquet file, and
    `final_newline`. `spoilt` decides on a single record that is none. Raises StudyError, with file
    and line, for what is damaged or cut short, for two columns of one name, and for JSON in a file
    that is one document.
    """
    ending, compression = _ending(name), COMPRESSED.get(Path(name.lower()).suffix)
    try:
        if ending == ".parquet":
            yield from _parquet(stream, name, settings)
            return
        content: Any = stream
        if compression:
            content = pa.CompressedInputStream(pa.PythonFile(stream, "r"), compression)
        content = io.BufferedReader(content, BUFFER)
        if content.peek(3).startswith(codecs.BOM_UTF8):
            content.read(3)
        if ending in READERS:
            yield from READERS[ending](content, name, spoilt)
        else:
            yield name, {"text": _text(content, name, settings["final_newline"])}
    except UnicodeDecodeError as error:
        raise StudyError(
            f"{name} is not UTF-8 text ({error.reason} at byte {error.start}); convert it, or "
            "unpack it if it is compressed."
        ) from None
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and (type(error) is not OSError or error.errno):
            raise  # of the disk or the network, not of the content
        reason = str(error).splitlines()[0]
        if "requires too much memory" in reason:
            raise StudyError(
                f"{name} was compressed with too long a window to be read (`zstd --long`); "
                "compress it again without that option."
            ) from None
        raise StudyError(f"{name} is damaged or cut short ({reason}); get it again.") from None


def _json(stream: io.BufferedReader, shown: str, spoilt: Spoilt) -> Iterator[Record]:
    """A list of objects, or an object a line."""
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


def _csv(stream: io.BufferedReader, shown: str, spoilt: Spoilt, dialect: str) -> Iterator[Record]:
    csv.field_size_limit(sys.maxsize)
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    rows = csv.DictReader(text, dialect=dialect, strict=True)
    try:
        _refuse_twice(rows.fieldnames or [], shown)
        for number, row in enumerate(rows, 1):
            if None in row or None in row.values():
                spoilt(
                    f"{shown} record {number} (line {rows.line_num}) has another number of fields "
                    "than the first line names"
                )
            else:
                yield f"{shown} record {number}", row
    except csv.Error as error:
        raise StudyError(f"{shown} line {rows.line_num} is not CSV ({error}).") from None


def _parquet(stream: BinaryIO, shown: str, settings: Mapping[str, Any]) -> Iterator[Record]:
    """Records in which the columns that nobody asks for are None, as they are not read."""
    condition = settings["filter"]
    fields = [settings["field"], *([condition["field"]] if condition else [])]
    number = 0
    with pq.ParquetFile(stream) as file:
        names = file.schema_arrow.names
        _refuse_twice(names, shown)
        paths = [file.schema.column(index).path for index in range(len(file.schema))]
        columns = [_column(field, paths) for field in fields]
        for batch in file.iter_batches(1000, columns=columns):
            try:
                records = batch.to_pylist()
            except (ValueError, OverflowError) as error:
                raise StudyError(
                    f"{shown} has a value that cannot be read among {', '.join(columns)} "
                    f"({error}); name other fields."
                ) from None
            for record in records:
                number += 1
                yield f"{shown} record {number}", dict.fromkeys(names) | record


def _column(field: str, paths: list[str]) -> str:
    """What to read for a field: the field, or all that it should be in, so that it can be told
    what there is instead."""
    inside = f"{field}."
    if any(path == field or path.startswith(inside) for path in paths):
        return field
    return field.split(".")[0]


def _refuse_twice(names: Iterable[str], shown: str) -> None:
    for name, number in Counter(names).items():
        if number > 1:
            raise StudyError(f"{shown} has {number} columns named {name!r}; rename all but one.")


def _text(stream: io.BufferedReader, shown: str, final_newline: str) -> str:
    """The text of a file that is one document."""
    text = stream.read().decode("utf-8")
    if "\0" in text:
        raise StudyError(f"{shown} is no text, as it holds NUL characters; convert or remove it.")
    if _holds_records(text):
        raise StudyError(
            f"{shown} holds JSON records, but its name does not say so; let it end in .jsonl or "
            ".json."
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


Reader = Callable[[io.BufferedReader, str, Spoilt], Iterator[Record]]
READERS: dict[str, Reader] = {
    **dict.fromkeys((".json", ".jsonl", ".jsonlines", ".ndjson"), _json),
    ".csv": partial(_csv, dialect="excel"),
    ".tsv": partial(_csv, dialect="excel-tab"),
}
DOCUMENTS = {*READERS, ".parquet", ".txt", ".md"}  # what counts in a folder
