"""Finished points of a sweep and finished shards of an extraction, so that a job may be cut short.

Snakemake does not see these files, so a point's key says all that determines its content: what the
job gives as `identity` (all of the model's files, dtype, attention, batches, code, package
versions, device, threads; it names the folder) and what the point itself is (injection, documents,
coefficient; it names the file). Another list of coefficients, or other stopping rules, finds the
points that are there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from snakesteer.core.errors import StudyError
from snakesteer.storage.files import read_provenance, read_table, write_table, write_tensors

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Points:
    """Points made so far, in memory and, where there is a `folder`, in files."""

    folder: Path | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)
    _tables: dict[str, pa.Table] = field(default_factory=dict)

    @classmethod
    def of(cls, identity: Mapping[str, Any], parent: Path) -> Points:
        """The points of this identity, in a folder of their own in `parent`."""
        return cls(parent / digest(sorted(identity.items())), identity)

    def table(
        self,
        point: Mapping[str, Any],
        make: Callable[[], pa.Table],
        found: Callable[[], None] = lambda: None,
    ) -> pa.Table:
        """The table of a point, made unless it is there; a damaged file is made again.

        `found` is told, once, of a point that an earlier job has made.
        """
        key = self._key(point)
        if key not in self._tables:
            stored = self._stored(key)
            if stored is not None:
                found()
            self._tables[key] = self._make(key, point, make) if stored is None else stored
        return self._tables[key]

    def __contains__(self, point: Mapping[str, Any]) -> bool:
        """Whether a point is there, in memory or as a file, whole or damaged."""
        key = self._key(point)
        stored = self.folder is not None and (self.folder / f"{key}.parquet").is_file()
        return key in self._tables or stored

    def add(self, point: Mapping[str, Any], table: pa.Table) -> None:
        """Take the table of a point that is not there."""
        self.table(point, lambda: table)

    def tensors(
        self,
        shard: Mapping[str, Any],
        make: Callable[[], Mapping[str, torch.Tensor]],
        found: Callable[[], None] = lambda: None,
    ) -> Path:
        """The safetensors file of a shard, made unless it is there; a damaged one is made again.

        `found` is told of a shard that is there.
        """
        path = (self.folder or Path()) / f"{self._key(shard)}.safetensors"
        if _whole(path):
            found()
        else:
            write_tensors(path, make(), {**self.identity, **shard})
        return path

    @property
    def name(self) -> str:
        """The name of their folder, "" where they are in memory only."""
        return self.folder.name if self.folder else ""

    def remove(self) -> None:
        """Delete the files of the tables taken here, once an artefact holds what they hold.

        Others of this identity, of a job that is not done, stay.
        """
        if self.folder:
            for key in self._tables:
                (self.folder / f"{key}.parquet").unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # others' files are in it
                self.folder.rmdir()

    def _key(self, point: Mapping[str, Any]) -> str:
        return digest(sorted(point.items()))

    def _stored(self, key: str) -> pa.Table | None:
        try:
            return read_table(self.folder / f"{key}.parquet") if self.folder else None
        except (FileNotFoundError, StudyError):
            return None

    def _make(self, key: str, point: Mapping[str, Any], make: Callable[[], pa.Table]) -> pa.Table:
        table = make()
        if self.folder:
            write_table(self.folder / f"{key}.parquet", table, {**self.identity, **point})
        return table


def digest(*contents: Any) -> str:
    """What tells contents of plain JSON types apart, for a point's description."""
    return hashlib.sha256(json.dumps(contents, ensure_ascii=False).encode()).hexdigest()[:24]


def _whole(path: Path) -> bool:
    try:
        read_provenance(path)
    except (FileNotFoundError, StudyError):
        return False
    return True
