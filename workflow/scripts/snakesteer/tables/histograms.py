"""Histograms of activations over the hidden dimensions."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

HISTOGRAM_COLUMNS = ["name", "layer", "bin", "low", "high", "count"]


def histogram(name: str, array: np.ndarray, layers: Iterable[int], bins: int) -> pd.DataFrame:
    """Counts of `array` [n_layers, hidden] at some layers, in equal bins over each layer's range.

    A row per layer and bin (columns `HISTOGRAM_COLUMNS`).

    Columns, a row for each layer and bin:
        name (text): The activations or the vector.
        layer (whole number): The layer, from 0.
        bin (whole number): The bin's number, from 0.
        low, high (number): The ends of the bin.
        count (whole number): Hidden dimensions whose value lies in it.
    """
    rows = []
    for layer in layers:
        counts, edges = np.histogram(array[layer], bins=bins)
        rows.append(
            pd.DataFrame(
                {
                    "name": name,
                    "layer": layer,
                    "bin": range(bins),
                    "low": edges[:-1],
                    "high": edges[1:],
                    "count": counts,
                }
            )
        )
    return pd.concat(rows, ignore_index=True)
