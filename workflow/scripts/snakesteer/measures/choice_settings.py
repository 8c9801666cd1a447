"""What a sweep of choices is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

By = Literal["sum", "token", "character", "byte"]


@dataclass(frozen=True)
class Settings:
    """What stands between a prompt and each of its choices, and by what the log-likelihood of a
    choice is divided to be its score: nothing, or the number of its tokens, characters or bytes."""

    by: By = "sum"
    separator: str = ""
