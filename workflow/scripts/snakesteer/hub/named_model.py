"""The model that a command names: a folder, or one of the hub that was fetched before."""

from __future__ import annotations

import re
from pathlib import Path

from snakesteer.core.errors import StudyError
from snakesteer.hub.manifest import CONFIG, absent_folder, locate
from snakesteer.hub.model_folder import snapshot

ID = re.compile(r"[\w.-]+/[\w.-]+")


def named_model(source: str, revision: str | None = None) -> tuple[Path, str | None]:
    """The folder of a model, and its revision where it is one of the hub's cache.

    Nothing is downloaded. Raises StudyError if it is not here, or if several revisions of it are
    and none is named.
    """
    folder = locate(source, "")
    if folder.is_dir() and revision is None:
        return folder, None
    if not ID.fullmatch(source):
        raise StudyError(absent_folder(source, ""))
    there = sorted(path.parent.name for path in snapshot(source, "*").parent.glob(f"*/{CONFIG}"))
    if revision is None and len(there) == 1:
        return snapshot(source, there[0]), there[0]
    if revision is None and there:
        raise StudyError(
            f"the hub's cache has several revisions of {source}: {', '.join(there)}; name one with "
            "--revision."
        )
    if revision not in there:
        at = f" at {revision}" if revision else ""
        raise StudyError(
            f"{source}{at} is neither a folder nor in the hub's cache; fetch it with `hf "
            f"download {source}{f' --revision {revision}' if revision else ''}`, or name its "
            "folder."
        )
    return snapshot(source, revision), revision
