"""The mean rating of texts as people would give it: a judge's mean, corrected by their ratings.

The estimate is that of prediction-powered inference (Angelopoulos et al. 2023). It is the judge's
mean over all texts, plus the mean of people's rating minus the judge's over texts that both have
rated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from snakesteer.core.student_t import t_quantile
from snakesteer.tables.labels import RATING, rated, read_labels

# What the table has of a score with ratings by people, beside its own columns: the corrected mean;
# and the agreement on so many labelled texts.
VALUES = ("corrected",)
AGREEMENT = ("labels", "bias", "error")


@dataclass(frozen=True)
class Rated:
    """Ratings by people of texts that a judge rates, in a `file` of this `identity`.

    `score` is the judge's; both rate from `least` to `most`.
    """

    score: str
    file: str
    identity: str
    least: float
    most: float


@dataclass(frozen=True)
class Correction:
    """The texts that both have rated: `source`, `sample`, `rating` by the judge, `label` by people.

    A mean is corrected by the `bias`, and stays within `least` and `most`.
    """

    texts: pd.DataFrame
    least: float
    most: float

    @property
    def bias(self) -> float:
        """The mean of people's rating less the judge's."""
        return float((self.texts["label"] - self.texts["rating"]).mean())

    def columns(self, name: str) -> dict[str, Any]:
        """`…_labels`; the `…_bias`, and the `…_error`, the mean of people's rating less the judge's
        without its sign, each with Student's interval over prompts.

        Columns:
            SCORE_corrected, SCORE_corrected_low, SCORE_corrected_high (number, only with ratings by
                people): The judge's mean plus `SCORE_bias`, on the judge's scale, with Student's
                interval over prompts.
            SCORE_labels (as tables.agreement.Agreement.columns)
            SCORE_bias, SCORE_bias_low, SCORE_bias_high (number, only with ratings by people): Mean
                of people's rating minus the judge's, with Student's interval over prompts.
            SCORE_error, SCORE_error_low, SCORE_error_high (number, only with ratings by people):
                Mean absolute difference of both ratings, with Student's interval over prompts.
        """
        columns: dict[str, Any] = {f"{name}_labels": len(self.texts)}
        differences, width = self.texts["label"] - self.texts["rating"], self.most - self.least
        for part, values, least in (
            ("bias", differences, -width),
            ("error", differences.abs(), 0.0),
        ):
            mean, half = float(values.mean()), _half(self._parts(values))
            low, high = np.clip([mean - half, mean + half], least, width).tolist()
            columns |= {f"{name}_{part}": mean}
            columns |= {f"{name}_{part}_low": low, f"{name}_{part}_high": high}
        return columns

    def mean(
        self, source: str, samples: np.ndarray, totals: np.ndarray, counts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The corrected means of one source with their 95 % intervals, [n_coefficients].

        `totals` of the judge's ratings and `counts` of the texts are [n_coefficients, n_prompts],
        of the prompts `samples`. The variance is that of the sum of both means, over prompts, whose
        texts are alike, and some of which have texts in both: for each prompt its parts in the two
        deviations are added before they are squared. Student's t has a degree of freedom less than
        prompts have labelled texts. NaN where only one has.
        """
        with np.errstate(invalid="ignore"):
            means = totals.sum(axis=1) / counts.sum(axis=1)
        of_bias = self._parts(self.texts["label"] - self.texts["rating"])
        halves = []
        for mean, total, count in zip(means, totals, counts, strict=True):
            seen = count > 0
            of_mean = pd.Series(
                _widened((total - mean * count)[seen] / max(count.sum(), 1)),
                index=pd.MultiIndex.from_arrays(
                    [[source] * seen.sum(), samples[seen]], names=of_bias.index.names
                ),
            )
            prompts = min(len(of_mean), len(of_bias))
            halves.append(_half(of_mean.add(of_bias, fill_value=0), prompts))
        estimate = means + self.bias
        ends = (estimate - halves, estimate + halves)
        low, high = (np.clip(end, self.least, self.most) for end in ends)
        return np.clip(estimate, self.least, self.most), low, high

    def _parts(self, values: pd.Series) -> pd.Series:
        """Each prompt's part in the deviation of a mean over the texts, by source and sample."""
        deviations = (values - values.mean()) / len(values)
        parts = deviations.groupby([self.texts["source"], self.texts["sample"]]).sum()
        return pd.Series(_widened(parts.to_numpy()), index=parts.index)


def _widened(parts: np.ndarray) -> np.ndarray:
    """The parts such that the sum of their squares is the variance for as few as there are."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return parts * np.sqrt(len(parts) / np.float64(len(parts) - 1))


def _half(parts: pd.Series, prompts: int | None = None) -> float:
    """Half of Student's 95 % interval; NaN for one prompt."""
    number = len(parts) if prompts is None else prompts
    if number < 2:
        return math.nan
    return float(t_quantile(number - 1) * np.sqrt((parts**2).sum()))


def correction(asked: Rated, raw: Sequence[pd.DataFrame]) -> Correction:
    """How a judge's mean is corrected by the ratings of a file, on the texts of raw tables.

    Raises StudyError for a file that is not as it should be, or has no text of these.
    """

    def read(given: Any) -> float | None:
        try:
            value = float(given)
        except (TypeError, ValueError):
            return None
        return value if asked.least <= value <= asked.most else None

    meant = f"a number from {asked.least:g} to {asked.most:g}; correct it"
    labels = read_labels(asked.file, RATING, read, meant)
    return Correction(rated(labels, asked.score, raw), asked.least, asked.most)
