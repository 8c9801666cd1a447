"""Intervals of differences between two values over the same items."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from snakesteer.core.student_t import t_quantile
from snakesteer.tables.bootstrap import SEED, percentile_interval, resampled_accuracies
from snakesteer.tables.intervals import wilson_interval

PAIRED, INDEPENDENT = "paired", "independent"
HITS, COUNTED, UNSTEERED = "hits", "counted", "unsteered_"
Ends = tuple[float, float]


def difference_of_shares(first: np.ndarray, second: np.ndarray) -> Ends:
    """The 95 % interval of the first share minus the second, of outcomes 0 or 1 by item, each [n].

    It is Newcombe's for paired proportions (Statistics in Medicine 17, 1998, p. 2635-2650, method
    10): Wilson's of both shares, whose half-widths are added in squares with the correlation of the
    outcomes, corrected for continuity.
    """
    count = len(first)
    one, other = first.sum(), second.sum()
    both = float((first * second).sum())
    (low, high), (other_low, other_high) = (
        wilson_interval(matches, count) for matches in (one, other)
    )
    share, other_share = one / count, other / count
    product = one * (count - one) * other * (count - other)
    neither = count - one - other + both
    covaried = both * neither - (one - both) * (other - both)
    if covaried > 0:
        covaried = max(covaried - count / 2, 0.0)
    correlation = covaried / np.sqrt(product) if product else 0.0
    down, other_up = share - low, other_high - other_share
    up, other_down = high - share, other_share - other_low
    below = np.sqrt(down**2 - 2 * correlation * down * other_up + other_up**2)
    above = np.sqrt(up**2 - 2 * correlation * up * other_down + other_down**2)
    difference = share - other_share
    return float(difference - below), float(difference + above)


def mean_of_differences(apart: np.ndarray) -> Ends:
    """Student's 95 % interval of the mean of differences by item, [n]; NaN for a single one."""
    if len(apart) < 2:
        return float("nan"), float("nan")
    half = t_quantile(len(apart) - 1) * apart.std(ddof=1) / np.sqrt(len(apart))
    return float(apart.mean() - half), float(apart.mean() + half)


def resampled_ratios(sides: Sequence[pd.DataFrame], seed: int = SEED) -> np.ndarray:
    """Ratios of sums over documents in bootstrap samples, [resamples, sides].

    Each of `sides` has by document `hits` and what they are `counted` over; with those of the
    unsteered model, the ratio is divided by that of these. All are of the same documents, of which
    each resample draws the same for all.
    """
    order = sides[0].index
    rows = [side.reindex(order) for side in sides]
    hits = [row[HITS] for row in rows] + [row[f"{UNSTEERED}{HITS}"] for row in rows if _both(row)]
    counted = [row[COUNTED] for row in rows]
    counted += [row[f"{UNSTEERED}{COUNTED}"] for row in rows if _both(row)]
    samples = resampled_accuracies(
        np.array(hits, dtype=float), np.array(counted, dtype=float), seed=seed
    )
    found, unsteered = samples[:, : len(rows)], iter(samples[:, len(rows) :].T)
    columns = []
    for place, row in enumerate(rows):
        with np.errstate(divide="ignore", invalid="ignore"):
            columns.append(found[:, place] / next(unsteered) if _both(row) else found[:, place])
    return np.array(columns).T


def same_items(*values: pd.DataFrame | None) -> bool:
    """Whether all values are known by item, and of the same items, whatever their order."""
    known = [one for one in values if one is not None]
    if not known or len(known) < len(values):
        return False
    items = set(known[0].index)
    return all(len(one) == len(items) and set(one.index) == items for one in known)


def with_paired(pairs: pd.DataFrame) -> pd.DataFrame:
    """Pairs with the paired interval of their difference where both sides read the same items.

    `items` and `items_against` have the values by item (`tables.items.column_of`), or None where
    these are not known. The interval is Newcombe's for outcomes that are all 0 or 1, and Student's
    for other means. For ratios over documents it comes from a bootstrap that draws the same
    documents for both. `interval` says which pairs have it.
    """
    ends: dict[str, list[float]] = {"difference_low": [], "difference_high": []}
    kinds = []
    for pair in pairs.to_dict("records"):
        first, second = pair["items"], pair["items_against"]
        paired = same_items(first, second)
        kinds.append(PAIRED if paired else INDEPENDENT)
        low, high = pair["difference_low"], pair["difference_high"]
        if paired:
            low, high = _ends(first, second)
        ends["difference_low"].append(low)
        ends["difference_high"].append(high)
    return pairs.assign(**ends, interval=kinds)


def over_points(pairs: pd.DataFrame) -> Ends | None:
    """The interval over items of the mean of the differences of several pairs; None unless all
    sides are of the same items."""
    firsts, seconds = pairs["items"].tolist(), pairs["items_against"].tolist()
    if not same_items(*firsts, *seconds):
        return None
    if HITS in firsts[0]:
        samples = resampled_ratios([*firsts, *seconds])
        apart = samples[:, : len(firsts)] - samples[:, len(firsts) :]
        return _percentiles(apart.mean(axis=1), len(firsts[0]))
    order = firsts[0].index
    sums = np.zeros(len(order))
    for first, second in zip(firsts, seconds, strict=True):
        sums += (first["value"].reindex(order) - second["value"].reindex(order)).to_numpy()
    return mean_of_differences(sums / len(firsts))


def _ends(first: pd.DataFrame, second: pd.DataFrame) -> Ends:
    if HITS in first:
        samples = resampled_ratios([first, second])
        return _percentiles(samples[:, 0] - samples[:, 1], len(first))
    one = first["value"].to_numpy(dtype=float)
    other = second["value"].reindex(first.index).to_numpy(dtype=float)
    if np.isin(one, (0, 1)).all() and np.isin(other, (0, 1)).all():
        return difference_of_shares(one, other)
    return mean_of_differences(one - other)


def _percentiles(samples: np.ndarray, documents: int) -> Ends:
    low, high = percentile_interval(samples[:, None], np.array([documents]))
    return float(low[0]), float(high[0])


def _both(side: pd.DataFrame) -> bool:
    """Whether a side has the unsteered counts as well."""
    return f"{UNSTEERED}{HITS}" in side
