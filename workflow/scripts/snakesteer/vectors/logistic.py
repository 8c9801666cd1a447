"""A logistic probe: the weights of a penalised logistic regression that tells two classes apart.

It is fitted by Newton's method in the space that the samples span. The penalty keeps the weights in
that space, which has far fewer dimensions than the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snakesteer.core.errors import StudyError
from snakesteer.vectors.classes import separated
from snakesteer.vectors.samples import ByRole, Weights

STEPS = 100
EXACT = (
    1e-10  # what the last step may gain, as a share of the penalty; the next would gain its square
)
NOTHING = 1e-13  # eigenvalues below this share of the largest are rounding


def fit(samples: ByRole, settings: Mapping[str, Any], weights: Weights | None = None) -> np.ndarray:
    """The weights of the probe, with the penalty of scikit-learn's `LogisticRegression(C=…)`.

    The intercept is fitted and not penalised; with `paired` what two answers to a question have in
    common is taken out before (as steering-vectors does), and it is 0. A layer at which the classes
    have one mean gets zeros. Raises StudyError where Newton's method does not end.
    """

    def separate(x: np.ndarray, first: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return probe(x, first, counts, settings["C"])

    return separated(samples, weights, separate, paired=settings["paired"])


def probe(x: np.ndarray, first: np.ndarray, counts: np.ndarray, C: float) -> np.ndarray:
    """The weights [hidden] of samples [n, hidden], the `first` class of which they point to.

    They minimise |weights|² / 2 + C × the sum over samples of counts × log(1 + exp(-margin)).
    """
    x = x - x.mean(axis=0)
    labels = np.where(first, 1.0, -1.0)
    if len(x) >= x.shape[1]:
        return newton(x, labels, C * counts)
    sizes, directions = np.linalg.eigh(x @ x.T)
    kept = sizes > NOTHING * sizes[-1]
    lengths = np.sqrt(sizes[kept])
    inside = newton(directions[:, kept] * lengths, labels, C * counts)
    return x.T @ (directions[:, kept] @ (inside / lengths))


def newton(x: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The weights [d] of samples [n, d] with labels 1 and -1, without their intercept.

    They minimise |weights|² / 2 + the sum over samples of counts × log(1 + exp(-margin)).
    """
    x = np.column_stack([x, np.ones(len(x))])
    penalised = np.ones(x.shape[1])
    penalised[-1] = 0

    def loss(weights: np.ndarray) -> float:
        penalty = penalised @ weights**2 / 2
        return float(penalty + counts @ np.logaddexp(0, -labels * (x @ weights)))

    weights = np.zeros(x.shape[1])
    least = loss(weights)
    for _ in range(STEPS):
        wrong = np.exp(-np.logaddexp(0, labels * (x @ weights)))
        gradient = penalised * weights - x.T @ (counts * labels * wrong)
        bent = np.sqrt(counts * wrong * (1 - wrong))[:, None] * x
        step = np.linalg.solve(bent.T @ bent + np.diag(penalised), gradient)
        gain = gradient @ step
        while loss(weights - step) > least * (1 + 1e-12):
            step = step / 2
        weights = weights - step
        least = loss(weights)
        if gain <= EXACT * (penalised @ weights**2):
            return weights[:-1]
    raise StudyError(
        f"The logistic probe was not fitted after {STEPS} steps; give it a smaller `C`."
    )
