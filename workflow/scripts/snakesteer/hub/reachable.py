"""Whether what lies elsewhere can be had now: asked in a few seconds, and nothing is downloaded.

The hub's library is imported when it is needed: where no model runs, it may not be there.
"""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from typing import Literal

from snakesteer.core.errors import StudyError, reason_of
from snakesteer.hub.commits import tree_ids
from snakesteer.hub.http import busy

SECONDS = 5  # until an answer begins


def files_on_the_hub(
    repository: str, revision: str, kind: Literal["model", "dataset"]
) -> list[str]:
    """The files of a repository of the hub at a revision, which a gated one lists as well.

    Raises StudyError in the words of `fetch.told`.
    """
    from huggingface_hub import HfApi

    from snakesteer.hub.fetch import told

    ask = HfApi().model_info if kind == "model" else HfApi().dataset_info
    with told(repository, revision, kind):
        info = ask(repository, revision=revision, timeout=SECONDS)
    return [file.rfilename for file in info.siblings or []]


def check_readable(
    repository: str, revision: str, kind: Literal["model", "dataset"], file: str
) -> None:
    """Refuse (StudyError) a file of the hub that is not there, or is closed to this account."""
    from huggingface_hub import errors, get_hf_file_metadata, get_token, hf_hub_url

    from snakesteer.hub.fetch import told

    address = hf_hub_url(repository, file, repo_type=kind, revision=revision)
    with told(repository, revision, kind):
        try:
            get_hf_file_metadata(address, token=get_token(), timeout=SECONDS)
        except errors.RemoteEntryNotFoundError:
            raise StudyError(
                f"{repository} at {revision} has no file {file}; correct its name."
            ) from None


def check_answers(address: str) -> None:
    """Refuse (StudyError) an address that gives no file."""
    _opened(address, "name a copy on this machine")


def listed_tree(listing: str) -> dict[str, str]:
    """The blob ids by path in the tree at an address, in the form of GitHub's API.

    Raises StudyError if it cannot be had, or is none.
    """
    content = _opened(listing, "name a local clone as source", whole=True)
    try:
        return tree_ids(content)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise StudyError(
            f"{listing} does not return a tree in the format of GitHub's API; correct listing, "
            "or name a local clone as source."
        ) from None


def _opened(address: str, instead: str, whole: bool = False) -> bytes:
    """What an address gives, or nothing of it unless it is asked for `whole`."""
    try:
        with urllib.request.urlopen(address, timeout=SECONDS) as answer:
            return bytes(answer.read()) if whole else b""
    except urllib.error.HTTPError as error:
        remedy = "wait and run again" if busy(error.code) else "check the address"
        raise StudyError(
            f"{address} returns nothing (the server answers {error.code}); {remedy}."
        ) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise StudyError(
            f"{address} cannot be reached ({_reason(error)}); connect to the network, or {instead}."
        ) from None


def check_judge(address: str, model: str, key: str | None) -> None:
    """Refuse (StudyError) a chat model whose server is not reached, or refuses the key in the
    environment variable `key`. It is asked nothing that costs."""
    who = f"{model} at {address}"
    request = urllib.request.Request(f"{address.rstrip('/')}/models")
    if key:
        given = os.environ.get(key, "").strip()
        if not given:
            raise StudyError(
                f"{who} needs a key, but the environment variable {key} is not set; set it "
                "before the run."
            )
        if not given.isascii() or not given.isprintable() or " " in given:
            raise StudyError(  # http.client would say the key itself
                f"the environment variable {key} does not hold a key for {who}; set it to the "
                "key and nothing else."
            )
        request.add_unredirected_header("Authorization", f"Bearer {given}")
    try:
        urllib.request.urlopen(request, timeout=SECONDS).close()
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            remedy = (
                f"set {key} to another key"
                if key
                else "set `key` to the environment variable that holds one"
            )
            raise StudyError(f"{who} rejects the key (HTTP {error.code}); {remedy}.") from None
        if busy(error.code):
            raise StudyError(f"{who} is busy (HTTP {error.code}); run again later.") from None
        # A server that does not list its models is there all the same.
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise StudyError(
            f"{who} cannot be reached ({_reason(error)}); start it, or correct its address."
        ) from None


def _reason(error: Exception) -> str:
    """Why there is no answer, without urllib's words around it."""
    within = error.reason if isinstance(error, urllib.error.URLError) else None
    return reason_of(within if isinstance(within, Exception) else error)
