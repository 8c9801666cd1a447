"""The records of a file, by the ending of its name."""

from __future__ import annotations

import codecs
import functools
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.corpora.records import Record, Spoilt, refuse

COMPRESSED = {".gz": "gzip", ".zst": "zstd"}
BUFFER = 2**20
OTHERWISE = "text"  # the reader of files of unknown endings


def ending_of(name: str) -> str:
    """The ending of a file's name in small letters, before that of its compression."""
    path = Path(name.lower())
    return path.with_suffix("").suffix if path.suffix in COMPRESSED else path.suffix


@functools.cache
def readers() -> dict[str, str]:
    """The name of the reader of each ending."""
    found = {}
    for name in plugins.names("readers"):
        for ending in plugins.constant(plugins.file_of("readers", name), "ENDINGS"):
            found[ending] = name
    return found


def readers_of(names: Iterable[str]) -> list[str]:
    """The readers of files of these names, sorted; all of them for a pattern without an ending."""
    found: set[str] = set()
    for name in names:
        ending = ending_of(name)
        everything = not ending or "*" in ending
        found |= set(readers().values()) if everything else {readers().get(ending, OTHERWISE)}
    return sorted(found)


def read(
    stream: BinaryIO, name: str, settings: Mapping[str, Any], spoilt: Spoilt = refuse
) -> Iterator[Record]:
    """The records of a file by the ending of its name; a file of another ending than those of
    records is one document, in the field `text`. A byte order mark is left out.

    Settings: those of `records.fields_of`, whose columns alone are read of a Parquet file, and
    `final_newline`. `spoilt` decides on a single record that is none. Raises StudyError, with file
    and line, for what is damaged or cut short, for two columns of one name, and for JSON in a file
    that is one document.
    """
    reader = plugins.load("readers", readers().get(ending_of(name), OTHERWISE))
    compression = COMPRESSED.get(Path(name.lower()).suffix)
    try:
        if getattr(reader, "SEEKS", False):
            yield from reader.read(stream, name, settings, spoilt)
            return
        content: Any = stream
        if compression:
            content = pa.CompressedInputStream(pa.PythonFile(stream, "r"), compression)
        content = io.BufferedReader(content, BUFFER)
        if content.peek(3).startswith(codecs.BOM_UTF8):
            content.read(3)
        yield from reader.read(content, name, settings, spoilt)
    except UnicodeDecodeError as error:
        raise StudyError(
            f"{name} is not UTF-8 text ({error.reason} at byte {error.start}); convert it, or "
            "decompress it if it is compressed."
        ) from None
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and (type(error) is not OSError or error.errno):
            raise  # of the disk or the network, not of the content
        reason = str(error).splitlines()[0]
        if "requires too much memory" in reason:
            raise StudyError(
                f"{name} was compressed with a window that is too long to read (`zstd --long`); "
                "compress it again without that option."
            ) from None
        raise StudyError(f"{name} is damaged or truncated ({reason}); get it again.") from None
