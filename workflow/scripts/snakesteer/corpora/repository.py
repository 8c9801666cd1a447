"""Documents in files of a repository at one commit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from snakesteer.corpora import files
from snakesteer.corpora.reading import readers_of
from snakesteer.corpora.sampling import drawn_before, refuse_one_source


def paths(settings: Mapping[str, Any]) -> list[str]:
    """The paths in the repository of all files that are read, each once."""
    named: list[str] = []
    for place in (*settings["splits"].values(), *drawn_before(settings)):
        named += place["files"]
    return list(dict.fromkeys(named))


def identity(settings: Mapping[str, Any], repository: str | Path) -> dict[str, Any]:
    """Nothing beside the files, which are inputs; StudyError if documents can be in both splits."""
    train, validation = (settings["splits"][split]["files"] for split in ("train", "validation"))
    refuse_one_source(train, validation, settings)
    return {}


def readers(settings: Mapping[str, Any]) -> list[str]:
    """The readers of the files."""
    return readers_of(paths(settings))


def documents(
    settings: Mapping[str, Any],
    split: str,
    workers: int,
    repository: str | Path,
    apart: Collection[str] = frozenset(),
) -> list[tuple[str, ...]]:
    """The documents of a split, as those of files on this machine; the settings say where each path
    is `located`."""
    located = settings["located"]

    def find(named: list[str], place: str) -> dict[str, Path]:
        return {path: Path(located[path]) for path in named}

    return files.drawn(find, settings, split, apart)
