"""Corpora: where the documents of a study come from.

A source is two plain functions of its settings (plain JSON types out of the study): one makes the
documents of both splits, the other names what determines them beside the settings (versions,
hashes), for the key of the cached corpus. A new source is one line below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from snakesteer.corpora import files, hub, installed
from snakesteer.errors import StudyError

Document = tuple[str, str]
Documents = dict[str, list[Document]]


@dataclass(frozen=True)
class Source:
    """`documents` takes settings (with `identity` among them), a number of processes and the
    repository's folder, and returns (id, text) pairs by split; `identity` takes settings and the
    repository's folder and returns plain JSON, without network.
    """

    documents: Callable[[Mapping[str, Any], int, str | Path], Documents]
    identity: Callable[[Mapping[str, Any], str | Path], Any]


SOURCES = {
    "installed": Source(
        lambda settings, workers, _: installed.splits(settings, workers),
        lambda settings, _: installed.identity(),
    ),
    "files": Source(files.splits, files.identity),
    "hub": Source(hub.splits, hub.identity),
}


def documents(
    name: str, settings: Mapping[str, Any], workers: int, repository: str | Path = ""
) -> dict[str, pa.Table]:
    """The tables (`document`, `text`) of a corpus by split, `train` and `validation`.

    Raises StudyError if a split has no document, or fewer than the entry asks for.
    """
    tables = {}
    found = SOURCES[settings["source"]].documents(settings, workers, repository)
    for split, drawn in found.items():
        if len(drawn) < settings[split]:
            raise StudyError(
                f"corpora.{name}.{split} asks for {settings[split]} documents, but the source "
                f"{settings['source']} has {len(drawn)}; ask for fewer."
            )
        ids, texts = zip(*drawn, strict=True)
        tables[split] = pa.table({"document": pa.array(ids), "text": pa.array(texts)})
    return tables
