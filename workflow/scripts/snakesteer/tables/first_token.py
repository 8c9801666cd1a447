"""Mean log-odds of first tokens by injection, coefficient and source."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from snakesteer.sweeps.job import Injected
from snakesteer.tables.draws import with_means
from snakesteer.tables.intervals import mean_interval
from snakesteer.tables.job import TableJob
from snakesteer.tables.raw import by_injection, unsteered_rows
from snakesteer.tables.vector_intervals import HIGH, LOW, vector_interval

# `log_odds`, in nats, and `probability` are means over documents or questions.
COLUMNS = [
    "sweep",
    "vector",
    "layer",
    "coefficient",
    "source",
    "samples",
    "log_odds",
    "log_odds_low",
    "log_odds_high",
    "probability",
    "probability_low",
    "probability_high",
    "unsteered",
]
_VALUES = ["log_odds", "probability"]
_ENDS = [f"{of}{end}" for of in _VALUES for end in ("_low", "_high")]


def table(
    job: TableJob, raw: Sequence[pd.DataFrame], resampled: Sequence[pd.DataFrame]
) -> pd.DataFrame:
    """A row for each injection, coefficient and corpus or behaviour (columns `COLUMNS`).

    Means have Student's 95 % intervals. With resampled vectors there is one over these as well, in
    further columns (`…_vector_low`, `…_vector_high`). Where injections are draws, means have their
    mean and range over these in rows behind (`draws.with_means`).

    Columns, a row for each injection, coefficient and source:
        sweep, vector, layer, coefficient, source
        samples (whole number): Documents or questions read.
        log_odds, log_odds_low, log_odds_high (number): Mean log-odds that the first token of the
            answer is in the set, in nats, with Student's interval.
        probability, probability_low, probability_high (number): Mean probability of the tokens of
            the set together, with Student's interval.
        unsteered
        …_vector_low, …_vector_high
        draw, source_layer, source_position, draws
        …_min, …_max
    """
    parts = []
    for injected, own, again in by_injection(job, raw, resampled):
        for source, rows in own.groupby("source", sort=False):
            of_source = None if again is None else again[again["source"] == source]
            parts.append(_rows(injected, str(source), rows, of_source))
    table = pd.concat(parts, ignore_index=True).assign(sweep=job.sweep)
    table = table[[*COLUMNS, *(name for name in table if name not in COLUMNS)]]
    return with_means(table, _VALUES, ["samples"], _ENDS)


def _rows(
    injected: Injected, source: str, rows: pd.DataFrame, resampled: pd.DataFrame | None
) -> pd.DataFrame:
    """The rows of one injection on one source, by coefficient."""
    cells = rows.groupby("coefficient", dropna=False)
    found = cells.agg(samples=("log_odds", "size"))
    for name in _VALUES:
        means, deviations = cells[name].mean(), cells[name].std()
        found[name] = means
        found[f"{name}_low"], found[f"{name}_high"] = mean_interval(
            means.to_numpy(), deviations.to_numpy(), found["samples"].to_numpy()
        )
        if resampled is None:
            continue
        again = resampled.groupby(["resample", "coefficient"], dropna=False)[name].mean()
        by_resample = again.unstack("resample").reindex(found.index).to_numpy().T
        found[f"{name}{LOW}"], found[f"{name}{HIGH}"] = vector_interval(
            means.to_numpy(), by_resample
        )
    found = found.reset_index()
    return found.assign(
        vector=injected.what,
        layer=injected.layer,
        source=source,
        unsteered=unsteered_rows(found["coefficient"].to_numpy()),
        **injected.columns,
    )
