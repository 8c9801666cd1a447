"""Which tokens of a text are steered, and of which predictions count.

all                every token
last               the last token of a text
-k                 the k-th token from its end; -1 is the last
after_instruction  every token after the instruction
prompt             every token before the completion
completion         every token of the completion, or of what is begun of the answer
From               every token from a marker on
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ALL, LAST = "all", "last"
AFTER, PROMPT, COMPLETION = "after_instruction", "prompt", "completion"


@dataclass(frozen=True)
class From:
    """Every token from a marker on, where that stands first in the text as the model reads it.

    `begins` says with which token: "from", the first one that reaches into the marker;
    "from_last_of", the last one that does; "after", the first one that does not, behind it.
    """

    marker: str
    begins: Literal["from", "from_last_of", "after"] = "from"

    def __str__(self) -> str:
        return f"{{{self.begins}: {self.marker!r}}}"


Steered = str | int | From

Counted = Literal["all", "completion"]


def steered(given: str | int | Mapping[str, str]) -> Steered:
    """Positions as a study says them, `{from: MARKER}` and its like among them."""
    if not isinstance(given, Mapping):
        return given
    [(begins, marker)] = given.items()
    return From(marker, begins)  # type: ignore[arg-type]
