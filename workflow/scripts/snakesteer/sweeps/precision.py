"""How many documents a relative accuracy needs for a stated precision.

The relative accuracy at a coefficient is the ratio of two sums over the same documents, correct
predictions there over correct predictions at coefficient 0. Its standard error is that of a ratio
estimator: over documents, the spread of (hits there - ratio × hits at 0), over the sum of the hits
at 0 (Cochran, Sampling Techniques, ch. 6). Its 95 % interval goes as many standard errors to each
side as Student's t says for that many documents, as the bootstrap's intervals do. A pilot estimates
the spread once; the number that follows is then run, without looking again.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from snakesteer.core.errors import StudyError
from snakesteer.core.student_t import t_quantile

ASSURANCE = NormalDist().inv_cdf(0.9)


def standard_error(hits: np.ndarray, unsteered: np.ndarray) -> float:
    """Standard error of sum(hits) / sum(unsteered), both [n_documents].

    NaN with fewer than two documents or without any hit at coefficient 0.
    """
    count, total = len(hits), unsteered.sum()
    if count < 2 or total == 0:
        return math.nan
    spread = hits - hits.sum() / total * unsteered
    return float(math.sqrt(count) * spread.std(ddof=1) / total)


def half_width(hits: np.ndarray, unsteered: np.ndarray) -> float:
    """Half-width of the 95 % interval of sum(hits) / sum(unsteered), as in `standard_error`."""
    error = standard_error(hits, unsteered)
    return error if math.isnan(error) else error * t_quantile(len(hits) - 1)


def documents_needed(hits: np.ndarray, unsteered: np.ndarray, precision: float) -> int:
    """Documents after which the half-width is at most `precision`, estimated from a pilot.

    The pilot's spread is taken at the upper end of its 90 % one-sided interval (Wilson and
    Hilferty's approximation to chi square). So the precision is reached nine times in ten. `hits`
    and `unsteered` are [n_documents] counts. Returns at least the pilot's number of documents.
    Raises StudyError for a pilot of one document or without a correct prediction.
    """
    count = len(hits)
    error = standard_error(hits, unsteered)
    if math.isnan(error):
        raise StudyError(
            f"A pilot of {count} documents, with {int(unsteered.sum())} correct unsteered "
            "predictions, is too small to plan precision; enlarge the pilot, or remove "
            "precision."
        )
    freedom = count - 1
    lower = 1 - 2 / (9 * freedom) - ASSURANCE * math.sqrt(2 / (9 * freedom))
    inflated = count * (error / precision) ** 2 / max(lower, 0.1) ** 3
    needed = max(count, math.ceil(inflated * NormalDist().inv_cdf(0.975) ** 2))
    while needed < inflated * t_quantile(needed - 1) ** 2:
        needed += 1
    return needed
