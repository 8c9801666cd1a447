"""From records to documents: their order, which of them count, and which field is the text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from snakesteer.core.errors import StudyError
from snakesteer.core.half_characters import half_a_character
from snakesteer.core.notes import note

Record = tuple[str, Mapping[str, Any]]
"""Where a record stands, in words, and its fields."""
Shard = Callable[[], Iterable[Record]]
"""Opens one of the files, or parts, that records are read from."""
Spoilt = Callable[[str], None]
"""Is told why a record is none, without a remedy; unless it raises, the record is passed over."""

COUNTED = 100  # values among those that the filter refuses


def refuse(reason: str) -> None:
    """For records that the user can mend (StudyError)."""
    raise StudyError(f"{reason}; correct or remove it.")


def draw(
    shards: Sequence[Shard],
    settings: Mapping[str, Any],
    count: int,
    skip: int = 0,
    patience: int | None = None,
    spoilt: Spoilt = refuse,
    apart: Collection[str] = frozenset(),
) -> list[tuple[str, ...]]:
    """The first `count` documents as (id, text), or with a field for completions (id, text,
    completion), after passing over `skip`; fewer if there are no more.

    Settings: `field`, `completion`, `strip`, `filter`, `min_characters` and `shuffle` of the study.
    Records are shuffled first and filtered then, as by the authors. Texts of fewer characters are
    no documents, nor are those with an empty completion, and `spoilt` decides on those that are no
    Unicode. An id is the document's number in that order. Records whose text is null, and documents
    whose text is one of `apart`, are skipped, and their number is logged. Raises StudyError for a
    field that a record does not have or that is no text, and if of all records, or of the first
    `patience`, none passes the filter or has a text.
    """
    found: list[tuple[str, ...]] = []
    refused, empty, again, passed = 0, 0, 0, 0
    values: Counter[str] = Counter()
    condition = settings["filter"]
    for seen, (place, record) in enumerate(in_order(shards, settings["shuffle"]), 1):
        if condition and not _passes(condition, record, place):
            refused += 1
            value = repr(value_of(record, condition["field"], place, "filter.field"))
            if value in values or len(values) < COUNTED:
                values[value] += 1
            if refused + empty == seen == patience:
                break
            continue
        texts = _texts(record, place, settings)
        if texts is None:
            empty += 1
            if refused + empty == seen == patience:
                break
            continue
        if len(texts[0]) < settings["min_characters"] or "" in texts:
            continue
        if half := next(filter(None, map(half_a_character, texts)), None):
            spoilt(f"{place} is not Unicode text ({half} is half of a character)")
            continue
        passed += 1
        if passed <= skip:
            continue
        if texts[0] in apart:
            again += 1
            continue
        found.append((f"{passed - 1:06d}", *texts))
        if len(found) == count:
            break
    if empty:
        note(f"Records skipped because their text is null: {empty:,}.")
    if again:
        note(
            f"Duplicates skipped because their text is in the training split: {again:,} documents."
        )
    if empty and not passed:
        raise StudyError(
            f"the field {settings['field']} is null in all {empty:,} records; set `field` to the "
            "field that holds the documents' text."
        )
    if refused and refused == seen:
        common = ", ".join(value for value, _ in values.most_common(8))
        raise StudyError(
            f"the filter on {condition['field']} matches none of {refused:,} records; they have "
            f"{common}; filter for one of these."
        )
    return found


def _texts(record: Mapping[str, Any], place: str, settings: Mapping[str, Any]) -> list[str] | None:
    """The text of a record, and its completion if there is a field for it; None if one is null."""
    texts = []
    for key in ("field", "completion"):
        if settings.get(key):
            text = text_of(record, settings[key], place, key, "the documents' text")
            strips = key == "field" and settings.get("strip")
            texts.append(text.strip() if text and strips else text)
    return None if None in texts else [text for text in texts if text is not None]


def text_of(record: Mapping[str, Any], field: str, place: str, key: str, holds: str) -> str | None:
    """The text in a field, which the study names by `key` and which `holds` it; None for null.

    Raises StudyError for a field that the record does not have, or that is no text.
    """
    text = value_of(record, field, place, key)
    if text is None or isinstance(text, str):
        return text
    raise StudyError(
        f"the field {field} of {place} is {kind_of(text)}, not text; set `{key}` to the field "
        f"that holds {holds}."
    )


def fields_of(settings: Mapping[str, Any]) -> list[str]:
    """The fields of records that settings name: `field`, `completion` and `fields`, and that of the
    filter."""
    named = [settings.get("field"), settings.get("completion"), *settings.get("fields", ())]
    condition = settings["filter"]
    return [*filter(None, named), *([condition["field"]] if condition else [])]


def refuse_shared(
    train: Collection[str], validation: Collection[str], settings: Mapping[str, Any]
) -> None:
    """Refuses splits that read the same files, unless one of them passes over all that the other
    takes of just these files.

    Raises StudyError naming one of the files, or the number of documents to pass over.
    """
    shared = sorted(set(train) & set(validation))
    if not shared:
        return
    if set(train) != set(validation):
        raise StudyError(
            f"splits.train and splits.validation both read {shared[0]}, but their other files "
            "differ, so documents could be in both; let them read exactly the same files, or "
            "entirely different ones."
        )
    first, second = "train", "validation"
    skipped = {split: settings["splits"][split]["skip"] for split in (first, second)}
    if skipped["validation"] < skipped["train"]:
        first, second = second, first
    taken = skipped[first] + settings[first]
    if skipped[second] < taken:
        raise StudyError(
            f"splits.{second} reads what splits.{first} reads; set splits.{second}.skip to "
            f"{taken}, or ask for fewer in {first}, so that no document is in both splits."
        )


def in_order(shards: Sequence[Shard], shuffle: Mapping[str, Any] | bool) -> Iterator[Record]:
    """The records of all shards, in their order or shuffled as `datasets` does.

    The shuffle of its streams in release 2, with which the paper's documents were drawn, orders the
    shards with one generator of the seed, and with another one draws from a buffer that the next
    record refills. With the buffer None it is the shuffle of its tables: all records are held, and
    given in a permutation of the seed.
    """
    if not isinstance(shuffle, Mapping):
        for shard in shards:
            yield from shard()
        return
    if shuffle["buffer"] is None:
        table = [record for shard in shards for record in shard()]
        for place in np.random.default_rng(shuffle["seed"]).permutation(len(table)):
            yield table[place]
        return
    order = list(range(len(shards)))
    np.random.default_rng(shuffle["seed"]).shuffle(order)
    generator = np.random.default_rng(shuffle["seed"])
    places = _places(generator, shuffle["buffer"])
    held: list[Record] = []
    for record in (record for number in order for record in shards[number]()):
        if len(held) < shuffle["buffer"]:
            held.append(record)
            continue
        place = next(places)
        yield held[place]
        held[place] = record
    generator.shuffle(held)
    yield from held


def _places(generator: np.random.Generator, buffer: int) -> Iterator[int]:
    while True:
        yield from map(int, generator.integers(0, buffer, size=1000))


def _passes(condition: Mapping[str, Any], record: Mapping[str, Any], place: str) -> bool:
    value = value_of(record, condition["field"], place, "filter.field")
    if condition["equal"] is not None:
        return bool(value == condition["equal"])
    return bool(value != condition["not_equal"])


def value_of(record: Mapping[str, Any], field: str, place: str, key: str) -> Any:
    """A field's value; `a.b` is b in a, unless there is a field of the name `a.b`, and None if a is
    null."""
    value: Any = record
    for part in [field] if field in record else field.split("."):
        if value is None:
            break
        if not isinstance(value, Mapping) or part not in value:
            names = ", ".join(record) or "no fields"
            raise StudyError(f"{place} has no field {field} (it has {names}); correct `{key}`.")
        value = value[part]
    return value


KINDS = {
    type(None): "empty",
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
}


def kind_of(value: Any) -> str:
    """What a value is, in a reader's words."""
    return KINDS.get(type(value), f"of type {type(value).__name__}")


def refuse_twice(names: Iterable[str], shown: str) -> None:
    """Refuses two columns of one name."""
    for name, number in Counter(names).items():
        if number > 1:
            raise StudyError(f"{shown} has {number} columns named {name!r}; rename all but one.")
