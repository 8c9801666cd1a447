"""The one exception a user is meant to read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class StudyError(Exception):
    """A user's mistake, told in one sentence: the entry of the study, the value, what to do."""


@contextlib.contextmanager
def naming(entry: str) -> Iterator[None]:
    """Puts the entry of the study in front of a StudyError raised inside."""
    try:
        yield
    except StudyError as error:
        raise StudyError(f"{entry}: {error}") from None
