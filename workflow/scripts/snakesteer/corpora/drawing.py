"""Both splits of a corpus, as tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.storage.points import Points

SPLITS = ("train", "validation")


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
    """The table (`document`, `text`, and of instructions `completion`) of a split of a corpus,
    `train` or `validation`, without documents whose text is one of `apart`, those of the training
    split.

    Raises StudyError if it has no document, or fewer than the entry asks for.

    Columns, a row for each document:
        document (text): The document's id.
        text (text): Its text, or the instruction.
        completion (text, only with instructions): What follows the instruction.
    """
    source = plugins.load("corpora", settings["source"])
    drawn = source.documents(settings, split, workers, repository, apart)
    if len(drawn) < settings[split]:
        skip = settings["splits"][split]["skip"] if "splits" in settings else 0
        after = f" after the {skip} that it skips" if skip else ""
        others = " that are not in train" if apart and not skip else ""
        remedy = f"lower splits.{split}.skip, and train with it" if skip else "ask for fewer"
        raise StudyError(
            f"{split} asks for {settings[split]} documents, but the source {settings['source']} "
            f"has {len(drawn)}{after}{others}; {remedy}."
        )
    columns = [pa.array(column) for column in zip(*drawn, strict=True)]
    return pa.table(columns, names=["document", "text", "completion"][: len(columns)])
