"""The corpora of a study: where their documents come from."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, Self, TypeVar, get_args

from pydantic import Field, model_validator

from snakesteer.study.entries import Count, Distinct, Duplicates, Entry, Scalar, Seed, Some
from snakesteer.study.models import HUB, Repository, pinned


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
    with which the paper's documents were drawn."""

    seed: Seed = 13
    buffer: Count = Field(1000, description="Records held at a time.")


class CorpusEntry(Entry):
    train: Count = Field(description="Documents in the training split.")
    validation: Count = Field(description="Documents in the validation split.")
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


Split = TypeVar("Split", HubSplit, FilesSplit)


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


class FilesCorpus(Records[FilesSplit]):
    """Documents in files on this machine."""

    source: Literal["files"]


Corpus = Annotated[InstalledCorpus | HubCorpus | FilesCorpus, Field(discriminator="source")]
CORPORA: tuple[type[CorpusEntry], ...] = get_args(get_args(Corpus)[0])
