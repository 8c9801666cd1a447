"""A file at an address, whole."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from functools import partial

from snakesteer.core.attempts import attempt

SECONDS = 60
BROKEN = (
    http.client.IncompleteRead,
    http.client.BadStatusLine,
    urllib.error.URLError,
    ConnectionError,
    TimeoutError,
)


def is_address(source: str) -> bool:
    """Whether a source is an address to download from, and not a folder."""
    return source.startswith(("https://", "http://"))


def fetch(address: str) -> bytes:
    """The content at an address; tried again when the network breaks or the server is busy.

    Raises OSError (of it urllib.error.HTTPError for an answer of the server that is no content).
    """
    try:
        return attempt(partial(_content, address), _passes)
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from None


def busy(status: int) -> bool:
    """Whether a server that answers so may serve the same request later."""
    return status in (408, 429) or status >= 500


def _content(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=SECONDS) as answer:
        return bytes(answer.read())


def _passes(error: Exception) -> bool:
    if isinstance(error, urllib.error.HTTPError):
        return busy(error.code)
    return isinstance(error, BROKEN)
