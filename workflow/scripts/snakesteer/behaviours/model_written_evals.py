"""Raw questions of the model-written evals, put into the paper's format.

The authors' preparation (paper, code of the multi-steering data): answers without brackets and
surrounding spaces; "Question:" and "Answer:" taken out of the question; both put into one prompt;
at most 1,000 drawn.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakesteer.behaviours.question import Question
from snakesteer.behaviours.question_files import kept, question_of, records


def questions(settings: Mapping[str, Any], repository: str | Path) -> list[Question]:
    """The questions of a raw file in the paper's format, at most `questions` of them drawn.

    Settings: `file`, `choices`, `questions`, `seed`, `duplicates` and `category`. A question's
    id is its line in the file, or its number in the list, from 1. Raises StudyError naming the line
    or number of a record that is not as it should be.
    """
    first, second = settings["choices"]
    asked = []
    for number, place, record in records(settings, repository):
        question = record["question"].replace("Question:", "").replace("Answer:", "").strip()
        prompt = f"Human:\n{question}\n\nAI:\nOut of ({first}) and ({second}), I choose ("
        asked.append((place, question_of(number, prompt, record, settings, place)))
    made = kept(asked, settings)
    if len(made) > settings["questions"]:
        return random.Random(settings["seed"]).sample(made, settings["questions"])
    return made
