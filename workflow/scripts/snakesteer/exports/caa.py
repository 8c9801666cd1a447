"""Files as Contrastive Activation Addition has them: a bare tensor for each layer (its
`vectors/BEHAVIOUR/vec_layer_N_MODEL.pt`)."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

from snakesteer.core.errors import StudyError
from snakesteer.exports.pt import save, tensor
from snakesteer.exports.use import ADDED, EVERY, Use, check
from snakesteer.vectors.steering_vector import SteeringVector

ENDING = ""
FOLDER = True
SITES = ["output"]
OPERATORS = ["add"]
COUNTS = (
    "The N in a file's name is the decoder block, counted from 0, whose output changes: it is our "
    "layer N."
)
PREFIX = "vec_layer_"


def write(
    vector: SteeringVector, path: Path, use: Use = ADDED, folder: Path | None = None
) -> list[str]:
    """A folder with a file for each layer, which holds a tensor [hidden] and nothing else.

    Raises StudyError for another site or operator, and for a folder with files of other layers or
    models, which would be taken for this vector's.
    """
    check("caa", vector.site, use)
    model = re.sub(r"[^\w.-]+", "-", PurePath(str(vector.model.get("source") or "model")).name)
    files = {f"{PREFIX}{layer}_{model}.pt": each for layer, each in vector.directions.items()}
    other = sorted(each.name for each in path.glob(f"{PREFIX}*") if each.name not in files)
    if other:
        raise StudyError(f"{path} holds {other[0]} of another vector; name another folder.")
    for name, direction in files.items():
        save(path / name, tensor(direction, "caa"), "caa")
    notes = []
    if use.coefficient != 1:
        notes.append(
            f"The coefficient {use.coefficient:g} is not in the files; give it as CAA's multiplier."
        )
    if use.positions != EVERY:
        notes.append(
            f"The positions {use.positions} are not in the files; CAA adds vectors from the end of "
            "the instruction on."
        )
    return notes
