"""From raw skill sweeps to the tables of accuracies that figures and scorecards read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.tables.bootstrap import RESAMPLES, SEED, percentile_interval, resampled_accuracies
from snakesteer.tables.draws import with_means
from snakesteer.tables.job import TableJob
from snakesteer.tables.raw import by_injection, unsteered_rows
from snakesteer.tables.vector_intervals import HIGH, LOW, vector_interval

PERPLEXITY = ["perplexity", "perplexity_low", "perplexity_high"]
# Accuracy -> (column of its counts of hits, column of the tokens they are counted over).
ACCURACIES = {
    "top1": ("top1", "tokens"),
    "top10": ("top10", "tokens"),
    "kept_top1": ("kept_top1", "kept"),
    "kept_top10": ("kept_top10", "kept"),
}

RATIOS = {**ACCURACIES, "nll": ("nll", "tokens")}

SKILL_COLUMNS = [
    "sweep",
    "vector",
    "layer",
    "coefficient",
    "corpus",
    "role",
    "documents",
    "tokens",
    *(
        f"{prefix}{accuracy}{suffix}"
        for accuracy in ACCURACIES
        for prefix in ("", "relative_")
        for suffix in ("", "_low", "_high")
    ),
    "nll",
    "unsteered",
]


@dataclass(frozen=True)
class Curve:
    """One injection of a sweep: what is injected, its layer label and its raw table.

    `resampled` is the raw table of the same sweep with resamples of its vectors (`resample`);
    `columns` are further ones that tell it from other curves (`Injected.columns`).
    """

    vector: str
    layer: str
    raw: pd.DataFrame
    resampled: pd.DataFrame | None = None
    columns: Mapping[str, int] = field(default_factory=dict)


def table(
    job: TableJob, raw: Sequence[pd.DataFrame], resampled: Sequence[pd.DataFrame]
) -> pd.DataFrame:
    """The table of a sweep, from the raw tables of its jobs and, if it has any, those with
    resamples of their vectors.

    Beside the columns of `skill_table` it has `PERPLEXITY`: e to the `nll`, with the interval of
    the same bootstrap.

    Columns, a row for each injection, coefficient and corpus:
        sweep, vector, layer, coefficient, corpus
        role (text): `target` for the first corpus of the measure, which the vector steers away
            from, else `other`.
        documents (whole number): Documents evaluated.
        tokens (whole number): Tokens whose prediction counts, in all documents.
        top1, top1_low, top1_high (number): Share of tokens that are the most likely prediction,
            with a bootstrap interval over documents.
        relative_top1, relative_top1_low, relative_top1_high (number): `top1` divided by that of the
            unsteered model on the same documents. Empty where the unsteered model has 0.
        top10, top10_low, top10_high (number): Share of tokens among the ten most likely
            predictions, with a bootstrap interval over documents.
        relative_top10, relative_top10_low, relative_top10_high (number): `top10` divided by that of
            the unsteered model, likewise.
        kept_top1, kept_top1_low, kept_top1_high (number): `top1` over rarer tokens only: those that
            the measure's `skip` and `skip_tokens` keep.
        relative_kept_top1, relative_kept_top1_low, relative_kept_top1_high (number): `kept_top1`
            divided by that of the unsteered model, likewise.
        kept_top10, kept_top10_low, kept_top10_high (number): `top10` over these rarer tokens.
        relative_kept_top10, relative_kept_top10_low, relative_kept_top10_high (number):
            `kept_top10` divided by that of the unsteered model, likewise.
        nll (number): Mean loss per token, in nats.
        unsteered
        …_vector_low, …_vector_high
        draw, source_layer, source_position
        perplexity, perplexity_low, perplexity_high (number): e to the power of `nll`, with the same
            bootstrap interval.
        draws
        …_min, …_max
    """
    curves = [
        Curve(injected.what, injected.layer, own, again, injected.columns)
        for injected, own, again in by_injection(job, raw, resampled)
    ]
    assert job.target and job.statistics
    statistics = job.statistics
    found = _table(job.sweep, job.target, curves, statistics.resamples, statistics.seed)
    further = [name for name in found if name not in [*SKILL_COLUMNS, *PERPLEXITY]]
    own = [name for name in further if name.startswith("perplexity")]
    others = [name for name in further if name not in own]
    return _with_means(found[[*SKILL_COLUMNS, *others, *PERPLEXITY, *own]])


def skill_table(
    sweep: str,
    target: str,
    curves: Iterable[Curve],
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> pd.DataFrame:
    """Accuracies per curve, coefficient and corpus (columns `SKILL_COLUMNS`).

    `target` names the corpus that is steered away from (role "target"; the others are "other").
    `unsteered` says which row is the untouched model's: at coefficient 0, or with NaN where 0
    steers as well. Absolute accuracies are shares of tokens. Relative ones are divided by the
    unsteered value of the same curve and corpus, over the same documents if these were evaluated
    there. Both have a 95 % interval from `resamples` bootstrap samples of the documents, paired
    between coefficients that saw the same documents. `nll` is per token, in nats. Where curves have
    resampled vectors, all accuracies have an interval over these as well, in further columns
    (`…_vector_low`, `…_vector_high`). Where curves are draws, all values have their mean and range
    over these in rows behind (`draws.with_means`).

    Raises StudyError if a curve has no unsteered row or counts a document twice.
    """
    table = _table(sweep, target, curves, resamples, seed)
    return _with_means(table[[name for name in table if not name.startswith("perplexity")]])


def _table(
    sweep: str, target: str, curves: Iterable[Curve], resamples: int, seed: int
) -> pd.DataFrame:
    rows = [
        _corpus_rows(curve, str(corpus), raw, resamples, seed)
        for curve in curves
        for corpus, raw in curve.raw.groupby("corpus", sort=False)
    ]
    table = pd.concat(rows, ignore_index=True)
    table["sweep"] = sweep
    table["role"] = np.where(table["corpus"] == target, "target", "other")
    return table[[*SKILL_COLUMNS, *(name for name in table if name not in SKILL_COLUMNS)]]


def _with_means(table: pd.DataFrame) -> pd.DataFrame:
    """The table, with means and ranges of what was drawn several times."""
    values = [f"{prefix}{accuracy}" for accuracy in ACCURACIES for prefix in ("", "relative_")]
    values = [name for name in [*values, "nll", "perplexity"] if name in table]
    ends = [f"{name}{end}" for name in values for end in ("_low", "_high")]
    return with_means(table, values, ["documents", "tokens"], ends)


def _corpus_rows(
    curve: Curve, corpus: str, raw: pd.DataFrame, resamples: int, seed: int
) -> pd.DataFrame:
    coefficients, row_of = np.unique(raw["coefficient"].to_numpy(), return_inverse=True)
    documents, column_of = np.unique(raw["document"].to_numpy(dtype=str), return_inverse=True)
    unsteered = unsteered_rows(coefficients)
    if not unsteered.any():
        raise StudyError(
            f"the sweep of vector {curve.vector!r} at layer {curve.layer!r} has no coefficient 0 "
            f"on corpus {corpus!r}; add 0 to its coefficients."
        )
    zero = int(np.flatnonzero(unsteered)[0])
    cells = row_of * len(documents) + column_of
    if len(np.unique(cells)) < len(cells):
        raise StudyError(
            f"the sweep of vector {curve.vector!r} at layer {curve.layer!r} counts a document of "
            f"corpus {corpus!r} twice at one coefficient; delete that sweep and run it again."
        )

    def spread(column: str) -> np.ndarray:
        """The column as [n_coefficients, n_documents], 0 where a document was not evaluated."""
        matrix = np.zeros((len(coefficients), len(documents)))
        matrix[row_of, column_of] = raw[column].to_numpy(dtype=float)
        return matrix

    hits = np.stack([spread(column) for column, _ in RATIOS.values()])
    counted = np.stack([spread(column) for _, column in RATIOS.values()])
    evaluated = np.zeros((len(coefficients), len(documents)), dtype=bool)
    evaluated[row_of, column_of] = True
    values, samples = _with_unsteered(hits, counted, evaluated, zero, resamples, seed)

    tokens = spread("tokens").sum(axis=1)
    nll = spread("nll").sum(axis=1) / tokens
    documents_at = evaluated.sum(axis=1)
    documents_of_both = np.minimum(documents_at, documents_at[zero])
    columns: dict[str, object] = {
        "vector": curve.vector,
        "layer": curve.layer,
        "coefficient": coefficients,
        "corpus": corpus,
        "documents": documents_at,
        "tokens": tokens.astype(np.int64),
        "nll": nll,
        "unsteered": unsteered,
    }
    resampled = _resampled(curve, corpus, coefficients)
    for place, accuracy in enumerate(ACCURACIES):
        value, unsteered = values[:, place]
        sample, unsteered_sample = samples[:, :, place]
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = value / _nonzero(unsteered)
            relative_sample = sample / _nonzero(unsteered_sample)
        for name, estimate, distribution, drawn_from in (
            (accuracy, value, sample, documents_at),
            (f"relative_{accuracy}", relative, relative_sample, documents_of_both),
        ):
            columns[name] = estimate
            columns[f"{name}_low"], columns[f"{name}_high"] = percentile_interval(
                distribution, drawn_from
            )
        if resampled is not None:
            found = resampled[accuracy]
            with np.errstate(divide="ignore", invalid="ignore"):
                found_relative = found / _nonzero(found[:, [zero]])
            for name, outcomes in ((accuracy, found), (f"relative_{accuracy}", found_relative)):
                columns[f"{name}{LOW}"], columns[f"{name}{HIGH}"] = vector_interval(
                    np.asarray(columns[name]), outcomes
                )
    low, high = percentile_interval(samples[0, :, -1], documents_at)
    with np.errstate(over="ignore"):
        perplexity = np.exp(nll)
        columns |= zip(PERPLEXITY, (perplexity, np.exp(low), np.exp(high)), strict=True)
        if resampled is not None:
            columns[f"perplexity{LOW}"], columns[f"perplexity{HIGH}"] = vector_interval(
                perplexity, np.exp(resampled["nll"])
            )
    return pd.DataFrame({**columns, **curve.columns})


def _with_unsteered(
    hits: np.ndarray,
    counted: np.ndarray,
    evaluated: np.ndarray,
    zero: int,
    resamples: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Accuracies, and beside each the unsteered one that it is held against.

    `hits` and `counted` are [n_accuracies, n_coefficients, n_documents], `evaluated`
    [n_coefficients, n_documents] says where a document was. Coefficients with the same documents
    are drawn together, and with them 0 on just these documents, if it has them; the largest set
    first, so that its intervals do not depend on the others. Returns
    [2, n_accuracies, n_coefficients] and bootstrap samples [2, resamples, …] of them.
    """
    n_accuracies, n_coefficients, _ = hits.shape
    found = np.empty((2, 1 + resamples, n_accuracies, n_coefficients))
    generator = np.random.default_rng(seed)
    apart: list[int] = []
    sets, set_of = np.unique(evaluated, axis=0, return_inverse=True)
    for place in np.argsort(-sets.sum(axis=1), kind="stable"):
        own, coefficients = sets[place], np.flatnonzero(set_of == place)
        rows = np.append(coefficients, zero)
        some, tokens = (counts[:, rows][:, :, own] for counts in (hits, counted))
        with np.errstate(divide="ignore", invalid="ignore"):
            values = some.sum(axis=-1) / tokens.sum(axis=-1)
        samples = resampled_accuracies(
            some.reshape(-1, own.sum()), tokens.reshape(-1, own.sum()), resamples, generator
        )
        here = np.concatenate([values[None], samples.reshape(resamples, *values.shape)])
        found[0][..., coefficients] = here[..., :-1]
        found[1][..., coefficients] = here[..., [-1]]
        if (own > evaluated[zero]).any():
            apart += coefficients.tolist()
    found[1][..., apart] = found[0][..., [zero]]
    return found[:, 0], found[:, 1:]


def _nonzero(accuracy: np.ndarray) -> np.ndarray:
    """NaN in place of 0: nothing is relative to a model that predicts nothing."""
    return np.where(accuracy == 0, np.nan, accuracy)


def _resampled(curve: Curve, corpus: str, coefficients: np.ndarray) -> dict[str, np.ndarray] | None:
    """`RATIOS` [resamples, n_coefficients] on a corpus, with each resample of the vectors."""
    if curve.resampled is None:
        return None
    rows = curve.resampled[curve.resampled["corpus"] == corpus]
    sums = rows.groupby(["resample", "coefficient"], dropna=False)[
        sorted({column for pair in RATIOS.values() for column in pair})
    ].sum()
    return {
        ratio: (sums[hits] / sums[tokens]).unstack()[list(coefficients)].to_numpy()
        for ratio, (hits, tokens) in RATIOS.items()
    }
