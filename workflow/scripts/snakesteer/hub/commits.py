"""Files of a git repository at one commit, each verified against its git blob id.

They are at an address with the commit in it, in a clone, or in a folder of the repository's
structure. The ids are those that are given, or of the commit's tree, in the listing of an address
or by git. Of a clone git reads the commit's own file, whatever is checked out.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakesteer.core.errors import StudyError
from snakesteer.hub.http import fetch, is_address
from snakesteer.hub.manifest import blob_id, locate
from snakesteer.storage.provenance import portable

ABSENT = (404, 410)  # what a server answers that has no such file


class Unavailable(Exception):
    """Why a file of a commit cannot be had, without a full stop, and what to do."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


def tree_ids(content: bytes | str) -> dict[str, str]:
    """The blob ids by path in a commit's tree, in the form of GitHub's API.

    Raises ValueError, KeyError, TypeError or RecursionError for content of another form.
    """
    return {entry["path"]: entry["sha"] for entry in json.loads(content)["tree"]}


def fetched_tree(listing: str, named: str, remedy: str) -> dict[str, str]:
    """The blob ids by path in the tree at an address, in the form of GitHub's API.

    Raises StudyError, with what the tree is `named` and a `remedy` beside the network, if it cannot
    be read: nothing can be verified then.
    """
    try:
        return tree_ids(fetch(listing))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StudyError(
            f"{named} at {listing} cannot be read ({error}); connect to the network, or {remedy}."
        ) from None


def fetched_file(address: str, path: str, blob: str | None, place: str) -> bytes:
    """The file below an address that has this blob id; None is that of a path not in the commit.

    Raises Unavailable for a file that is not there, or is another one, and StudyError, with the
    `place` of the address in the study, if it does not come for another reason.
    """
    if blob is None:
        raise Unavailable(f"{path} is not in the commit at {address}", "check the path")
    try:
        content = fetch(f"{address.rstrip('/')}/{urllib.parse.quote(path)}")
    except OSError as error:
        if isinstance(error, urllib.error.HTTPError) and error.code in ABSENT:
            raise Unavailable(f"{path} cannot be downloaded ({error})", "check source") from None
        raise StudyError(
            f"{path} cannot be downloaded from the address of {place}, {address} ({error}); "
            "check the network, or wait, and run again; downloaded files are kept."
        ) from None
    if blob_id(content) != blob:
        raise Unavailable(
            f"{path} was refused: what {address} sent has the blob id {blob_id(content)}, "
            f"not {blob}",
            "check source, or name a local clone there",
        )
    return content


def tree(settings: Mapping[str, Any], repository: str | Path) -> dict[str, str]:
    """The blob ids by path of a commit.

    Settings: `source`, an address or a clone, `commit`, and of an address its `listing`. Raises
    StudyError for a listing that cannot be read, and for a clone without the commit or without git.
    """
    source = settings["source"]
    if is_address(source):
        return fetched_tree(settings["listing"], "the listing", "name a local clone as source")
    return _ids_by_git(locate(source, repository), source, settings["commit"])


def file(
    settings: Mapping[str, Any], ids: Mapping[str, str], repository: str | Path
) -> tuple[bytes, dict[str, str]]:
    """A file of a commit, and what is known of it: `path`, `commit`, `blob`, its id, and `source`.

    Settings: `source`, `commit` and `path`, and `blob` where the study gives the id; `ids` are else
    what `tree` returned. A file of a folder without an id is taken as it is, and `unverified` says
    so in a sentence. Raises StudyError for a file that cannot be had, and for one of another
    content than the commit's.
    """
    source, commit, path = (settings[key] for key in ("source", "commit", "path"))
    expected = settings.get("blob", ids.get(path))
    if is_address(source):
        try:
            content = fetched_file(source, path, expected, "source")
        except Unavailable as error:
            raise StudyError(f"{error.reason}; {error.remedy}.") from None
    else:
        content = _in_folder(locate(source, repository), settings, expected)
    found = blob_id(content)
    known = {"path": path, "commit": commit, "blob": found, "source": portable(source)}
    if expected is None:
        known["unverified"] = (
            f"{path} was not compared with commit {commit[:12]}, as its blob id there is unknown"
        )
    elif found != expected:
        raise StudyError(
            f"{path} in {source} has the blob id {found}, but {expected} at commit {commit[:12]}; "
            "get the file again, or correct its id in blobs."
        )
    return content, known


def is_clone(folder: Path) -> bool:
    """Whether a folder is a clone, a worktree, or a bare repository of git, which has these three
    of its own."""
    return (folder / ".git").exists() or all(
        (folder / name).exists() for name in ("HEAD", "objects", "refs")
    )


def _in_folder(folder: Path, settings: Mapping[str, Any], expected: str | None) -> bytes:
    source, commit, path = (settings[key] for key in ("source", "commit", "path"))
    if is_clone(folder) and (_git_is_there() or "blob" not in settings):
        if expected is None:
            raise StudyError(
                f"{path} is not in commit {commit[:12]} of the clone {source}; check the path."
            )
        try:
            return _git(folder, source, "cat-file", "blob", f"{commit}:{path}")
        except subprocess.CalledProcessError as error:
            raise StudyError(
                f"the clone {source} does not give {path} of commit {commit[:12]} (git: "
                f"{_said(error)}); check the path, or fetch the entire commit, for example with "
                f"`git fetch origin {commit}`."
            ) from None
    if not (folder / path).is_file():
        raise StudyError(f"there is no file {path} in {source}; check the path.")
    try:
        return (folder / path).read_bytes()
    except OSError as error:
        raise StudyError(
            f"{path} in {source} cannot be read ({error.strerror}); check it."
        ) from None


def _ids_by_git(folder: Path, source: str, commit: str) -> dict[str, str]:
    try:
        listed = _git(folder, source, "ls-tree", "-r", "-z", "--full-tree", commit)
    except subprocess.CalledProcessError as error:
        raise StudyError(
            f"the clone {source} does not give commit {commit} (git: {_said(error)}); fetch it "
            f"there, for example with `git fetch origin {commit}`."
        ) from None
    ids = {}
    for entry in listed.split(b"\0"):
        if entry:
            described, _, path = entry.partition(b"\t")
            ids[os.fsdecode(path)] = described.split()[2].decode()
    return ids


def _said(error: subprocess.CalledProcessError) -> str:
    """Git's own reason: the last line that it calls fatal, or else its last one."""
    lines = error.stderr.decode(errors="replace").strip().splitlines() or ["no reason"]
    fatal = [line for line in lines if line.startswith("fatal:")]
    return (fatal or lines)[-1]


def _git_is_there() -> bool:
    return shutil.which("git") is not None


def _git(folder: Path, source: str, *arguments: str) -> bytes:
    """What git prints in a folder; subprocess.CalledProcessError if it fails there."""
    if not _git_is_there():
        raise StudyError(
            f"{source} is a git clone, but git is not installed; install git, give the ids of "
            "its files in blobs, or name a copy without .git."
        )
    environment = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, env=environment).stdout
