"""A sweep evaluated with each resample of its vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa


def with_each_resample(
    vectors: Mapping[str, np.ndarray],
    resamples: int,
    evaluate: Callable[[Mapping[str, np.ndarray]], pa.Table],
) -> pa.Table:
    """The tables that `evaluate` gives for each resample, joined; column `resample` counts them.

    `vectors` are [resamples, n_layers, hidden] by name; `evaluate` is given one of each.
    """
    tables = []
    for resample in range(resamples):
        table = evaluate({name: each[resample] for name, each in vectors.items()})
        number = pa.array([resample] * table.num_rows, pa.int64())
        tables.append(table.append_column("resample", number))
    return pa.concat_tables(tables)
