"""Documents streamed from dataset repositories of the hub, each at one commit."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from snakesteer.core.errors import StudyError
from snakesteer.corpora.reading import read, readers_of
from snakesteer.corpora.records import Record, Spoilt, draw, refuse_shared

PATIENCE = 100_000  # records without one that passes the filter
SPOILT = 100  # records that are none, in all files of a split


@dataclass
class PassedOver:
    """Notes in the log each record that is passed over because it is none, as nobody here can mend
    it; after too many of them it raises StudyError.
    """

    count: int = 0

    def __call__(self, reason: str) -> None:
        self.count += 1
        if self.count > SPOILT:
            raise StudyError(
                f"{reason}, and {SPOILT} records before it are invalid too; name other files."
            )
        print(f"Skipped ({self.count}): {reason}.", file=sys.stderr, flush=True)


def identity(settings: Mapping[str, Any], repository: str | Path) -> dict[str, Any]:
    """Nothing beside the settings, which name a commit."""
    return {}


def readers(settings: Mapping[str, Any]) -> list[str]:
    """The readers of the files that the patterns of both splits can name."""
    places = settings["splits"].values()
    return readers_of(pattern for place in places for pattern in place["files"])


def documents(
    settings: Mapping[str, Any],
    split: str,
    workers: int,
    repository: str | Path,
    apart: Collection[str] = frozenset(),
) -> list[tuple[str, ...]]:
    """The documents of a split as `records.draw` gives them, without those whose text is one of
    `apart`.

    Only as much of each file is fetched as the documents take, and single records that are none
    are passed over. Raises StudyError for what the hub refuses, and naming file and line or record
    for what is not as it should be.
    """
    train, validation = (settings["splits"][name] for name in ("train", "validation"))
    if all(train[key] == validation[key] for key in ("repository", "revision")):
        refuse_shared(_files(train, "train"), _files(validation, "validation"), settings)
    place = settings["splits"][split]
    spoilt = PassedOver()
    shards = [partial(_read, place, file, settings, spoilt) for file in _files(place, split)]
    return draw(shards, settings, settings[split], place["skip"], PATIENCE, spoilt, apart)


def _files(place: Mapping[str, Any], split: str) -> list[str]:
    """The data files of a split, in the order of their names."""
    repository, revision = place["repository"], place["revision"]
    names = _listed(repository, revision)
    found: set[str] = set()
    for pattern in place["files"]:
        matches = [name for name in names if name == pattern or fnmatchcase(name, pattern)]
        if not matches:
            few = ", ".join(sorted(names)[:8]) + (", …" if len(names) > 8 else "")
            raise StudyError(
                f"splits.{split}.files names {pattern}, but {repository} at {revision} has no such "
                f"file (it has {few}); correct it."
            )
        found.update(matches)
    return sorted(found)


@cache
def _listed(repository: str, revision: str) -> list[str]:
    """All files of a dataset repository; asked for once, as a commit does not change."""
    from huggingface_hub import HfApi  # planning imports this module, and needs no hub

    from snakesteer.hub.fetch import told

    with told(repository, revision, "dataset"):
        return HfApi().list_repo_files(repository, revision=revision, repo_type="dataset")


def _read(
    place: Mapping[str, Any], file: str, settings: Mapping[str, Any], spoilt: Spoilt
) -> Iterator[Record]:
    """The records of one file, fetched in blocks as they are read."""
    from huggingface_hub import HfFileSystem

    from snakesteer.hub.fetch import told

    repository, revision = place["repository"], place["revision"]
    with (
        told(repository, revision, "dataset"),
        HfFileSystem().open(f"datasets/{repository}@{revision}/{file}", "rb") as stream,
    ):
        yield from read(cast(BinaryIO, stream), f"{repository}/{file}", settings, spoilt)
