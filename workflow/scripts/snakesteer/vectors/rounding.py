"""Vectors rounded to a number format; those with NaN or infinity are refused."""

from __future__ import annotations

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
                    f"A vector holds {array[tuple(beyond[0])]:g} at layer {beyond[0][-2]}, but "
                    "float16 ends at 65,504; use another number format (`dtype` of a vector, "
                    "`vector_dtype` of a sweep)."
                )
            return half.astype(np.float32)
        case "bfloat16":
            bits = np.ascontiguousarray(array).view(np.uint32)
            bits = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
            return (bits & np.uint32(0xFFFF0000)).view(np.float32)
    return array


def finite(vectors: np.ndarray) -> np.ndarray:
    """Vectors [..., n_layers, hidden] as float32; StudyError for NaN or infinity."""
    broken = np.argwhere(~np.isfinite(vectors))
    if len(broken):
        raise StudyError(
            f"A vector is NaN or infinite at layer {broken[0][-2]}; check the activations that "
            "it was made from."
        )
    return vectors.astype(np.float32)
