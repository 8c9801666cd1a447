"""The authors' candidate directions in numbers: their lengths, and cosines with the chosen one.

`mean_diffs.pt` has a direction for each position and layer, `direction.pt` the chosen one (Arditi
et al. 2024). Both are read as `papers.vectors` reads `.pt` files: nothing in them is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.papers.vectors import read_activations
from snakesteer.vectors.described import cosines, of_layers

COLUMNS = ["sweep", "vector", "position", "layer", "norm", "cosine", "chosen"]
_ALL, _ONE = "all", "chosen"  # names within this module


def read(settings: Mapping[str, Any], part: str, path: str, content: bytes) -> pd.DataFrame:
    """The directions of one file, a row each: `all`, by position and then by layer, or the one
    `chosen`."""
    shape: tuple[int, ...] = (settings["hidden"],)
    if part == "all":
        shape = (settings["positions"], settings["layers"], *shape)
    found, _ = read_activations(path, content, shape)
    return pd.DataFrame(found.reshape(-1, settings["hidden"]))


def table(settings: Mapping[str, Any], rows: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The directions in numbers; see `direction_table`. Without all of them it has no rows, without
    the chosen one no cosines.

    Raises StudyError if the chosen one is none of the others.

    Columns, a row for each published direction:
        sweep, vector
        position (whole number): The position that it is read at; -1 is the last token.
        layer (whole number): The layer, from 0.
        norm (number): Its length.
        cosine (number): Cosine of the angle with the chosen direction. Empty for a direction of
            zeros.
        chosen (true or false): Whether it is the chosen one.
    """
    everything, path = (settings["files"][part] for part in ("all", "chosen"))
    if everything not in rows:
        return pd.DataFrame(columns=COLUMNS)
    shape = (settings["positions"], settings["layers"], settings["hidden"])
    directions = rows[everything].to_numpy().reshape(shape)
    chosen = rows[path].to_numpy()[0] if path in rows else np.full(settings["hidden"], np.nan)
    if path in rows and not (directions == chosen).all(axis=-1).any():
        raise StudyError(
            f"{path} has a direction that is not in {everything}; get both files again."
        )
    return direction_table(settings["sweep"], settings["vector"], directions, chosen)


def direction_table(
    sweep: str, vector: str, directions: np.ndarray, chosen: np.ndarray
) -> pd.DataFrame:
    """A row for each candidate (columns `COLUMNS`), as tables of a study's own vectors have them.

    `directions` are [positions, n_layers, hidden], `position` counts from the end. `cosine` is that
    with the `chosen` direction [hidden], NaN for a candidate of zeros, or where it is NaN itself.
    """
    positions, layers, _ = directions.shape
    at = list(range(-positions, 0))
    lengths = pd.DataFrame(of_layers(directions, {}, at))[["position", "layer", "norm"]]
    everywhere = np.broadcast_to(chosen, directions.shape[1:])
    angles = pd.DataFrame(cosines({_ALL: directions, _ONE: everywhere}, {_ALL: at, _ONE: None}))
    angles = angles[angles["other"] == _ONE][["position", "layer", "cosine"]]
    found = lengths.merge(angles, on=["position", "layer"]).astype({"cosine": float})
    same = (directions == chosen).all(axis=-1).reshape(positions * layers)
    return found.assign(sweep=sweep, vector=vector, chosen=same)[COLUMNS]
