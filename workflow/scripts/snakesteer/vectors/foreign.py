"""Vectors of other tools: from the tensors of a file to a vector for every layer.

The vectors are taken to be of the residual stream after a decoder block, which is where
steering-vectors, repeng, llama.cpp and transformers' `hidden_states` have theirs. Where a file
counts its layers from another one than block 0, `offset` says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

from snakesteer.core.errors import StudyError
from snakesteer.storage.gguf import read_gguf
from snakesteer.storage.pt_files import AsksForCode, Stub, array, read_pt

LAYER = "{layer}"
# Classes that hold vectors by layer, which other libraries pickle whole.
CLASSES = ("steering_vectors.steering_vector.SteeringVector",)
GET_AGAIN = "; get the file again."


def read_vector(
    path: Path, settings: Mapping[str, Any], manifest: Mapping[str, Any]
) -> tuple[np.ndarray, list[int]]:
    """A vector [n_layers, hidden] float32 for the model of a manifest, and the layers that it has.

    `settings` are `tensor` (the name of one tensor, or with `{layer}` those of one for each layer;
    None where the file leaves no doubt), `layer` (of a file that holds that of one layer) and
    `offset`, what is added to the numbers of layers or rows in the file. Layers that the file lacks
    are zeros. Raises StudyError for a file that cannot be read or that asks for code to be run, and
    for vectors that are not this model's.
    """
    tensors = _tensors(path)
    numbered = _numbered(path, tensors, settings, manifest)
    vector = np.zeros((manifest["n_layers"], manifest["hidden"]), np.float32)
    held = []
    for number, name, found in numbered:
        layer = number + settings["offset"]
        if layer == -1:
            continue  # what the embedding puts out
        _check(path, name, found, number, layer, manifest)
        vector[layer] = found.reshape(-1)
        held.append(layer)
    if not held:
        raise StudyError(
            f"{path} holds no tensor that is named like a layer's vector; name its "
            "tensors with `tensor`."
        )
    return vector, sorted(held)


def _check(
    path: Path,
    name: str,
    found: np.ndarray,
    number: int,
    layer: int,
    manifest: Mapping[str, Any],
) -> None:
    model, n_layers, hidden = (manifest[key] for key in ("source", "n_layers", "hidden"))
    if found.size != hidden or max(found.shape, default=0) != hidden:
        raise StudyError(
            f"{path} has a tensor {name} of shape {found.shape}, but {model} is {hidden} wide; "
            "name the model that the vectors come from."
        )
    if not 0 <= layer < n_layers:
        shown = f"layer {layer}" if layer == number else f"layer {layer} ({number} in the file)"
        raise StudyError(
            f"{path} has a vector for {shown}, but {model} has the layers 0 to {n_layers - 1}; "
            "correct `offset`, or name the model that the vectors come from."
        )
    if not np.isfinite(found).all():
        raise StudyError(f"{path} is NaN or infinite at layer {layer}{GET_AGAIN}")


def _numbered(
    path: Path,
    tensors: Mapping[str, np.ndarray],
    settings: Mapping[str, Any],
    manifest: Mapping[str, Any],
) -> Iterator[tuple[int, str, np.ndarray]]:
    """Number of a layer or row, name of the tensor, and the vector, one by one."""
    name = settings["tensor"] or _pattern(path, tensors)
    if LAYER in name:
        if settings["layer"] is not None:
            raise StudyError(f"{path} has a vector for each of its layers; remove `layer`.")
        before, after = map(re.escape, name.split(LAYER, 1))
        found = [(re.fullmatch(rf"{before}(\d+){after}", each), each) for each in tensors]
        matched = [(int(match[1]), each) for match, each in found if match]
        if not matched:
            raise StudyError(f"{path} has no tensor {name}, but {_listed(tensors)}; correct it.")
        for number, each in sorted(matched):
            yield number, each, tensors[each]
        return
    if name not in tensors:
        raise StudyError(f"{path} has no tensor {name}, but {_listed(tensors)}; correct it.")
    whole = np.squeeze(tensors[name])
    if settings["layer"] is not None:
        yield settings["layer"] - settings["offset"], name, whole
        return
    if whole.ndim != 2:
        raise StudyError(
            f"{path} holds one tensor of shape {tensors[name].shape}, not a row for each layer; "
            "set `layer` to the layer that it belongs to."
        )
    rows = manifest["n_layers"] - settings["offset"]
    if len(whole) != rows:
        raise StudyError(
            f"{path} has {len(whole)} rows, but {manifest['source']} needs {rows} with `offset: "
            f"{settings['offset']}`; correct `offset` (-1 if the first row is the embedding's)."
        )
    for row, vector in enumerate(whole):
        yield row, name, vector


def _pattern(path: Path, tensors: Mapping[str, np.ndarray]) -> str:
    """The name of the only tensor, or what the names have in common beside the layer's number."""
    if len(tensors) == 1:
        (only,) = tensors
        return re.sub(r"^(direction\.)\d+$", rf"\g<1>{LAYER}", only)
    split = [re.split(r"(\d+)", name) for name in tensors]
    if len({len(parts) for parts in split}) == 1:
        differ = [i for i, parts in enumerate(zip(*split, strict=True)) if len(set(parts)) > 1]
        if len(differ) == 1 and differ[0] % 2:  # between texts stand numbers
            (number,) = differ
            return "".join([*split[0][:number], LAYER, *split[0][number + 1 :]])
    raise StudyError(
        f"{path} holds the tensors {_listed(tensors)}; choose with `tensor`, with {LAYER} in "
        "place of a number."
    )


def _listed(tensors: Mapping[str, np.ndarray]) -> str:
    names = sorted(tensors)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _tensors(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a file by name; in a `.pt` file by the keys above them, joined with dots."""
    if path.suffix not in _READERS:
        raise StudyError(f"{path} is not of a known kind; name a file with {', '.join(_READERS)}.")
    try:
        tensors = _READERS[path.suffix](str(path), path.read_bytes())
    except AsksForCode as error:
        raise StudyError(
            f"{error}; save only its tensors, as .safetensors, and name that file."
        ) from None
    except StudyError as error:
        raise StudyError(f"{error}{GET_AGAIN}") from None
    if not tensors:
        raise StudyError(f"{path} holds no tensors of floats{GET_AGAIN}")
    return tensors


def _of_safetensors(path: str, content: bytes) -> dict[str, np.ndarray]:
    try:
        held = safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise StudyError(f"{path} is not a complete safetensors file ({error})") from None
    return dict(_inside(path, held, ""))


def _of_pt(path: str, content: bytes) -> dict[str, np.ndarray]:
    return dict(_inside(path, read_pt(path, content, CLASSES), ""))


def _inside(path: str, held: Any, name: str) -> Iterator[tuple[str, np.ndarray]]:
    """The tensors of floats inside of what a file holds, by their names."""
    if isinstance(held, torch.Tensor):
        if held.is_floating_point():
            yield name or "of no name", array(path, held)
        return
    parts: Mapping[Any, Any] = {}
    if isinstance(held, Stub):
        parts = vars(held)
    elif isinstance(held, Mapping):
        parts = held
    elif isinstance(held, list | tuple):
        parts = dict(enumerate(held))
    for key, part in parts.items():
        yield from _inside(path, part, f"{name}.{key}" if name else str(key))


_READERS: dict[str, Callable[[str, bytes], dict[str, np.ndarray]]] = {
    ".safetensors": _of_safetensors,
    ".pt": _of_pt,
    ".pth": _of_pt,
    ".gguf": read_gguf,
}
