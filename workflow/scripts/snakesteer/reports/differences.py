"""Where two resolved studies differ, setting by setting."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

EMPTY: tuple[Any, ...] = (None, {})


@dataclass(frozen=True)
class Difference:
    """A setting of two studies: its entry, dotted, and both values as JSON, "" where it is not.

    Columns, a row for each setting that differs:
        entry (text): The setting, with dots between the keys.
        before, after (text): Its value in the first and in the second study, as JSON. Empty text
            where the study does not have it.
    """

    entry: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.entry}: {self.before or 'absent'} -> {self.after or 'absent'}"


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Every setting that is another one in `after`, in its order, those gone last.

    Both are resolved studies as plain JSON. An entry that only one of them has is one difference. A
    null, an empty section and an absent setting are the same.
    """
    return list(_between((), before, after))


def _between(place: tuple[str, ...], before: Any, after: Any) -> Iterator[Difference]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in [*after, *(name for name in before if name not in after)]:
            yield from _between((*place, name), before.get(name), after.get(name))
    elif before != after and not (before in EMPTY and after in EMPTY):
        yield Difference(".".join(place), _shown(before), _shown(after))


def _shown(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)
