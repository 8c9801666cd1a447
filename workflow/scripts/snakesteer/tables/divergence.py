"""Mean divergence from the unsteered model by injection, coefficient and source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from snakesteer.sweeps.job import Injected
from snakesteer.tables.bootstrap import percentile_interval, resampled_accuracies
from snakesteer.tables.draws import with_means
from snakesteer.tables.job import Statistics, TableJob
from snakesteer.tables.raw import by_injection, unsteered_rows
from snakesteer.tables.vector_intervals import HIGH, LOW, vector_interval

# `kl` is the mean over documents or questions, in nats, `kl_p95` the 95th percentile of them.
COLUMNS = [
    "sweep",
    "vector",
    "layer",
    "coefficient",
    "source",
    "samples",
    "kl",
    "kl_low",
    "kl_high",
    "kl_p95",
    "unsteered",
]
_VALUES = ["kl", "kl_p95"]


def table(
    job: TableJob, raw: Sequence[pd.DataFrame], resampled: Sequence[pd.DataFrame]
) -> pd.DataFrame:
    """A row for each injection, coefficient and corpus or behaviour (columns `COLUMNS`).

    The 95 % interval of the mean is that of bootstrap samples of the documents or questions, paired
    between coefficients. With resampled vectors there is one over these as well, in further columns
    (`kl_vector_low`, `kl_vector_high`). Where injections are draws, `kl` and `kl_p95` have their
    mean and range over these in rows behind (`draws.with_means`).

    Columns, a row for each injection, coefficient and source:
        sweep, vector, layer, coefficient, source
        samples (whole number): Documents or questions read.
        kl, kl_low, kl_high (number): Mean KL divergence of the next token, KL(unsteered ‖ steered),
            in nats, with a bootstrap interval over samples. 0 for the unsteered model.
        kl_p95 (number): 95th percentile of the samples' divergences, in nats.
        unsteered
        …_vector_low, …_vector_high
        draw, source_layer, source_position, draws
        …_min, …_max
    """
    assert job.statistics
    parts = []
    for injected, own, again in by_injection(job, raw, resampled):
        for source, rows in own.groupby("source", sort=False):
            part = _rows(injected, str(source), rows, job.statistics)
            if again is not None:
                part = part.assign(**_over_vectors(part, again[again["source"] == source]))
            parts.append(part)
    table = pd.concat(parts, ignore_index=True).assign(sweep=job.sweep)
    table = table[[*COLUMNS, *(name for name in table if name not in COLUMNS)]]
    return with_means(table, _VALUES, ["samples"], [f"kl{end}" for end in ("_low", "_high")])


def _rows(
    injected: Injected, source: str, rows: pd.DataFrame, statistics: Statistics
) -> pd.DataFrame:
    """The rows of one injection on one source, by coefficient."""
    coefficients, row_of = np.unique(rows["coefficient"].to_numpy(), return_inverse=True)
    samples, column_of = np.unique(rows["sample"].to_numpy(dtype=str), return_inverse=True)
    kl = np.full((len(coefficients), len(samples)), np.nan)
    kl[row_of, column_of] = rows["kl"]
    drawn = resampled_accuracies(kl, np.ones_like(kl), statistics.resamples, statistics.seed)
    low, high = percentile_interval(drawn, np.full(len(kl), kl.shape[1]))
    return pd.DataFrame(
        {
            "vector": injected.what,
            "layer": injected.layer,
            "coefficient": coefficients,
            "source": source,
            "samples": kl.shape[1],
            "kl": kl.mean(axis=1),
            "kl_low": low,
            "kl_high": high,
            "kl_p95": np.quantile(kl, 0.95, axis=1),
            "unsteered": unsteered_rows(coefficients),
            **injected.columns,
        }
    )


def _over_vectors(part: pd.DataFrame, resampled: pd.DataFrame) -> dict[str, np.ndarray]:
    """The columns of intervals over vectors."""
    cells = resampled.groupby(["resample", "coefficient"], dropna=False)
    means = cells["kl"].mean().unstack()
    low, high = vector_interval(part["kl"].to_numpy(), means[part["coefficient"]].to_numpy())
    return {f"kl{LOW}": low, f"kl{HIGH}": high}
