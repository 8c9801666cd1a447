"""Control vectors of llama.cpp and repeng (`repeng.ControlVector.export_gguf`)."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from snakesteer.core.errors import StudyError
from snakesteer.exports.use import ADDED, Use, check, package
from snakesteer.hub.manifest import CONFIG
from snakesteer.storage.files import write_bytes
from snakesteer.vectors.steering_vector import SteeringVector

ENDING = ".gguf"
SITES = ["output"]
OPERATORS = ["add"]
EVERYWHERE = True
FIRST_LAYER = 1
COUNTS = (
    "direction.N is added to the output of decoder block N, counted from 0: it is our layer N. "
    "llama.cpp refuses a direction.0."
)
KIND = "controlvector"


def write(
    vector: SteeringVector, path: Path, use: Use = ADDED, folder: Path | None = None
) -> list[str]:
    """One tensor for each layer but 0, in float32.

    Raises StudyError for a vector of another site, of layer 0 alone, and for another operator than
    `add` or other positions than all.
    """
    check("gguf", vector.site, use)
    gguf = package("gguf", "gguf")
    held = {layer: each for layer, each in vector.directions.items() if layer >= FIRST_LAYER}
    if not held:
        raise StudyError(
            "gguf cannot hold layer 0, but the vector has no other; use another format."
        )
    hint = _model_type(folder)
    with tempfile.TemporaryDirectory() as made:
        file = Path(made) / "vector.gguf"
        writer = gguf.GGUFWriter(file, KIND)
        writer.add_string(f"{KIND}.model_hint", hint or "unknown")
        writer.add_uint32(f"{KIND}.layer_count", len(held))
        for layer, direction in held.items():
            writer.add_tensor(f"direction.{layer}", direction)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        write_bytes(path, file.read_bytes())
    notes = []
    if len(held) < len(vector.directions):
        notes.append("Layer 0 is omitted, as gguf cannot hold it.")
    if use.coefficient != 1:
        notes.append(
            f"The coefficient {use.coefficient:g} is not in the file; pass it to the tool that "
            "reads the file: `--control-vector-scaled` of llama.cpp, `set_control` of repeng."
        )
    if hint is None:
        notes.append(
            f"{KIND}.model_hint is unknown, as the model's files are not here; llama.cpp does not "
            "read it."
        )
    return notes


def _model_type(folder: Path | None) -> str | None:
    """What the model's configuration calls its architecture, which repeng compares."""
    if folder is None or not (folder / CONFIG).is_file():
        return None
    found = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("model_type")
    return str(found) if found else None
