"""How many documents a relative accuracy needs for a stated precision.

The relative accuracy at a coefficient is the ratio of two sums over the same documents, correct
predictions there over correct predictions at coefficient 0. Its standard error is that of a ratio
estimator: over documents, the spread of (hits there - ratio × hits at 0), over the sum of the hits
at 0 (Cochran, Sampling Techniques, ch. 6). A pilot estimates the spread once; the number that
follows is then run, without looking again.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from snakesteer.errors import StudyError

Z = NormalDist().inv_cdf(0.975)
ASSURANCE = NormalDist().inv_cdf(0.9)


def half_width(hits: np.ndarray, unsteered: np.ndarray) -> float:
    """Half-width of the 95 % interval of sum(hits) / sum(unsteered), both [n_documents].

    NaN with fewer than two documents or without any hit at coefficient 0.
    """
    count, total = len(hits), unsteered.sum()
    if count < 2 or total == 0:
        return math.nan
    spread = hits - hits.sum() / total * unsteered
    return float(Z * math.sqrt(count) * spread.std(ddof=1) / total)


def documents_needed(hits: np.ndarray, unsteered: np.ndarray, precision: float) -> int:
    """Documents after which the half-width is at most `precision`, estimated from a pilot.

    The pilot's spread is taken at the upper end of its own 90 % one-sided interval (Wilson and
    Hilferty's approximation to chi square), so that the precision is kept nine times in ten.
    `hits` and `unsteered` are [n_documents] counts. Returns at least the pilot's number of
    documents. Raises StudyError for a pilot of one document or without a correct prediction.
    """
    count = len(hits)
    reached = half_width(hits, unsteered)
    if math.isnan(reached):
        raise StudyError(
            f"A precision cannot be planned with a pilot of {count} documents, "
            f"{int(unsteered.sum())} correct predictions among them at coefficient 0; give the "
            "sweep more documents as its pilot, or leave precision out."
        )
    freedom = count - 1
    lower = 1 - 2 / (9 * freedom) - ASSURANCE * math.sqrt(2 / (9 * freedom))
    inflated = count * (reached / precision) ** 2 / max(lower, 0.1) ** 3
    return max(count, math.ceil(inflated))
