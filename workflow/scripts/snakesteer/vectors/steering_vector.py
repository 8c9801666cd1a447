"""A steering vector by itself, with what is known of how it was made; needs neither torch nor
transformers.

Layer L (0-based) is decoder block L of a model, and its activation at the site `output` the block's
raw output, which transformers counts as `hidden_states[L + 1]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from snakesteer.core.errors import StudyError
from snakesteer.storage.files import read_provenance, read_tensors

OUTPUT = "output"
ONE, SEVERAL = "vector", "vectors"  # names of tensors: of a vector, and of one made several times


@dataclass(frozen=True, eq=False)
class SteeringVector:
    """A direction for some layers of a model.

    `directions` are float32 [hidden] by layer, in ascending order. `site` is where in a block its
    activations were read: `output`, `input`, `attention` or `mlp`. `model` has what is known of
    `source`, `revision`, `fingerprint`, `hidden` and `n_layers`. `made` is the whole provenance,
    empty where there is none. Raises StudyError without directions, and for directions that are not
    finite or not of one width.
    """

    directions: Mapping[int, np.ndarray]
    site: str = OUTPUT
    model: Mapping[str, Any] = field(default_factory=dict)
    made: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.directions, Mapping) or not all(map(_is_number, self.directions)):
            raise StudyError(
                "The directions of a vector must map layers to arrays; give {15: direction}."
            )
        ordered = {layer: _numbers(self.directions[layer]) for layer in sorted(self.directions)}
        if not ordered:
            raise StudyError("A vector has no directions; give it at least one.")
        for layer, direction in ordered.items():
            if layer < 0:
                raise StudyError(f"A vector has layer {layer}; layers are counted from 0.")
            if direction.ndim != 1 or direction.shape != next(iter(ordered.values())).shape:
                shapes = [list(each.shape) for each in ordered.values()]
                raise StudyError(
                    f"The directions of a vector have the shapes {shapes}; give every layer the "
                    "same number of values, [hidden]."
                )
            if not np.isfinite(direction).all():
                raise StudyError(
                    f"A vector is NaN or infinite at layer {layer}; check the activations that "
                    "it was made from."
                )
        object.__setattr__(self, "directions", ordered)

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers that it has a direction for, ascending."""
        return tuple(self.directions)

    @property
    def hidden(self) -> int:
        """How wide it is."""
        return len(next(iter(self.directions.values())))

    @property
    def n_layers(self) -> int | None:
        """How many layers its model has; None where that is not known."""
        return self.model.get("n_layers")


def _is_number(layer: object) -> bool:
    return isinstance(layer, int | np.integer)


def _numbers(direction: Any) -> np.ndarray:
    """A direction as float32, also a tensor of torch in any dtype and on any device."""
    if hasattr(direction, "detach"):
        direction = direction.detach().float().cpu().numpy()
    return np.asarray(direction, np.float32)


def of_rows(
    rows: np.ndarray,
    site: str = OUTPUT,
    model: Mapping[str, Any] | None = None,
    made: Mapping[str, Any] | None = None,
) -> SteeringVector:
    """The vector whose direction at layer L is row L of `rows` [n_layers, hidden].

    A row of zeros is no direction and is left out. Raises StudyError where all are, and as
    `SteeringVector` does.
    """
    directions = {layer: row for layer, row in enumerate(rows) if row.any()}
    if not directions:
        raise StudyError("A vector is 0 at every layer, so it has no direction; use another one.")
    model = {**(model or {}), "n_layers": len(rows), "hidden": rows.shape[1]}
    return SteeringVector(directions, site, model, made or {})


def read_vector(
    path: str | Path, *, position: int | None = None, draw: int | None = None
) -> SteeringVector:
    """The steering vector in a safetensors file of a study, of the cache, or that was exported.

    `position` selects one position of a vector that has several, counted from the texts' ends (-1
    is the last token). `draw` selects one draw of a vector that was drawn several times, counted
    from 0. Layers at which it is 0 are left out. A file of the cache does not say the site, and is
    taken to be of `output`; its copy in `results/<study>/vectors/` does. Raises StudyError for a
    file that is missing, damaged or not a vector of snakesteer. Also raises it if a position or
    draw must be named and is not, or does not exist.
    """
    path = Path(path)
    if not path.is_file():
        raise StudyError(f"there is no file {path}; check the path.")
    if path.suffix != ".safetensors":
        raise StudyError(
            f"{path} is not a .safetensors file; convert a file of another tool with `snakesteer "
            "import`."
        )
    made, tensors = read_provenance(path), read_tensors(path)
    name = SEVERAL if SEVERAL in tensors else ONE
    if name not in tensors:
        raise StudyError(
            f"{path} holds {', '.join(sorted(tensors))}, not a steering vector; name the file of "
            "a vector."
        )
    rows = tensors[name]
    if name == SEVERAL:
        rows = rows[_draw(path, len(rows), draw)]
    elif draw is not None:
        raise StudyError(f"{path} holds one vector, not several draws; remove `draw`.")
    positions = made.get("positions")
    if positions:
        rows = rows[_place(path, positions, position)]
    elif position is not None:
        raise StudyError(f"{path} has one position; remove `position`.")
    elif rows.ndim == 3 and len(rows) == 1:
        rows = rows[0]  # that of a file, which the workflow takes as one sample
    if rows.ndim != 2:
        raise StudyError(
            f"{path} has a vector of shape {list(rows.shape)}, not [n_layers, hidden]; rebuild it."
        )
    return of_rows(rows, made.get("site", OUTPUT), made.get("model"), made)


def _draw(path: Path, draws: int, draw: int | None) -> int:
    if draw is None or not 0 <= draw < draws:
        given = "" if draw is None else f", not draw {draw}"
        raise StudyError(
            f"{path} holds {draws} draws of a vector{given}; name one with `draw`, 0 to "
            f"{draws - 1}."
        )
    return draw


def _place(path: Path, positions: list[int], position: int | None) -> int:
    if position not in positions:
        given = "" if position is None else f", not {position}"
        raise StudyError(
            f"{path} has the positions {', '.join(map(str, positions))}{given}; name one of them "
            "with `position`."
        )
    return positions.index(position)
