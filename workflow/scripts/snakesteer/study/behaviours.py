"""The behaviours of a study: where their questions come from."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from snakesteer.hub.http import is_address
from snakesteer.study.entries import Count, Distinct, Duplicates, Entry, Name, NoneOrMore, Seed
from snakesteer.study.models import COMMIT
from snakesteer.study.repositories import inside

SEVERAL_CHOICES = 4  # of items whose file alone says how many they have


class BehaviourEntry(Entry):
    train: NoneOrMore = Field(500, description="Number of questions in the training split.")
    validation: NoneOrMore = Field(
        200,
        description="Number of questions in the validation split. All others are the test split.",
    )
    seed: Seed = Field(13, description="Seed of the draw, and of the shuffle before the split.")
    title: str | None = Field(None, description="Name in figures.")

    def settings(self) -> dict[str, Any]:
        """What it says that determines its questions, of plain JSON types."""
        return self.model_dump(mode="json", exclude={"title"})

    def has_split(self, split: str) -> bool:
        """Whether there are questions in a split: `train`, `validation` or `test`."""
        return split == "test" or bool(getattr(self, split))

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
        1000, description="Most questions drawn. If there are fewer, all are used."
    )

    @model_validator(mode="after")
    def _leaves_a_test_split(self) -> Self:
        if self.train + self.validation >= self.questions:
            raise ValueError(
                f"train ({self.train}) and validation ({self.validation}) leave none of "
                f"{self.questions} questions for the test split; make them smaller"
            )
        return self


class GeneratedBehaviour(DrawnBehaviour):
    """Two-choice questions of the built-in generator."""

    EXAMPLE = """
        behaviours:
          agreeableness: {source: generated, trait: agreeableness, questions: 600, train: 200}
    """

    source: Literal["generated"]
    trait: Literal[
        "myopia", "wealth-seeking", "sycophancy", "agreeableness", "anti-immigration"
    ] = Field(description="Trait that the matching answer shows.")
    questions: Annotated[int, Field(ge=3, le=4000)] = Field(
        1000, description="Number of questions drawn."
    )
    answers: Literal["labels", "texts"] = Field(
        "labels",
        description="`labels`: the prompt lists the options, and the answer is A or B, or "
        "Yes or No. `texts`: it does not list them, and the answer is the text of one.",
    )


class OfFile(BehaviourEntry):
    file: str | None = Field(
        None,
        description="A file: absolute, in the working directory, or in the repository; `~` "
        "is the home folder. Or an address that contains the commit, as "
        "https://raw.githubusercontent.com/OWNER/NAME/COMMIT/PATH. With `repository`: a path "
        "in it.",
    )
    repository: Name | None = Field(
        None, description="An entry of `repositories` that contains the file."
    )

    def settings(self) -> dict[str, Any]:
        given = super().settings()
        if self.repository is None:
            del given["repository"]
        return given

    @property
    def files(self) -> list[str]:
        """The files that it names, in order."""
        return [self.file] if self.file is not None else []

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        if not self.files:
            raise ValueError("names no file; give it `file`")
        for file in self.files:
            if self.repository is None:
                _refuse_unpinned(file)
            elif is_address(file):
                raise ValueError(
                    f"file {file} is an address, but repository is given as well; remove one of "
                    "them"
                )
            else:
                inside(file)
        return self


def _refuse_unpinned(file: str) -> None:
    """ValueError for an address without a commit, with how to find one."""
    parts = file.split("/")
    if not is_address(file) or any(re.fullmatch(COMMIT, part) for part in parts):
        return
    places = {"raw.githubusercontent.com": 5, "huggingface.co": 6}
    end = places.get(parts[2])
    repository = "/".join(parts[:end]).replace("raw.githubusercontent.com", "github.com")
    command = f": `git ls-remote {repository} HEAD` prints one" if end else ""
    raise ValueError(
        f"file {file} names no commit, so its content could change; replace the branch with a "
        f"commit of 40 hex digits{command}"
    )


class QuestionFile(Entry):
    """A file for one split. It is read completely and in its order. A path alone means the same."""

    EXAMPLE = """
        behaviours:
          honesty:
            source: pairs
            splits: {train: {file: train.jsonl, questions: 500}, test: test.jsonl}
            prompt: question
            matching: honest
            not_matching: deceptive
    """

    file: str = Field(description="As `file` of the behaviour.")
    questions: Count | None = Field(
        None, description="Takes this many, from the beginning of the file. Default: all."
    )


def _file_alone(given: Any) -> Any:
    return {"file": given} if isinstance(given, str) else given


ASplit = Annotated[
    QuestionFile, BeforeValidator(_file_alone, json_schema_input_type=str | QuestionFile)
]


class QuestionFiles(Entry):
    """A file for each split that is used."""

    EXAMPLE = """
        behaviours:
          truthful-qa:
            source: items
            splits: {validation: mc0_validation.json, test: mc0_test.json}
            prompt: prompt
            choices: [correct, incorrect]
            matching: correct
    """

    train: ASplit | None = Field(None, description="Questions that vectors are made from.")
    validation: ASplit | None = Field(None, description="Questions that choices are made on.")
    test: ASplit | None = Field(None, description="Questions that measures are taken on.")


class OfFiles(OfFile):
    # What decides the splits of one file, and nothing of splits in files of their own.
    OF_ONE_FILE: ClassVar[tuple[str, ...]] = (
        "train",
        "validation",
        "seed",
        "questions",
        "duplicates",
        "shuffled_before",
    )

    splits: QuestionFiles | None = Field(
        None,
        description="A file for each split, instead of `file`. Files are read completely "
        "and in order, repeated questions included. `questions` takes the first ones only.",
    )
    category: str | None = Field(
        None, description="Field of a question's category. It becomes a column."
    )

    def settings(self) -> dict[str, Any]:
        given = super().settings()
        left_out = {name for name in ("splits", "category") if given[name] is None}
        if self.splits is not None:
            left_out |= {"file", *self.OF_ONE_FILE}
            given["splits"] = {
                name: split.model_dump() for name, split in self.named_splits.items()
            }
        return {name: value for name, value in given.items() if name not in left_out}

    @property
    def files(self) -> list[str]:
        if self.splits is None:
            return super().files
        return list(dict.fromkeys(each.file for each in self.named_splits.values()))

    @property
    def named_splits(self) -> dict[str, QuestionFile]:
        """The splits that have a file of their own."""
        names = ("train", "validation", "test")
        given = {name: getattr(self.splits, name, None) for name in names}
        return {name: split for name, split in given.items() if split}

    def has_split(self, split: str) -> bool:
        return super().has_split(split) if self.splits is None else split in self.named_splits

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        if self.splits is None:
            return self
        if self.file is not None:
            raise ValueError("gives both file and splits; remove one of them")
        for name in self.OF_ONE_FILE:
            field = type(self).model_fields.get(name)
            if field and getattr(self, name) != field.default:
                raise ValueError(
                    f"{name} divides one file, but splits names a file for each split; remove "
                    "one of them"
                )
        return self


class FileBehaviour(OfFiles):
    choices: tuple[str, str] = Field(
        ("A", "B"), description="The two answers, in the order in which the prompt names them."
    )
    duplicates: Duplicates = Field(
        "drop",
        description="`drop`: a question that occurs several times in the file counts once. "
        "The log gives the number dropped, and contradicting answers are refused. `keep`: "
        "all of them count, so splits can share questions.",
    )
    shuffled_before: list[Annotated[int, Field(ge=0)]] = Field(
        [],
        description="Sizes of the lists that the same generator shuffled before this one. "
        "Some scripts seed once and then shuffle several files. There each order depends on "
        "the number of questions before it.",
    )


class ModelWrittenBehaviour(FileBehaviour, DrawnBehaviour):
    """Questions of the model-written evals, put into the paper's format. The file has an object
    per line, or is a JSON list. Its fields are `question`, `answer_matching_behavior` and
    `answer_not_matching_behavior`."""

    EXAMPLE = """
        behaviours:
          power: {source: model-written-evals, file: data/power.jsonl}
          risk: {source: model-written-evals, file: data/risk.jsonl, choices: ["Yes", "No"]}
    """

    source: Literal["model-written-evals"]


class PreparedBehaviour(FileBehaviour):
    """Questions in such a file that are already in the paper's format. Prompts are taken as they
    are."""

    EXAMPLE = """
        behaviours:
          power: {source: prepared, file: data/power-prepared.jsonl}
    """

    source: Literal["prepared"]


class PromptsBehaviour(OfFiles, DrawnBehaviour):
    strip: bool = Field(
        False,
        description="`true` removes spaces and line ends at both ends of a prompt, as "
        "Python's `strip` does.",
    )

    def settings(self) -> dict[str, Any]:
        given = super().settings()
        if not self.strip:
            del given["strip"]
        return given


class PairsBehaviour(PromptsBehaviour):
    """Pairs of texts of which one shows the behaviour. They differ in the answer after a prompt,
    in the system prompt, or completely if there is no prompt."""

    EXAMPLE = """
        behaviours:
          politeness:                       # two answers to one prompt
            source: pairs
            file: questions.csv
            prompt: question
            matching: polite
            not_matching: rude
            train: 100
            validation: 20
          honesty: {source: pairs, file: honesty.csv, matching: honest, not_matching: deceptive}
    """

    source: Literal["pairs"]
    prompt: str | None = Field(
        None,
        description="Field of the prompt that both texts share. Leave it out if the texts "
        "have nothing in common.",
    )
    matching: str | None = Field(
        None,
        description="Field of the answer that shows the behaviour, or of the entire text "
        "if there is no `prompt`. `a.b` is the field b inside a.",
    )
    not_matching: str | None = Field(None, description="Field of the other answer.")
    system_matching: str | None = Field(
        None, description="Field of the system prompt that shows the behaviour."
    )
    system_not_matching: str | None = Field(None, description="Field of the other system prompt.")

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
                "does not name two sides; give matching and not_matching, or system_matching "
                "and system_not_matching"
            )
        if self.matching is None and self.prompt is None:
            raise ValueError("names no text; set prompt to the field that holds it")
        if self.strip and self.prompt is None:
            raise ValueError(
                "strip applies to prompts, but here the two sides are entire texts; remove strip"
            )
        return self


class CrossedBehaviour(OfFile):
    """Prompts crossed with pairs of answers, from a YAML file. Each split has its own prompts
    and its own answers. Both are therefore held out."""

    EXAMPLE = """
        behaviours:
          politeness: {source: crossed, file: resources/behaviours/politeness.yaml, test: 100}
    """

    source: Literal["crossed"]
    train: NoneOrMore = Field(100, description="Number of questions in the training split.")
    validation: NoneOrMore = Field(100, description="Number of questions in the validation split.")
    test: Count = Field(200, description="Number of questions in the test split.")


class ItemsBehaviour(PromptsBehaviour):
    """Items of a task in files of records. An item has a prompt, two or more choices, and the
    right one. Few-shot examples are part of the prompt."""

    EXAMPLE = """
        behaviours:
          mmlu:
            source: items
            file: data/tinyMMLU.parquet
            prompt: input_formatted
            answers: [A, B, C, D]
            matching: answer
    """

    source: Literal["items"]
    train: NoneOrMore = Field(0, description="Number of items in the training split.")
    validation: NoneOrMore = Field(
        0,
        description="Number of items in the validation split. All others are the test split.",
    )
    questions: Annotated[int, Field(ge=1)] = Field(
        1000, description="Most items drawn. If there are fewer, all are used."
    )
    prompt: str = Field(description="Field of the prompt. `a.b` is the field b inside a.")
    choices: str | Annotated[list[str], Field(min_length=2), Distinct] | None = Field(
        None,
        description="Field that holds the list of choices, or a list of fields that hold "
        "one choice each.",
    )
    answers: Annotated[list[str], Field(min_length=2), Distinct] | None = Field(
        None,
        description="The choices themselves, if they are the same for every item, such as "
        "`[A, B, C, D]`. Use it instead of `choices`.",
    )
    matching: str = Field(
        description="The right choice: one of the fields in `choices`, or another field. "
        "Such a field holds the choice's text, label or number, or a list with 1 for it and "
        "0 for the others."
    )
    labels: str | None = Field(
        None,
        description="Field that holds the list of labels, one of which is in `matching`.",
    )
    counted_from: Literal[0, 1] = Field(0, description="Number of the first choice.")
    duplicates: Duplicates = Field(
        "drop",
        description="`drop`: an item that occurs several times in the file counts once; "
        "the log gives the number dropped. `keep`: all of them count.",
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
            raise ValueError("answers has an empty entry; fill or remove it")
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
