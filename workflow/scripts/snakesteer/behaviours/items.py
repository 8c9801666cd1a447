"""Items of a task out of records: a prompt, the texts that may follow it, which one is right."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakesteer.behaviours.question import Item
from snakesteer.behaviours.question_files import category_of, content, files_of
from snakesteer.core.errors import StudyError
from snakesteer.core.half_characters import half_a_character
from snakesteer.core.notes import note
from snakesteer.corpora import reading
from snakesteer.corpora.records import kind_of, text_of, value_of

Given = Mapping[str, Any]


def readers(settings: Given) -> list[str]:
    """The readers of the files."""
    return reading.readers_of(files_of(settings))


def questions(settings: Given, repository: str | Path) -> list[Item]:
    """The items of a file, at most `questions` of them drawn.

    Settings: `file`; the fields `prompt`, `choices` (one that holds a list, or a list of several)
    or else `answers` (texts), `matching` and `labels`; `strip`, `category`, `counted_from`,
    `duplicates`, `questions` and `seed`. An item's id is its number in the file, from 1. Raises
    StudyError naming the record that is not as it should be.
    """
    read = {"fields": _fields(settings), "filter": None, "final_newline": "strip"}
    stream = io.BytesIO(content(settings, repository))
    made: list[Item] = []
    for number, (place, record) in enumerate(reading.read(stream, settings["file"], read), 1):
        made.append(_item(f"{number:05d}", place, record, settings))
    if not made:
        raise StudyError(f"{settings['file']} has no items; name another file.")
    if settings["duplicates"] == "drop":
        made = _once(made, settings["file"])
    if len(made) > settings["questions"]:
        return random.Random(settings["seed"]).sample(made, settings["questions"])
    return made


def _fields(settings: Given) -> list[str]:
    choices = settings["choices"] or []
    named = [choices] if isinstance(choices, str) else list(choices)
    named += [settings["prompt"], settings["matching"], settings["labels"]]
    named.append(settings.get("category"))
    return list(dict.fromkeys(filter(None, named)))


def _once(items: list[Item], file: str) -> list[Item]:
    first: dict[tuple[Any, ...], Item] = {}
    for item in items:
        first.setdefault((item.prompt, item.choices, item.place), item)
    if dropped := len(items) - len(first):
        note(
            f"Duplicates dropped before the draw: {dropped:,} of the {len(items):,} items of "
            f"{file}."
        )
    return list(first.values())


def _item(number: str, place: str, record: Given, settings: Given) -> Item:
    prompt = text_of(record, settings["prompt"], place, "prompt", "the prompt")
    if prompt and settings.get("strip"):
        prompt = prompt.strip()
    prompt = _whole(prompt, f"the field {settings['prompt']} of {place}")
    choices = _choices(record, place, settings)
    if len(choices) < 2:
        raise StudyError(
            f"{place} has {len(choices)} choice{'s' * (len(choices) != 1)}, but at least two are "
            "needed; add choices, or remove it."
        )
    right = _right(record, place, settings, choices)
    others = [text for at, text in enumerate(choices) if at != right]
    category = category_of(record, settings, place)
    shown = tuple(choices)
    return Item(number, prompt, choices[right], others[0], shown, right, category=category)


def _choices(record: Given, place: str, settings: Given) -> list[str]:
    """The texts that may follow the prompt of a record."""
    named = settings["choices"]
    if named is None:
        return list(settings["answers"])
    if isinstance(named, str):
        found = value_of(record, named, place, "choices")
        if not isinstance(found, list):
            raise StudyError(
                f"the field {named} of {place} is {kind_of(found)}, not a list of choices; set "
                "`choices` to the field that holds them, or to a list of fields with one choice "
                "each."
            )
        given = [(text, f"choice {at} of {place}") for at, text in enumerate(found, 1)]
    else:
        texts = [text_of(record, field, place, "choices", "a choice") for field in named]
        shown = [f"the field {field} of {place}" for field in named]
        given = list(zip(texts, shown, strict=True))
    return [_whole(text, name) for text, name in given]


def _whole(text: Any, name: str) -> str:
    """A text that is there."""
    if not isinstance(text, str):
        raise StudyError(f"{name} is {kind_of(text)}, not text; correct or remove it.")
    if not text:
        raise StudyError(f"{name} is empty; fill it, or remove the item.")
    if half := half_a_character(text):
        raise StudyError(f"{name} is not Unicode text ({half} is half of a character); correct it.")
    return text


def _right(record: Given, place: str, settings: Given, choices: list[str]) -> int:
    """The place (0-based) of the right one among the choices of a record."""
    field = settings["matching"]
    if isinstance(settings["choices"], list) and field in settings["choices"]:
        found: int = settings["choices"].index(field)
        return found
    told = value_of(record, field, place, "matching")
    if isinstance(told, list):
        return _marked(told, field, place, choices)
    labels = choices
    if settings["labels"]:
        labels = value_of(record, settings["labels"], place, "labels")
        if not isinstance(labels, list) or len(labels) != len(choices):
            raise StudyError(
                f"the field {settings['labels']} of {place} does not hold {len(choices)} labels, "
                "one for each choice; set `labels` to the field that does."
            )
    if told in labels and not isinstance(told, bool):
        return labels.index(told)
    first = settings["counted_from"]
    if isinstance(told, str) and told.strip().isdecimal():
        told = int(told)
    if isinstance(told, bool) or not isinstance(told, int):
        shown = repr(told) if isinstance(told, str) else kind_of(told)
        what = "labels" if settings["labels"] else "choices"
        raise StudyError(
            f"the field {field} of {place} is {shown}, which is neither one of its {what} nor "
            "the number of one; set `matching` to the field that gives the right choice."
        )
    if not first <= told < first + len(choices):
        raise StudyError(
            f"the field {field} of {place} is {told}, but its {len(choices)} choices are counted "
            f"from {first} to {first + len(choices) - 1}; correct it, or set counted_from."
        )
    return told - first


def _marked(told: list[Any], field: str, place: str, choices: list[str]) -> int:
    """The place of the one 1 in a list of 0 and 1, by choice."""
    if len(told) != len(choices) or sorted(map(str, told)) != ["0"] * (len(told) - 1) + ["1"]:
        raise StudyError(
            f"the field {field} of {place} is a list, but not of {len(choices)} numbers (1 for "
            "the right choice, 0 for the others); set `matching` to the field that gives the "
            "right choice."
        )
    return told.index(1)
