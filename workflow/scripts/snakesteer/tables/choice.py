"""Matching scores of choices by injection, coefficient and behaviour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from snakesteer.sweeps.job import Injected
from snakesteer.tables.categories import cell_of, with_mean
from snakesteer.tables.draws import with_means
from snakesteer.tables.intervals import mean_interval, wilson_interval
from snakesteer.tables.job import TableJob
from snakesteer.tables.raw import by_injection, unsteered_rows
from snakesteer.tables.vector_intervals import HIGH, LOW, vector_interval

# `score` is `matches` over `questions`; `probability` and `propensity` are means over these.
COLUMNS = [
    "sweep",
    "kind",
    "vector",
    "layer",
    "direction",
    "combine",
    "weighted",
    "coefficient",
    "behaviour",
    "split",
    "questions",
    "matches",
    "score",
    "score_low",
    "score_high",
    "probability",
    "probability_low",
    "probability_high",
    "propensity",
    "propensity_low",
    "propensity_high",
    "unsteered",
]
_MEANS = ["probability", "propensity"]
_VALUES = ["matches", "score", *_MEANS]
_ENDS = [f"{of}{end}" for of in ("score", *_MEANS) for end in ("_low", "_high")]


def table(
    job: TableJob, raw: Sequence[pd.DataFrame], resampled: Sequence[pd.DataFrame]
) -> pd.DataFrame:
    """A row for each injection, coefficient and behaviour (columns `COLUMNS`).

    95 % intervals: Wilson's of the score, Student's of the means. With resampled vectors all three
    have one over these as well, in further columns (`…_vector_low`, `…_vector_high`). Where
    injections are draws, values have their mean and range over these in rows behind
    (`draws.with_means`).

    Columns, a row for each injection, coefficient and behaviour:
        sweep, kind, vector, layer
        direction, combine, weighted (as tables.two_choice.table)
        coefficient, behaviour, split
        questions (whole number): Questions asked.
        matches (number): Questions whose matching choice has the best score. A mean in a row of
            means over draws.
        score, score_low, score_high (number): The matching score, `matches` divided by `questions`,
            with Wilson's interval.
        probability, probability_low, probability_high (number): Mean softmax share of the matching
            choice among the scores of all choices, with Student's interval.
        propensity, propensity_low, propensity_high (number): Mean score of the matching choice
            minus the best score of the others, in nats, with Student's interval. Scores can be per
            token, character or byte, as the measure's `by` asks.
        unsteered, category
        …_vector_low, …_vector_high
        draw, source_layer, source_position, draws
        …_min, …_max
    """
    parts = []
    for injected, own, again in by_injection(job, raw, resampled):
        parts.append(_rows(injected, own, again))
    table = pd.concat(parts, ignore_index=True)
    table = table.assign(sweep=job.sweep, kind=job.kind, split=job.split)
    table = table[[*COLUMNS, *(name for name in table if name not in COLUMNS)]]
    return with_means(table, _VALUES, ["questions"], _ENDS)


def _rows(injected: Injected, rows: pd.DataFrame, resampled: pd.DataFrame | None) -> pd.DataFrame:
    """The rows of one injection, by coefficient and behaviour."""
    cell = cell_of(rows)
    rows = rows[[*cell, *_MEANS]].assign(match=rows["outcome"] == "match")
    cells = rows.groupby(cell, sort=False, dropna=False)
    found = cells.agg(questions=("match", "size"), matches=("match", "sum"))
    found["score"] = found["matches"] / found["questions"]
    found["score_low"], found["score_high"] = wilson_interval(found["matches"], found["questions"])
    for name in _MEANS:
        means, deviations = cells[name].mean(), cells[name].std()
        found[name] = means
        found[f"{name}_low"], found[f"{name}_high"] = mean_interval(
            means.to_numpy(), deviations.to_numpy(), found["questions"].to_numpy()
        )
    found = with_mean(found)
    if resampled is not None:
        found = found.assign(**_over_vectors(found, resampled))
    found = found.reset_index().sort_values("coefficient", kind="stable")
    unsteered = unsteered_rows(found["coefficient"].to_numpy())
    combined = injected.combined
    signed = np.where(found["coefficient"] >= 0, "add", "subtract")
    return found.assign(
        vector=injected.vector,
        layer=injected.layer,
        direction=np.where(unsteered, "default", combined.direction if combined else signed),
        combine=combined.how if combined else "",
        weighted=combined.weighted if combined else False,
        unsteered=unsteered,
        **injected.columns,
    )


def _over_vectors(found: pd.DataFrame, resampled: pd.DataFrame) -> dict[str, np.ndarray]:
    """The columns of intervals over vectors, for the rows of `found`."""
    cell = found.index.names
    outcomes = resampled[["resample", *cell, *_MEANS]].assign(
        score=(resampled["outcome"] == "match").astype(float)
    )
    cells = outcomes.groupby(["resample", *cell], sort=False, dropna=False)
    means = with_mean(cells[["score", *_MEANS]].mean())
    columns = {}
    for name in means:
        by_resample = means[name].unstack("resample").reindex(found.index).to_numpy().T
        columns[f"{name}{LOW}"], columns[f"{name}{HIGH}"] = vector_interval(
            found[name].to_numpy(), by_resample
        )
    return columns
