"""Parquet, a record a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import pyarrow.parquet as pq

from snakesteer.core.errors import StudyError
from snakesteer.corpora.records import Record, Spoilt, fields_of, refuse_twice

ENDINGS = (".parquet",)
SEEKS = True


def read(
    stream: BinaryIO, shown: str, settings: Mapping[str, Any], spoilt: Spoilt
) -> Iterator[Record]:
    """Records in which the columns that nobody asks for are None, as they are not read."""
    number = 0
    with pq.ParquetFile(stream) as file:
        names = file.schema_arrow.names
        refuse_twice(names, shown)
        paths = [file.schema.column(index).path for index in range(len(file.schema))]
        columns = [_column(field, paths) for field in fields_of(settings)]
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
