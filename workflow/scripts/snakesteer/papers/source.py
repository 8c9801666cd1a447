"""Where the published files come from: a local folder, or the raw-file address at one commit.

Every file is compared with its git blob id in the commit: in the listing of an address, or in the
list that this repository ships of a commit.

A file that is not there, or that has another content than the commit's, is no failure. It is told
in one sentence, and what depends on it is left out. One that the network keeps back for now, or
that has gone since, ends the job: what is made without it would stay.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from snakesteer.core.errors import StudyError
from snakesteer.hub.commits import Unavailable, fetched_file, fetched_tree
from snakesteer.hub.manifest import blob_id
from snakesteer.storage.files import read_json, write_bytes


def folder_files(
    folder: Path, paths: Iterable[str], commit: str, expected: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """The blob id of each of the files in a folder of the repository's structure.

    `expected` holds the ids of the commit's files, as far as they are known. Returns
    `{path: {"blob": id}}`, or `{path: {"missing": sentence}}` for a file that is not there or not
    the commit's. One without an expected id has `"unverified": sentence` beside its id.
    """
    return {path: _found(folder, path, commit, expected.get(path)) for path in paths}


def _found(folder: Path, path: str, commit: str, expected: str | None) -> dict[str, str]:
    if not (folder / path).is_file():
        return {"missing": f"{path} is missing from the folder of published files"}
    blob = blob_id((folder / path).read_bytes())
    if expected is None:
        return {
            "blob": blob,
            "unverified": f"{path} was not compared with commit {commit[:12]}, as its blob id "
            "there is unknown",
        }
    if blob != expected:
        return {
            "missing": f"{path} was refused: its blob id is {blob[:12]}, but {expected[:12]} "
            f"at commit {commit[:12]}; get the file again"
        }
    return {"blob": blob}


def download(
    address: str, listing: str, paths: Iterable[str], folder: Path
) -> dict[str, dict[str, str]]:
    """Download files below `address` into `folder`, each verified against its git blob id.

    `listing` is the address of the commit's tree in the form of GitHub's API, which holds the ids.
    What the folder has already is not fetched again. Returns what `folder_files` returns; a file
    whose content has another id is refused and not kept. Raises StudyError if the listing cannot be
    read, since then nothing can be verified, and if a file does not come for another reason than
    that it is not there.
    """
    blobs = fetched_tree(
        listing,
        "the list of published files",
        "set published.source to `shipped` or to a folder",
    )
    return {path: _download(address, path, blobs.get(path), folder) for path in paths}


def _download(address: str, path: str, blob: str | None, folder: Path) -> dict[str, str]:
    kept = folder / path
    if blob and kept.is_file() and blob_id(kept.read_bytes()) == blob:
        return {"blob": blob}
    try:
        content = fetched_file(address, path, blob, "published.source")
    except Unavailable as error:
        return {"missing": error.reason}
    write_bytes(kept, content)
    return {"blob": blob_id(content)}


def gathered(
    listing: Path, folder: Path, paths: Iterable[str]
) -> tuple[dict[str, bytes], dict[str, dict[str, str]]]:
    """The contents of published files by path, and what their provenance says of them by path.

    The file `listing` holds what `folder_files` or `download` returned. The provenance has the
    sentences on files that are `missing`, those on files that are `unverified`, and the `blobs`,
    the ids of all contents. Raises StudyError if a file that `listing` has an id for is no longer
    in `folder`, or is another one.
    """
    files = read_json(listing)
    contents: dict[str, bytes] = {}
    origin: dict[str, dict[str, str]] = {"blobs": {}, "missing": {}, "unverified": {}}
    for path in paths:
        if "missing" in files[path]:
            origin["missing"][path] = files[path]["missing"]
            continue
        place = folder / path
        content = place.read_bytes() if place.is_file() else None
        if content is None or blob_id(content) != files[path]["blob"]:
            state = "gone" if content is None else "another file"
            raise StudyError(
                f"{place} is {state} since {listing} was written; delete {listing} and run again."
            )
        contents[path] = content
        origin["blobs"][path] = files[path]["blob"]
        if "unverified" in files[path]:
            origin["unverified"][path] = files[path]["unverified"]
    return contents, origin


def read_results(path: str, content: bytes) -> dict[str, Any]:
    """A published JSON file as a mapping; StudyError if it is cut off, nested too deeply, or no
    mapping."""
    results = _parsed(path, content)
    if not isinstance(results, dict):
        raise StudyError(f"{path} holds a {type(results).__name__}; a mapping was expected")
    return results


def read_list(path: str, content: bytes) -> list[Any]:
    """A published JSON file as a list; StudyError as `read_results`."""
    results = _parsed(path, content)
    if not isinstance(results, list):
        raise StudyError(f"{path} holds a {type(results).__name__}; a list was expected")
    return results


def _parsed(path: str, content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise StudyError(f"{path} is not JSON ({error}); get the file again") from None
    except RecursionError:
        raise StudyError(f"{path} is nested too deeply to be read; get the file again") from None
