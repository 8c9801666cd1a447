"""The activations in a study's file, with what is known of them; needs neither torch nor
transformers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snakesteer.core.errors import StudyError
from snakesteer.storage.files import read_provenance, read_tensors

CORPUS, BEHAVIOUR = {"activations"}, {"matching", "not_matching"}


@dataclass(frozen=True, eq=False)
class Activations:
    """Activations of a corpus, `activations`, or of a behaviour, `matching` and `not_matching`.

    `tensors` has them by these names, [n_samples, n_layers, hidden], or where each of several
    positions was read [n_samples, positions, n_layers, hidden]. `site` and `positions` say what was
    read (docs/reading.md), `model` of which model, and `made` is the whole provenance.
    """

    tensors: Mapping[str, np.ndarray]
    site: str
    positions: Any
    model: Mapping[str, Any]
    made: Mapping[str, Any]


def read_activations(path: str | Path) -> Activations:
    """The activations in a safetensors file of `results/cache/activations/`.

    Those in bfloat16 come as float32, exactly. Raises StudyError for a file that is absent,
    damaged, or holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise StudyError(f"there is no file {path}; check the path.")
    if path.suffix != ".safetensors":
        raise StudyError(f"{path} is not a .safetensors file; name a file of activations.")
    made, tensors = read_provenance(path), read_tensors(path)
    if set(tensors) not in (CORPUS, BEHAVIOUR):
        raise StudyError(
            f"{path} holds {', '.join(sorted(tensors))}, not activations; name a file of "
            "activations."
        )
    read = made["settings"]
    return Activations(tensors, read["site"], read["positions"], made["model"], made)
