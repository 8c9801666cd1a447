"""Our own files: `vector` [n_layers, hidden] float32, and in the metadata all that is known of it,
as JSON under the key `snakesteer`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snakesteer.exports.use import ADDED, Use
from snakesteer.storage.files import write_tensors
from snakesteer.vectors.steering_vector import ONE, SteeringVector

ENDING = ".safetensors"
COUNTS = (
    "Row L of `vector` is decoder block L, counted from 0. Of the site output it is that block's "
    "raw output, before the final norm, which transformers counts as hidden_states[L + 1]. A row "
    "of zeros is no direction."
)


def write(
    vector: SteeringVector, path: Path, use: Use = ADDED, folder: Path | None = None
) -> list[str]:
    """The vector with its provenance, the site, the layers, how these are counted, and the use."""
    depth = vector.n_layers or vector.layers[-1] + 1
    rows = np.zeros((depth, vector.hidden), np.float32)
    for layer, direction in vector.directions.items():
        rows[layer] = direction
    made = {key: value for key, value in vector.made.items() if key != "positions"}
    about = {
        "model": dict(vector.model),
        "site": vector.site,
        "site_read": vector.made.get("site", vector.site),
        "layers": list(vector.layers),
        "layers_counted": COUNTS,
        "operator": use.operator,
        "coefficient": use.coefficient,
        "steered_positions": use.positions,
    }
    write_tensors(path, {ONE: rows}, made | about)
    return []
