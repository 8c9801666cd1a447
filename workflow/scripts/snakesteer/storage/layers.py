"""One layer, or one position, of the activations in a file, without reading the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import safetensors

from snakesteer.core.errors import DamagedFile
from snakesteer.storage.files import ROWS_AT_ONCE


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


def read_position(
    path: str | Path, name: str, place: int, at_once: int = ROWS_AT_ONCE
) -> Iterator[np.ndarray]:
    """A tensor [n_samples, positions, n_layers, hidden] at one place of its positions, some samples
    at a time: [some, n_layers, hidden] float32.

    StudyError if the file is damaged.
    """
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            held = file.get_slice(name)
            for first in range(0, held.get_shape()[0], at_once):
                yield held[first : first + at_once, place].float().numpy()
    except safetensors.SafetensorError as error:
        raise DamagedFile(path, str(error)) from error
