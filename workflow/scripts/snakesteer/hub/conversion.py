"""A GGUF file, llama.cpp's format, as a model folder in the hub's layout.

transformers reads configuration and weights, which are dequantised to float32: that holds every
value that the blocks of a quantised tensor stand for. The tokenizer is made here
(`gguf_tokenizer`), as transformers passes over the pre-tokenizer that the file names.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader
from safetensors.torch import save
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.modeling_gguf_pytorch_utils import (
    GGUF_SUPPORTED_ARCHITECTURES,
    GGUF_TO_TRANSFORMERS_MAPPING,
)
from transformers.utils.logging import disable_progress_bar

from snakesteer.core.errors import StudyError, reason_of
from snakesteer.hub import gguf_tokenizer
from snakesteer.hub.converted import DESCRIPTION
from snakesteer.hub.manifest import CONFIG, GENERATION, WEIGHTS, sha256
from snakesteer.storage.files import write_bytes, write_json, write_text

DTYPE = torch.float32
OTHERWISE = "name a folder with safetensors weights of the model"
PACKAGES = ("gguf", "torch", "transformers", "tokenizers")
# Settings of an architecture that say again what tensors or other settings do.
SAID_TWICE = {"vocab_size"}
HEAD_WIDTH = {"attention.key_length", "attention.value_length", "rope.dimension_count"}


def convert(path: Path, file: str, folder: Path) -> None:
    """Write the model in the GGUF file at `path` into `folder`: configuration, weights, tokenizer,
    and what the file was.

    `file` is what the study calls it. Raises StudyError for a file that is cut short, of an
    architecture that transformers cannot read, with a tokenizer that is not converted, or with
    parts that transformers passes over, and if there is no room.
    """
    disable_progress_bar()
    reader = _opened(path, file)
    values = {name: field.contents() for name, field in reader.fields.items()}
    architecture = values.get("general.architecture")
    if architecture not in GGUF_SUPPORTED_ARCHITECTURES:
        raise StudyError(
            f"{file} is of the architecture {architecture}, which transformers "
            f"{version('transformers')} cannot read from a GGUF file; {OTHERWISE}."
        )
    tokenizer = gguf_tokenizer.tokenizer(values, file)
    folder.mkdir(parents=True, exist_ok=True)
    _refuse_without_room(reader, folder)
    model = _loaded(path, file)
    _refuse_dropped(values, reader, model, file)
    write_text(folder / CONFIG, model.config.to_json_string())
    write_text(folder / GENERATION, model.generation_config.to_json_string())
    write_text(folder / "tokenizer.json", tokenizer.to_str(pretty=True))
    write_json(folder / "tokenizer_config.json", _tokenizer_config(values))
    write_json(folder / DESCRIPTION, _description(path, file, reader))
    write_bytes(folder / WEIGHTS, save(_weights(model), {"format": "pt"}))


def _opened(path: Path, file: str) -> GGUFReader:
    try:
        return GGUFReader(path)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, UnicodeError) as error:
        raise StudyError(
            f"{file} is not a GGUF file, or is damaged or truncated ({reason_of(error)}); get it "
            "again."
        ) from None


def _loaded(path: Path, file: str) -> PreTrainedModel:
    """The model as transformers reads it, its weights dequantised."""
    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            path.parent,
            gguf_file=path.name,
            dtype=DTYPE,
            output_loading_info=True,
            local_files_only=True,
        )
    except (ValueError, KeyError, TypeError, RuntimeError, NotImplementedError) as error:
        raise StudyError(
            f"{file} cannot be read by transformers {version('transformers')} "
            f"({reason_of(error)}); {OTHERWISE}."
        ) from None
    if missing := sorted(found["missing_keys"]):
        raise StudyError(f"{file} has no weights for {missing[0]} of the model; {OTHERWISE}.")
    del model.config.quantization_config  # which says that it came from a GGUF file
    return model


def _refuse_dropped(
    values: Mapping[str, Any], reader: GGUFReader, model: PreTrainedModel, file: str
) -> None:
    """Refuse (StudyError) a file of which transformers passes over a part that matters."""
    architecture = values["general.architecture"]
    read = GGUF_TO_TRANSFORMERS_MAPPING["config"][architecture].keys() | SAID_TWICE
    width = getattr(model.config, "head_dim", None)
    for name, value in values.items():
        prefix, _, setting = name.partition(".")
        if prefix != architecture or setting in read or value in ("none", None):
            continue
        if setting not in HEAD_WIDTH or value != width:
            raise StudyError(
                f"{file} sets {name} to {value}, which transformers {version('transformers')} "
                f"ignores, so the model would compute something else; {OTHERWISE}."
            )
    held = sum(int(tensor.n_elements) for tensor in reader.tensors)
    taken = sum(tensor.numel() for tensor in model.parameters())
    if held != taken:
        raise StudyError(
            f"{file} holds {held:,} weights, but transformers {version('transformers')} uses "
            f"{taken:,}, so the model would compute something else; {OTHERWISE}."
        )


def _weights(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Parameters by name; what is tied is held once."""
    return {name: each.detach().contiguous() for name, each in model.named_parameters()}


def _tokenizer_config(values: Mapping[str, Any]) -> dict[str, Any]:
    tokens = values["tokenizer.ggml.tokens"]
    first, last = gguf_tokenizer.added(values)
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": first,
        "add_eos_token": last,
        "clean_up_tokenization_spaces": False,
    }
    for role, name in gguf_tokenizer.SPECIAL.items():
        number = values.get(f"tokenizer.ggml.{name}")
        if number is not None:
            settings[role] = tokens[number]
    if template := values.get("tokenizer.chat_template"):
        settings["chat_template"] = template
    return settings


def _description(path: Path, file: str, reader: GGUFReader) -> dict[str, Any]:
    """What the file was, and what was made of it, with which versions.

    The quantisation is that of the most weights.
    """
    kinds: Counter[str] = Counter()
    for tensor in reader.tensors:
        kinds[tensor.tensor_type.name] += int(tensor.n_elements)
    return {
        "file": Path(file).name,
        "sha256": sha256(path),
        "quantisation": kinds.most_common(1)[0][0],
        "weights": dict(kinds),
        "dequantised_to": str(DTYPE).removeprefix("torch."),
        "packages": {name: version(name) for name in PACKAGES},
    }


def _refuse_without_room(reader: GGUFReader, folder: Path) -> None:
    needed = sum(int(tensor.n_elements) for tensor in reader.tensors) * DTYPE.itemsize
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StudyError(
            f"{needed / 1000000000.0:.1f} GB are needed in {folder} for the dequantised weights, "
            f"and {free / 1000000000.0:.1f} GB are free; make room and run again; downloaded "
            "files are kept."
        )
