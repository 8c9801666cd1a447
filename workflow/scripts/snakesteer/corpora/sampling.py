"""Splits drawn by `random.sample`, as scripts do that seed once and draw from several lists."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from snakesteer.core.errors import StudyError
from snakesteer.corpora.records import Shard, draw, refuse_shared

Shards = Callable[[list[str], str], Sequence[Shard]]
"""What is read of files that are named at a place in the study."""


def drawn_before(settings: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The draws before those of both splits; none where no sample is drawn."""
    sample = settings.get("sample")
    return [*sample["before"]["train"], *sample["before"]["validation"]] if sample else []


def sampled(
    shards: Shards, settings: Mapping[str, Any], split: str, apart: Collection[str]
) -> list[tuple[str, ...]]:
    """The documents of a split: `random.Random(seed).sample` of all that its files hold.

    Before it, the generator makes the draws that `sample.before` lists for the split. Documents are
    as `records.draw` gives them, an id being the number in the files. Raises StudyError for a draw
    of more documents than there are, and for texts among `apart`, those of the training split.
    """
    generator = random.Random(settings["sample"]["seed"])
    for number, before in enumerate(settings["sample"]["before"][split]):
        place = f"sample.before.{split}.{number}"
        _sample(generator, shards, settings, before["files"], before["documents"], place)
    named = settings["splits"][split]["files"]
    found = _sample(generator, shards, settings, named, settings[split], split)
    if again := [number for number, text, *_ in found if text in apart]:
        raise StudyError(
            f"{len(again)} of the documents that sample draws for {split} have texts that are in "
            "the training split; set duplicates to keep, or give sample another seed."
        )
    return found


def _sample(
    generator: random.Random,
    shards: Shards,
    settings: Mapping[str, Any],
    files: list[str],
    count: int,
    place: str,
) -> list[tuple[str, ...]]:
    held = draw(shards(files, place), settings, sys.maxsize)
    if count > len(held):
        raise StudyError(
            f"{place} draws {count} documents, but {', '.join(files)} has {len(held)}; draw fewer."
        )
    return generator.sample(held, count)


def refuse_one_source(
    train: Collection[str], validation: Collection[str], settings: Mapping[str, Any]
) -> None:
    """Refuses splits of which documents can be in both (StudyError), as `records.refuse_shared`
    does, and samples of one file, which `skip` cannot keep apart."""
    shared = sorted(set(train) & set(validation))
    if shared and settings.get("sample"):
        raise StudyError(
            f"splits.train and splits.validation both read {shared[0]}, from which sample could "
            "draw the same document for both; let them read different files."
        )
    refuse_shared(train, validation, settings)
