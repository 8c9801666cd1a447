"""GGUF files, llama.cpp's format: the tensors in one, of the number formats that vectors have."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from snakesteer.core.errors import StudyError

MAGIC = b"GGUF"
ALIGNMENT = 32  # of the data, where the file sets no other
# Formats of numbers in the header, by GGUF's number of their type.
_NUMBERS = dict(enumerate(("B", "b", "H", "h", "I", "i", "f", "?"))) | {10: "Q", 11: "q", 12: "d"}
_TEXT, _LIST = 8, 9
# Formats of numbers in tensors, by ggml's number of their type.
_FLOATS = {0: "<f4", 1: "<f2", 28: "<f8"}
_BFLOAT16 = 30


def read_gguf(path: str, content: bytes) -> dict[str, np.ndarray]:
    """All tensors of a GGUF file of version 2 or 3, by name, as float32.

    Raises StudyError for another file, one that is cut short, and tensors that are quantised.
    """
    if content[: len(MAGIC)] != MAGIC:
        raise StudyError(f"{path} is not a GGUF file")
    try:
        return _tensors(path, _Bytes(content, len(MAGIC)))
    except (struct.error, ValueError, TypeError, ArithmeticError) as error:
        raise StudyError(f"{path} is not a complete GGUF file ({error})") from None


@dataclass
class _Bytes:
    """The content of a file, and how much of it has been read."""

    content: bytes
    place: int

    def number(self, kind: str) -> Any:
        (value,) = struct.unpack_from(f"<{kind}", self.content, self.place)
        self.place += struct.calcsize(f"<{kind}")
        return value

    def text(self) -> str:
        length = self.number("Q")
        read = self.content[self.place : self.place + length]
        self.place += length
        return read.decode("utf-8")

    def value(self, kind: int) -> Any:
        if kind == _TEXT:
            return self.text()
        if kind == _LIST:
            of, length = self.number("I"), self.number("Q")
            return [self.value(of) for _ in range(length)]
        if kind not in _NUMBERS:
            raise ValueError(f"a value is of type {kind}")
        return self.number(_NUMBERS[kind])


def _tensors(path: str, file: _Bytes) -> dict[str, np.ndarray]:
    version = file.number("I")
    if version not in (2, 3):
        raise StudyError(f"{path} is of version {version} of GGUF, but only 2 and 3 can be read")
    n_tensors, n_values = file.number("Q"), file.number("Q")
    values = {}
    for _ in range(n_values):
        name = file.text()
        values[name] = file.value(file.number("I"))
    described = []
    for _ in range(n_tensors):
        name = file.text()
        shape = [file.number("Q") for _ in range(file.number("I"))]
        described.append((name, shape[::-1], file.number("I"), file.number("Q")))
    alignment = values.get("general.alignment", ALIGNMENT)
    start = file.place + -file.place % alignment
    return {
        name: _array(f"{path}: {name}", file.content, start + offset, shape, kind)
        for name, shape, kind, offset in described
    }


def _array(tensor: str, content: bytes, start: int, shape: list[int], kind: int) -> np.ndarray:
    count = math.prod(shape)
    if kind == _BFLOAT16:
        upper = np.frombuffer(content, "<u2", count, start).astype(np.uint32) << 16
        return upper.view(np.float32).reshape(shape)
    if kind not in _FLOATS:
        raise StudyError(f"{tensor} is quantised (type {kind} of ggml); floats were expected")
    return np.frombuffer(content, _FLOATS[kind], count, start).astype(np.float32).reshape(shape)
