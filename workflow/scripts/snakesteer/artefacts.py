"""Reading and writing the workflow's artefacts, each with its provenance inside.

Every write goes to a temporary name of its own beside the target, is flushed to disk and then
renamed, so a reader never meets half a file and two writers cannot spoil each other's. The bytes
depend on the content alone: no timestamps, and metadata in a fixed order.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors
import safetensors.numpy

from snakesteer.errors import StudyError

if TYPE_CHECKING:
    import torch

KEY = "snakesteer"
_DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16}


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write `content` to `path` atomically (unique temporary name, fsync, rename)."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
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


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """All tensors of a safetensors file as numpy arrays; bfloat16 comes as float32, exactly."""
    try:
        return {
            name: _array(tensor)
            for name, tensor in safetensors.deserialize(Path(path).read_bytes())
        }
    except safetensors.SafetensorError as error:
        raise _damaged(path, error) from error


def _array(tensor: Mapping[str, Any]) -> np.ndarray:
    if tensor["dtype"] == "BF16":
        upper = np.frombuffer(tensor["data"], np.uint16).astype(np.uint32) << 16
        flat = upper.view(np.float32)
    else:
        flat = np.frombuffer(tensor["data"], _DTYPES[tensor["dtype"]])
    return flat.reshape(tensor["shape"])


def write_table(path: str | Path, table: pa.Table, provenance: Mapping[str, Any]) -> None:
    """Write a table as Parquet (zstd), the provenance in the schema's metadata."""
    table = table.replace_schema_metadata({KEY: _encode(provenance)})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    write_bytes(path, buffer.getvalue())


def read_table(path: str | Path) -> pa.Table:
    """Read a Parquet artefact; StudyError if it is damaged."""
    try:
        return pq.read_table(path, partitioning=None)
    except (pa.ArrowInvalid, OSError) as error:
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
    except (safetensors.SafetensorError, pa.ArrowInvalid) as error:
        raise _damaged(path, error) from error
    if encoded is None:
        raise StudyError(f"{path} carries no provenance: it was not written by this workflow.")
    return json.loads(encoded)


def _encode(provenance: Mapping[str, Any]) -> str:
    return json.dumps(provenance, sort_keys=True, ensure_ascii=False)


def _damaged(path: str | Path, error: Exception) -> StudyError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return StudyError(f"{path} is damaged ({reason}); delete it and run again to rebuild it.")


def check_writable(folder: Path) -> None:
    """Raise StudyError if `folder` cannot be made or written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StudyError(
            f"The results folder {folder.resolve()} cannot be written ({error.strerror}); "
            "change its permissions, or run in another folder with --directory."
        ) from None
