"""From raw behaviour sweeps to the tables of matching scores that figures and choices read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from snakesteer.tables.categories import cell_of, with_mean
from snakesteer.tables.draws import DRAW, with_means
from snakesteer.tables.intervals import mean_interval, wilson_interval
from snakesteer.tables.job import TableJob
from snakesteer.tables.raw import by_injection, unsteered_rows
from snakesteer.tables.vector_intervals import HIGH, LOW, vector_interval

BEHAVIOUR_COLUMNS = [
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
    "faulty",
    "score",
    "score_low",
    "score_high",
    "majority",
    "collapsed",
    "propensity",
    "propensity_low",
    "propensity_high",
    "choice_mass",
    "unsteered",
]

PROBABILITY = ["probability", "probability_low", "probability_high"]
_MEANS = ["propensity", "probability"]
_VALUES = ["matches", "faulty", "score", "majority", "choice_mass", *_MEANS]
_ENDS = ["collapsed"] + [f"{of}{end}" for of in ("score", *_MEANS) for end in ("_low", "_high")]


@dataclass(frozen=True)
class Part:
    """One injection of a behaviour sweep and its raw table.

    `kind` is "grid", "single", "combined" or "simultaneous"; `combine` is "mean", "sum" or "".
    `direction` is "add" or "subtract" where the vectors were signed before the injection (combined
    steering); None takes it from the sign of the coefficient. The unsteered model is always
    "default".
    `resampled` is the raw table of the same with resamples of the vectors (`resample`); `columns`
    are further ones that tell it from other parts (`Injected.columns`).
    """

    kind: str
    vector: str
    layer: str
    split: str
    raw: pd.DataFrame
    direction: str | None = None
    combine: str = ""
    weighted: bool = False
    resampled: pd.DataFrame | None = None
    columns: Mapping[str, int] = field(default_factory=dict)


def table(
    job: TableJob, raw: Sequence[pd.DataFrame], resampled: Sequence[pd.DataFrame]
) -> pd.DataFrame:
    """The table of a sweep, from the raw tables of its jobs and, if it has any, those with
    resamples of their vectors.

    Columns, a row for each injection, coefficient and behaviour:
        sweep, kind, vector, layer
        direction (text): `add` or `subtract`, by the sign of the coefficient, or in combined
            steering by that of the vectors. `default` for the unsteered model.
        combine (text): `mean` or `sum` of the vectors in combined steering, else empty text.
        weighted (true or false): Whether the vectors are weighted by the chosen multipliers, in
            combined steering.
        coefficient, behaviour, split
        questions (whole number): Questions asked.
        matches (number): Answers that match the behaviour. A mean in a row of means over draws.
        faulty (number): Answers that are neither of the two choices. A mean in a row of means over
            draws.
        score, score_low, score_high (number): The matching score, `matches` divided by `questions`,
            with Wilson's interval.
        majority (number): Share of the most frequent answer.
        collapsed (true or false): Whether `majority` exceeds the share that counts as mode
            collapse, 0.95 unless the study sets another.
        propensity, propensity_low, propensity_high (number): Mean logit of the matching answer
            minus that of the other, in nats, with Student's interval.
        choice_mass (number): Mean probability of both answers together.
        unsteered, category
        probability, probability_low, probability_high (number): Mean probability of the matching
            answer among both, or among the letters that the measure names, with Student's interval.
        …_vector_low, …_vector_high
        draw, source_layer, source_position, draws
        …_min, …_max
    """
    assert job.split
    parts = []
    for injected, own, again in by_injection(job, raw, resampled):
        part = Part(
            kind=job.kind,
            vector=injected.vector,
            layer=injected.layer,
            split=job.split,
            raw=own,
            resampled=again,
            columns=injected.columns,
        )
        if combined := injected.combined:
            part = replace(
                part,
                direction=combined.direction,
                combine=combined.how,
                weighted=combined.weighted,
            )
        parts.append(part)
    assert job.collapse is not None
    return behaviour_table(job.sweep, parts, job.collapse)


def behaviour_table(sweep: str, parts: Iterable[Part], collapse: float) -> pd.DataFrame:
    """Matching scores per injection, coefficient and behaviour (columns `BEHAVIOUR_COLUMNS`, and
    behind them `probability` with its interval).

    More than the share `collapse` of one answer is mode collapse. Where parts have resampled
    vectors, score, propensity and probability have an interval over these in further columns
    (`…_vector_low`, `…_vector_high`). Where parts are draws, all values have their mean and range
    over these in rows behind (`draws.with_means`); mode collapse is then that of the mean.
    """
    counts = pd.concat([_part_counts(part) for part in parts], ignore_index=True)
    counts.insert(0, "sweep", sweep)
    scores = score_counts(counts, collapse)
    if DRAW not in scores:
        return scores
    drawn = with_means(scores, _VALUES, ["questions"], _ENDS)
    return drawn.assign(collapsed=drawn["majority"] > collapse)


def _part_counts(part: Part) -> pd.DataFrame:
    cell = cell_of(part.raw)
    raw = part.raw[[*cell, "answer", "choice_mass", "probability"]].assign(
        match=part.raw["outcome"] == "match",
        faulty=part.raw["outcome"] == "faulty",
        propensity=part.raw["logit_matching"] - part.raw["logit_not_matching"],
    )
    cells = raw.groupby(cell, sort=False, dropna=False)
    counts = cells.agg(
        questions=("match", "size"),
        matches=("match", "sum"),
        faulty=("faulty", "sum"),
        choice_mass=("choice_mass", "mean"),
    )
    answers = raw.groupby([*cell, "answer"], sort=False, dropna=False).size()
    most_frequent = answers.groupby(level=cell, sort=False, dropna=False).max()
    counts["majority"] = most_frequent.to_numpy() / counts["questions"]
    for name in _MEANS:
        counts[name] = cells[name].mean()
        counts[f"{name}_low"], counts[f"{name}_high"] = mean_interval(
            counts[name].to_numpy(), cells[name].std().to_numpy(), counts["questions"].to_numpy()
        )
    counts = with_mean(scored(counts))
    if part.resampled is not None:
        counts = counts.assign(**_over_vectors(part.resampled, counts))
    counts = counts.reset_index().sort_values("coefficient", kind="stable")
    unsteered = unsteered_rows(counts["coefficient"].to_numpy())
    signed = np.where(counts["coefficient"] >= 0, "add", "subtract")
    return counts.assign(
        kind=part.kind,
        vector=part.vector,
        layer=part.layer,
        direction=np.where(unsteered, "default", part.direction or signed),
        combine=part.combine,
        weighted=part.weighted,
        split=part.split,
        **part.columns,
    )


def _over_vectors(resampled: pd.DataFrame, counts: pd.DataFrame) -> dict[str, np.ndarray]:
    """The columns of intervals over vectors, for the rows of `counts`."""
    outcomes = resampled[["resample", *counts.index.names, "probability"]].assign(
        score=(resampled["outcome"] == "match").astype(float),
        propensity=resampled["logit_matching"] - resampled["logit_not_matching"],
    )
    cells = outcomes.groupby(["resample", *counts.index.names], sort=False, dropna=False)
    means = with_mean(cells[["score", *_MEANS]].mean())
    columns = {}
    for name in means:
        by_resample = means[name].unstack("resample").reindex(counts.index).to_numpy().T
        columns[f"{name}{LOW}"], columns[f"{name}{HIGH}"] = vector_interval(
            counts[name].to_numpy(), by_resample
        )
    return columns


def scored(counts: pd.DataFrame) -> pd.DataFrame:
    """Counts of `matches` among `questions` with their scores and Wilson 95 % intervals."""
    low, high = wilson_interval(counts["matches"], counts["questions"])
    score = counts["matches"] / counts["questions"]
    return counts.assign(score=score, score_low=low, score_high=high)


def score_counts(counts: pd.DataFrame, collapse: float) -> pd.DataFrame:
    """Complete a table of answer counts with scores, Wilson 95 % intervals and mode collapse, which
    is more than the share `collapse` of one answer.

    `counts` has every column of `BEHAVIOUR_COLUMNS` except `collapsed` and `unsteered`, which is
    where the direction is "default", and unless they are given `score` and its interval; the
    propensities and `choice_mass` may be NaN where logits are not known. Further columns come last.
    """
    table = (counts if "score" in counts else scored(counts)).assign(
        collapsed=counts["majority"] > collapse,
        unsteered=counts["direction"] == "default",
    )
    further = [name for name in table if name not in BEHAVIOUR_COLUMNS]
    return table[[*BEHAVIOUR_COLUMNS, *further]].reset_index(drop=True)
