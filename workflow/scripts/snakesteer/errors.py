"""The one exception a user is meant to read."""

from __future__ import annotations


class StudyError(Exception):
    """A user's mistake, told in one sentence: the entry of the study, the value, what to do."""
