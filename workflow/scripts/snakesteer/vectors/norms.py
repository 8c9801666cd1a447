"""Lengths of vectors where they may be read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def norms_by_place(
    vector: np.ndarray, positions: Sequence[int] | None
) -> dict[tuple[int, int | None], float]:
    """The Euclidean norm at each 0-based layer and position, in units of the residual stream.

    `vector` is [n_layers, hidden], of one position, which is None, or with `positions`
    [positions, n_layers, hidden].
    """
    read: list[tuple[int | None, np.ndarray]] = [(None, vector)]
    if positions is not None:
        read = list(zip(positions, vector, strict=True))
    found: dict[tuple[int, int | None], float] = {}
    for position, rows in read:
        for layer, row in enumerate(rows):
            found[layer, position] = float(np.linalg.norm(row.astype(np.float64)))
    return found
