"""The questions of a behaviour and their splits, as a table."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from snakesteer.behaviours.question import TYPES, Question
from snakesteer.core import plugins
from snakesteer.core.errors import StudyError


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
            f"{len(questions)} questions cannot be split into {train} for training, {validation} "
            "for validation and a rest for the test: ask for smaller splits or more different "
            "questions"
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


def table(settings: Mapping[str, Any], repository: str | Path = "") -> pa.Table:
    """The table of one behaviour: `question`, `split`, `prompt`, `matching`, `not_matching`, of
    pairs `system_matching` and `system_not_matching`, and of items `choices` and `place`.

    Settings: those of the source, and `train`, `validation`, `seed` and `shuffled_before` of the
    split.
    """
    source = plugins.load("behaviours", settings["source"])
    split = split_questions(
        source.questions(settings, repository),
        settings["train"],
        settings["validation"],
        settings["seed"],
        settings.get("shuffled_before", ()),
        getattr(source, "SHUFFLED", True),
    )
    rows = [{"split": name, **asdict(question)} for name, question in split]
    columns = [field.name for field in fields(split[0][1])]
    columns.insert(1, "split")
    schema = pa.schema([(column, TYPES.get(column, pa.string())) for column in columns])
    return pa.Table.from_pylist(rows, schema)
