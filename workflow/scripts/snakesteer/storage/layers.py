"""One layer of the activations in a file, without reading the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors

from snakesteer.core.errors import DamagedFile


def read_layer(path: str | Path, name: str, layer: int, place: int | None = None) -> np.ndarray:
    """One layer of the tensor `name` [n_samples, n_layers, hidden]: [n_samples, hidden] float32.

    A tensor of several positions, [n_samples, positions, n_layers, hidden], is read at `place`.
    StudyError if the file is damaged.
    """
    at = (slice(None), layer) if place is None else (slice(None), place, layer)
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:  # numpy has no bfloat16
            read: np.ndarray = file.get_slice(name)[at].float().numpy()
    except safetensors.SafetensorError as error:
        raise DamagedFile(path, str(error)) from error
    return read
