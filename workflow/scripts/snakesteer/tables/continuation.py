"""Mean scores of the texts written under steering, by injection, coefficient and source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from snakesteer.core.records import unless_said
from snakesteer.measures.scoring import PREFIX
from snakesteer.sweeps.job import Injected
from snakesteer.tables import agreement
from snakesteer.tables.agreement import Labelled
from snakesteer.tables.bootstrap import percentile_interval, resampled_accuracies
from snakesteer.tables.draws import LEAST, MOST, with_means
from snakesteer.tables.job import Statistics, TableJob
from snakesteer.tables.raw import by_injection, unsteered_rows
from snakesteer.tables.vector_intervals import HIGH, LOW, vector_interval

# `samples` are prompts, `n` texts of each; `texts` are all of them, in the order of the prompts.
COLUMNS = (
    "sweep",
    "vector",
    "layer",
    "coefficient",
    "source",
    "samples",
    "n",
    "texts",
    "unsteered",
)
# What every text has, beside its scores: so many tokens, and whether it ended by itself.
ALWAYS = ("tokens", "finished")
# Of each of these and of each score: the 95 % interval of the mean, how many texts have none, the
# range over draws, and the interval over vectors.
ENDS = ("_low", "_high", "_missing", LEAST, MOST, LOW, HIGH)


@dataclass(frozen=True)
class Job(TableJob):
    """What the job of such a table gets: the labels of scores that people have checked, too."""

    labelled: tuple[Labelled, ...] = unless_said(())


def table(job: Job, raw: Sequence[pd.DataFrame], resampled: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """A row for each injection, coefficient and source: `COLUMNS`, and of each of `ALWAYS` and of
    the job's `scores` the mean over all texts that have it, `…_low`, `…_high` and `…_missing`.

    The 95 % interval of the mean is that of bootstrap samples of the prompts, each with all of its
    texts, paired between coefficients. With resampled vectors there is one over these as well
    (`…_vector_low`, `…_vector_high`). Of each score that people have labelled, too, there are the
    agreement and the share of positive texts (`tables.agreement`). Where injections are draws,
    means have their mean and range over these in rows behind (`draws.with_means`).
    """
    assert job.statistics
    values = [*ALWAYS, *job.scores]
    agreements = {each: agreement.agreement(each, raw) for each in job.labelled}
    parts = []
    for injected, own, again in by_injection(job, raw, resampled):
        for source, rows in own.groupby("source", sort=False):
            part = _rows(injected, str(source), rows, values, job.statistics)
            for labelled, agreed in agreements.items():
                part = part.assign(**_share(rows, labelled, agreed))
            if again is not None:
                here = again[again["source"] == source]
                part = part.assign(**_over_vectors(part, here, values))
            parts.append(part)
    table = pd.concat(parts, ignore_index=True).assign(sweep=job.sweep)
    table = table[[*COLUMNS, *(name for name in table if name not in COLUMNS)]]
    single = [f"{name}{end}" for name in values for end in ENDS[:3]]
    for labelled in agreements:
        share, judged = (f"{labelled.score}_{name}" for name in agreement.SHARES)
        values += [share, judged]
        single += [f"{share}{end}" for end in ENDS[:2]]
    return with_means(table, values, ["samples"], ["texts", *single])


def raw_column(value: str) -> str:
    """Where raw tables have a value of `ALWAYS`, or a score."""
    return value if value in ALWAYS else f"{PREFIX}{value}"


def _rows(
    injected: Injected,
    source: str,
    rows: pd.DataFrame,
    values: Sequence[str],
    statistics: Statistics,
) -> pd.DataFrame:
    """The rows of one injection on one source, by coefficient."""
    coefficients, row_of, samples, column_of = _places(rows)
    texts = rows["text"].to_numpy()
    part = pd.DataFrame(
        {
            "vector": injected.what,
            "layer": injected.layer,
            "coefficient": coefficients,
            "source": source,
            "samples": len(samples),
            "n": int(rows["n"].max()) + 1,
            "texts": [texts[row_of == row].tolist() for row in range(len(coefficients))],
            "unsteered": unsteered_rows(coefficients),
            **injected.columns,
        }
    )
    columns = {}
    for value in values:
        given = rows[raw_column(value)].to_numpy(dtype=float)
        known = ~np.isnan(given)
        totals, counts = _totals(rows, given)
        drawn = resampled_accuracies(totals, counts, statistics.resamples, statistics.seed)
        low, high = percentile_interval(drawn, (counts > 0).sum(axis=1))
        with np.errstate(invalid="ignore"):
            columns[value] = totals.sum(axis=1) / counts.sum(axis=1)
        columns[f"{value}_low"], columns[f"{value}_high"] = low, high
        columns[f"{value}_missing"] = np.bincount(row_of, ~known, len(coefficients)).astype(int)
    return part.assign(**columns)


def _places(rows: pd.DataFrame) -> tuple[np.ndarray, ...]:
    """Coefficients, and the place of each row's among them; prompts, and likewise."""
    coefficients, row_of = np.unique(rows["coefficient"].to_numpy(), return_inverse=True)
    samples, column_of = np.unique(rows["sample"].to_numpy(dtype=str), return_inverse=True)
    return coefficients, row_of, samples, column_of


def _totals(rows: pd.DataFrame, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of values by coefficient and prompt, and of how many texts, those with NaN left out."""
    coefficients, row_of, samples, column_of = _places(rows)
    known = ~np.isnan(given)
    totals = np.zeros((len(coefficients), len(samples)))
    counts = np.zeros_like(totals)
    np.add.at(totals, (row_of, column_of), np.where(known, given, 0))
    np.add.at(counts, (row_of, column_of), known)
    return totals, counts


def _share(rows: pd.DataFrame, labelled: Labelled, agreed: agreement.Agreement) -> dict[str, Any]:
    """The columns of a score that people have labelled, of one injection on one source."""
    ratings = rows[raw_column(labelled.score)].to_numpy(dtype=float)
    positive = np.where(np.isnan(ratings), np.nan, ratings >= labelled.positive)
    judged, worth = agreement.effective(*_totals(rows, positive))
    name, as_judged = (f"{labelled.score}_{each}" for each in agreement.SHARES)
    share, low, high = agreed.share(judged, worth)
    columns = {name: share, f"{name}_low": low, f"{name}_high": high, as_judged: judged}
    return columns | agreed.columns(labelled.score)


def _over_vectors(
    part: pd.DataFrame, resampled: pd.DataFrame, values: Sequence[str]
) -> dict[str, np.ndarray]:
    """The columns of intervals over vectors."""
    columns: dict[str, np.ndarray] = {}
    for value in values:
        given = resampled.assign(value=resampled[raw_column(value)].astype(float))
        cells = given.groupby(["resample", "coefficient"], dropna=False)
        means = cells["value"].mean().unstack()
        low, high = vector_interval(part[value].to_numpy(), means[part["coefficient"]].to_numpy())
        columns |= {f"{value}{LOW}": low, f"{value}{HIGH}": high}
    return columns
