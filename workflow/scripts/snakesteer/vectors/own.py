"""A method of one's own: the function `fit` of a Python file that a study names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from snakesteer.core.errors import StudyError
from snakesteer.core.own_code import failed, load
from snakesteer.vectors.rounding import finite
from snakesteer.vectors.samples import ByRole, Weights


def fit(samples: ByRole, settings: Mapping[str, Any], weights: Weights | None = None) -> np.ndarray:
    """What the `fit` of the settings' `file` makes of the samples, given the settings' `options`.

    Raises StudyError where it fails, and where it returns anything but finite numbers of the shape
    that a method returns.
    """
    path = Path(settings["file"]).expanduser()
    module = load(path, "fit")
    try:
        made = module.fit(samples, settings["options"], weights)
    except StudyError:
        raise
    except Exception as error:
        raise StudyError(f"{failed(path, error)}; correct it.") from error
    shape = _shape(samples, weights)
    if np.shape(made) != shape or not np.issubdtype(np.asarray(made).dtype, np.floating):
        raise StudyError(
            f"`fit` in {path} returned {_described(made)}, not an array of floats of shape "
            f"{shape}; correct it."
        )
    return finite(np.asarray(made))


def _shape(samples: ByRole, weights: Weights | None) -> tuple[int, ...]:
    """The shape that `fit` is to return: [n_layers, hidden], or with weights [draws, ...]."""
    one = next(each for given in samples.values() for each in given)
    layers_and_width = next(iter(one.shapes().values()))[1:]
    if weights is None:
        return layers_and_width
    draws = next(len(each) for given in weights.values() for each in given)
    return (draws, *layers_and_width)


def _described(made: Any) -> str:
    if isinstance(made, np.ndarray):
        return f"{made.dtype} of shape {made.shape}"
    return f"a {type(made).__name__}"
