"""The model `steered` of lm-evaluation-harness (`lm_eval/models/hf_steered.py`)."""

from __future__ import annotations

from pathlib import Path

from snakesteer.core.errors import StudyError
from snakesteer.exports.pt import save, tensor
from snakesteer.exports.use import ADDED, Use, check, package
from snakesteer.vectors.steering_vector import SteeringVector

ENDING = ".pt"
SITES = ["output", "attention", "mlp"]
OPERATORS = ["add", "clamp", "ablate"]
EVERYWHERE = True
COUNTS = (
    "The N in a module's name such as layers.N is the decoder block, counted from 0, whose output "
    "changes: it is our layer N."
)
USUAL = "layers.{layer}"


def write(
    vector: SteeringVector, path: Path, use: Use = ADDED, folder: Path | None = None
) -> list[str]:
    """By the name of a module, seen from the model's base model, what changes its output.

    `ablate` at coefficient 1 is its `clamp` at 0. Modules have the names of the model in `folder`,
    or without one those of Llama and its like, which a note says. Raises StudyError for the site
    `input`, another share of an ablation, and positions other than all.
    """
    name = "lm-eval"
    check(name, vector.site, use)
    action, value = use.operator, use.coefficient
    if action == "ablate":
        if value != 1:
            raise StudyError(
                "lm-eval ablates the entire component (its clamp at 0), but coefficient is "
                f"{value:g}; set it to 1, or use another format."
            )
        action, value = "clamp", 0.0
    modules, notes = USUAL, []
    if folder is not None:
        for needed in ("torch", "transformers"):
            package(needed, name)
        from snakesteer.exports.modules import modules_of

        modules = modules_of(folder, vector.site)
    elif vector.site != "output":
        raise StudyError(
            f"lm-eval names modules, and the name for {vector.site} is found in the model's "
            "files, which are not here; name the model's folder."
        )
    else:
        notes.append(
            f"Modules are named {USUAL.format(layer='N')}, as in Llama, since the model's files "
            "are not here. lm-eval rejects names that its model does not have."
        )
    held = {
        modules.format(layer=layer): {
            "steering_vector": tensor(direction, name),
            "steering_coefficient": float(value),
            "action": action,
            "bias": None,
            "head_index": None,
        }
        for layer, direction in vector.directions.items()
    }
    save(path, held, name)
    return notes
