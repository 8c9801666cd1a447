"""PyTorch's `.pt` files, read without running anything from them.

They are pickles, which may name any function to be called. `torch.load(weights_only=True)` lets
through what makes a tensor and, in place of the classes that a reader names, stubs, which keep
attributes and do nothing; whatever else a pickle names is refused before it is called.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from snakesteer.core.errors import StudyError


class AsksForCode(StudyError):
    """A file that names what is to be run when it is loaded."""


class Stub:
    """Stands for a class of another library: an object with the attributes that the pickle sets."""


def read_pt(path: str, content: bytes, classes: Iterable[str] = ()) -> Any:
    """What a file holds, on the CPU; objects of `classes` (MODULE.NAME, as in the file) as stubs.

    Raises AsksForCode if the pickle names anything but tensors and these classes, and StudyError if
    it is damaged.
    """
    stubs: list[Any] = [(Stub, name) for name in classes]
    try:
        with torch.serialization.safe_globals(stubs):
            return torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        raise AsksForCode(
            f"{path} was refused, and nothing in it was run: {_reason(error)}"
        ) from None
    except Exception as error:  # whatever a damaged pickle makes of the unpickler
        raise StudyError(f"{path} is not a complete PyTorch file ({_reason(error)})") from None


def array(path: str, tensor: torch.Tensor) -> np.ndarray:
    """A tensor of a file as float32; StudyError unless it is dense and of floats."""
    stored = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_nested
    if not stored or not tensor.is_floating_point():
        layout, dtype = (str(kind).removeprefix("torch.") for kind in (tensor.layout, tensor.dtype))
        raise StudyError(
            f"{path} holds a {'nested' if tensor.is_nested else layout} tensor of {dtype} on "
            f"{tensor.device.type}; a dense one of floating-point numbers was expected"
        )
    dense: np.ndarray = tensor.detach().to(torch.float32).numpy()
    return dense


def _reason(error: Exception) -> str:
    """What torch found, without its advice to load the file unsafely."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "nsupported" in line or "GLOBAL" in line]
    reason = (named or lines or [type(error).__name__])[0]
    return (
        reason.split(". Please")[0]
        .split(" was not an allowed")[0]
        .removeprefix("WeightsUnpickler error: ")
        .rstrip(".")
    )
