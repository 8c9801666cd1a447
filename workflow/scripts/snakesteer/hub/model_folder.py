"""Where the files of a manifest's model lie on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name

from snakesteer.core.errors import StudyError
from snakesteer.hub.manifest import BESIDE, locate


def snapshot(source: str, revision: str) -> Path:
    """The folder of a model of the hub in the hub's cache, whether it is there or not."""
    name = repo_folder_name(repo_id=source, repo_type="model")
    return Path(constants.HF_HUB_CACHE) / name / "snapshots" / revision


def model_folder(recorded: Mapping[str, Any], repository: str | Path, target: str) -> Path:
    """The folder of the model whose manifest, the file `target`, is `recorded`.

    Raises StudyError, naming the command that brings them back, if files of a model of the hub are
    no longer in the hub's cache.
    """
    source, revision = recorded["source"], recorded["revision"]
    if "folder" in recorded:
        return _converted(recorded, target)
    if revision is None:
        return locate(source, repository)
    folder = snapshot(source, revision)
    for name in recorded["files"]:
        if name.startswith(BESIDE):
            continue
        if not (folder / name).is_file():
            raise StudyError(
                f"{source} at {revision} is incomplete in the hub's cache ({name} is missing "
                f"from {folder}); on a machine with a network, and with the same HF_HOME as "
                f"here, run `snakemake --cores 1 --force {target}` with this study's "
                "--configfile."
            )
    return folder


def _converted(recorded: Mapping[str, Any], target: str) -> Path:
    folder = Path(recorded["folder"])
    for name in recorded["files"]:
        if not name.startswith(BESIDE) and not (folder / name).is_file():
            raise StudyError(
                f"{folder / name} is missing from the conversion of {recorded['source']}; "
                f"restore it with `snakemake --cores 1 --force {target}` and this study's "
                "--configfile."
            )
    return folder


def adapter_folder(recorded: Mapping[str, Any], repository: str | Path) -> Path | None:
    """The folder of the adapter to merge into the model whose manifest is `recorded`, if any."""
    named = recorded.get("adapter")
    return locate(named, repository) if named else None
