"""Corpora: where the documents of a study come from.

A source is two plain functions of its settings (plain JSON types out of the study): one makes the
documents of a split, the other names what determines them beside the settings (versions, hashes),
for the key of the cached corpus. A new source is one line below.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from snakesteer.core.errors import StudyError
from snakesteer.corpora import files, hub, installed
from snakesteer.storage.points import Points

Documents = list[tuple[str, str]]
SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Source:
    """`documents` takes settings (with `identity` among them), a split, a number of processes, the
    repository's folder and texts that are no documents of this split, and returns (id, text) pairs;
    `identity` takes settings and the repository's folder and returns plain JSON, without network.
    """

    documents: Callable[
        [Mapping[str, Any], str, int, str | Path, Collection[str]],
        Documents,
    ]
    identity: Callable[[Mapping[str, Any], str | Path], Any]


SOURCES = {
    "installed": Source(installed.documents, lambda settings, _: installed.identity()),
    "files": Source(files.documents, files.identity),
    "hub": Source(hub.documents, hub.identity),
}


def splits(
    settings: Mapping[str, Any], points: Points, workers: int = 1, repository: str | Path = ""
) -> dict[str, pa.Table]:
    """Both splits of a corpus as `documents` gives them; with `duplicates: drop` no document of the
    validation split has a text that is in the training split.

    Each is kept among `points` as soon as it is drawn, which can take hours, while the other one
    may break, or have other settings next time.
    """
    made: dict[str, pa.Table] = {}
    for split in SPLITS:
        apart: Collection[str] = frozenset()
        if made and settings.get("duplicates") == "drop":
            apart = frozenset(made["train"]["text"].to_pylist())
        make = partial(documents, settings, split, workers, repository, apart)
        made[split] = points.table({"split": split, "settings": _own(settings, split)}, make)
    return made


def _own(settings: Mapping[str, Any], split: str) -> dict[str, Any]:
    """The settings that decide a split: all, where both are drawn from one place, or where what
    is in the training split decides the other one."""
    if "splits" not in settings or (split, settings["duplicates"]) == ("validation", "drop"):
        return dict(settings)
    own = {split: settings[split], "splits": {split: settings["splits"][split]}}
    return {key: value for key, value in settings.items() if key not in SPLITS} | own


def documents(
    settings: Mapping[str, Any],
    split: str,
    workers: int = 1,
    repository: str | Path = "",
    apart: Collection[str] = frozenset(),
) -> pa.Table:
    """The table (`document`, `text`) of a split of a corpus, `train` or `validation`, without
    documents whose text is one of `apart`, those of the training split.

    Raises StudyError if it has no document, or fewer than the entry asks for.
    """
    drawn = SOURCES[settings["source"]].documents(settings, split, workers, repository, apart)
    if len(drawn) < settings[split]:
        skip = settings["splits"][split]["skip"] if "splits" in settings else 0
        after = f" after the {skip} that it skips" if skip else ""
        others = " that are not in train" if apart and not skip else ""
        remedy = f"lower splits.{split}.skip, and train with it" if skip else "ask for fewer"
        raise StudyError(
            f"{split} asks for {settings[split]} documents, but the source {settings['source']} "
            f"has {len(drawn)}{after}{others}; {remedy}."
        )
    ids, texts = zip(*drawn, strict=True)
    return pa.table({"document": pa.array(ids), "text": pa.array(texts)})
