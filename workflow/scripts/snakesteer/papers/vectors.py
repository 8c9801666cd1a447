"""The authors' `.pt` files, read without running anything from them.

They are pickles that name classes of the authors' own modules. `torch.load(weights_only=True)` lets
through what makes a tensor and, in place of those classes, the stubs here, which keep attributes
and do nothing; whatever else a pickle names is refused before it is called.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
import torch

from snakesteer.core.errors import StudyError

SHAPE = (32, 4096)


class Stub:
    """Stands for a class of the authors: an object with the attributes that the pickle sets."""


# Module and name as the files have them.
AUTHORS_CLASSES = (
    "activation_tensor.ActivationTensor",
    "multi_steering_activation_tensor.MultiSteeringActivationTensor",
)


def read_activations(
    path: str, content: bytes, shape: tuple[int, ...] = SHAPE
) -> tuple[np.ndarray, dict[str, Any]]:
    """The array of a `.pt` file, float32 of `shape` ([n_layers, hidden]), and its notes.

    Raises StudyError if the pickle asks for anything but tensors and the two classes, if it holds
    no dense tensor of floating-point numbers, or if that has another shape or a value that is not
    finite.
    """
    stubs: list[Any] = [(Stub, name) for name in AUTHORS_CLASSES]
    try:
        with torch.serialization.safe_globals(stubs):
            held = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        raise StudyError(
            f"{path} was refused, and nothing in it was run: {_reason(error)}"
        ) from None
    except Exception as error:  # whatever a damaged pickle makes of the unpickler
        raise StudyError(f"{path} is no whole PyTorch file ({_reason(error)})") from None
    notes = dict(vars(held)) if isinstance(held, Stub) else {}
    acts = notes.pop("acts", held)
    if not isinstance(acts, torch.Tensor):
        raise StudyError(f"{path} holds no tensor `acts` but a {type(acts).__name__}")
    stored = acts.layout == torch.strided and acts.device.type == "cpu" and not acts.is_nested
    if not stored or not acts.is_floating_point():
        layout, dtype = (str(kind).removeprefix("torch.") for kind in (acts.layout, acts.dtype))
        raise StudyError(
            f"{path} holds a {'nested' if acts.is_nested else layout} tensor of {dtype} on "
            f"{acts.device.type}; a dense one of floating-point numbers was expected"
        )
    if tuple(acts.shape) != shape:
        raise StudyError(f"{path} has a tensor of shape {tuple(acts.shape)}, not {shape}")
    array = acts.detach().to(torch.float32).numpy()
    if not np.isfinite(array).all():
        layer, dimension = np.argwhere(~np.isfinite(array))[0]
        raise StudyError(
            f"{path} has {array[layer, dimension]} at layer {layer}, dimension {dimension}; "
            "only finite values were expected"
        )
    return array, {str(name): _note(value) for name, value in notes.items()}


def _note(value: Any) -> Any:
    """A note as JSON can hold it: plain values and lists of them; of any other object its type."""
    plain = (str, int, float, type(None))
    if isinstance(value, list) and all(isinstance(item, plain) for item in value):
        return value
    if isinstance(value, torch.dtype):
        return str(value)
    return value if isinstance(value, plain) else type(value).__name__


def _reason(error: Exception) -> str:
    """What torch found, without its advice to load the file unsafely."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "nsupported" in line or "GLOBAL" in line]
    reason = (named or lines or [type(error).__name__])[0]
    return (
        reason.split(". Please")[0]
        .split(" was not an allowed")[0]
        .removeprefix("WeightsUnpickler error: ")
    )
