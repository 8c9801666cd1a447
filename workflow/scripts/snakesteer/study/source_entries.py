"""The schema of what a study starts from: its models, corpora and behaviours.

What comes from the network is pinned to a commit: a study that named a branch would mean something
else after the next push to it.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import Field, StringConstraints, model_validator

from snakesteer.core.dtypes import Dtype
from snakesteer.hub.http import is_address
from snakesteer.study.entries import Count, Distinct, Entry, Seed, Some

COMMIT = r"^[0-9a-f]{40}$"
HUB = "https://huggingface.co"
REPOSITORY = r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$"
Repository = Annotated[str, StringConstraints(pattern=REPOSITORY)]
Scalar = bool | int | float | str


def pinned(revision: object, address: str) -> str:
    """A revision that is a commit; ValueError with the command that prints the current one."""
    if isinstance(revision, str) and re.fullmatch(COMMIT, revision):
        return revision
    given = f"revision {revision} is not a commit" if revision else "revision is missing"
    raise ValueError(f"{given}; pin one of 40 hex digits: `git ls-remote {address} HEAD` prints it")


class Model(Entry):
    """A causal language model."""

    source: str = Field(
        description="Folder in the hub's layout: absolute, in the working directory, or in the "
        "repository; `~` is the home folder. With `revision`: a model of the hub, OWNER/NAME."
    )
    revision: str | None = Field(
        None,
        description="Commit of the model's repository on the hub, 40 hex digits, as "
        "`git ls-remote https://huggingface.co/OWNER/NAME HEAD` prints it.",
    )
    adapter: str | None = Field(
        None,
        description="Folder of an adapter (`adapter_config.json` and `adapter_model.safetensors`, "
        "as `peft` saves them) to merge into the model: absolute, in the working directory, or in "
        "the repository. Needs `peft`, which is not among the pinned packages.",
    )
    layers: Count | None = Field(
        None,
        description="Decoder blocks. Required with `revision`, so that the study can be planned "
        "before the model is there; compared with the model's configuration when it is.",
    )
    context: Count | None = Field(
        None,
        description="Longest input in tokens, for a model of the hub: documents are cut there, and "
        "a larger `max_tokens` is told before anything runs (else when the model's configuration "
        "is there, before its weights are loaded). A folder's configuration says it itself.",
    )
    parameters: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="Billions of parameters of a model of the hub, for what jobs ask of a cluster "
        "and for the bill; 8 if left out. A folder's files say it themselves.",
    )
    bos: Literal["tokenizer", "always", "never"] = Field(
        "tokenizer",
        description="The beginning-of-sequence token before a text: as the `tokenizer` has it when "
        "it is called, `always`, or `never`. A text that begins with it has it once.",
    )
    special_tokens: Literal["token", "text"] = Field(
        "token",
        description="The text of a special token (`</s>`, say) inside a document is that `token`, "
        "or `text` as any other is. Prompts and questions are templates: there it is the token.",
    )
    dtype: Dtype = Field("bfloat16", description="Number format of weights and activations.")
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = Field(
        "auto",
        description="Attention implementation of transformers; `auto`: what it takes for the "
        "architecture.",
    )
    device_map: Literal["auto", "balanced", "sequential"] | None = Field(
        None,
        description="Spread a model that is larger than one GPU over all that the job has, and "
        "that it must fit into; one device if left out.",
    )
    compile: bool = Field(
        False,
        description="Sweep with blocks compiled by `torch.compile`: faster on a GPU, for other "
        "rounding and some ten seconds at the start of each job (a minute with experts). Needs a "
        "C++ compiler where the job runs.",
    )
    batch_tokens: Count | Literal["auto"] = Field(
        4096,
        description="Tokens in a batch, padding included. `auto` tries what the device is fastest "
        "with, at the price of results that differ by rounding from run to run, and of a job that "
        "was cut short beginning anew where it takes another number than before. A batch that does "
        "not fit into memory is halved.",
    )
    kept_gb: Annotated[float, Field(gt=0)] = Field(
        1.0,
        description="Bound on the hidden states kept for the coefficients of a sweep. Documents "
        "are evaluated in blocks whose states it holds.",
    )

    @model_validator(mode="after")
    def _compiled_on_one_device(self) -> Self:
        if self.compile and self.device_map:
            raise ValueError(
                f"compile is true, but device_map is {self.device_map}, and blocks are compiled on "
                "one device only; remove one of them"
            )
        return self

    @model_validator(mode="after")
    def _pinned_and_planned(self) -> Self:
        if self.revision is None:
            return self
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", self.source):
            raise ValueError(
                f"revision is for a model of the hub, but source is {self.source}; name it as "
                "OWNER/NAME, or remove revision if it is a folder"
            )
        pinned(self.revision, f"{HUB}/{self.source}")
        if self.layers is None:
            raise ValueError(
                f"layers is missing; give the number of decoder blocks of {self.source} "
                f"(num_hidden_layers in {HUB}/{self.source}/blob/{self.revision}/config.json)"
            )
        return self


Duplicates = Literal["drop", "keep"]


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
