"""The authors' skill results as the raw tables that this workflow's own sweeps give.

A file holds, per corpus and injection coefficient, lists with a number per document: accuracies
(`top1_acc` …) and the tokens they are shares of. The documents differ from coefficient to
coefficient, so they get an id of their own at each; intervals are then unpaired, as they must be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.core.labels import layer_label
from snakesteer.papers.source import read_results
from snakesteer.tables.next_token import SKILL_COLUMNS, Curve, skill_table

_PREFIX = "injection_coefficients_"
_HITS = {
    "top1": ("top1_acc", "total_encoded_tokens"),
    "top10": ("top10_acc", "total_encoded_tokens"),
    "kept_top1": ("skip50_top1_acc", "total_tokens_with_skip"),
    "kept_top10": ("skip50_top10_acc", "total_tokens_with_skip"),
}


def read(settings: Mapping[str, Any], part: str, path: str, content: bytes) -> pd.DataFrame:
    """The rows of one file (`SKILL_COLUMNS`)."""
    results = read_results(path, content)
    curve = skill_curve(path, results, settings["vector"], settings["corpora"])
    return skill_table(settings["sweep"], settings["target"], [curve], **settings["statistics"])


def table(settings: Mapping[str, Any], rows: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The rows by file as one table; StudyError if two files are of one layer.

    Columns, a row for each published point:
        sweep, vector, layer, coefficient, corpus
        role, documents, tokens (as tables.next_token.table)
        top1, top1_low, top1_high (as tables.next_token.table)
        relative_top1, relative_top1_low, relative_top1_high (as tables.next_token.table)
        top10, top10_low, top10_high (as tables.next_token.table)
        relative_top10, relative_top10_low, relative_top10_high (as tables.next_token.table)
        kept_top1, kept_top1_low, kept_top1_high (as tables.next_token.table)
        relative_kept_top1, relative_kept_top1_low, relative_kept_top1_high (as
            tables.next_token.table)
        kept_top10, kept_top10_low, kept_top10_high (as tables.next_token.table)
        relative_kept_top10, relative_kept_top10_low, relative_kept_top10_high (as
            tables.next_token.table)
        nll (as tables.next_token.table)
        unsteered
    """
    if not rows:
        return pd.DataFrame(columns=SKILL_COLUMNS)
    path_of: dict[str, str] = {}
    for path, of_layer in rows.items():
        layer = of_layer["layer"][0]
        if layer in path_of:
            raise StudyError(
                f"published.sweeps.{settings['sweep']}.files has two files of layer {layer}, "
                f"{path_of[layer]} and {path}; name one of them."
            )
        path_of[layer] = path
    return pd.concat(rows.values(), ignore_index=True)


def skill_curve(
    path: str, results: Mapping[str, Any], vector: str, corpora: Mapping[str, str]
) -> Curve:
    """One file as a curve; `corpora` maps our names to the file's keys, the target first.

    Hits are accuracy times tokens and so no whole numbers: the sums, divided by the tokens, are the
    authors' weighted means exactly. `nll` is NaN. Raises StudyError for other keys or values, and
    for a coefficient that one of the corpora lacks.
    """
    points = {corpus: _points(path, results, key) for corpus, key in corpora.items()}
    (first, *others) = points
    for other in others:
        for corpus, lacking in ((first, other), (other, first)):
            for coefficient in points[corpus].keys() - points[lacking].keys():
                raise StudyError(
                    f"{path} has coefficient {coefficient:g} on {corpora[corpus]} but not on "
                    f"{corpora[lacking]}; each was expected on all corpora"
                )
    rows = [
        point.assign(corpus=corpus) for corpus, found in points.items() for point in found.values()
    ]
    return Curve(vector, _layer(path, results), pd.concat(rows, ignore_index=True))


def _points(path: str, results: Mapping[str, Any], corpus: str) -> dict[float, pd.DataFrame]:
    """The documents of one corpus by coefficient."""
    found = results.get(corpus)
    if not isinstance(found, Mapping) or not found:
        raise StudyError(
            f"{path} has no mapping under {corpus!r} (keys: {', '.join(results)}); "
            "name the corpora as the file does"
        )
    points: dict[float, pd.DataFrame] = {}
    for key, lists in found.items():
        place = f"{path}: {corpus}.{key}"
        if not key.startswith(_PREFIX):
            raise StudyError(f"{place} was expected to begin with {_PREFIX!r}")
        coefficient = coefficient_of(place, key.removeprefix(_PREFIX))
        if coefficient in points:
            raise StudyError(f"{path}: {corpus} has coefficient {coefficient:g} twice")
        points[coefficient] = _point(place, coefficient, lists)
    return points


def _layer(path: str, results: Mapping[str, Any]) -> str:
    """The label of the layers that a file was made at."""
    meta = results.get("meta")
    layers = meta.get("layers") if isinstance(meta, Mapping) else None
    whole = isinstance(layers, list) and all(type(layer) is int and layer >= 0 for layer in layers)
    if not whole or not layers or len(set(layers)) < len(layers):
        raise StudyError(
            f"{path}: meta.layers is {layers!r}; a list of different whole numbers was expected"
        )
    return layer_label(layers)


def _point(place: str, coefficient: float, lists: Any) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for name in sorted({name for pair in _HITS.values() for name in pair}):
        if not isinstance(lists, Mapping) or not isinstance(lists.get(name), list):
            raise StudyError(f"{place} has no list {name!r}, with a number per document")
        try:
            if not set(map(type, lists[name])) <= {int, float}:
                raise TypeError
            columns[name] = np.asarray(lists[name], dtype=float)
        except (TypeError, OverflowError):
            raise StudyError(f"{place}.{name} was expected to hold numbers alone") from None
        bounds = (0, 1) if name.endswith("_acc") else (1, np.inf)
        within = np.isfinite(columns[name]) & (columns[name] >= bounds[0])
        if not (within & (columns[name] <= bounds[1])).all():
            raise StudyError(f"{place}.{name} has values outside {bounds[0]} to {bounds[1]}")
    sizes = {len(values) for values in columns.values()}
    if len(sizes) != 1 or sizes == {0}:
        raise StudyError(f"{place} has lists of different lengths {sorted(sizes)}, or none")
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
    `-1.9500000476837158` is -1.95, `-2.9802322387695312e-08` is 0.

    Raises StudyError for what is no finite number.
    """
    try:
        coefficient = float(text)
    except ValueError:
        coefficient = math.nan
    if not math.isfinite(coefficient):
        raise StudyError(f"{place}: {text!r} was expected to be a finite number")
    return round(coefficient, 6) + 0.0
