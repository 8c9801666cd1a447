"""Cached files that no study refers to, neither what it has made nor what it set out to make."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from snakesteer.core.errors import StudyError
from snakesteer.storage.catalogue import read_catalogue
from snakesteer.storage.files import read_json, read_provenance


def unreferenced(results: Path) -> list[Path]:
    """Files under `results/cache` that no study's `artefacts.csv` or `planned.json` names, sorted.

    The points that a named file was put together from are kept with it, all points while a study
    is unfinished, as they do not say whose they are, and downloaded published files with a named
    list of them. Answers of judges, which may have cost money, all stay. What is newer than the
    newest catalogue belongs to a run that has not ended, and is left out. Raises StudyError if a
    run is going on, or if there is no catalogue at all.
    """
    if any((results.parent / ".snakemake" / "locks").glob("*")):
        raise StudyError(
            "a run has locked this folder; wait until it ends, or run `snakemake --unlock` if a "
            "killed run left the lock."
        )
    catalogues = sorted(results.glob("*/artefacts.csv"))
    if not catalogues:
        raise StudyError(
            f"{results} holds no artefacts.csv of any study; finish a run of a study first."
        )
    referenced = {
        (results.parent / row["path"]).resolve()
        for catalogue in catalogues
        for row in read_catalogue(catalogue)
    }
    referenced |= {path.resolve() for planned in _planned(results).values() for path in planned}
    points = results / "cache" / "points"
    all_points = set(points.glob("*")) if unfinished(results) else set()
    kept = all_points | {points / name for name in _points(referenced)}
    folders = {results / "cache" / "published" / key for key in _published(referenced)}
    folders.add(results / "cache" / "judged")
    newest = max(catalogue.stat().st_mtime for catalogue in catalogues)
    return sorted(
        path
        for path in (results / "cache").rglob("*")
        if path.is_file()
        and path.stat().st_mtime <= newest
        and path.resolve() not in referenced
        and path.parent not in kept
        and folders.isdisjoint(path.parents)
    )


def unfinished(results: Path) -> list[str]:
    """The studies whose last run has not made all that it set out to make."""
    return [
        study for study, planned in _planned(results).items() if not all(map(Path.exists, planned))
    ]


def _planned(results: Path) -> dict[str, list[Path]]:
    """By study, the cached files that its last run set out to make."""
    return {
        file.parent.name: [results.parent / path for path in read_json(file)]
        for file in sorted(results.glob("*/planned.json"))
    }


def _points(artefacts: Iterable[Path]) -> set[str]:
    """The folders of points that artefacts name in their provenance, sweeps and selections."""
    folders = ("sweeps", "documents")
    made = (path for path in artefacts if path.parent.name in folders and path.is_file())
    return {read_provenance(path).get("points", "") for path in made}


def _published(artefacts: Iterable[Path]) -> set[str]:
    """The keys of published artefacts; that of a list of files is the name of their folder."""
    return {path.stem.rpartition(".")[2] for path in artefacts if path.parent.name == "published"}


def delete(files: Iterable[Path]) -> None:
    """Delete files."""
    for file in files:
        file.unlink()
