"""Samples that are read at several positions: a vector is made at each of them by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from snakesteer.core.errors import StudyError, naming
from snakesteer.vectors.samples import ByRole, Weights


def at_each(
    fit: Callable[..., np.ndarray],
    samples: ByRole,
    settings: Mapping[str, Any],
    weights: Weights | None = None,
) -> np.ndarray:
    """What a method's `fit` makes of the samples at each of their positions.

    [positions, n_layers, hidden], or with weights [draws, positions, n_layers, hidden]; without
    that axis where all samples are of one position. Those of one position among others count at
    each. Raises StudyError as `fit` and `positions_of` do.
    """
    positions = positions_of(samples)
    if positions is None:
        return fit(samples, settings, weights)
    made = []
    for place, position in enumerate(positions):
        here = {role: [each.at(place) for each in given] for role, given in samples.items()}
        with naming(f"position {position}"):
            made.append(fit(here, settings, weights))
    return np.stack(made, axis=-3)


def positions_of(samples: ByRole) -> tuple[int, ...] | None:
    """The positions of samples, counted from the texts' ends; None where all are of one.

    Raises StudyError for samples of different ones.
    """
    found = dict.fromkeys(each.positions for given in samples.values() for each in given)
    found.pop(None, None)
    if len(found) > 1:
        raise StudyError(
            "The samples of a vector are read at different positions, "
            f"{' and '.join(str(list(each or ())) for each in found)}; read all at the same."
        )
    return next(iter(found), None)


def seed_at(seed: int, samples: ByRole) -> list[int]:
    """The seed of what is drawn, another one at each of several positions."""
    for given in samples.values():
        for each in given:
            if each.place is not None:
                return [seed, each.place]
    return [seed]


def described(samples: ByRole) -> dict[str, list[int]]:
    """What provenance says of several positions, in the order of their axis; else nothing."""
    positions = positions_of(samples)
    return {} if positions is None else {"positions": list(positions)}
