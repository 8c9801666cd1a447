"""The manifest of a model folder that was converted from a GGUF file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snakesteer.hub.manifest import compare_depth, manifest
from snakesteer.storage.files import read_json

DESCRIPTION = "gguf.json"


def of_gguf(
    folder: Path, source: str, layers: int, adapter: str | Path | None = None
) -> dict[str, Any]:
    """What `manifest` says of the folder that `convert` wrote, with where that is, as `folder`, and
    what the file was and how it was converted, as `gguf`.

    `source` is what the study calls the file. Raises StudyError as `manifest` does, and for another
    depth than `layers`.
    """
    made = manifest(folder, source, adapter=adapter)
    compare_depth(source, made, layers)
    return {**made, "folder": str(folder), "gguf": read_json(folder / DESCRIPTION)}
