"""Slopes of single questions over the coefficient, and what they are on the whole.

The propensity of a question is the logit of its matching answer minus that of the other. Its slope
over the coefficient, by least squares, is the steerability of Tan et al. (2024, arXiv 2407.12404).
A question whose slope is below 0 moves the wrong way: it is anti-steerable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from snakesteer.core.records import unless_said
from snakesteer.core.student_t import t_quantile
from snakesteer.tables.draws import DRAW
from snakesteer.tables.intervals import wilson_interval
from snakesteer.tables.job import TableJob
from snakesteer.tables.offered import ANSWER, FIRST, offered

SEED = 0
ALL = "all"
CURVE = ["sweep", "kind", "vector", "layer", "behaviour", "split"]
READ = [DRAW, "source_layer", "source_position"]  # columns that tell injections of a vector apart
ITEM_COLUMNS = [
    *CURVE,
    "question",
    ANSWER,
    FIRST,
    "coefficients",
    "slope",
    "slope_half",
    "slope_other_half",
    "unsteered",
]
SLOPE_COLUMNS = [
    *CURVE,
    "by",
    "of",
    "items",
    "coefficients",
    "mean",
    "mean_low",
    "mean_high",
    "anti",
    "anti_share",
    "anti_share_low",
    "anti_share_high",
    "halves_correlation",
    "reliability",
    "halves",
    "balanced",
]


@dataclass(frozen=True)
class EffectsJob:
    """The slopes of the questions of `tables`, a sweep and those of its controls.

    Of `behaviours` the job gets the questions, in this order. Halves of the coefficients are drawn
    with `seed`. In a mean that is `balanced` every answer and order of options counts alike.
    """

    tables: tuple[TableJob, ...]
    behaviours: tuple[str, ...]
    seed: int = unless_said(SEED)
    balanced: bool = unless_said(False)


@dataclass(frozen=True)
class Effects:
    """`items`, a row for each question (columns `ITEM_COLUMNS`), and `slopes`, what they are on the
    whole (`SLOPE_COLUMNS`); both with those of `READ` behind where injections have them.

    Columns of items, a row for each injection and question:
        sweep, kind, vector, layer, behaviour, split
        question (text): The question's id.
        answer (text): The matching answer, a letter or word without brackets. Empty text for longer
            answers.
        first (text): Which option the question offers first: `matching`, `other`, or empty text
            where that is unknown.
        coefficients (text): The coefficients that the slope is over, ascending, with commas between
            them.
        slope (number): Least-squares slope of the question's propensity over the coefficient, in
            nats per unit of the coefficient. Empty with fewer than two coefficients.
        slope_half, slope_other_half (number): The same over each half of the coefficients. Empty
            with fewer than four coefficients.
        unsteered (number): The question's propensity without steering, in nats. Empty where the
            sweep has no such point.
        draw, source_layer, source_position

    Columns of slopes, a row for each injection and group of questions:
        sweep, kind, vector, layer, behaviour, split
        by (text): What groups the questions: `all`, `answer` or `first`.
        of (text): The group: an answer, or which option is first. Empty text for `all`.
        items (whole number): Questions in the group.
        coefficients (as tables.slopes.Effects.items)
        mean, mean_low, mean_high (number): Mean slope of the questions, with Student's interval, in
            nats per unit of the coefficient.
        anti (whole number): Questions whose slope is below 0.
        anti_share, anti_share_low, anti_share_high (number): `anti` divided by `items`, with
            Wilson's interval.
        halves_correlation (number): Correlation, over questions, of `slope_half` and
            `slope_other_half`. Only in rows of all questions, and empty where a half has no slopes.
        reliability (number): Reliability by Spearman and Brown from that correlation. Empty where
            the correlation is negative or empty.
        halves (text): The coefficients of both halves, and the seed that drew them. Empty where
            there are no halves.
        balanced (true or false): Whether every answer and order of options counts the same in the
            mean.
        draw, source_layer, source_position
    """

    items: pd.DataFrame
    slopes: pd.DataFrame


def effects(
    job: EffectsJob,
    raw: Sequence[Sequence[pd.DataFrame]],
    questions: Sequence[pd.DataFrame],
) -> Effects:
    """Slopes of questions and their summaries, from the raw tables of each sweep and the tables of
    questions.

    A summary is of a behaviour, layer and vector; rows with another `by` than "all" are of the
    questions with one answer, or one option first. Draws of a control have rows of their own.
    """
    asked = dict(zip(job.behaviours, map(offered, questions), strict=True))
    items: list[pd.DataFrame] = []
    for table, own in zip(job.tables, raw, strict=True):
        items += _items_of(table, own, asked, job.seed)
    joined = pd.concat(items, ignore_index=True)
    further = [name for name in READ if name in joined]
    joined = joined.astype(dict.fromkeys(further, "Int64"))
    return Effects(
        joined[[*ITEM_COLUMNS, *further]], _summaries(joined, further, job.seed, job.balanced)
    )


def propensity(raw: pd.DataFrame) -> pd.Series:
    """The propensity of each raw row: of `choice` as it stands there, of `two_choice` the logit of
    the matching answer less that of the other."""
    if "logit_matching" in raw and raw["logit_matching"].notna().any():
        return raw["logit_matching"] - raw["logit_not_matching"]
    return raw["propensity"]


def slopes(coefficients: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Least-squares slopes of `values` [items, points] over `coefficients` [points], [items].

    NaN where fewer than two coefficients differ.
    """
    apart = coefficients - coefficients.mean()
    squares = (apart**2).sum()
    if len(coefficients) < 2 or squares == 0:
        return np.full(len(values), np.nan)
    return np.asarray(values @ apart / squares)


def halves(coefficients: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The places of two halves of the coefficients, which ascend.

    Of every two neighbours one goes into each half, drawn at random, so that both go as far. Empty
    with fewer than four coefficients, as a slope takes two.
    """
    found: tuple[list[int], list[int]] = ([], [])
    if len(coefficients) >= 4:
        generator = np.random.default_rng(seed)
        for place in range(0, len(coefficients), 2):
            first = int(generator.integers(2))
            found[first].append(place)
            if place + 1 < len(coefficients):
                found[1 - first].append(place + 1)
    return np.array(found[0], dtype=int), np.array(found[1], dtype=int)


def mean_over(values: np.ndarray, cells: Sequence[str] | None = None) -> tuple[float, float, float]:
    """The mean of items with Student's 95 % interval.

    With `cells`, the kind of each item, it is the mean of the means of the kinds, with Welch's
    interval (1947). NaN in place of ends where a kind has one item.
    """
    kinds = np.zeros(len(values)) if cells is None else np.asarray(cells)
    means, errors, freedoms = [], [], []
    for kind in np.unique(kinds):
        own = values[kinds == kind]
        means.append(own.mean())
        errors.append(own.var(ddof=1) / len(own) if len(own) > 1 else np.nan)
        freedoms.append(len(own) - 1)
    parts = np.array(errors) / len(means) ** 2
    mean, error = float(np.mean(means)), float(parts.sum())
    if np.isnan(error):
        return mean, np.nan, np.nan
    if error == 0:
        return mean, mean, mean
    freedom = error**2 / (parts**2 / np.array(freedoms)).sum()
    half = t_quantile(max(int(freedom), 1)) * np.sqrt(error)
    return mean, mean - half, mean + half


def kinds_of(items: pd.DataFrame) -> list[str]:
    """The kind of each item: its answer, and which option is first."""
    return (items[ANSWER] + ", " + items[FIRST] + " first").tolist()


def spearman_brown(correlation: float) -> float:
    """The reliability of the whole from the correlation of its halves (Spearman 1910, Brown 1910);
    NaN where that is negative, for which there is none."""
    return 2 * correlation / (1 + correlation) if correlation >= 0 else float("nan")


def _items_of(
    job: TableJob, raw: Sequence[pd.DataFrame], asked: Mapping[str, pd.DataFrame], seed: int
) -> Iterator[pd.DataFrame]:
    for injections, table in zip(job.jobs, raw, strict=True):
        own = table[table["measure"] == job.of]
        own = own.assign(propensity=propensity(own))
        curves = dict(tuple(own.groupby("injection", sort=False)))
        for injected in injections:
            for behaviour, rows in curves[injected.label].groupby("behaviour", sort=False):
                items = _slopes_of(rows, seed).join(asked[str(behaviour)])
                yield (
                    items.rename_axis("question")
                    .reset_index()
                    .assign(
                        sweep=job.sweep,
                        kind=job.kind,
                        vector=injected.vector,
                        layer=injected.layer,
                        behaviour=behaviour,
                        split=job.split,
                        **injected.columns,
                    )
                )


def _slopes_of(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The slopes of the questions of one curve, by question, over all coefficients and over each
    half of these."""
    order = list(dict.fromkeys(rows["question"]))
    table = rows.pivot(index="question", columns="coefficient", values="propensity").loc[order]
    at = table.columns.to_numpy(dtype=float)
    numbered = ~np.isnan(at)
    unsteered = table.loc[:, at == 0] if numbered.all() else table.loc[:, ~numbered]
    values, along = table.to_numpy()[:, numbered], at[numbered]
    found = {
        "coefficients": said(along),
        "unsteered": unsteered.iloc[:, 0] if unsteered.shape[1] else np.nan,
        "slope": slopes(along, values),
    }
    for name, places in zip(("slope_half", "slope_other_half"), halves(along, seed), strict=True):
        found[name] = slopes(along[places], values[:, places]) if len(places) else np.nan
    return pd.DataFrame(found, index=table.index)


def said(coefficients: np.ndarray) -> str:
    """Coefficients as a table tells them, ascending."""
    return ", ".join(f"{value:g}" for value in coefficients)


def _summaries(
    items: pd.DataFrame, further: Sequence[str], seed: int, balanced: bool
) -> pd.DataFrame:
    rows = []
    for curve, own in items.groupby([*CURVE, *further], sort=False, dropna=False):
        named = dict(zip([*CURVE, *further], curve, strict=True))
        rows.append(named | {"by": ALL, "of": ""} | _summary(own, balanced) | _agreement(own, seed))
        for by in (ANSWER, FIRST):
            groups = own[own[by] != ""].groupby(by, sort=True)
            for of, part in groups:
                rows.append(named | {"by": by, "of": of} | _summary(part, False))
    table = pd.DataFrame(rows)
    return table[[*SLOPE_COLUMNS, *further]].astype(dict.fromkeys(further, "Int64"))


def _summary(items: pd.DataFrame, balanced: bool) -> dict[str, object]:
    values = items["slope"].to_numpy()
    mean, low, high = mean_over(values, kinds_of(items) if balanced else None)
    anti = int((values < 0).sum())
    known = 0 if np.isnan(values).any() else len(values)  # of one coefficient there is no slope
    share_low, share_high = wilson_interval(anti, known)
    return {
        "items": len(values),
        "coefficients": items["coefficients"].iloc[0],
        "mean": mean,
        "mean_low": low,
        "mean_high": high,
        "anti": anti,
        "anti_share": anti / known if known else np.nan,
        "anti_share_low": float(share_low),
        "anti_share_high": float(share_high),
        "balanced": balanced,
        "halves": "",
        "halves_correlation": np.nan,
        "reliability": np.nan,
    }


def _agreement(items: pd.DataFrame, seed: int) -> dict[str, object]:
    """How far slopes over one half of the coefficients agree with those over the other."""
    both = items[["slope_half", "slope_other_half"]].to_numpy()
    if np.isnan(both).any() or len(both) < 3 or (both.std(axis=0) == 0).any():
        return {}
    along = np.array([float(value) for value in items["coefficients"].iloc[0].split(", ")])
    first, second = halves(along, seed)
    correlation = float(np.corrcoef(both.T)[0, 1])
    return {
        "halves_correlation": correlation,
        "reliability": spearman_brown(correlation),
        "halves": f"{said(along[first])} | {said(along[second])} (seed {seed})",
    }
