"""The authors' skill results as the raw tables that this workflow's own sweeps give.

A file holds, per corpus and injection coefficient, lists with a number per document: accuracies
(`top1_acc` …) and the tokens they are shares of. The documents differ from coefficient to
coefficient, so they get an id of their own at each; intervals are then unpaired, as they must be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from snakesteer.errors import StudyError
from snakesteer.layer_labels import layer_label
from snakesteer.skill_tables import Curve

_PREFIX = "injection_coefficients_"
_HITS = {
    "top1": ("top1_acc", "total_encoded_tokens"),
    "top10": ("top10_acc", "total_encoded_tokens"),
    "kept_top1": ("skip50_top1_acc", "total_tokens_with_skip"),
    "kept_top10": ("skip50_top10_acc", "total_tokens_with_skip"),
}


def skill_curve(
    path: str, results: Mapping[str, Any], vector: str, corpora: Mapping[str, str]
) -> Curve:
    """One file as a curve; `corpora` maps our names to the file's keys, the target first.

    Hits are accuracy times tokens and so no whole numbers: the sums, divided by the tokens, are the
    authors' weighted means exactly. `nll` is NaN. Raises StudyError for other keys or values.
    """
    rows = [
        _point(path, key, coefficient, lists).assign(corpus=corpus)
        for corpus, key in corpora.items()
        for coefficient, lists in _mapping(path, results, key).items()
    ]
    layers = _mapping(path, results, "meta").get("layers", [])
    return Curve(vector, layer_label(layers), pd.concat(rows, ignore_index=True))


def _mapping(path: str, results: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = results.get(key)
    if not isinstance(found, Mapping) or not found:
        raise StudyError(
            f"{path} has no mapping under {key!r} (keys: {', '.join(results)}); "
            "name the corpora as the file does"
        )
    return found


def _point(path: str, corpus: str, key: str, lists: Mapping[str, Any]) -> pd.DataFrame:
    place = f"{path}: {corpus}.{key}"
    if not key.startswith(_PREFIX):
        raise StudyError(f"{place} was expected to begin with {_PREFIX!r}")
    columns: dict[str, Any] = {}
    for name in sorted({name for pair in _HITS.values() for name in pair}):
        if not isinstance(lists, Mapping) or not isinstance(lists.get(name), list):
            raise StudyError(f"{place} has no list {name!r}, with a number per document")
        try:
            columns[name] = np.asarray(lists[name], dtype=float)
        except (TypeError, ValueError):
            raise StudyError(f"{place}.{name} was expected to hold numbers alone") from None
        bounds = (0, 1) if name.endswith("_acc") else (1, np.inf)
        within = np.isfinite(columns[name]) & (columns[name] >= bounds[0])
        if not (within & (columns[name] <= bounds[1])).all():
            raise StudyError(f"{place}.{name} has values outside {bounds[0]} to {bounds[1]}")
    sizes = {len(values) for values in columns.values()}
    if len(sizes) != 1 or sizes == {0}:
        raise StudyError(f"{place} has lists of different lengths {sorted(sizes)}, or none")
    coefficient = coefficient_of(place, key.removeprefix(_PREFIX))
    (documents,) = sizes
    return pd.DataFrame(
        {
            "coefficient": coefficient,
            "document": [f"{coefficient:g}:{number}" for number in range(documents)],
            "tokens": columns["total_encoded_tokens"],
            "kept": columns["total_tokens_with_skip"],
            "nll": np.nan,
            **{
                hits: columns[accuracy] * columns[tokens]
                for hits, (accuracy, tokens) in _HITS.items()
            },
        }
    )


def coefficient_of(place: str, text: str) -> float:
    """A coefficient as the authors' keys write it, without the rounding of their float32 ranges:
    `-1.9500000476837158` is -1.95, `-2.9802322387695312e-08` is 0."""
    try:
        return round(float(text), 6) + 0.0
    except ValueError:
        raise StudyError(f"{place}: {text!r} was expected to be a number") from None
