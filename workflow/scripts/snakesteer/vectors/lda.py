"""Linear discriminant analysis: the difference of two classes' means, whitened by what varies
within them.

A class has fewer samples than the model's width. So the covariance within the classes is shrunk
towards a multiple of the identity, by Ledoit and Wolf's share or a given one. It is of size hidden
× hidden, and never made where there are fewer samples than that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from snakesteer.core.errors import StudyError
from snakesteer.vectors.classes import mean, separated
from snakesteer.vectors.samples import ByRole, Weights


def fit(samples: ByRole, settings: Mapping[str, Any], weights: Weights | None = None) -> np.ndarray:
    """The weights of the discriminant, as scikit-learn's `LinearDiscriminantAnalysis` has them.

    `shrinkage` is a share above 0, or `auto`; with `paired` what two answers to a question have in
    common is taken out before. A layer at which the classes have one mean gets zeros. Raises
    StudyError for fewer than 2 samples of a class, and where samples do not differ within the
    classes.
    """

    def separate(x: np.ndarray, first: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return discriminant(x, first, counts, settings["shrinkage"])

    return separated(samples, weights, separate, paired=settings["paired"], at_least=2)


def discriminant(
    x: np.ndarray, first: np.ndarray, counts: np.ndarray, shrinkage: float | Literal["auto"]
) -> np.ndarray:
    """The direction [hidden] of samples [n, hidden], the `first` class of which it points to."""
    means = mean(x[first], counts[first]), mean(x[~first], counts[~first])
    within = np.sqrt(counts)[:, None] * (x - np.where(first[:, None], *means))
    few = len(within) < within.shape[1]
    products = within @ within.T if few else within.T @ within
    total, width = counts.sum(), within.shape[1]
    variance = np.trace(products) / total / width
    if isinstance(shrinkage, str):
        sizes = (within**2).sum(axis=1) / counts
        shrinkage = ledoit_wolf(products, counts @ sizes**2, total, width)
    share, ridge = (1 - shrinkage) / total, shrinkage * variance
    if not ridge > 0:
        raise StudyError(
            "The samples differ too little within their classes; give lda more of them, or set "
            "`shrinkage` to a share such as 0.1."
        )
    shrunk = share * products + ridge * np.eye(len(products))
    difference = means[0] - means[1]
    if not few:
        return np.linalg.solve(shrunk, difference)
    inside = within.T @ np.linalg.solve(shrunk, share * (within @ difference))
    return (difference - inside) / ridge


def ledoit_wolf(products: np.ndarray, fourth: float, total: float, width: int) -> float:
    """The share by which Ledoit and Wolf shrink a covariance matrix (2004, as in scikit-learn).

    `products` are the inner products of the samples, or of the dimensions; `fourth` is the sum of
    the samples' lengths to the fourth power, `total` their number and `width` their dimension.
    """
    squares = (products**2).sum() / total**2
    variance = np.trace(products) / total / width
    spread = squares - width * variance**2
    if spread <= 0:
        return 1.0
    noise = (fourth / total - squares) / total
    return float(min(noise, spread) / spread)
