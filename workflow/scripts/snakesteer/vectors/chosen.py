"""The row of a vector that a choice among candidates took, placed at the layers of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from snakesteer.core.errors import StudyError


def placed(
    vector: np.ndarray,
    positions: Sequence[int] | None,
    chosen: Mapping[str, Any],
    at: Literal["all", "own"],
) -> np.ndarray:
    """A vector [n_layers, hidden] with one direction: the row that was chosen.

    `vector` is [n_layers, hidden], or with `positions` [positions, n_layers, hidden]. With `at`
    "all" the row stands at every layer, with "own" at the layer that it was read at, with zeros
    elsewhere. Raises StudyError for a layer or position that the vector does not have.
    """
    layer, position = chosen["layer"], chosen["position"]
    if (position is None) != (positions is None) or (positions and position not in positions):
        read = "one position" if positions is None else f"the positions {list(positions)}"
        raise StudyError(
            f"the choice took position {position}, but the vector has {read}; set `of` to the "
            "vector that the choice compared."
        )
    rows = vector if positions is None else vector[list(positions).index(position)]
    if layer >= len(rows):
        raise StudyError(
            f"the choice took layer {layer}, but the vector has the layers 0 to {len(rows) - 1}; "
            "set `of` to the vector that the choice compared."
        )
    if at == "all":
        return np.repeat(rows[layer][None], len(rows), axis=0)
    own = np.zeros_like(rows)
    own[layer] = rows[layer]
    return own
