"""The behaviours of a study: where their questions come from."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from snakesteer.hub.http import is_address
from snakesteer.study.entries import Count, Distinct, Duplicates, Entry, NoneOrMore, Seed
from snakesteer.study.models import COMMIT

SEVERAL_CHOICES = 4  # of items whose file alone says how many they have


class BehaviourEntry(Entry):
    train: NoneOrMore = Field(500, description="Questions in the training split.")
    validation: NoneOrMore = Field(
        200, description="Questions after those; the rest is the test split."
    )
    seed: Seed = Field(13, description="Seed of the draw and of the shuffle before the split.")
    title: str | None = Field(None, description="Name in figures.")

    @property
    def has_system(self) -> bool:
        """Whether its two sides have system prompts."""
        return False

    @property
    def answered(self) -> bool:
        """Whether a prompt is followed by answers."""
        return True

    @property
    def prompted(self) -> bool:
        """Whether its texts have a prompt."""
        return True

    @property
    def choices_at_most(self) -> int:
        """How many choices its questions have, as far as the study says it."""
        return 2


class DrawnBehaviour(BehaviourEntry):
    questions: Annotated[int, Field(ge=3)] = Field(
        1000, description="Questions drawn at most; all if there are fewer."
    )

    @model_validator(mode="after")
    def _leaves_a_test_split(self) -> Self:
        if self.train + self.validation >= self.questions:
            raise ValueError(
                f"train ({self.train}) and validation ({self.validation}) leave nothing of "
                f"{self.questions} questions for the test split; make them smaller"
            )
        return self


class GeneratedBehaviour(DrawnBehaviour):
    """Two-choice questions of the built-in generator."""

    source: Literal["generated"]
    trait: Literal[
        "myopia", "wealth-seeking", "sycophancy", "agreeableness", "anti-immigration"
    ] = Field(description="The trait that the matching answer shows.")
    questions: Annotated[int, Field(ge=3, le=4000)] = Field(1000, description="Questions drawn.")
    answers: Literal["labels", "texts"] = Field(
        "labels",
        description="`labels`: the options are listed, and the answer is A or B, or Yes or No; "
        "`texts`: they are not, and the answer is the text of one.",
    )


class OfFile(BehaviourEntry):
    file: str = Field(
        description="A file (absolute, in the working directory, or in the repository; `~` is the "
        "home folder), or an address with the commit in it, as "
        "https://raw.githubusercontent.com/OWNER/NAME/COMMIT/PATH."
    )

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        parts = self.file.split("/")
        if not is_address(self.file) or any(re.fullmatch(COMMIT, part) for part in parts):
            return self
        places = {"raw.githubusercontent.com": 5, "huggingface.co": 6}
        end = places.get(parts[2])
        repository = "/".join(parts[:end]).replace("raw.githubusercontent.com", "github.com")
        command = f": `git ls-remote {repository} HEAD` prints one" if end else ""
        raise ValueError(
            f"file {self.file} names no commit, so it may change; put a commit of 40 hex digits "
            f"in place of the branch{command}"
        )


class FileBehaviour(OfFile):
    choices: tuple[str, str] = Field(
        ("A", "B"), description="The two answers, in the order in which the prompt names them."
    )
    duplicates: Duplicates = Field(
        "drop",
        description="`drop`: a question that stands in the file several times counts once, before "
        "any is drawn; the log says how many are dropped, and contradicting answers are refused. "
        "`keep`: all, so that splits can share questions.",
    )
    shuffled_before: list[Annotated[int, Field(ge=0)]] = Field(
        [],
        description="Sizes of the lists that the same generator shuffled before this one. A script "
        "that seeds once and then shuffles several files gives each an order that depends on how "
        "many questions those before it held.",
    )


class ModelWrittenBehaviour(FileBehaviour, DrawnBehaviour):
    """Questions of the model-written evals (an object a line or a JSON list: `question`,
    `answer_matching_behavior`, `answer_not_matching_behavior`), put into the paper's format."""

    source: Literal["model-written-evals"]


class PreparedBehaviour(FileBehaviour):
    """Questions that are in the paper's format already, in a file of the same kind: as the authors
    prepared them."""

    source: Literal["prepared"]


class PairsBehaviour(OfFile, DrawnBehaviour):
    """Pairs of texts of which one shows the behaviour, in files of records: they differ in what
    follows a prompt, in the system prompt, or, without a prompt, altogether."""

    source: Literal["pairs"]
    prompt: str | None = Field(
        None, description="Field of the prompt that both share; left out where whole texts differ."
    )
    matching: str | None = Field(
        None,
        description="Field of the answer or completion that shows the behaviour, or without "
        "`prompt` of the whole text; `a.b` is b in a.",
    )
    not_matching: str | None = Field(None, description="Field of the other one.")
    system_matching: str | None = Field(
        None, description="Field of the system prompt of the side that shows the behaviour."
    )
    system_not_matching: str | None = Field(None, description="Field of that of the other side.")

    @property
    def has_system(self) -> bool:
        return self.system_matching is not None

    @property
    def answered(self) -> bool:
        return self.prompt is not None and self.matching is not None

    @property
    def prompted(self) -> bool:
        return self.prompt is not None

    @model_validator(mode="after")
    def _of_two_sides(self) -> Self:
        for field in ("matching", "system_matching"):
            other = field.replace("matching", "not_matching")
            if (getattr(self, field) is None) != (getattr(self, other) is None):
                raise ValueError(f"give both {field} and {other}, or neither")
        if self.matching is None and self.system_matching is None:
            raise ValueError(
                "names no two sides; give matching and not_matching, or system_matching and "
                "system_not_matching"
            )
        if self.matching is None and self.prompt is None:
            raise ValueError("names no text; give the field of the prompt")
        return self


class CrossedBehaviour(OfFile):
    """Prompts crossed with pairs of answers, of which each split has its own, in a YAML file: held
    out are so the prompts and the wordings alike."""

    source: Literal["crossed"]
    train: NoneOrMore = Field(100, description="Questions in the training split.")
    validation: NoneOrMore = Field(100, description="Questions in the validation split.")
    test: Count = Field(200, description="Questions in the test split.")


class ItemsBehaviour(OfFile, DrawnBehaviour):
    """Items of a task in files of records: a prompt, few-shot examples included as they stand, two
    or more texts that may follow it, and which of them is right."""

    source: Literal["items"]
    train: NoneOrMore = Field(0, description="Items in the training split.")
    validation: NoneOrMore = Field(
        0,
        description="Items after those; the rest, all unless you say otherwise, is the test split.",
    )
    questions: Annotated[int, Field(ge=1)] = Field(
        1000, description="Items drawn at most; all if there are fewer."
    )
    prompt: str = Field(description="Field of the prompt; `a.b` is b in a.")
    choices: str | Annotated[list[str], Field(min_length=2), Distinct] | None = Field(
        None,
        description="Field that holds the list of choices, or a list of fields that hold one each.",
    )
    answers: Annotated[list[str], Field(min_length=2), Distinct] | None = Field(
        None,
        description="In place of `choices`: the choices of every item as they stand, such as "
        "`[A, B, C, D]` where the prompt has their texts.",
    )
    matching: str = Field(
        description="Which choice is right: one of the fields in `choices`, or else a field that "
        "holds its text, its label, its number, or a list with 1 for it and 0 for the others."
    )
    labels: str | None = Field(
        None,
        description="Field that holds the list of the choices' labels, of which `matching` is one.",
    )
    counted_from: Literal[0, 1] = Field(0, description="Number of the first choice.")
    duplicates: Duplicates = Field(
        "drop",
        description="`drop`: an item that stands in the file several times counts once, before any "
        "is drawn; the log says how many are dropped. `keep`: all.",
    )

    @property
    def choices_at_most(self) -> int:
        named = self.answers or self.choices
        return len(named) if isinstance(named, list) else SEVERAL_CHOICES

    @model_validator(mode="after")
    def _has_choices(self) -> Self:
        if (self.choices is None) == (self.answers is None):
            raise ValueError("give either choices, the fields that hold them, or answers")
        if "" in (self.answers or ()):
            raise ValueError("answers has an empty one; fill it, or leave it out")
        return self


Behaviour = Annotated[
    GeneratedBehaviour
    | ModelWrittenBehaviour
    | PreparedBehaviour
    | PairsBehaviour
    | CrossedBehaviour
    | ItemsBehaviour,
    Field(discriminator="source"),
]
BEHAVIOURS: tuple[type[BehaviourEntry], ...] = get_args(get_args(Behaviour)[0])
