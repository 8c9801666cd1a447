"""The authors' `.pt` files, read without running anything from them.

They are pickles that name classes of the authors' own modules, for which stubs stand.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from snakesteer.core.errors import StudyError
from snakesteer.storage.pt_files import Stub, array, read_pt

SHAPE = (32, 4096)

# Module and name as the files have them.
AUTHORS_CLASSES = (
    "activation_tensor.ActivationTensor",
    "multi_steering_activation_tensor.MultiSteeringActivationTensor",
)


def read_activations(
    path: str, content: bytes, shape: tuple[int, ...] = SHAPE
) -> tuple[np.ndarray, dict[str, Any]]:
    """The array of a `.pt` file, float32 of `shape` ([n_layers, hidden], with or without axes
    before or in place of the layers), and its notes.

    Raises StudyError if the pickle asks for anything but tensors and the two classes, if it holds
    no dense tensor of floating-point numbers, or if that has another shape or a value that is not
    finite.
    """
    held = read_pt(path, content, AUTHORS_CLASSES)
    notes = dict(vars(held)) if isinstance(held, Stub) else {}
    acts = notes.pop("acts", held)
    if not isinstance(acts, torch.Tensor):
        raise StudyError(f"{path} holds no tensor `acts` but a {type(acts).__name__}")
    acts = array(path, acts)
    if acts.shape != shape:
        raise StudyError(f"{path} has a tensor of shape {acts.shape}, not {shape}")
    if not np.isfinite(acts).all():
        *place, dimension = map(int, np.argwhere(~np.isfinite(acts))[0])
        at = f"layer {place[-1]}, " if place else ""
        raise StudyError(
            f"{path} has {acts[*place, dimension]} at {at}dimension {dimension}; "
            "only finite values were expected"
        )
    return acts, {str(name): _note(value) for name, value in notes.items()}


def _note(value: Any) -> Any:
    """A note as JSON can hold it: plain values and lists of them; of any other object its type."""
    plain = (str, int, float, type(None))
    if isinstance(value, list) and all(isinstance(item, plain) for item in value):
        return value
    if isinstance(value, torch.dtype):
        return str(value)
    return value if isinstance(value, plain) else type(value).__name__
