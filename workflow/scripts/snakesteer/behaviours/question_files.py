"""Files of two-choice questions: their records, and which of several alike are kept."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from snakesteer.behaviours.question import Question
from snakesteer.core.errors import StudyError
from snakesteer.core.half_characters import half_a_character
from snakesteer.core.notes import note
from snakesteer.corpora.records import text_of
from snakesteer.hub.http import busy, fetch, is_address
from snakesteer.hub.manifest import locate_file

MATCHING, NOT_MATCHING = "answer_matching_behavior", "answer_not_matching_behavior"
FIELDS = ("question", MATCHING, NOT_MATCHING)


def files_of(settings: Mapping[str, Any]) -> list[str]:
    """The files that the settings of a behaviour name, each once; none of one that is generated."""
    if not settings.get("splits"):
        return [settings["file"]] if "file" in settings else []
    return list(dict.fromkeys(split["file"] for split in settings["splits"].values()))


def question_of(
    number: int, prompt: str, record: Mapping[str, str], settings: Mapping[str, Any], place: str
) -> Question:
    """The question of a record; StudyError if its answers are not the two `choices` of the
    settings."""
    choices = settings["choices"]
    answers = (_bare(record[MATCHING]), _bare(record[NOT_MATCHING]))
    if sorted(answers) != sorted(choices):
        raise StudyError(
            f"the answers of {place} are {answers[0]!r} and {answers[1]!r}, but choices names "
            f"{choices[0]!r} and {choices[1]!r}; set choices to the file's two answers, or "
            "remove the question."
        )
    if half := half_a_character(prompt):
        raise StudyError(
            f"the question of {place} is not Unicode text ({half} is half of a character); "
            "correct it."
        )
    category = category_of(record, settings, place)
    return Question(f"{number:05d}", prompt, *answers, category=category)


def category_of(record: Mapping[str, Any], settings: Mapping[str, Any], place: str) -> str | None:
    """The category of a record, where settings name its field (StudyError if it has none)."""
    field = settings.get("category")
    if not field:
        return None
    found = text_of(record, field, place, "category", "a question's category")
    if not found:
        raise StudyError(f"the field {field} of {place} is empty; fill it, or remove `category`.")
    return found


def _bare(answer: str) -> str:
    return answer.strip().replace("(", "").replace(")", "")


def kept(asked: list[tuple[str, Question]], settings: Mapping[str, Any]) -> list[Question]:
    """The questions, of several alike the first unless `duplicates` is `keep`.

    Raises StudyError naming the places of two that contradict each other.
    """
    if settings["duplicates"] == "keep":
        return [question for _, question in asked]
    first: dict[str, tuple[str, Question]] = {}
    for place, question in asked:
        before, other = first.setdefault(question.prompt, (place, question))
        if question.matching != other.matching:
            raise StudyError(
                f"{before} and {place} are the same question with contradicting answers; remove "
                "one of them, or set duplicates to keep."
            )
    if dropped := len(asked) - len(first):
        note(
            f"Duplicates dropped before the draw: {dropped:,} of the {len(asked):,} questions of "
            f"{settings['file']}."
        )
    return [question for _, question in first.values()]


def records(
    settings: Mapping[str, Any], repository: str | Path
) -> Iterator[tuple[int, str, dict[str, str]]]:
    """Number, place in words, and content of each record of a JSON list, or an object a line."""
    file = settings["file"]
    content = _read(settings, repository)
    if content.lstrip().startswith("["):
        for number, record in enumerate(_parsed(content, file), 1):
            place = f"{file} record {number}"
            yield number, place, _record(record, place)
        return
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            place = f"{file} line {number}"
            yield number, place, _record(_parsed(line, place), place)


def _parsed(content: str, place: str) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise StudyError(f"{place} is not JSON ({error}); get the file again.") from None
    except RecursionError:
        raise StudyError(f"{place} is nested too deeply to be read; get the file again.") from None


def _record(content: Any, place: str) -> dict[str, str]:
    if not isinstance(content, dict) or not all(
        isinstance(content.get(field), str) for field in FIELDS
    ):
        raise StudyError(
            f"{place} is not a question, as it lacks one of the texts {', '.join(FIELDS)}; "
            "correct it."
        )
    return content


def _read(settings: Mapping[str, Any], repository: str | Path) -> str:
    """The text of the file."""
    try:
        return content(settings, repository).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StudyError(
            f"{settings['file']} is not UTF-8 text ({error.reason}); get it again."
        ) from None


def content(settings: Mapping[str, Any], repository: str | Path) -> bytes:
    """What the `file` holds: on this machine, at an address, or of a repository, where the settings
    say that its path is `located`."""
    file = settings["file"]
    if file in settings.get("located", {}):
        return Path(settings["located"][file]).read_bytes()
    if not is_address(file):
        return locate_file(file, repository).read_bytes()
    try:
        return fetch(file)
    except urllib.error.HTTPError as error:
        remedy = "wait and run again" if busy(error.code) else "check commit and path"
        raise StudyError(
            f"{file} cannot be downloaded (the server answers {error.code}); {remedy}."
        ) from None
    except (OSError, ValueError) as error:
        raise StudyError(
            f"{file} cannot be downloaded ({error}); connect to the network, or download it and "
            "name the file."
        ) from None
