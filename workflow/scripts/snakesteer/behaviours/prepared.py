"""Questions as the paper's authors prepared them: in the paper's format already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakesteer.behaviours.question import Question
from snakesteer.behaviours.question_files import kept, question_of, records
from snakesteer.core.errors import StudyError


def questions(settings: Mapping[str, Any], repository: str | Path) -> list[Question]:
    """The questions of a file that is in the paper's format already, in its order.

    Settings: `file`, `choices`, `duplicates` and `category`. A question's id is its number in the
    list, from 1, or its line. Raises StudyError naming the number or line of a record that is not
    as it should be.
    """
    asked = []
    for number, place, record in records(settings, repository):
        prompt = record["question"]
        if not prompt.endswith("("):
            raise StudyError(
                f"the question of {place} does not end with an opening bracket; if it is not "
                "prepared, use `source: model-written-evals`."
            )
        asked.append((place, question_of(number, prompt, record, settings, place)))
    return kept(asked, settings)
