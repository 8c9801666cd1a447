"""The corpora of a study: where their documents come from."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, Self, TypeVar, get_args

from pydantic import Field, model_validator

from snakesteer.prompts.formats import PLAIN
from snakesteer.study.entries import (
    CUT,
    Count,
    Distinct,
    Duplicates,
    Entry,
    Name,
    Number,
    Scalar,
    Seed,
    Some,
)
from snakesteer.study.formats import FORMAT, Format
from snakesteer.study.models import HUB, Repository, pinned
from snakesteer.study.repositories import PathInside, inside
from snakesteer.study.tokens import EPSILON, FIRST_TOKENS, Epsilon, FirstTokens


class Filter(Entry):
    """Which records are documents of a corpus: those that have, or have not, one value."""

    field: str = Field(description="Name of a field; `meta.pile_set_name` looks inside `meta`.")
    equal: Scalar | None = Field(None, description="Value that the field must have.")
    not_equal: Scalar | None = Field(None, description="Value that the field must not have.")

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        if (self.equal is None) == (self.not_equal is None):
            raise ValueError("give either equal or not_equal")
        return self


class Shuffle(Entry):
    """A stream's order: first its files are shuffled, then every record is drawn from a buffer of
    the next ones. Files, seed and buffer alone decide it, and it is the order of `datasets` 2,
    with which the paper's documents were drawn. Or, without a buffer, the order of its tables."""

    seed: Seed = 13
    buffer: Count | None = Field(
        1000,
        description="Records held at a time. `null`: all, which are shuffled at once, as "
        "`Dataset.shuffle` does those of a table.",
    )


class Drawn(Entry):
    """A draw that a generator makes before that of a split: so many documents of the texts in these
    files, which are read as the corpus's own."""

    files: Annotated[list[str], Some, Distinct] = Field(
        description="Files where the corpus's own lie; how many documents they hold counts."
    )
    documents: Count = Field(description="Documents drawn of them.")


class DrawnBefore(Entry):
    train: list[Drawn] = Field([], description="Draws before that of the training split, in order.")
    validation: list[Drawn] = Field([], description="Draws before that of the validation split.")


class Sample(Entry):
    """A split drawn by Python's `random.sample` from all texts of its files. A script that seeds
    once and then draws from several lists gives each a draw that depends on those before it."""

    seed: Seed = Field(description="Of a generator of each split's own.")
    before: DrawnBefore = Field(
        DrawnBefore(), description="What the generator draws first, for each split, as below."
    )


class CorpusEntry(Entry):
    """What every corpus says whose documents are drawn from outside."""

    train: Count = Field(description="Documents in the training split.")
    validation: Count = Field(description="Documents in the validation split.")
    generate: bool = Field(
        True,
        description="`false`: no model ever goes on from its texts, nor from those of a corpus "
        "that is made of it, or of what else reads files of its splits; a study in which one would "
        "is refused.",
    )
    title: str | None = Field(None, description="Name in figures.")


class InstalledCorpus(CorpusEntry):
    """Documents of the Python packages that this workflow is installed with."""

    source: Literal["installed"]
    kind: Literal["text", "code", "python", "all"] = Field(
        description="Prose; program code, half Python and half other languages; Python; or a mix."
    )


class HubSplit(Entry):
    """Where a split of a corpus is read: data files of a dataset repository of the hub."""

    repository: Repository = Field(description="OWNER/NAME of the dataset.")
    revision: str = Field(
        description="Commit of that repository, 40 hex digits, as "
        "`git ls-remote https://huggingface.co/datasets/OWNER/NAME HEAD` prints it."
    )
    files: Annotated[list[str], Some, Distinct] = Field(
        description="Data files of that repository, or patterns (`train/*.jsonl.zst`), as its page "
        "lists them; their endings say how they are read, as for files on this machine."
    )
    skip: Annotated[int, Field(ge=0)] = Field(
        0, description="Documents passed over first, where two splits are read from one."
    )

    @model_validator(mode="before")
    @classmethod
    def _pinned(cls, data: object) -> object:
        if isinstance(data, dict) and isinstance(data.get("repository"), str):
            pinned(data.get("revision"), f"{HUB}/datasets/{data['repository']}")
        return data


class FilesSplit(Entry):
    """Where a split of a corpus is read: files on this machine."""

    files: Annotated[list[str], Some, Distinct] = Field(
        description="Files, patterns (`*.jsonl.zst`) or folders: absolute, in the working "
        "directory, or in the repository; `~` is the home folder. `.jsonl`, `.jsonlines`, "
        "`.ndjson` and `.json` hold an object a line or a list of objects, `.parquet`, `.csv` and "
        "`.tsv` a record a row, `.txt` and `.md` are a document each; all but Parquet may be "
        "compressed (`.gz`, `.zst`). Of a folder, all of these below it."
    )
    skip: Annotated[int, Field(ge=0)] = Field(
        0, description="Documents passed over first, where two splits are read from one."
    )


class RepositorySplit(Entry):
    """Where a split of a corpus is read: files of a repository at its commit."""

    files: Annotated[list[PathInside], Some, Distinct] = Field(
        description="Paths in the repository; their endings say how they are read, as for files "
        "on this machine."
    )
    skip: Annotated[int, Field(ge=0)] = Field(
        0, description="Documents passed over first, where two splits are read from one."
    )


Split = TypeVar("Split", HubSplit, FilesSplit, RepositorySplit)


class Splits(Entry, Generic[Split]):
    train: Split
    validation: Split

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """`HubSplits`, the name that the reference prints."""
        return f"{params[0].__name__}s"


class Records(CorpusEntry, Generic[Split]):
    splits: Splits[Split] = Field(description="Where `train` and `validation` are read, as below.")
    field: str = Field("text", description="Field that holds a document's text; `a.b` is b in a.")
    completion: str | None = Field(
        None,
        description="Field that holds what follows the text, where that is an instruction, in the "
        "format of its activations. Records without it are skipped.",
    )
    strip: bool = Field(
        False,
        description="`true`: spaces and line ends at both ends of a text are taken off, as "
        "Python's `strip` does; completions stay as they are.",
    )
    filter: Filter | None = Field(None, description="Records that count; all if left out.")
    min_characters: Count = Field(
        1, description="Characters that a document has at least; shorter records are passed over."
    )
    final_newline: Literal["strip", "keep"] = Field(
        "strip",
        description="Whether a file that is one document (`.txt`, `.md`) loses the line ends after "
        "its last line. Texts in records stay as they are.",
    )
    duplicates: Duplicates = Field(
        "drop",
        description="`drop`: a validation document whose text is in the training split is skipped; "
        "the log says how many. `keep`: both splits as they are drawn.",
    )
    shuffle: Shuffle | Literal[False] = Field(
        Shuffle(), description="`false` keeps the order of the source."
    )


class HubCorpus(Records[HubSplit]):
    """Documents streamed from dataset repositories of the hub, each pinned to a commit."""

    source: Literal["hub"]


class SampledRecords(Records[Split], Generic[Split]):
    sample: Sample | None = Field(
        None,
        description="In place of `shuffle`: each split is drawn by `random.sample`. A draw is "
        "never changed: with `duplicates: drop`, one with a text of the training split is refused.",
    )

    @model_validator(mode="before")
    @classmethod
    def _in_place_of_shuffle(cls, data: object) -> object:
        if not isinstance(data, dict) or data.get("sample") is None:
            return data
        if data.get("shuffle", False) is not False:
            raise ValueError("gives both sample and shuffle; remove one of them")
        return {**data, "shuffle": False}

    @model_validator(mode="after")
    def _from_all_texts(self) -> Self:
        for name in ("train", "validation"):
            if self.sample and getattr(self.splits, name).skip:
                raise ValueError(
                    f"splits.{name}.skip is for documents in their order, and sample draws from "
                    "all; remove one of them"
                )
        return self


class FilesCorpus(SampledRecords[FilesSplit]):
    """Documents in files on this machine."""

    source: Literal["files"]


class RepositoryCorpus(SampledRecords[RepositorySplit]):
    """Documents in files of a repository at its commit."""

    source: Literal["repository"]
    repository: Name = Field(description="An entry of `repositories`.")

    @model_validator(mode="after")
    def _before_inside(self) -> Self:
        before = self.sample.before if self.sample else DrawnBefore()
        for drawn in (*before.train, *before.validation):
            for path in drawn.files:
                inside(path)
        return self


class SelectedCorpus(Entry):
    """The documents of another corpus, of both splits, that the unsteered model answers in one way:
    those whose log-odds of the first token lie above, or below, a bound."""

    source: Literal["selected"]
    of: Name = Field(description="Corpus whose documents are kept or left out.")
    model: Name = Field(description="Model that is asked.")
    format: Name | Format = Field(PLAIN, description=FORMAT)
    max_tokens: Count | None = Field(None, description=CUT)
    measure: Literal["first_token"] = Field(
        "first_token", description="What decides, as in a sweep: at the last token of the prompt."
    )
    tokens: FirstTokens = Field(description=FIRST_TOKENS)
    epsilon: Epsilon = Field(0.0, description=EPSILON.format("1e-8"))
    above: Number | None = Field(None, description="Keep documents with higher log-odds, in nats.")
    below: Number | None = Field(None, description="Keep documents with lower ones.")
    title: str | None = Field(None, description="Name in figures.")

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError("give either above or below")
        return self

    @property
    def asked(self) -> dict[str, Any]:
        """The settings of its measure."""
        return self.model_dump(include={"tokens", "epsilon"})


Corpus = Annotated[
    InstalledCorpus | HubCorpus | FilesCorpus | RepositoryCorpus | SelectedCorpus,
    Field(discriminator="source"),
]
CORPORA: tuple[type[Entry], ...] = get_args(get_args(Corpus)[0])
