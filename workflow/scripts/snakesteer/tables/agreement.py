"""How far a judge agrees with people, and what share of texts is positive in the light of that.

A text is positive to the judge where its rating is large enough, and to people where their label
says so. Of texts that both have seen come the accuracy, the sensitivity (of those positive to
people, the share that is so to the judge) and the specificity (likewise of negative ones).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from snakesteer.tables.intervals import CONFIDENCE, wilson_interval
from snakesteer.tables.labels import LABEL, rated, read_labels

LABELS = {"1": 1.0, "true": 1.0, "yes": 1.0, "0": 0.0, "false": 0.0, "no": 0.0}

# What the table has of a score with labels, beside its own columns: the share of positive texts as
# people would have it, and as the judge has it; and the agreement on so many labelled texts.
VALUES = ("share", "judged")
AGREEMENT = ("labels", "accuracy", "sensitivity", "specificity")


@dataclass(frozen=True)
class Labelled:
    """Labels by people of texts that a judge rates, in a `file` of this `identity`.

    `score` is the judge's; a rating of `positive` or more is positive.
    """

    score: str
    file: str
    identity: str
    positive: float


@dataclass(frozen=True)
class Agreement:
    """Counts of labelled texts: positive to people and to both, negative to people and to both."""

    positive: int
    both_positive: int
    negative: int
    both_negative: int

    def columns(self, name: str) -> dict[str, Any]:
        """`…_labels`, and accuracy, sensitivity and specificity with Wilson's intervals.

        Columns:
            SCORE_share, SCORE_share_low, SCORE_share_high (number, only with labels by people and
                `positive`): Share of positive texts, corrected by the judge's sensitivity and
                specificity, with its interval. Empty where the judge does not tell positive from
                negative texts.
            SCORE_judged (number, only with labels by people and `positive`): Share of texts that
                the judge rates as positive, without the correction.
            SCORE_labels (whole number, only with labels or ratings by people): Texts that both
                people and the judge rated. They and the agreement on them are the same in all rows.
            SCORE_accuracy, SCORE_accuracy_low, SCORE_accuracy_high (number, only with labels by
                people and `positive`): Share of these texts on which the judge agrees with people,
                with Wilson's interval.
            SCORE_sensitivity, SCORE_sensitivity_low, SCORE_sensitivity_high (number, only with
                labels by people and `positive`): Share of people's positive texts that the judge
                rates as positive, with Wilson's interval.
            SCORE_specificity, SCORE_specificity_low, SCORE_specificity_high (number, only with
                labels by people and `positive`): Share of people's negative texts that the judge
                rates as negative, with Wilson's interval.
        """
        labels = self.positive + self.negative
        shares = {
            "accuracy": (self.both_positive + self.both_negative, labels),
            "sensitivity": (self.both_positive, self.positive),
            "specificity": (self.both_negative, self.negative),
        }
        columns: dict[str, Any] = {f"{name}_labels": labels}
        for share, (agreed, count) in shares.items():
            low, high = wilson_interval(agreed, count)
            columns[f"{name}_{share}"] = agreed / count if count else np.nan
            columns[f"{name}_{share}_low"] = float(low)
            columns[f"{name}_{share}_high"] = float(high)
        return columns

    def share(
        self, judged: np.ndarray, count: np.ndarray, confidence: float = CONFIDENCE
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The share of texts that people would call positive, with its interval, elementwise.

        `judged` is the judge's share of `count` texts. The interval is that of Lang and Reiczigel
        (2014), which is as wide as the uncertainty of sensitivity and specificity makes it. All are
        NaN where `estimate` is.
        """
        estimate = self.estimate(judged)
        with np.errstate(invalid="ignore"):
            low, high = self._interval(judged, count, confidence)
        known = ~np.isnan(estimate)
        low, high = (np.where(known, np.clip(end, 0, 1), np.nan) for end in (low, high))
        return estimate, low, high

    def estimate(self, judged: np.ndarray) -> np.ndarray:
        """The share that people would call positive, where the judge so calls `judged`.

        That of Rogan and Gladen (1978), (judged + specificity - 1) / (sensitivity + specificity -
        1), within [0, 1]. NaN without labels of both kinds, or where the judge tells positive from
        negative no better than chance.
        """
        if not self.positive or not self.negative:
            return np.full(np.shape(judged), np.nan)
        sensitivity = self.both_positive / self.positive
        specificity = self.both_negative / self.negative
        if sensitivity + specificity <= 1:
            return np.full(np.shape(judged), np.nan)
        return np.clip((judged + specificity - 1) / (sensitivity + specificity - 1), 0, 1)

    def _interval(
        self, judged: np.ndarray, count: np.ndarray, confidence: float
    ) -> tuple[np.ndarray, np.ndarray]:
        z = NormalDist().inv_cdf((1 + confidence) / 2)
        sensitivity = (self.both_positive + 1) / (self.positive + 2)
        specificity = (self.both_negative + 1) / (self.negative + 2)
        seen = (count * judged + z**2 / 2) / (count + z**2)
        scale = sensitivity + specificity - 1
        share = (seen + specificity - 1) / scale
        of_positive = sensitivity * (1 - sensitivity) / (self.positive + 2)
        of_negative = specificity * (1 - specificity) / (self.negative + 2)
        centre = share + 2 * z**2 * (share * of_positive - (1 - share) * of_negative)
        variance = seen * (1 - seen) / (count + z**2)
        variance = variance + share**2 * of_positive + (1 - share) ** 2 * of_negative
        half = z * np.sqrt(variance) / scale
        return centre - half, centre + half


def agreement(labelled: Labelled, raw: Sequence[pd.DataFrame]) -> Agreement:
    """The agreement of a judge with the labels of a file, on the texts of raw tables.

    Texts that are the same, behind the same prompt, count once; those without a rating do not.
    Raises StudyError for a file that is not as it should be, or has no text of these.
    """
    labels = read_labels(labelled.file, LABEL, _label, "1 or 0; correct it")
    texts = rated(labels, labelled.score, raw)
    people, judge = texts["label"] == 1, texts["rating"] >= labelled.positive
    counts = (people, people & judge, ~people, ~people & ~judge)
    return Agreement(*(int(each.sum()) for each in counts))


def _label(given: Any) -> float | None:
    return LABELS.get(str(given).strip().lower())


def effective(hits: np.ndarray, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares, and of how many independent texts they are worth, [n_coefficients].

    `hits` of `texts` are counts, [n_coefficients, n_prompts]. Texts of the same prompt resemble
    each other, so their number is divided by the design effect where it is above 1. That is the
    variance of the share between prompts over that of independent texts (Kish 1965). A share of 0
    or 1, which has no variance, is worth as many as there are prompts.
    """
    count, prompts = texts.sum(axis=1), (texts > 0).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = hits.sum(axis=1) / count
        squares = ((hits - share[:, None] * texts) ** 2).sum(axis=1)
        clustered = prompts / (prompts - 1) * squares / count**2
        worth = np.minimum(count, share * (1 - share) / clustered)
    return share, np.where((share > 0) & (share < 1) & (prompts > 1), worth, prompts)
