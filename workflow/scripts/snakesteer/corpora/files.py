"""Documents in files on this machine."""

from __future__ import annotations

import glob
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from snakesteer.core.errors import StudyError
from snakesteer.corpora import reading
from snakesteer.corpora.reading import ending_of, read
from snakesteer.corpora.records import Record, Shard, draw
from snakesteer.corpora.sampling import drawn_before, refuse_one_source, sampled
from snakesteer.hub.manifest import at_home, file_identity


def identity(settings: Mapping[str, Any], repository: str | Path) -> dict[str, Any]:
    """The files of each split with what they are known by: their hash, or above 64 MB their size
    and modification time.

    Raises StudyError if there is no such file, or if documents can be in both splits.
    """
    found = {}
    for split in ("train", "validation"):
        named = settings["splits"][split]["files"]
        found[split] = _found(named, f"splits.{split}.files", repository)
    train, validation = (
        [str(path.resolve()) for path in paths.values()] for paths in found.values()
    )
    refuse_one_source(train, validation, settings)
    before: dict[str, Path] = {}
    for place in drawn_before(settings):
        before |= _found(place["files"], "sample.before", repository)
    if before:
        found["before"] = before
    return {
        place: {name: file_identity(path) for name, path in paths.items()}
        for place, paths in found.items()
    }


def readers(settings: Mapping[str, Any]) -> list[str]:
    """The readers of the files in the settings' `identity`."""
    named = settings["identity"].values()
    return reading.readers_of(name for files in named for name in files)


def documents(
    settings: Mapping[str, Any],
    split: str,
    workers: int,
    repository: str | Path,
    apart: Collection[str] = frozenset(),
) -> list[tuple[str, ...]]:
    """The documents of a split as `records.draw` gives them, without those whose text is one of
    `apart`.

    Raises StudyError naming file and line or record for what is not as it should be.
    """
    return drawn(lambda named, place: _found(named, place, repository), settings, split, apart)


def drawn(
    find: Callable[[list[str], str], Mapping[str, Path]],
    settings: Mapping[str, Any],
    split: str,
    apart: Collection[str],
) -> list[tuple[str, ...]]:
    """The documents of a split out of files, in their order, shuffled, or drawn by `sample`.

    `find` gives, in the order in which they are read, the files that are named at a place in the
    study.
    """

    def shards(named: list[str], place: str) -> list[Shard]:
        return [partial(_read, path, name, settings) for name, path in find(named, place).items()]

    if settings.get("sample"):
        return sampled(shards, settings, split, apart)
    place = settings["splits"][split]
    read = shards(place["files"], f"splits.{split}.files")
    return draw(read, settings, settings[split], place["skip"], apart=apart)


def _found(named: list[str], place: str, repository: str | Path) -> dict[str, Path]:
    """The files by their name in the study, in the order of the names; `place` is where it says
    them."""
    found: dict[str, Path] = {}
    for given in named:
        pattern = at_home(given)
        matches = _matches(pattern, Path()) or _matches(pattern, Path(repository))
        if not matches:
            raise StudyError(f"{place} names {given}, {_why(pattern, repository)}.")
        found |= matches
    return dict(sorted(found.items()))


def _why(pattern: str, repository: str | Path) -> str:
    """Why there is no file of this name or pattern, and what to do."""
    if not any((root / pattern).is_dir() for root in (Path(), Path(repository))):
        return "but there is no such file; check the path"
    endings = ", ".join(sorted(reading.readers()))
    return (
        f"a folder in which no file ends in {endings}; match files with other endings by a "
        f"pattern, as {pattern}/**/*.py"
    )


def _matches(pattern: str, root: Path) -> dict[str, Path]:
    if (root / pattern).is_file():
        return {pattern: root / pattern}
    folder = (root / pattern).is_dir()
    inside = f"{glob.escape(pattern)}/**/*" if folder else _escaped(pattern, root)
    names = glob.glob(inside, root_dir=root, recursive=True)  # noqa: PTH207, also absolute ones
    if folder:
        names = [name for name in names if ending_of(name) in reading.readers()]
    return {name: root / name for name in names if (root / name).is_file()}


def _escaped(pattern: str, root: Path) -> str:
    """The pattern with the folders at its beginning that are there, whatever their names hold,
    taken by their names."""
    folder, below = Path(), list(Path(pattern).parts)
    while below and (root / folder / below[0]).is_dir():
        folder /= below.pop(0)
    return str(Path(glob.escape(str(folder)), *below))


def _read(path: Path, name: str, settings: Mapping[str, Any]) -> Iterator[Record]:
    try:
        with path.open("rb") as stream:
            yield from read(stream, name, settings)
    except OSError as error:
        raise StudyError(f"{name} cannot be read ({error.strerror}); check it.") from None
