"""What a user is meant to read when something is wrong."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Iterator
from pathlib import Path


class StudyError(Exception):
    """A user's mistake, told in one sentence: the entry of the study, the value, what to do."""


def reason_of(error: Exception) -> str:
    """What a library's error says, on one line that can stand in a sentence."""
    said = textwrap.shorten(str(error), 300, placeholder=" …")
    return f"{type(error).__name__}: {said}".rstrip(" .:")


class DamagedFile(StudyError):
    """A file that was cut short, or changed on the disk."""

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"{path} is damaged ({reason}); delete it and run again to rebuild it.")
        self.path = Path(path)
        self.reason = reason


class Overflow(StudyError):
    """NaN or infinity in what a model puts out under injection."""


@contextlib.contextmanager
def naming(entry: str) -> Iterator[None]:
    """Puts the entry of the study in front of a StudyError raised inside."""
    try:
        yield
    except StudyError as error:
        raise StudyError(f"{entry}: {error}") from None
