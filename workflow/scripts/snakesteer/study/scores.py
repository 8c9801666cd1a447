"""Scores of texts that are written under steering."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue

from snakesteer.core import own_code
from snakesteer.core.errors import StudyError
from snakesteer.measures.scoring import Scorer, file_of, parts
from snakesteer.study.entries import Count, Distinct, Entry, Name, Some


class ScoreEntry(Entry):
    """What every score says."""

    scorer: str

    def asked(self, name: str) -> Scorer:
        """The scorer by the name of the score."""
        return Scorer(name, self.scorer, self.model_dump(exclude={"scorer"}))


def _pattern(given: str) -> str:
    try:
        re.compile(given)
    except re.error as error:
        raise ValueError(
            f"{given!r} is no regular expression ({error}); put a backslash before signs that are "
            "meant as they stand"
        ) from None
    return given


class Phrases(ScoreEntry):
    """Whether a text has any of some phrases; the mean is the share of texts that have."""

    scorer: Literal["phrases"]
    patterns: Annotated[
        list[Annotated[str, Field(min_length=1), AfterValidator(_pattern)]], Some, Distinct
    ] = Field(description="Regular expressions, sought anywhere in a text.")
    case: bool = Field(False, description="Whether upper and lower case differ.")


class Length(ScoreEntry):
    """How long a text is: tokens, `…_words` and `…_characters`."""

    scorer: Literal["length"]


class DistinctWords(ScoreEntry):
    """How varied its words are: distinct words over all words, and `…_pairs`, of pairs of words."""

    scorer: Literal["distinct"]


class Repetition(ScoreEntry):
    """How much of it is repeated: the share of n-grams of tokens that stood before, and
    `…_compression`, how many times as long as compressed by zlib."""

    scorer: Literal["repetition"]
    n: Count = Field(4, description="Tokens of an n-gram.")


class Perplexity(ScoreEntry):
    """The unsteered model's perplexity of it behind its prompt, and `…_nll`, its logarithm."""

    scorer: Literal["perplexity"]


def _score_file(name: str) -> str:
    try:
        own_code.defines(file_of(name), "score")
        found = parts(name)
    except (StudyError, ValueError, TypeError) as error:
        raise ValueError(str(error).removesuffix(".")) from None
    if not all(isinstance(part, str) for part in found):
        raise ValueError(f"{name} has COLUMNS that are no texts; list names")
    return name


class OwnScore(ScoreEntry):
    """A score of one's own: the function `score` of a Python file, which `scorer: FILE.py` names
    for short. Its code, and that of the modules beside it that it imports, is part of the key."""

    scorer: Literal["own"]
    file: Annotated[str, AfterValidator(_score_file)] = Field(
        description="A Python file: beside the study, absolute, in the working directory, or in "
        "the repository; `~` is the home folder."
    )
    options: dict[str, JsonValue] = Field({}, description="What `score` gets as its settings.")

    def asked(self, name: str) -> Scorer:
        return Scorer(name, self.file, self.options)


def _with_scorer(entries: Any) -> Any:
    """Scores with their scorer, which is their name unless they say it; a Python file as the scorer
    is one's own."""
    if not isinstance(entries, dict):
        return entries
    found = {}
    for name, entry in entries.items():
        if isinstance(entry, dict):
            entry = {"scorer": name, **entry}
            if str(entry["scorer"]).endswith(".py"):
                entry = {"file": entry["scorer"], **entry, "scorer": "own"}
        found[name] = entry
    return found


Score = Annotated[
    Phrases | Length | DistinctWords | Repetition | Perplexity | OwnScore,
    Field(discriminator="scorer"),
]
Scores = Annotated[dict[Name, Score], BeforeValidator(_with_scorer)]
SCORES: tuple[type[ScoreEntry], ...] = get_args(get_args(Score)[0])
