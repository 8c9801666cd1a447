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
    title: str | None = Field(None, description="Name in figures.")
    better: Better | None = Field(
        None,
        description="Which values are better, for Pareto fronts. Default: lower values of "
        "repetition and perplexity, higher values of all others.",
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
            f"{given!r} is not a regular expression ({error}); put a backslash before characters "
            "that are meant literally"
        ) from None
    return given


class Phrases(ScoreEntry):
    """Whether a text contains any of some phrases. The mean is the share of texts that do."""

    EXAMPLE = """
        sweeps:
          written:
            model: chat
            inject: {vector: sycophancy, layers: [8]}
            coefficients: [-1, 0, 1]
            measures:
              continuation:
                corpora: [requests]
                scores: {sorry: {scorer: phrases, patterns: ["I'm sorry", "I can(no|')t"]}}
    """

    SHOWN = {"": Column("{name}, share of texts")}

    scorer: Literal["phrases"]
    patterns: Annotated[
        list[Annotated[str, Field(min_length=1), AfterValidator(_pattern)]], Some, Distinct
    ] = Field(description="Regular expressions, searched anywhere in a text.")
    case: bool = Field(False, description="`true` distinguishes upper and lower case.")


class Length(ScoreEntry):
    """Length of a text in tokens, in words (`…_words`) and in characters (`…_characters`)."""

    EXAMPLE = """
        sweeps:
          written:
            model: chat
            inject: {vector: sycophancy, layers: [8]}
            coefficients: [-1, 0, 1]
            measures:
              continuation:
                corpora: [requests]
                scores: {length: {}}
    """

    SHOWN = {
        "": Column("Tokens of a text"),
        "words": Column("Words of a text"),
        "characters": Column("Characters of a text"),
    }

    scorer: Literal["length"]


class DistinctWords(ScoreEntry):
    """Variety of a text's words: distinct words divided by all words. `…_pairs` is the same for
    pairs of words."""

    EXAMPLE = """
        sweeps:
          written:
            model: chat
            inject: {vector: sycophancy, layers: [8]}
            coefficients: [-1, 0, 1]
            measures:
              continuation:
                corpora: [requests]
                scores: {distinct: {}}
    """

    SHOWN = {
        "": Column("Distinct words over all words"),
        "pairs": Column("Distinct pairs of words over all pairs"),
    }

    scorer: Literal["distinct"]


class Repetition(ScoreEntry):
    """Repetition in a text: the share of n-grams of tokens that occurred before. `…_compression`
    is the ratio by which zlib shortens the text."""

    EXAMPLE = """
        sweeps:
          written:
            model: chat
            inject: {vector: sycophancy, layers: [8]}
            coefficients: [-1, 0, 1]
            measures:
              continuation:
                corpora: [requests]
                scores: {repetition: {n: 3}}
    """

    SHOWN = {
        "": Column("Share of n-grams that are repeated", "lower"),
        "compression": Column("Compression ratio", "lower"),
    }

    scorer: Literal["repetition"]
    n: Count = Field(4, description="Number of tokens in an n-gram.")


class Perplexity(ScoreEntry):
    """Perplexity of a text, after its prompt, by the unsteered model. `…_nll` is its logarithm."""

    EXAMPLE = """
        sweeps:
          written:
            model: chat
            inject: {vector: sycophancy, layers: [8]}
            coefficients: [-1, 0, 1]
            measures:
              continuation:
                corpora: [requests]
                scores: {perplexity: {}}
    """

    SHOWN = {
        "": Column("Perplexity of texts, unsteered model", "lower"),
        "nll": Column("Cross-entropy of texts, unsteered model (nats per token)", "lower"),
    }

    scorer: Literal["perplexity"]


class Rating(Entry):
    """Bounds of a rating. A number outside them is not a rating."""

    EXAMPLE = """
        sweeps:
          written:
            model: chat
            inject: {vector: sycophancy, layers: [8]}
            coefficients: [-1, 0, 1]
            measures:
              continuation:
                corpora: [requests]
                scores:
                  polite:
                    scorer: judge
                    address: http://localhost:8000/v1
                    model: judge
                    prompt: "How polite is this, 1 to 5? {text}"
                    rating: {least: 1, most: 5}
    """

    least: Number = Field(description="Smallest rating.")
    most: Number = Field(description="Largest rating.")

    @model_validator(mode="after")
    def _upward(self) -> Self:
        if self.least >= self.most:
            raise ValueError(
                f"least is {self.least:g} and most is {self.most:g}; most must be larger"
            )
        return self


class Price(Entry):
    """Cost of a million tokens, in any currency."""

    EXAMPLE = """
        sweeps:
          written:
            model: chat
            inject: {vector: sycophancy, layers: [8]}
            coefficients: [-1, 0, 1]
            measures:
              continuation:
                corpora: [requests]
                scores:
                  polite:
                    scorer: judge
                    address: http://localhost:8000/v1
                    model: judge
                    prompt: "How polite is this, 1 to 5? {text}"
                    rating: {least: 1, most: 5}
                    price: {input: 0.5, output: 1.5}
    """

    input: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        description="Cost of a million tokens that the judge reads."
    )
    output: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        description="Cost of a million tokens that the judge writes."
    )


class Judge(ScoreEntry):
    """A rating by a model at an address that speaks OpenAI's protocol, as vLLM and Ollama do. An
    answer that is not a rating counts as missing. The job needs the network."""

    EXAMPLE = """
        sweeps:
          written:
            model: chat
            inject: {vector: sycophancy, layers: [8]}
            coefficients: [-1, 0, 1]
            measures:
              continuation:
                corpora: [requests]
                scores:
                  polite:
                    scorer: judge
                    address: http://localhost:8000/v1
                    model: judge
                    prompt: "How polite is the answer, 1 to 5? {prompt} {text}"
                    rating: {least: 1, most: 5}
                    key: JUDGE_KEY
    """

    scorer: Literal["judge"]
    address: str = Field(description="Address of the judge, such as http://localhost:8000/v1.")
    model: Annotated[str, Some] = Field(description="Name of the judge's model there.")
    prompt: str = Field(
        description="Question to the judge. `{text}` stands for the text, and `{prompt}` "
        "for its prompt."
    )
    rating: Rating = Field(description="Smallest and largest rating, `least` and `most`.")
    take: Literal["parsed", "expected"] = Field(
        "parsed",
        description="`parsed`: the number that the answer consists of. `expected`: the "
        "mean of the whole numbers, weighted by their probability as the answer's first "
        "token.",
    )
    key: str | None = Field(
        None, description="Environment variable that holds the key, if the judge needs one."
    )
    price: Price | None = Field(
        None,
        description="Cost of a million tokens, `input` and `output`. The usage table then "
        "shows the cost.",
    )
    options: dict[str, JsonValue] = Field(
        {}, description="Additional fields of each request, such as `seed`. `null` removes a field."
    )

    labels: str | None = Field(
        None,
        description="File of texts that people have rated: the field `text`, and `prompt` "
        "if there is one. With `positive` it has the field `label`, 1 or 0; otherwise "
        "`rating`, a number within the bounds. The table then shows how far the judge agrees "
        "with people, and values corrected for that.",
    )
    positive: Number | None = Field(
        None, description="With labels of 1 and 0: a rating from here on counts as positive."
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
            raise ValueError(
                "is not the address of a server; give one like http://localhost:8000/v1"
            )
        return given

    @field_validator("prompt")
    @classmethod
    def _about_the_text(cls, given: str) -> str:
        if "{text}" not in given:
            raise ValueError("has no {text}; put it where the text belongs")
        return given

    @model_validator(mode="after")
    def _without_secrets(self) -> Self:
        # Said of the entry, so that a secret that stands there by mistake is not shown.
        if "@" in urlsplit(self.address).netloc:
            raise ValueError(
                "address contains a user or password; remove it, and set key to the environment "
                "variable that holds the key"
            )
        if self.key is not None and not re.fullmatch("[A-Z_][A-Z0-9_]*", self.key):
            raise ValueError(
                "key is not the name of an environment variable in capitals; put the key in "
                "one, such as JUDGE_KEY, and give its name"
            )
        return self

    @model_validator(mode="after")
    def _positive_of_labels(self) -> Self:
        if self.labels is None and self.positive is not None:
            raise ValueError("positive is given without labels; give both or neither")
        return self

    @model_validator(mode="after")
    def _whole_numbers(self) -> Self:
        bounds = (self.rating.least, self.rating.most)
        whole = all(bound == int(bound) and bound >= 0 for bound in bounds)
        if self.take == "expected" and not whole:
            raise ValueError(
                "take is expected, which needs whole numbers from 0 up; give rating such bounds"
            )
        return self


def _score_file(name: str) -> str:
    try:
        own_code.defines(file_of(name), "score")
        found = parts(name)
    except (StudyError, ValueError, TypeError) as error:
        raise ValueError(str(error).removesuffix(".")) from None
    if not all(isinstance(part, str) for part in found):
        raise ValueError(f"{name} has COLUMNS that are not texts; list the names of its columns")
    return name


class OwnScore(ScoreEntry):
    """Your own score: the function `score` of a Python file. `scorer: FILE.py` is short for it.
    The code of the file, and of the modules next to it that it imports, is part of the key."""

    EXAMPLE = """
        sweeps:
          written:
            model: chat
            inject: {vector: sycophancy, layers: [8]}
            coefficients: [-1, 0, 1]
            measures:
              continuation:
                corpora: [requests]
                scores: {politeness: {scorer: my_score.py, options: {words: [please]}}}
    """

    scorer: Literal["own"]
    file: Annotated[str, AfterValidator(_score_file)] = Field(
        description="A Python file: next to the study, absolute, in the working directory, "
        "or in the repository. `~` is the home folder."
    )
    options: dict[str, JsonValue] = Field({}, description="Settings that `score` receives.")

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
