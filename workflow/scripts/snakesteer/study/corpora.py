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
    """Which records are documents: those where a field has, or does not have, one value."""

    EXAMPLE = """
        corpora:
          github:
            source: files
            splits: {train: {files: [train.jsonl]}, validation: {files: [val.jsonl]}}
            filter: {field: meta.set, equal: GitHub}
            train: 1000
            validation: 100
    """

    field: str = Field(description="Name of a field. `meta.set` is the field `set` inside `meta`.")
    equal: Scalar | None = Field(None, description="Value that the field must have.")
    not_equal: Scalar | None = Field(None, description="Value that the field must not have.")

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        if (self.equal is None) == (self.not_equal is None):
            raise ValueError("give either equal or not_equal")
        return self


class Shuffle(Entry):
    """The order of records. With a buffer, first the files are shuffled, then each record is
    drawn from the next `buffer` ones. Only the files, the seed and the buffer decide the order.
    It is the order of `datasets` 2. With `buffer: null` it is the order in which
    `Dataset.shuffle` puts a table."""

    EXAMPLE = """
        corpora:
          requests: {shuffle: {seed: 7, buffer: null}}
    """

    seed: Seed = Field(13, description="Seed of the order.")
    buffer: Count | None = Field(
        1000,
        description="Records held at a time. `null` holds all and shuffles them at once.",
    )


class Drawn(Entry):
    """One draw that a generator makes before that of a split. The files are read like the
    corpus's own."""

    EXAMPLE = """
        corpora:
          harmless:
            source: files
            field: instruction
            splits: {train: {files: [train.json]}, validation: {files: [val.json]}}
            sample:
              seed: 42
              before: {validation: [{files: [harmful.json], documents: 128}]}
            train: 128
            validation: 32
    """

    files: Annotated[list[str], Some, Distinct] = Field(
        description="Files that are drawn from. Only the number of documents in them matters."
    )
    documents: Count = Field(description="Number of documents drawn.")


class DrawnBefore(Entry):
    """What a generator draws before a split."""

    EXAMPLE = """
        corpora:
          harmless:
            source: files
            field: instruction
            splits: {train: {files: [train.json]}, validation: {files: [val.json]}}
            sample:
              seed: 42
              before: {train: [{files: [harmful.json], documents: 128}]}
            train: 128
            validation: 32
    """

    train: list[Drawn] = Field([], description="Draws before that of the training split, in order.")
    validation: list[Drawn] = Field(
        [], description="Draws before that of the validation split, in order."
    )


class Sample(Entry):
    """A split drawn by Python's `random.sample` from all texts of its files. Some scripts seed
    once and then draw from several lists. There each draw depends on those before it, which
    `before` lists."""

    EXAMPLE = """
        corpora:
          harmless:
            source: files
            field: instruction
            splits: {train: {files: [train.json]}, validation: {files: [val.json]}}
            sample: {seed: 42}
            train: 128
            validation: 32
    """

    seed: Seed = Field(description="Seed of the generator. Each split has its own generator.")
    before: DrawnBefore = Field(
        DrawnBefore(), description="What the generator draws first, for each split."
    )


class CorpusEntry(Entry):
    """What every corpus says whose documents are drawn from outside."""

    train: Count = Field(description="Number of documents in the training split.")
    validation: Count = Field(description="Number of documents in the validation split.")
    generate: bool = Field(
        True,
        description="`false`: no model ever continues its texts. This also holds for "
        "corpora made from it, and for entries that read files of its splits. A study that "
        "would do so is refused.",
    )
    title: str | None = Field(None, description="Name in figures.")


class InstalledCorpus(CorpusEntry):
    """Documents from the Python packages that are installed with the workflow."""

    EXAMPLE = """
        corpora:
          python: {source: installed, kind: python, train: 400, validation: 48}
    """

    source: Literal["installed"]
    kind: Literal["text", "code", "python", "all"] = Field(
        description="`text`: prose. `code`: half Python, half other languages. `python`: "
        "Python. `all`: a mix."
    )


class HubSplit(Entry):
    """A split in data files of a dataset repository of the hub."""

    EXAMPLE = """
        corpora:
          pile:
            source: hub
            splits:
              train: &pile
                repository: monology/pile-uncopyrighted
                revision: 3be90335b66f24456a5d6659d9c8d208c0357119
                files: [train/*.jsonl.zst]
              validation: {<<: *pile, files: [val.jsonl.zst]}
            train: 10000
            validation: 1000
    """

    repository: Repository = Field(description="OWNER/NAME of the dataset.")
    revision: str = Field(
        description="Commit of that repository, 40 hex digits. `git ls-remote "
        "https://huggingface.co/datasets/OWNER/NAME HEAD` prints it."
    )
    files: Annotated[list[str], Some, Distinct] = Field(
        description="Data files, or patterns such as `train/*.jsonl.zst`, as the dataset's "
        "page lists them. Their endings decide how they are read, as for files on this "
        "machine."
    )
    skip: Annotated[int, Field(ge=0)] = Field(
        0, description="Documents to skip first. Use it where two splits read the same files."
    )

    @model_validator(mode="before")
    @classmethod
    def _pinned(cls, data: object) -> object:
        if isinstance(data, dict) and isinstance(data.get("repository"), str):
            pinned(data.get("revision"), f"{HUB}/datasets/{data['repository']}")
        return data


class FilesSplit(Entry):
    """A split in files on this machine."""

    EXAMPLE = """
        corpora:
          notes:
            source: files
            splits:
              train: {files: [notes.jsonl]}
              validation: {files: [notes.jsonl], skip: 200}   # the documents after the first 200
            train: 200
            validation: 50
    """

    files: Annotated[list[str], Some, Distinct] = Field(
        description="Files, patterns such as `*.jsonl.zst`, or folders: absolute, in the "
        "working directory, or in the repository. `~` is the home folder. `.jsonl`, "
        "`.jsonlines`, `.ndjson` and `.json` hold an object per line or a list of objects. "
        "`.parquet`, `.csv` and `.tsv` hold a record per row. A `.txt` or `.md` file is one "
        "document. All but Parquet can be compressed (`.gz`, `.zst`). A folder stands for "
        "all such files below it."
    )
    skip: Annotated[int, Field(ge=0)] = Field(
        0, description="Documents to skip first. Use it where two splits read the same files."
    )


class RepositorySplit(Entry):
    """A split in files of a repository at its commit."""

    EXAMPLE = """
        repositories:
          data: {source: ../data, commit: 48fe8dccfdf35ac60856ec2842952e19fac98f4c}
        corpora:
          asked:
            source: repository
            repository: data
            splits: {train: {files: [asked.json]}, validation: {files: [asked.json], skip: 128}}
            train: 128
            validation: 32
    """

    files: Annotated[list[PathInside], Some, Distinct] = Field(
        description="Paths in the repository. Their endings decide how they are read, as "
        "for files on this machine."
    )
    skip: Annotated[int, Field(ge=0)] = Field(
        0, description="Documents to skip first. Use it where two splits read the same files."
    )


Split = TypeVar("Split", HubSplit, FilesSplit, RepositorySplit)


class Splits(Entry, Generic[Split]):
    train: Split = Field(description="The training split.")
    validation: Split = Field(description="The validation split.")

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """`HubSplits`, the name that the reference prints."""
        return f"{params[0].__name__}s"


class Records(CorpusEntry, Generic[Split]):
    splits: Splits[Split] = Field(description="Where `train` and `validation` are read.")
    field: str = Field(
        "text", description="Field that holds a document's text. `a.b` is the field b inside a."
    )
    completion: str | None = Field(
        None,
        description="Field that holds what follows the text, if the text is an "
        "instruction. The format of the activations joins the two. Records without it are "
        "skipped.",
    )
    strip: bool = Field(
        False,
        description="`true` removes spaces and line ends at both ends of a text, as "
        "Python's `strip` does. Completions stay as they are.",
    )
    filter: Filter | None = Field(None, description="Which records count. Default: all.")
    min_characters: Count = Field(
        1, description="Fewest characters of a document. Shorter records are skipped."
    )
    final_newline: Literal["strip", "keep"] = Field(
        "strip",
        description="`strip` removes the line ends after the last line of a file that is "
        "one document (`.txt`, `.md`). `keep` leaves them. Texts in records stay as they are.",
    )
    duplicates: Duplicates = Field(
        "drop",
        description="`drop` skips a validation document whose text is also in the training "
        "split; the log gives the number. `keep` leaves both splits as they are drawn.",
    )
    shuffle: Shuffle | Literal[False] = Field(
        Shuffle(), description="Order of the records. `false` keeps the order of the source."
    )


class HubCorpus(Records[HubSplit]):
    """Documents streamed from dataset repositories of the hub. Each is pinned to a commit."""

    EXAMPLE = """
        corpora:
          github:
            source: hub
            splits:
              train: &pile
                repository: monology/pile-uncopyrighted
                revision: 3be90335b66f24456a5d6659d9c8d208c0357119
                files: [train/*.jsonl.zst]
              validation: {<<: *pile, files: [val.jsonl.zst]}
            filter: {field: meta.pile_set_name, equal: Github}
            train: 10000
            validation: 1000
    """

    source: Literal["hub"]


class SampledRecords(Records[Split], Generic[Split]):
    sample: Sample | None = Field(
        None,
        description="Draws each split with `random.sample`, instead of `shuffle`. A draw "
        "is never changed. With `duplicates: drop`, a draw that repeats a text of the "
        "training split is refused.",
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
                    f"splits.{name}.skip is for documents read in order, but sample draws at "
                    "random; remove one of them"
                )
        return self


class FilesCorpus(SampledRecords[FilesSplit]):
    """Documents in files on this machine."""

    EXAMPLE = """
        corpora:
          letters:
            source: files
            splits: {train: {files: [letters-train]}, validation: {files: [letters-test]}}
            train: 300
            validation: 60
          reviews:
            source: files
            field: review
            splits: {train: {files: [reviews.csv]}, validation: {files: [reviews.csv], skip: 300}}
            train: 300
            validation: 60
    """

    source: Literal["files"]


class RepositoryCorpus(SampledRecords[RepositorySplit]):
    """Documents in files of a repository at its commit."""

    EXAMPLE = """
        repositories:
          data: {source: ../data, commit: 48fe8dccfdf35ac60856ec2842952e19fac98f4c}
        corpora:
          harmless:
            source: repository
            repository: data
            field: instruction
            splits: {train: {files: [splits/train.json]}, validation: {files: [splits/val.json]}}
            train: 128
            validation: 32
    """

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
    """Documents of another corpus that the unsteered model answers in one way. Their log-odds of
    the first token lie above, or below, a bound. Both splits are selected."""

    EXAMPLE = """
        corpora:
          refused:
            source: selected
            of: requests
            model: chat
            format: chat
            tokens: [I]
            above: 0
    """

    source: Literal["selected"]
    of: Name = Field(description="Corpus to select from.")
    model: Name = Field(description="Model that answers.")
    format: Name | Format = Field(PLAIN, description=FORMAT)
    max_tokens: Count | None = Field(None, description=CUT)
    measure: Literal["first_token"] = Field(
        "first_token",
        description="What decides, as in a sweep. It is taken at the last token of the prompt.",
    )
    tokens: FirstTokens = Field(description=FIRST_TOKENS)
    epsilon: Epsilon = Field(0.0, description=EPSILON.format("1e-8"))
    above: Number | None = Field(None, description="Keeps documents with higher log-odds, in nats.")
    below: Number | None = Field(None, description="Keeps documents with lower log-odds, in nats.")
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
