"""What the job of a selection gets, as those in `specified` get theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from snakesteer.core.dtypes import Dtype
from snakesteer.core.records import unless_said
from snakesteer.measures.selection_settings import Bound
from snakesteer.prompts.formats import Format


@dataclass(frozen=True)
class SelectionJob:
    """The documents of the corpus `of` whose log-odds, in nats, are inside a `bound`.

    `asked` are the settings of the measure `first_token`, plain, which reads documents cut at
    `max_tokens` in a `format`, or as they stand.
    """

    dtype: Dtype
    attention: str
    device_map: str | None
    batch_tokens: int | Literal["auto"]
    bos: str
    special_tokens: str
    of: str
    asked: Mapping[str, Any]
    max_tokens: int
    bound: Bound
    format: Format | None = unless_said(None)
