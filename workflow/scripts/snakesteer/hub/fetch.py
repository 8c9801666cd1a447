"""What is fetched from the hub, and what the hub refuses, in one sentence.

Used by download rules alone. An access token is taken from HF_TOKEN, or from `hf auth login`.
"""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import httpx2
from huggingface_hub import HfApi, constants, errors, get_token, hf_hub_download, snapshot_download
from huggingface_hub.utils import disable_progress_bars

from snakesteer.core.attempts import attempt
from snakesteer.core.errors import StudyError
from snakesteer.hub.http import busy
from snakesteer.hub.manifest import (
    ADAPTER,
    ADAPTER_WEIGHTS,
    CHAT_TEMPLATE,
    CONFIG,
    GENERATION,
    INDEX,
    TOKENIZER,
    blob_id,
    compare_depth,
    kept_as,
    manifest,
    sha256,
)

MODEL_FILES = (
    CONFIG,
    INDEX,
    ADAPTER,
    ADAPTER_WEIGHTS,
    *TOKENIZER,
    CHAT_TEMPLATE,
    GENERATION,
    "model*.safetensors",
)
OFFLINE = ("HF_HUB_OFFLINE is set", "unset it")
REFUSED = (401, 403)
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
BLOB = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@contextlib.contextmanager
def told(repository: str, revision: str, kind: Literal["model", "dataset"]) -> Iterator[None]:
    """Turns what the hub, or the way to it, refuses into one sentence (StudyError)."""
    address = f"{constants.ENDPOINT}/{'datasets/' if kind == 'dataset' else ''}{repository}"
    try:
        yield
    except errors.GatedRepoError:
        token = (
            "with the account of that token"
            if get_token()
            else "and set HF_TOKEN to an access token of that account "
            f"({constants.ENDPOINT}/settings/tokens)"
        )
        raise StudyError(
            f"{repository} is gated: accept its licence at {address} {token}, then run again."
        ) from None
    except errors.RevisionNotFoundError:
        raise StudyError(
            f"{repository} has no revision {revision}; `git ls-remote {address} HEAD` prints the "
            "current one."
        ) from None
    except errors.RepositoryNotFoundError:
        raise StudyError(
            f"the hub has no {kind} {repository}, or it is private; check its page {address}, or "
            "set HF_TOKEN to an access token of an account that can read it."
        ) from None
    except errors.OfflineModeIsEnabled:
        raise StudyError(_absent(repository, revision, kind, *OFFLINE)) from None
    except (OSError, httpx2.HTTPError) as error:
        raise StudyError(_absent(repository, revision, kind, *_reason(error))) from None


def _reason(error: BaseException) -> tuple[str, str]:
    """Why something could not be fetched, without the library's advice around it, and what to do
    before running again."""
    answered = error if isinstance(error, errors.HfHubHTTPError) else error.__cause__
    if isinstance(answered, errors.HfHubHTTPError) and answered.response is not None:
        status = answered.response.status_code
        refused = status in REFUSED
        wait = "check that the token in HF_TOKEN is valid and can read it" if refused else "wait"
        return f"the hub answers {status}", wait
    cause = error.__cause__ or error
    if isinstance(cause, errors.OfflineModeIsEnabled):
        return OFFLINE
    first = str(cause).splitlines()[0].rstrip(".") if str(cause) else ""
    name = type(cause).__name__
    remedy = "check the network"
    if _of_the_disk(cause):
        cache = constants.HF_HUB_CACHE
        remedy = f"make room in {cache}, or set HF_HOME to a folder that you can write to,"
    return (f"{name}: {first}" if first else name), remedy


def _absent(repository: str, revision: str, kind: str, reason: str, remedy: str) -> str:
    kept = "; downloaded files are kept" if kind == "model" else ""
    return (
        f"{repository} at {revision} could not be fetched from {constants.ENDPOINT} ({reason}); "
        f"{remedy} and run again{kept}."
    )


def fetch_model(
    source: str, revision: str, layers: int, adapter: Path | None = None
) -> dict[str, Any]:
    """Download a model of the hub into the hub's cache, and return its manifest.

    Only safetensors weights, configuration and tokenizer are fetched; `adapter` is a folder on this
    machine, see `manifest`. What breaks is tried again,
    and a file that is not what the repository holds is fetched a second time. Raises StudyError if
    the hub refuses, if the file is still another one, or if the model has no safetensors weights or
    another depth than `layers`.
    """
    disable_progress_bars()
    folder = _snapshot(source, revision)
    if damaged := _damaged(folder):
        with told(source, revision, "model"):
            for file in damaged:
                _remove(file)
        folder = _snapshot(source, revision)
    for file in _damaged(folder):
        raise _arrives_damaged(file, source, revision)
    try:
        if not list(folder.glob("*.safetensors")) and not (folder / ADAPTER).is_file():
            raise StudyError(
                f"{source} at {revision} has no safetensors weights (model.safetensors, or parts "
                "of it with an index); other formats can run code and are not read; name a "
                "revision or a model that has them, or set `file` to one of its .gguf files."
            )
        made = manifest(folder, source, revision, adapter)
    except StudyError:
        with told(source, revision, "model"):  # without network, a part in the cache is taken
            HfApi().model_info(source, revision=revision)
        raise
    compare_depth(f"{source} at {revision}", made, layers)
    return made


def fetch_file(source: str, revision: str, file: str) -> Path:
    """Download one file of a model of the hub into the hub's cache; where it is there.

    Raises StudyError as `fetch_model` does.
    """
    disable_progress_bars()
    path = _file(source, revision, file)
    if _is_damaged(path):
        with told(source, revision, "model"):
            _remove(path)
        path = _file(source, revision, file)
    if _is_damaged(path):
        raise _arrives_damaged(path, source, revision)
    return path


def _file(source: str, revision: str, file: str) -> Path:
    with told(source, revision, "model"):
        try:
            return attempt(lambda: Path(hf_hub_download(source, file, revision=revision)), _passes)
        except errors.RemoteEntryNotFoundError:
            raise StudyError(
                f"{source} at {revision} has no file {file}; name one from "
                f"{constants.ENDPOINT}/{source}/tree/{revision}."
            ) from None
        except (RuntimeError, ValueError) as error:  # of Xet's client
            raise OSError(str(error)) from error


def _snapshot(source: str, revision: str) -> Path:
    files = list(MODEL_FILES)
    with told(source, revision, "model"):
        try:
            return attempt(
                lambda: Path(snapshot_download(source, revision=revision, allow_patterns=files)),
                _passes,
            )
        except errors.HfHubHTTPError as error:
            if error.response.status_code in REFUSED:
                HfApi().auth_check(source)  # says so if it is gated, as a token of Xet's does not
            raise
        except (RuntimeError, ValueError) as error:  # of Xet's client
            raise OSError(str(error)) from error


def _passes(error: Exception) -> bool:
    """Whether another attempt can help, and the library has not made it already."""
    if isinstance(error, errors.HfHubHTTPError):
        return busy(error.response.status_code)
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        return False
    failed = isinstance(error, OSError | RuntimeError | httpx2.HTTPError)
    return failed and not _of_the_disk(error)


def _of_the_disk(error: BaseException) -> bool:
    """Whether the cache cannot be written; Xet's client has the number in its words alone."""
    return getattr(error, "errno", None) in UNWRITABLE or any(
        f"(os error {number})" in str(error) for number in UNWRITABLE
    )


def _damaged(folder: Path) -> list[Path]:
    """The files whose content does not have the name that the hub's cache gives it: the sha256 of
    large ones, git's id of others."""
    files = sorted(file for pattern in MODEL_FILES for file in folder.glob(pattern))
    return [file for file in files if _is_damaged(file)]


def _is_damaged(file: Path) -> bool:
    name = kept_as(file)
    if not BLOB.fullmatch(name) or not file.exists():
        return False
    return name != (sha256(file) if len(name) == 64 else blob_id(file.read_bytes()))


def _arrives_damaged(file: Path, source: str, revision: str) -> StudyError:
    return StudyError(
        f"{file.name} of {source} at {revision} arrived damaged (its id differs from the hub's); "
        "run again, and check for a proxy if this persists."
    )


def _remove(file: Path) -> None:
    """Remove a file of a snapshot from the hub's cache, and from the store that its repositories
    share, out of which it would come back."""
    for kept in (file.resolve(), file.parent / file.readlink()):
        kept.unlink(missing_ok=True)
