"""Scores of texts that are written under steering."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    field_validator,
    model_validator,
)

from snakesteer.core import own_code, plugins
from snakesteer.core.errors import StudyError
from snakesteer.hub.http import is_address
from snakesteer.hub.manifest import locate_file
from snakesteer.measures.scoring import Scorer, file_of, parts
from snakesteer.study.columns import Better, Column
from snakesteer.study.entries import Count, Distinct, Entry, Name, Number, Some
from snakesteer.tables import agreement, corrected


class ScoreEntry(Entry):
    """What every score says.

    `SHOWN` has what each of the scorer's columns is in figures, if that can be said of all; a label
    may have the score's `{name}`. Fields in `FIGURES` are not the scorer's.
    """

    SHOWN: ClassVar[Mapping[str, Column]] = {}
    FIGURES: ClassVar[frozenset[str]] = frozenset({"title", "better"})

    scorer: str
    title: str | None = Field(None, description="Its name in figures.")
    better: Better | None = Field(
        None,
        description="Which values are better, for Pareto fronts; if left out, lower ones of "
        "repetition and perplexity, higher ones of all others.",
    )

    def asked(self, name: str) -> Scorer:
        """The scorer by the name of the score."""
        return Scorer(name, self.scorer, self.model_dump(exclude={"scorer", *self.FIGURES}))

    def drawn(self, name: str) -> dict[str, Column]:
        """The columns of the table that figures can draw, the main one first."""
        found = {}
        for part, column in self.asked(name).columns.items():
            usual = self.SHOWN.get(part, Column(f"{{name}}, {part}" if part else "{name}"))
            found[column] = self._named(usual, name, part)
        return found

    def _named(self, usual: Column, name: str, part: str) -> Column:
        """A column with the label and the better values that the entry gives it, or its usual
        ones."""
        label = usual.label.format(name=name.replace("-", " ").capitalize())
        if self.title:
            label = f"{self.title}, {part}" if part else self.title
        return usual._replace(label=label, better=self.better or usual.better)

    @property
    def further(self) -> tuple[str, ...]:
        """What the table has of it beside the scorer's columns, behind its name."""
        return ()


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

    SHOWN = {"": Column("{name}, share of texts")}

    scorer: Literal["phrases"]
    patterns: Annotated[
        list[Annotated[str, Field(min_length=1), AfterValidator(_pattern)]], Some, Distinct
    ] = Field(description="Regular expressions, sought anywhere in a text.")
    case: bool = Field(False, description="Whether upper and lower case differ.")


class Length(ScoreEntry):
    """How long a text is: tokens, `…_words` and `…_characters`."""

    SHOWN = {
        "": Column("Tokens of a text"),
        "words": Column("Words of a text"),
        "characters": Column("Characters of a text"),
    }

    scorer: Literal["length"]


class DistinctWords(ScoreEntry):
    """How varied its words are: distinct words over all words, and `…_pairs`, of pairs of words."""

    SHOWN = {
        "": Column("Distinct words over all words"),
        "pairs": Column("Distinct pairs of words over all pairs"),
    }

    scorer: Literal["distinct"]


class Repetition(ScoreEntry):
    """How much of it is repeated: the share of n-grams of tokens that stood before, and
    `…_compression`, how many times as long as compressed by zlib."""

    SHOWN = {
        "": Column("Share of n-grams that are repeated", "lower"),
        "compression": Column("Compression ratio", "lower"),
    }

    scorer: Literal["repetition"]
    n: Count = Field(4, description="Tokens of an n-gram.")


class Perplexity(ScoreEntry):
    """The unsteered model's perplexity of it behind its prompt, and `…_nll`, its logarithm."""

    SHOWN = {
        "": Column("Perplexity of texts, unsteered model", "lower"),
        "nll": Column("Cross-entropy of texts, unsteered model (nats per token)", "lower"),
    }

    scorer: Literal["perplexity"]


class Rating(Entry):
    """Bounds of a rating; a number beyond them is none."""

    least: Number
    most: Number

    @model_validator(mode="after")
    def _upward(self) -> Self:
        if self.least >= self.most:
            raise ValueError(
                f"least is {self.least:g} and most {self.most:g}; give most the larger number"
            )
        return self


class Price(Entry):
    """What a million tokens cost, in any currency."""

    input: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    output: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Judge(ScoreEntry):
    """A rating of it by a model at an address that speaks OpenAI's protocol, as vLLM and Ollama do.
    An answer that is no rating is missing, and counted. The job needs the network."""

    scorer: Literal["judge"]
    address: str = Field(description="Where the judge is, as http://localhost:8000/v1.")
    model: Annotated[str, Some] = Field(description="The judge's name there.")
    prompt: str = Field(
        description="What it is asked; `{text}` stands for the text, `{prompt}` for its prompt."
    )
    rating: Rating = Field(description="The numbers with which it may answer, `least` and `most`.")
    take: Literal["parsed", "expected"] = Field(
        "parsed",
        description="The number alone with which it answers (`parsed`), or the mean of the whole "
        "numbers by their probabilities as its first token (`expected`).",
    )
    key: str | None = Field(
        None, description="The environment variable that has the key, if it wants one."
    )
    price: Price | None = Field(
        None, description="Of a million tokens, `input` and `output`; the usage then has the cost."
    )
    options: dict[str, JsonValue] = Field(
        {}, description="Further fields of each request, as `seed`; null takes one out."
    )

    labels: str | None = Field(
        None,
        description="A file of texts that people have judged, too: the field `text`, if there is "
        "one `prompt`, and with `positive` the field `label`, 1 or 0, else `rating`, a number "
        "within the bounds. The table then has the judge's agreement with them, and what it says "
        "in the light of that.",
    )
    positive: Number | None = Field(
        None, description="With labels of 1 and 0: the rating from which on a text is positive."
    )

    FIGURES = ScoreEntry.FIGURES | {"labels", "positive"}

    @property
    def further(self) -> tuple[str, ...]:
        if not self.labels:
            return ()
        of = agreement if self.positive is not None else corrected
        return (*of.VALUES, *of.AGREEMENT)

    def drawn(self, name: str) -> dict[str, Column]:
        rating = self._named(Column("{name}, mean rating", judged=name), name, "")
        if not self.labels:
            return {name: rating}
        if self.positive is None:
            checked = f"{name}_{corrected.VALUES[0]}"
            return {checked: rating, name: rating._replace(drawn_as=checked)}
        checked = f"{name}_{agreement.VALUES[0]}"
        share = self._named(Column("{name}, share of texts", judged=name), name, "share")
        return {checked: share, name: rating._replace(drawn_as=checked)}

    @field_validator("labels")
    @classmethod
    def _there(cls, given: str | None) -> str | None:
        if given is not None:
            try:
                locate_file(given, plugins.PACKAGE.parents[2])
            except StudyError as error:
                raise ValueError(str(error).removesuffix(".")) from None
        return given

    @field_validator("address")
    @classmethod
    def _at_a_server(cls, given: str) -> str:
        try:
            parts = urlsplit(given)
            whole = is_address(given) and parts.hostname and not parts.query and parts.port != 0
        except ValueError:
            whole = False
        if not whole:
            raise ValueError("is no address of a server; give one as http://localhost:8000/v1")
        return given

    @field_validator("prompt")
    @classmethod
    def _about_the_text(cls, given: str) -> str:
        if "{text}" not in given:
            raise ValueError("has no {text}; put it where the text is to stand")
        return given

    @model_validator(mode="after")
    def _without_secrets(self) -> Self:
        # Said of the entry, so that a secret that stands there by mistake is not shown.
        if "@" in urlsplit(self.address).netloc:
            raise ValueError(
                "address has a user or password in it; take it out, and name the environment "
                "variable with the key as key"
            )
        if self.key is not None and not re.fullmatch("[A-Z_][A-Z0-9_]*", self.key):
            raise ValueError(
                "key is no environment variable in capital letters; put the key into one, as "
                "JUDGE_KEY, and name that"
            )
        return self

    @model_validator(mode="after")
    def _positive_of_labels(self) -> Self:
        if self.labels is None and self.positive is not None:
            raise ValueError("positive is given without labels; give both or none")
        return self

    @model_validator(mode="after")
    def _whole_numbers(self) -> Self:
        bounds = (self.rating.least, self.rating.most)
        whole = all(bound == int(bound) and bound >= 0 for bound in bounds)
        if self.take == "expected" and not whole:
            raise ValueError(
                "take is expected, which is of whole numbers from 0 on; give rating such bounds"
            )
        return self


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
    Phrases | Length | DistinctWords | Repetition | Perplexity | Judge | OwnScore,
    Field(discriminator="scorer"),
]
Scores = Annotated[dict[Name, Score], BeforeValidator(_with_scorer)]
SCORES: tuple[type[ScoreEntry], ...] = get_args(get_args(Score)[0])
