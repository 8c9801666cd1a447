"""The behaviours of a study: where their questions come from."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from snakesteer.hub.http import is_address
from snakesteer.study.entries import Count, Duplicates, Entry, Seed
from snakesteer.study.models import COMMIT


class BehaviourEntry(Entry):
    train: Count = Field(500, description="Questions in the training split.")
    validation: Count = Field(200, description="Questions after those; the rest is the test split.")
    seed: Seed = Field(13, description="Seed of the draw and of the shuffle before the split.")
    title: str | None = Field(None, description="Name in figures.")


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


class FileBehaviour(BehaviourEntry):
    file: str = Field(
        description="A file (absolute, in the working directory, or in the repository; `~` is the "
        "home folder), or an address with the commit in it, as "
        "https://raw.githubusercontent.com/OWNER/NAME/COMMIT/PATH."
    )
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


class ModelWrittenBehaviour(FileBehaviour, DrawnBehaviour):
    """Questions of the model-written evals (an object a line or a JSON list: `question`,
    `answer_matching_behavior`, `answer_not_matching_behavior`), put into the paper's format."""

    source: Literal["model-written-evals"]


class PreparedBehaviour(FileBehaviour):
    """Questions that are in the paper's format already, in a file of the same kind: as the authors
    prepared them."""

    source: Literal["prepared"]


Behaviour = Annotated[
    GeneratedBehaviour | ModelWrittenBehaviour | PreparedBehaviour, Field(discriminator="source")
]
BEHAVIOURS: tuple[type[BehaviourEntry], ...] = get_args(get_args(Behaviour)[0])
