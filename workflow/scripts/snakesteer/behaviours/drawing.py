"""The questions of a behaviour and their splits, as a table."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from snakesteer.behaviours.question import TYPES, Question
from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.core.notes import note


def split_questions(
    questions: Sequence[Question],
    train: int = 500,
    validation: int = 200,
    seed: int = 13,
    shuffled_before: Sequence[int] = (),
    shuffled: bool = True,
) -> list[tuple[str, Question]]:
    """Shuffle the questions and label them: first train, then validation, the rest test.

    `shuffled_before` are the sizes of the lists that the same generator shuffled before this one.
    Those that are not to be `shuffled` are in the order of their splits already. Raises
    StudyError if nothing would be left for the test split.
    """
    if len(questions) <= train + validation:
        raise StudyError(
            f"{len(questions)} questions are too few for {train} training questions, "
            f"{validation} validation questions and a test split; ask for smaller splits, or add "
            "distinct questions"
        )
    generator = random.Random(seed)
    for size in shuffled_before:
        generator.shuffle(list(range(size)))
    ordered = list(questions)
    if shuffled:
        generator.shuffle(ordered)
    names = ["train"] * train + ["validation"] * validation
    names += ["test"] * (len(ordered) - len(names))
    return list(zip(names, ordered, strict=True))


def whole_files(
    settings: Mapping[str, Any], questions: Callable[[Mapping[str, Any]], Sequence[Question]]
) -> list[tuple[str, Question]]:
    """The questions of splits that have a file each, whole and in its order, or its first ones.

    `questions` gives those of a file by settings. Ids begin with the split. The log says how many
    stand in a split and in one before it. Raises StudyError for a file with fewer than asked for.
    """
    made: list[tuple[str, Question]] = []
    for split, given in settings["splits"].items():
        every = {**settings, "file": given["file"], "questions": math.inf, "duplicates": "keep"}
        found = questions(every)
        if not found:
            raise StudyError(f"{given['file']} has no questions; name another file.")
        if given["questions"] and given["questions"] > len(found):
            raise StudyError(
                f"splits.{split} asks for {given['questions']} questions, but {given['file']} has "
                f"{len(found)}; ask for fewer."
            )
        before = {_asked(question) for _, question in made}
        taken = found[: given["questions"]]
        if shared := sum(_asked(question) in before for question in taken):
            note(f"Questions of {split} that are also in an earlier split: {shared:,}.")
        made += [(split, replace(each, question=f"{split}-{each.question}")) for each in taken]
    return made


def _asked(question: Question) -> tuple[str, str, str]:
    return question.prompt, question.matching, question.not_matching


def table(settings: Mapping[str, Any], repository: str | Path = "") -> pa.Table:
    """The table of one behaviour: `question`, `split`, `prompt`, `matching`, `not_matching`, of
    pairs `system_matching` and `system_not_matching`, of items `choices` and `place`, and where a
    field of categories is named `category`.

    Settings: those of the source; `train`, `validation`, `seed` and `shuffled_before` of the split,
    or `splits`, a file for each.

    Columns, a row for each question:
        question (text): The question's id.
        split (text): `train`, `validation` or `test`.
        prompt (text): What the model is asked.
        matching, not_matching (text): The answer that shows the behaviour, and the other one.
        system_matching, system_not_matching (text, only with pairs): The system prompt of each
            side, empty where it has none.
        choices (list of text, only with items): All choices in their order.
        place (whole number, only with items): The place of `matching` among them, from 0.
        category (text, only with a field of categories): The question's category.
    """
    source = plugins.load("behaviours", settings["source"])
    if settings.get("splits"):
        split = whole_files(settings, lambda given: source.questions(given, repository))
    else:
        split = split_questions(
            source.questions(settings, repository),
            settings["train"],
            settings["validation"],
            settings["seed"],
            settings.get("shuffled_before", ()),
            getattr(source, "SHUFFLED", True),
        )
    rows = [{"split": name, **asdict(question)} for name, question in split]
    columns = [field.name for field in fields(split[0][1]) if field.name != "category"]
    columns.insert(1, "split")
    if settings.get("category"):
        columns.append("category")
    schema = pa.schema([(column, TYPES.get(column, pa.string())) for column in columns])
    return pa.Table.from_pylist(rows, schema)
