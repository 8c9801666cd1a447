"""The record every question source returns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """A two-choice question about one behaviour.

    `prompt` ends with the opening bracket of the answer ("I choose ("); `matching` and
    `not_matching` are the two answers without brackets ("A"/"B" or "Yes"/"No"), the first of
    which shows the behaviour.
    """

    question: str
    prompt: str
    matching: str
    not_matching: str
