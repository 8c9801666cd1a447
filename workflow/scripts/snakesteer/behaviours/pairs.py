"""Pairs of texts out of records: they differ in the answer, in the system prompt, or altogether."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from snakesteer.behaviours.question import Pair
from snakesteer.behaviours.question_files import category_of, content, files_of
from snakesteer.core.errors import StudyError
from snakesteer.core.half_characters import half_a_character
from snakesteer.core.notes import note
from snakesteer.corpora import reading
from snakesteer.corpora.records import text_of

FIELDS = ("prompt", "matching", "not_matching", "system_matching", "system_not_matching")


def readers(settings: Mapping[str, Any]) -> list[str]:
    """The readers of the files."""
    return reading.readers_of(files_of(settings))


def questions(settings: Mapping[str, Any], repository: str | Path) -> list[Pair]:
    """The pairs of a file, at most `questions` of them drawn.

    Settings: `file`, the fields (`FIELDS`) of its records, `strip`, `category`, `questions` and
    `seed`. A pair's id is its number in the file, from 1. A pair that stands there several times
    counts once, unless `duplicates` is `keep`. Raises StudyError naming the record that is not as
    it should be, or whose two sides are the same.
    """
    named = [*(settings[field] for field in FIELDS), settings.get("category")]
    read = {"fields": list(filter(None, named)), "filter": None, "final_newline": "strip"}
    stream = io.BytesIO(content(settings, repository))
    pairs: list[Pair] = []
    for number, (place, record) in enumerate(reading.read(stream, settings["file"], read), 1):
        category = category_of(record, settings, place)
        pairs.append(replace(_pair(f"{number:05d}", place, record, settings), category=category))
    if settings.get("duplicates") != "keep":
        pairs = _once(pairs, settings["file"])
    if len(pairs) > settings["questions"]:
        return random.Random(settings["seed"]).sample(pairs, settings["questions"])
    return pairs


def _once(pairs: list[Pair], file: str) -> list[Pair]:
    first: dict[tuple[str | None, ...], Pair] = {}
    for pair in pairs:
        first.setdefault(tuple(getattr(pair, field) for field in FIELDS), pair)
    if dropped := len(pairs) - len(first):
        note(
            f"Duplicates dropped before the draw: {dropped:,} of the {len(pairs):,} pairs of "
            f"{file}."
        )
    return list(first.values())


def _pair(number: str, place: str, record: Mapping[str, Any], settings: Mapping[str, Any]) -> Pair:
    texts: dict[str, str] = {}
    for key in FIELDS:
        field = settings[key]
        if not field:
            continue
        text = text_of(record, field, place, key, "a text of the pair")
        if text and key == "prompt" and settings.get("strip"):
            text = text.strip()
        if not text:
            raise StudyError(f"the field {field} of {place} is empty; fill it, or remove the pair.")
        if half := half_a_character(text):
            raise StudyError(
                f"the field {field} of {place} is not Unicode text ({half} is half of a "
                "character); correct it."
            )
        texts[key] = text
    pair = Pair(
        number,
        texts.get("prompt", ""),
        texts.get("matching", ""),
        texts.get("not_matching", ""),
        texts.get("system_matching"),
        texts.get("system_not_matching"),
    )
    if (pair.matching, pair.system_matching) == (pair.not_matching, pair.system_not_matching):
        raise StudyError(f"the two sides of {place} are the same; correct or remove the pair.")
    return pair
