"""Mean scores of the texts written under steering, by injection, coefficient and source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from snakesteer.core.errors import naming
from snakesteer.core.records import unless_said
from snakesteer.measures.scoring import PREFIX
from snakesteer.sweeps.job import Injected
from snakesteer.tables import agreement, corrected
from snakesteer.tables.agreement import Agreement, Labelled
from snakesteer.tables.bootstrap import percentile_interval, resampled_accuracies
from snakesteer.tables.corrected import Correction, Rated
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
    """What the job of such a table gets: also what people have said of texts that a judge rates,
    as labels of 1 and 0 or as ratings."""

    labelled: tuple[Labelled, ...] = unless_said(())
    rated: tuple[Rated, ...] = unless_said(())


def table(job: Job, raw: Sequence[pd.DataFrame], resampled: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """A row for each injection, coefficient and source: `COLUMNS`, and of each of `ALWAYS` and of
    the job's `scores` the mean over all texts that have it, `…_low`, `…_high` and `…_missing`.

    The 95 % interval of the mean is that of bootstrap samples of the prompts, each with all of its
    texts, paired between coefficients. With resampled vectors there is one over these as well
    (`…_vector_low`, `…_vector_high`). Scores that people have labelled as well have the agreement
    and the share of positive texts (`tables.agreement`). Scores that people have rated have the
    agreement and the corrected mean (`tables.corrected`). Where injections are draws, means have
    their mean and range over these in rows behind (`draws.with_means`).

    Columns, a row for each injection, coefficient and source:
        sweep, vector, layer, coefficient, source
        samples (whole number): Prompts.
        n (whole number): Texts written for each prompt.
        texts (list of text): All texts, in the order of the prompts, the texts of one prompt
            together. Empty in the rows of means over draws.
        unsteered
        draw, source_layer, source_position
        tokens, tokens_low, tokens_high (number): Mean number of tokens of a text, with a bootstrap
            interval over prompts.
        tokens_missing (whole number): Texts without a number of tokens: 0 in every row.
        finished, finished_low, finished_high (number): Share of texts that ended by themselves,
            before the limit of tokens, with a bootstrap interval over prompts.
        finished_missing (whole number): Texts of which that is unknown: 0 in every row.
        SCORE, SCORE_low, SCORE_high (number, only with such a score): Mean of the score, or of a
            part `SCORE_PART` of it, over the texts that have one, with a bootstrap interval over
            prompts. See [Scores of texts](#scores-of-texts).
        SCORE_missing (whole number, only with such a score): Texts for which the scorer gave no
            number.
        …_vector_low, …_vector_high
        * (as tables.agreement.Agreement.columns)
        * (as tables.corrected.Correction.columns)
        draws
        …_min, …_max
    """
    assert job.statistics
    values = [*ALWAYS, *job.scores]
    checks = checked(job, raw)
    agreements = [(each, checks.agreements[each.score]) for each in job.labelled]
    parts = []
    for injected, own, again in by_injection(job, raw, resampled):
        for source, rows in own.groupby("source", sort=False):
            part = _rows(injected, str(source), rows, values, job.statistics)
            here = None if again is None else again[again["source"] == source]
            if here is not None:
                part = part.assign(**_over_vectors(part, here, values))
            for labelled, agreed in agreements:
                part = part.assign(**_share(rows, here, labelled, agreed))
            for score, correction in checks.corrections.items():
                part = part.assign(**_corrected(str(source), rows, here, score, correction))
            parts.append(part)
    table = pd.concat(parts, ignore_index=True).assign(sweep=job.sweep)
    table = table[[*COLUMNS, *(name for name in table if name not in COLUMNS)]]
    single = [f"{name}{end}" for name in values for end in ENDS[:3]]
    for labelled in job.labelled:
        share, judged = (f"{labelled.score}_{name}" for name in agreement.VALUES)
        values += [share, judged]
        single += [f"{share}{end}" for end in ENDS[:2]]
    for rated in job.rated:
        (mean,) = (f"{rated.score}_{name}" for name in corrected.VALUES)
        values.append(mean)
        single += [f"{mean}{end}" for end in ENDS[:2]]
    return with_means(table, values, ["samples"], ["texts", *single])


@dataclass(frozen=True)
class Checked:
    """What people have said of texts that a judge rates, by the name of its score."""

    agreements: Mapping[str, Agreement]
    corrections: Mapping[str, Correction]


def checked(job: Job, raw: Sequence[pd.DataFrame]) -> Checked:
    """How far people agree with the judges of a job. Raises StudyError naming the score whose file
    is not as it should be, or has no text of these tables."""
    agreements, corrections = {}, {}
    for labelled in job.labelled:
        with naming(f"sweeps.{job.sweep}: scores.{labelled.score}"):
            agreements[labelled.score] = agreement.agreement(labelled, raw)
    for rated in job.rated:
        with naming(f"sweeps.{job.sweep}: scores.{rated.score}"):
            corrections[rated.score] = corrected.correction(rated, raw)
    return Checked(agreements, corrections)


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


def _share(
    rows: pd.DataFrame, resampled: pd.DataFrame | None, labelled: Labelled, agreed: Agreement
) -> dict[str, Any]:
    """The columns of a score that people have labelled, of one injection on one source."""
    column = raw_column(labelled.score)
    positive = _positive(rows[column], labelled)
    judged, worth = agreement.effective(*_totals(rows, positive.to_numpy()))
    name, as_judged = (f"{labelled.score}_{each}" for each in agreement.VALUES)
    share, low, high = agreed.share(judged, worth)
    columns = {name: share, f"{name}_low": low, f"{name}_high": high, as_judged: judged}
    if resampled is not None:
        means = _means(resampled, _positive(resampled[column], labelled), rows["coefficient"])
        low, high = vector_interval(share, agreed.estimate(means))
        columns |= {f"{name}{LOW}": low, f"{name}{HIGH}": high}
    return columns | agreed.columns(labelled.score)


def _positive(ratings: pd.Series, labelled: Labelled) -> pd.Series:
    """1 where a rating is positive, 0 where it is not, NaN where there is none."""
    return (ratings >= labelled.positive).astype(float).where(ratings.notna())


def _corrected(
    source: str,
    rows: pd.DataFrame,
    resampled: pd.DataFrame | None,
    score: str,
    correction: Correction,
) -> dict[str, Any]:
    """The columns of a score that people have rated, of one injection on one source."""
    (name,) = (f"{score}_{each}" for each in corrected.VALUES)
    column = raw_column(score)
    _, _, samples, _ = _places(rows)
    totals, counts = _totals(rows, rows[column].to_numpy(dtype=float))
    mean, low, high = correction.mean(source, samples, totals, counts)
    columns = {name: mean, f"{name}_low": low, f"{name}_high": high}
    if resampled is not None:
        means = _means(resampled, resampled[column], rows["coefficient"])
        low, high = vector_interval(mean, means + correction.bias)
        columns |= {f"{name}{LOW}": low, f"{name}{HIGH}": high}
    return columns | correction.columns(score)


def _over_vectors(
    part: pd.DataFrame, resampled: pd.DataFrame, values: Sequence[str]
) -> dict[str, np.ndarray]:
    """The columns of intervals over vectors."""
    columns: dict[str, np.ndarray] = {}
    for value in values:
        means = _means(resampled, resampled[raw_column(value)], part["coefficient"])
        low, high = vector_interval(part[value].to_numpy(), means)
        columns |= {f"{value}{LOW}": low, f"{value}{HIGH}": high}
    return columns


def _means(resampled: pd.DataFrame, values: pd.Series, coefficients: pd.Series) -> np.ndarray:
    """Means of values of rows with resampled vectors, by resample and coefficient, in order."""
    cells = resampled.assign(value=values.astype(float))
    means = cells.groupby(["resample", "coefficient"], dropna=False)["value"].mean().unstack()
    return means[np.unique(coefficients)].to_numpy()
