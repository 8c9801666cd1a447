"""The library steering-vectors: the arguments of its class `SteeringVector`, by their names."""

from __future__ import annotations

from pathlib import Path

from snakesteer.core.errors import StudyError
from snakesteer.exports.pt import save, tensor
from snakesteer.exports.use import ADDED, EVERY, Use, check
from snakesteer.vectors.steering_vector import SteeringVector

ENDING = ".pt"
SITES = {"output": "decoder_block", "attention": "self_attn", "mlp": "mlp"}
OPERATORS = {"add": "addition_operator", "ablate": "ablation_operator"}
COUNTS = (
    "The keys of layer_activations are decoder blocks, counted from 0, whose output changes: they "
    "are our layers."
)


def write(
    vector: SteeringVector, path: Path, use: Use = ADDED, folder: Path | None = None
) -> list[str]:
    """A mapping with `layer_activations`, the directions by layer, and `layer_type`.

    Operator, coefficient and positions are arguments of `SteeringVector.apply`: the notes say
    which. Raises StudyError for the site `input`, and for what that method cannot do.
    """
    name = "steering-vectors"
    check(name, vector.site, use)
    if use.operator == "ablate" and use.coefficient != 1:
        raise StudyError(
            "steering-vectors ablates the entire component, but coefficient is "
            f"{use.coefficient:g}; set it to 1, or use another format."
        )
    directions = {layer: tensor(each, name) for layer, each in vector.directions.items()}
    held = {"layer_activations": directions, "layer_type": SITES[vector.site]}
    save(path, held, name)
    notes = []
    if use.operator != "add":
        notes.append(
            f"The operator {use.operator} is not in the file; apply the vector with "
            f"`operator={OPERATORS[use.operator]}()`."
        )
    elif use.coefficient != 1:
        notes.append(
            f"The coefficient {use.coefficient:g} is not in the file; apply the vector with "
            f"`multiplier={use.coefficient:g}`."
        )
    if use.positions != EVERY:
        notes.append(
            f"The positions {use.positions} are not in the file; apply the vector with "
            "`token_indices`, or with `min_token_index`."
        )
    return notes
