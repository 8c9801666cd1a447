"""What rules list of a whole study: in a file, so that Snakemake's reasons to re-run stay short."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from snakesteer.plan.artefacts import LOGS


def path(study: str) -> str:
    """Where a run writes what its rules list, when it starts: by the name of each list."""
    return f"{LOGS}/listed/{study}.json"


def digest(listed: Any) -> str:
    """16 hex digits that determine what is listed, of plain JSON types."""
    encoded = json.dumps(listed, ensure_ascii=False)
    return hashlib.sha256(encoded.encode()).hexdigest()[:16]
