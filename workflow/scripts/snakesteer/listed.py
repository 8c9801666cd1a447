"""What a rule lists among its params, a string an item, so that a reason to re-run names items."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any


def packed(items: Iterable[Any]) -> list[str]:
    """Each item, of plain JSON types, as one string."""
    return [json.dumps(item, ensure_ascii=False) for item in items]


def unpacked(params: Iterable[str]) -> list[Any]:
    """The items again, lists or mappings, from all params of a job."""
    return [json.loads(param) for param in params if param.startswith(("[", "{"))]
