"""A control drawn several times of the same samples: a band, in place of one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from snakesteer.vectors.samples import ByRole


def drawn(
    fit: Callable[..., np.ndarray], samples: ByRole, settings: Mapping[str, Any]
) -> np.ndarray:
    """The vectors [draws, n_layers, hidden] of a method, given by its `fit`.

    `settings` are the method's and `draws`. Every sample counts once in every draw, and the method
    draws what it draws anew.
    """
    once = {
        role: [np.ones((settings["draws"], each.rows)) for each in given]
        for role, given in samples.items()
    }
    return fit(samples, settings, once)
