"""Cached artefacts that were made with other versions than those installed.

Versions of packages are provenance and no part of a key, so a run uses such artefacts as they are;
it says so once.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from snakesteer.core.errors import StudyError
from snakesteer.storage.files import read_provenance
from snakesteer.storage.provenance import MODEL_PACKAGES


def other_versions(paths: Iterable[str]) -> str | None:
    """A sentence on those of the files at `paths` that other packages ran a model for, or None.

    It names each other version of `MODEL_PACKAGES`, how many files have it, the version installed,
    and how to make them again. Only metadata are read; files that do not exist are passed over.
    """
    installed = dict(_installed())
    others: Counter[tuple[str, str]] = Counter()
    rules = set()
    for path in paths:
        if not path.endswith((".parquet", ".safetensors")) or not Path(path).exists():
            continue
        with contextlib.suppress(StudyError):  # the job that reads a damaged file names it
            origin = read_provenance(path)
            made_with = origin.get("packages", {})
            for package, ours in installed.items():
                theirs = made_with.get(package, ours)
                if theirs != ours:
                    others[package, theirs] += 1
                    rules.add(origin.get("kind", ""))
    if not others:
        return None
    named = ", ".join(
        f"{package} {theirs} (installed: {installed[package]}; artefacts: {count})"
        for (package, theirs), count in sorted(others.items())
    )
    return (
        f"Some cached artefacts were made with other versions: {named}. They are reused; "
        f"`--forcerun {' '.join(sorted(rules))}` rebuilds them."
    )


def _installed() -> Iterator[tuple[str, str]]:
    for package in MODEL_PACKAGES:
        with contextlib.suppress(PackageNotFoundError):  # jobs have an environment of their own
            yield package, version(package)
