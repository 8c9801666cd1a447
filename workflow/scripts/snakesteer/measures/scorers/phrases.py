"""Whether a text has any of some phrases: its mean is the share of texts that have.

Columns:
    SCORE (number): 1 for a text with any of the phrases, else 0. The mean is a share of texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from snakesteer.measures.written import Written


def score(written: Written, settings: Mapping[str, Any], model: object) -> list[float]:
    """1 for a text in which one of the regular expressions in `patterns` is found, else 0.

    Upper and lower case are the same unless `case` is true.
    """
    flags = re.NOFLAG if settings["case"] else re.IGNORECASE
    patterns = [re.compile(pattern, flags) for pattern in settings["patterns"]]
    return [float(any(pattern.search(text) for pattern in patterns)) for text in written.texts]
