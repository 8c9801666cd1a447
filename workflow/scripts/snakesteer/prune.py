"""Cached files that no study's catalogue refers to."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from snakesteer.errors import StudyError


def unreferenced(results: Path) -> list[Path]:
    """Files under `results/cache` that no `results/<study>/artefacts.csv` names, sorted.

    Raises StudyError if there is no catalogue at all: then nothing can be told apart.
    """
    catalogues = sorted(results.glob("*/artefacts.csv"))
    if not catalogues:
        raise StudyError(
            f"{results} holds no artefacts.csv of any study; run a study to its end first."
        )
    referenced = set()
    for catalogue in catalogues:
        with catalogue.open(newline="", encoding="utf-8") as rows:
            referenced |= {(results.parent / row["path"]).resolve() for row in csv.DictReader(rows)}
    cached = (path for path in (results / "cache").rglob("*") if path.is_file())
    return sorted(path for path in cached if path.resolve() not in referenced)


def delete(files: Iterable[Path]) -> None:
    """Delete files."""
    for file in files:
        file.unlink()
