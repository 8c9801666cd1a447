"""Where the published files come from: a local folder, or the raw-file address at one commit.

A file that cannot be had is no failure. It is told in one sentence, and what depends on it is left
out.
"""

from __future__ import annotations

import hashlib
import json
import urllib.parse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from snakesteer.artefacts import write_bytes
from snakesteer.download import fetch
from snakesteer.errors import StudyError


def is_address(source: str) -> bool:
    """Whether a source is an address to download from, and not a folder."""
    return source.startswith(("https://", "http://"))


def blob_id(content: bytes) -> str:
    """Git's id of a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def folder_files(folder: Path, paths: Iterable[str]) -> dict[str, dict[str, str]]:
    """The blob id of each of the files in a folder of the repository's structure.

    Returns `{path: {"blob": id}}`, or `{path: {"missing": sentence}}` for a file that is not there.
    """
    return {
        path: (
            {"blob": blob_id((folder / path).read_bytes())}
            if (folder / path).is_file()
            else {"missing": f"{path} is absent from the folder of published files"}
        )
        for path in paths
    }


def download(
    address: str, listing: str, paths: Iterable[str], folder: Path
) -> dict[str, dict[str, str]]:
    """Download files below `address` into `folder`, each verified against its git blob id.

    `listing` is the address of the commit's tree in the form of GitHub's API, which holds the ids.
    What the folder has already is not fetched again. Returns what `folder_files` returns; a file
    whose content has another id is refused and not kept. Raises StudyError if the listing cannot be
    read, since then nothing can be verified.
    """
    try:
        tree = json.loads(fetch(listing))["tree"]
        blobs = {entry["path"]: entry["sha"] for entry in tree}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(
            f"the list of published files at {listing} cannot be read ({error}); connect to the "
            "network, or set published.source to `shipped` or to a folder."
        ) from None
    return {path: _download(address, path, blobs.get(path), folder) for path in paths}


def _download(address: str, path: str, blob: str | None, folder: Path) -> dict[str, str]:
    if blob is None:
        return {"missing": f"{path} is not in the commit at {address}"}
    kept = folder / path
    if kept.is_file() and blob_id(kept.read_bytes()) == blob:
        return {"blob": blob}
    try:
        content = fetch(f"{address.rstrip('/')}/{urllib.parse.quote(path)}")
    except OSError as error:
        return {"missing": f"{path} cannot be downloaded ({error})"}
    if blob_id(content) != blob:
        return {
            "missing": f"{path} was refused: what {address} sent has the blob id "
            f"{blob_id(content)}, not {blob}"
        }
    write_bytes(kept, content)
    return {"blob": blob}


def read(files: Mapping[str, Mapping[str, str]], folder: Path, path: str) -> bytes:
    """The content of a published file, as it was when `files` were gathered.

    Raises StudyError if the file is missing, or changed since.
    """
    entry = files[path]
    if "missing" in entry:
        raise StudyError(entry["missing"])
    try:
        content = (folder / path).read_bytes()
    except OSError as error:
        raise StudyError(f"{path} cannot be read ({error.strerror})") from None
    if blob_id(content) != entry["blob"]:
        raise StudyError(f"{path} changed after it was gathered (blob id {blob_id(content)})")
    return content


def read_results(files: Mapping[str, Mapping[str, str]], folder: Path, path: str) -> dict[str, Any]:
    """A published JSON file as a mapping; StudyError if it is missing, cut off or no mapping."""
    content = read(files, folder, path)
    try:
        results = json.loads(content)
    except ValueError as error:
        raise StudyError(f"{path} is not JSON ({error}); get the file again") from None
    if not isinstance(results, dict):
        raise StudyError(f"{path} holds a {type(results).__name__}; a mapping was expected")
    return results
