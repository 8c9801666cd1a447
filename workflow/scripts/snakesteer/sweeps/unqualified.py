"""What a choice fell back to: the cells of a grid search in which no multiplier qualified."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from snakesteer.core.errors import StudyError
from snakesteer.storage.files import read_json

_SHOWN = 6


def unqualified(choice: Mapping[str, Any], layers: Collection[str] | None = None) -> str | None:
    """A sentence on the cells of a choice in which no multiplier qualified, or None.

    It names behaviour, layer and direction; of `layers` (labels) only, if they are given. What the
    study gives itself always qualifies.
    """
    found = []
    for behaviour, cells in choice["multipliers"].items():
        for layer, cell in cells.items():
            missed = [way for way in ("add", "subtract") if not cell.get(f"{way}_qualifies", True)]
            if missed and (layers is None or layer in layers):
                found.append(f"{behaviour} at layer {layer} ({' and '.join(missed)})")
    if not found:
        return None
    rest = len(found) - _SHOWN
    listed = ", ".join(found[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
    return f"No multiplier qualified for {listed}; the smallest was chosen."


def unqualified_in(choices: Mapping[str, str]) -> list[str]:
    """The sentences on the choices in these files, by their entries, which they begin with.

    Files that do not exist or are damaged are passed over.
    """
    found = []
    for entry, path in choices.items():
        if Path(path).exists():
            with contextlib.suppress(StudyError):  # the job that reads a damaged file names it
                if sentence := unqualified(read_json(path)):
                    found.append(f"{entry}: {sentence}")
    return found
