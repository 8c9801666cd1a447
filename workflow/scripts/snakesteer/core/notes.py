"""Sentences in a job's log that stand at the end of the run as well."""

from __future__ import annotations

import sys
from pathlib import Path

_MARK = "Note: "


def note(sentence: str) -> None:
    """Write a sentence into the log of the job that this is part of."""
    print(f"{_MARK}{sentence}", file=sys.stderr, flush=True)


def noted(log: str | Path) -> list[str]:
    """The sentences in a job's log; none if it is not there."""
    try:
        lines = Path(log).read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return []
    return [line.removeprefix(_MARK) for line in lines if line.startswith(_MARK)]
