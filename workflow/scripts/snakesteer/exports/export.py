"""One vector as a file of another tool, and beside it what that file cannot say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.exports.use import ADDED, Use, check, named_layers
from snakesteer.hub.manifest import layers_and_width
from snakesteer.storage.files import write_json
from snakesteer.vectors.steering_vector import SteeringVector


def beside(path: Path) -> Path:
    """Where it is said what a file does not hold."""
    return path.with_name(f"{path.name}.json")


def export(
    vector: SteeringVector,
    format: str,
    path: Path,
    *,
    use: Use = ADDED,
    layers: Sequence[int] | None = None,
    site: str | None = None,
    folder: Path | None = None,
    chosen: Mapping[str, Any] | None = None,
) -> list[str]:
    """Write a vector in a format, and beside it a `.json` with all that is known of it.

    `layers` are those that are written, all that it has if None. `site` is the one that is meant to
    change, where the vector was read if None. `folder` is that of its model, where it is there.
    `chosen` is which position or draw it is, where its file has several. What the file does not
    hold stands in the `.json` under `not_in_the_file`, and is returned. Raises StudyError in one
    sentence for what the format cannot hold, for a layer that the vector has not, and for a model
    of another depth or width.
    """
    vector = replace(vector, site=site or vector.site, made={**vector.made, **(chosen or {})})
    check(format, vector.site, use, layers or ())
    if folder is not None:
        _fits(vector, folder)
    if layers is not None:
        named_layers(vector, layers)
        kept = {layer: vector.directions[layer] for layer in layers}
        vector = replace(vector, directions=kept)
    file, module = plugins.file_of("exports", format), plugins.load("exports", format)
    notes: list[str] = module.write(vector, path, use, folder)
    first = plugins.constant(file, "FIRST_LAYER", 0)
    about = {
        "format": format,
        "file": path.name,
        "layers": [layer for layer in vector.layers if layer >= first],
        "layers_counted": plugins.constant(file, "COUNTS"),
        "site": vector.site,
        "operator": use.operator,
        "coefficient": use.coefficient,
        "positions": use.positions,
        "not_in_the_file": notes,
        "model": dict(vector.model),
        "made": dict(vector.made),
    }
    write_json(beside(path), about)
    return notes


def _fits(vector: SteeringVector, folder: Path) -> None:
    """Raise StudyError for a model of another depth or width."""
    depth, width = layers_and_width(folder)
    if vector.hidden != width or (vector.n_layers or depth) != depth or vector.layers[-1] >= depth:
        raise StudyError(
            f"the vector has {vector.n_layers or vector.layers[-1] + 1} layers and is "
            f"{vector.hidden} wide, but the model in {folder} has {depth} layers and is {width} "
            "wide; name the vector's own model."
        )
