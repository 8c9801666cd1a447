"""What a sweep of choices is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

By = Literal["sum", "token", "character", "byte"]


@dataclass(frozen=True)
class Settings:
    """The separator between a prompt and each of its choices, and the divisor that turns a choice's
    log-likelihood into its score: nothing, or the number of its tokens, characters or bytes."""

    by: By = "sum"
    separator: str = ""
