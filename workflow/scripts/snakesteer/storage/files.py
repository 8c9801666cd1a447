"""Reading and writing the workflow's artefacts, each with its provenance inside.

Every write goes to a temporary name of its own beside the target, is flushed to disk and then
renamed, so a reader never meets half a file and two writers cannot spoil each other's. The bytes
depend on the content alone: no timestamps, and metadata in a fixed order.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import struct
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors
import safetensors.numpy

from snakesteer.core.errors import DamagedFile, StudyError

if TYPE_CHECKING:
    import torch

KEY = "snakesteer"
ROWS_AT_ONCE = 64
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16}


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write `content` to `path` atomically (unique temporary name, fsync, rename)."""
    with _replacing(path) as file:
        file.write(content)


@contextlib.contextmanager
def _replacing(path: str | Path) -> Iterator[BinaryIO]:
    """A file under a temporary name of its own that takes the place of `path` when it is whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in FULL:
            raise StudyError(
                f"{path} could not be written ({error.strerror}); make room and run again; "
                "finished work is kept."
            ) from error
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, content: Any) -> None:
    """Write JSON atomically, keys sorted, numbers as Python prints them."""
    write_text(path, json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON artefact; StudyError if it is damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise _damaged(path, error) from error


def write_tensors(
    path: str | Path,
    tensors: Mapping[str, np.ndarray | torch.Tensor],
    provenance: Mapping[str, Any],
) -> None:
    """Write named tensors (all numpy, or all torch) as one safetensors file."""
    metadata = {KEY: _encode(provenance)}
    if all(isinstance(tensor, np.ndarray) for tensor in tensors.values()):
        arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
        write_bytes(path, safetensors.numpy.save(arrays, metadata))
    else:
        from safetensors.torch import save

        write_bytes(path, save(dict(tensors), metadata))


def stack_tensors(
    path: str | Path, shards: Sequence[str | Path], provenance: Mapping[str, Any]
) -> None:
    """Write the tensors of several safetensors files, joined along the first axis, as one file.

    All have the same names, dtypes and other axes. No more than one of them is in memory at a time.
    """
    headers = [_header(shard) for shard in shards]
    names = sorted(name for name in headers[0][1] if name != "__metadata__")
    joined: dict[str, Any] = {"__metadata__": {KEY: _encode(provenance)}}
    end = 0
    for name in names:
        parts = [header[name] for _, header in headers]
        start, end = (
            end,
            end + sum(part["data_offsets"][1] - part["data_offsets"][0] for part in parts),
        )
        shape = [sum(part["shape"][0] for part in parts), *parts[0]["shape"][1:]]
        joined[name] = {"dtype": parts[0]["dtype"], "shape": shape, "data_offsets": [start, end]}
    encoded = json.dumps(joined, ensure_ascii=False).encode()
    encoded += b" " * (-len(encoded) % 8)
    with _replacing(path) as file:
        file.write(struct.pack("<Q", len(encoded)) + encoded)
        for name in names:
            for shard, (data, header) in zip(shards, headers, strict=True):
                start, end = header[name]["data_offsets"]
                with Path(shard).open("rb") as source:
                    source.seek(data + start)
                    file.write(source.read(end - start))


def _header(path: str | Path) -> tuple[int, dict[str, Any]]:
    """Where the data of a safetensors file begins, and its header."""
    with Path(path).open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return 8 + length, json.loads(file.read(length))


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """All tensors of a safetensors file as numpy arrays; bfloat16 comes as float32, exactly."""
    try:
        return {
            name: _array(tensor)
            for name, tensor in safetensors.deserialize(Path(path).read_bytes())
        }
    except safetensors.SafetensorError as error:
        raise _damaged(path, error) from error


def read_rows(path: str | Path, name: str, at_once: int = ROWS_AT_ONCE) -> Iterator[np.ndarray]:
    """One tensor of a safetensors file as `read_tensors` gives it, some rows at a time.

    StudyError if the file is damaged, or has no tensor of that name.
    """
    try:
        with safetensors.safe_open(str(path), framework="np") as file:
            held = sorted(file.keys())
    except safetensors.SafetensorError as error:
        raise _damaged(path, error) from error
    if name not in held:
        raise StudyError(
            f"{path} has no tensor `{name}`, but {', '.join(held)}; if it should have one, "
            "delete the file and run again to rebuild it."
        )
    data, header = _header(path)
    tensor = header[name]
    start, end = tensor["data_offsets"]
    count, *shape = tensor["shape"]
    row = (end - start) // count if count else 0
    with Path(path).open("rb") as file:
        file.seek(data + start)
        for first in range(0, count, at_once):
            rows = min(at_once, count - first)
            yield _array(
                {"dtype": tensor["dtype"], "shape": [rows, *shape], "data": file.read(rows * row)}
            )


def read_shapes(path: str | Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a safetensors file."""
    header = _header(path)[1]
    return {name: tuple(header[name]["shape"]) for name in header if name != "__metadata__"}


def _array(tensor: Mapping[str, Any]) -> np.ndarray:
    if tensor["dtype"] == "BF16":
        upper = np.frombuffer(tensor["data"], np.uint16).astype(np.uint32) << 16
        flat = upper.view(np.float32)
    else:
        flat = np.frombuffer(tensor["data"], _DTYPES[tensor["dtype"]])
    return flat.reshape(tensor["shape"])


def write_table(path: str | Path, table: pa.Table, provenance: Mapping[str, Any]) -> None:
    """Write a table as Parquet (zstd, checksums), the provenance in the schema's metadata."""
    table = table.replace_schema_metadata({KEY: _encode(provenance)})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    write_bytes(path, buffer.getvalue())


def read_table(path: str | Path) -> pa.Table:
    """Read a Parquet artefact; StudyError if it is damaged."""
    try:
        return pq.read_table(path, partitioning=None, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise _damaged(path, error) from error


def read_provenance(path: str | Path) -> dict[str, Any]:
    """The provenance inside a safetensors or Parquet artefact.

    Raises StudyError if the file is damaged or was not written by this workflow.
    """
    try:
        if str(path).endswith(".safetensors"):
            with safetensors.safe_open(str(path), framework="np") as file:
                encoded = (file.metadata() or {}).get(KEY)
        else:
            metadata = pq.read_schema(path).metadata or {}
            encoded = metadata.get(KEY.encode())
        provenance = None if encoded is None else json.loads(encoded)
    except FileNotFoundError:
        raise
    except (safetensors.SafetensorError, pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(path, error) from error
    if not isinstance(provenance, dict):
        raise StudyError(f"{path} has no provenance, so it was not written by this workflow.")
    return provenance


def _encode(provenance: Mapping[str, Any]) -> str:
    return json.dumps(provenance, sort_keys=True, ensure_ascii=False)


def _damaged(path: str | Path, error: Exception) -> DamagedFile:
    return DamagedFile(path, str(error).splitlines()[0] if str(error) else type(error).__name__)


def check_writable(folder: Path) -> None:
    """Raise StudyError if `folder` cannot be made or written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StudyError(
            f"The results folder {folder.resolve()} cannot be written ({error.strerror}); change "
            "its permissions, or choose another folder with --directory."
        ) from None
