"""Steering vectors from activations: a direction for every layer, [n_layers, hidden] float32."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from snakesteer.core.dtypes import Dtype
from snakesteer.core.errors import StudyError


def rounded(array: np.ndarray, dtype: Dtype) -> np.ndarray:
    """Vectors [..., n_layers, hidden] rounded to a number format, to nearest and even, as float32.

    Raises StudyError for a value beyond float16's range.
    """
    array = np.asarray(array, np.float32)
    match dtype:
        case "float16":
            with np.errstate(over="ignore"):
                half = array.astype(np.float16)
            beyond = np.argwhere(np.isinf(half) & np.isfinite(array))
            if len(beyond):
                raise StudyError(
                    f"A vector holds {array[tuple(beyond[0])]:g} at layer {beyond[0][-2]}, and "
                    "float16 ends at 65,504; take another number format (`dtype` of a vector, "
                    "`vector_dtype` of a sweep)."
                )
            return half.astype(np.float32)
        case "bfloat16":
            bits = np.ascontiguousarray(array).view(np.uint32)
            bits = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
            return (bits & np.uint32(0xFFFF0000)).view(np.float32)
    return array


def mean(activations: np.ndarray | Iterable[np.ndarray]) -> np.ndarray:
    """Mean over samples of activations [n_samples, n_layers, hidden], summed in float64.

    They may come in parts, some samples at a time. Raises StudyError when there are no samples, or
    for NaN or infinity.
    """
    parts = [activations] if isinstance(activations, np.ndarray) else activations
    count, total = 0, np.float64(0)
    for part in parts:
        count, total = count + len(part), total + part.sum(axis=0, dtype=np.float64)
    if not count:
        raise StudyError("There are no activations to take the mean of; the corpus is empty.")
    return _finite(total / count)


def skill(
    add: Sequence[np.ndarray],
    subtract: Sequence[np.ndarray],
    permute: Literal["operands", "difference"] | None = None,
    seed: int | Sequence[int] = 13,
    dtype: Dtype = "float32",
) -> np.ndarray:
    """Sum of the mean activations `add` minus the sum of `subtract` (paper: skill vectors).

    Means are [n_layers, hidden]; either list may be empty. `permute` makes a control by shuffling
    over the hidden dimension, in every layer by itself and seeded: `operands` shuffles both sums
    independently, as the authors did, which gives a longer vector; `difference` shuffles the
    vector, which keeps its length. In another `dtype` than float32 both sums and their difference
    are rounded to it. Raises StudyError for means of different shapes.
    """
    shapes = {mean.shape for mean in [*add, *subtract]}
    if len(shapes) != 1:
        raise StudyError(
            f"The means of a vector have the shapes {sorted(shapes)}; use means of one model."
            if shapes
            else "A vector without means to add or subtract: name at least one."
        )
    [shape] = shapes
    added = np.sum([np.zeros(shape), *add], axis=0, dtype=np.float64)
    subtracted = np.sum([np.zeros(shape), *subtract], axis=0, dtype=np.float64)
    if dtype != "float32":
        added = rounded(np.asarray(added), dtype)
        subtracted = rounded(np.asarray(subtracted), dtype)
    shuffle = np.random.default_rng(seed).permuted
    if permute == "operands":
        added, subtracted = shuffle(added, axis=1), shuffle(subtracted, axis=1)
    vector = _finite(added - subtracted)
    return rounded(shuffle(vector, axis=1) if permute == "difference" else vector, dtype)


def contrast(matching: np.ndarray, not_matching: np.ndarray) -> np.ndarray:
    """Mean over questions of the activation with the matching answer minus that with the other.

    Both are [n_questions, n_layers, hidden] (paper: behaviours). Raises StudyError for different
    shapes.
    """
    if matching.shape != not_matching.shape:
        raise StudyError(
            f"Matching activations have the shape {matching.shape}, the others "
            f"{not_matching.shape}; extract both from the same questions and model."
        )
    return _finite(mean(matching).astype(np.float64) - mean(not_matching))


def combine(
    vectors: Sequence[np.ndarray],
    how: Literal["mean", "sum"],
    weights: Sequence[float] | None = None,
) -> np.ndarray:
    """One vector from several of one shape, each times its weight (paper: combined steering)."""
    weights = [1.0] * len(vectors) if weights is None else weights
    weighted = [weight * vector for weight, vector in zip(weights, vectors, strict=True)]
    total = np.sum(weighted, axis=0, dtype=np.float64)
    return _finite(total / len(vectors) if how == "mean" else total)


def _finite(vector: np.ndarray | np.floating) -> np.ndarray:
    vector = np.asarray(vector)
    broken = np.argwhere(~np.isfinite(vector))
    if len(broken):
        raise StudyError(
            f"A vector is NaN or infinite at layer {broken[0][0]}; "
            "look at the activations it was made from."
        )
    return vector.astype(np.float32)
