"""PyTorch's `.pt` files of plain tensors, mappings, texts and numbers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from snakesteer.exports.use import package
from snakesteer.storage.files import write_bytes


def save(path: Path, held: Any, format: str) -> None:
    """Write what `torch.load(weights_only=True)` reads, with the same bytes for the same content.

    StudyError if torch is not installed, which `format` needs.
    """
    buffer = io.BytesIO()
    package("torch", format).save(held, buffer)
    write_bytes(path, buffer.getvalue())


def tensor(direction: np.ndarray, format: str) -> Any:
    """A tensor of its own with the numbers of a direction."""
    return package("torch", format).from_numpy(direction.copy())
