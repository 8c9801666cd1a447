"""A file at an address, whole."""

from __future__ import annotations

import http.client
import time
import urllib.request

SECONDS = 60
ATTEMPTS = 3


def fetch(address: str) -> bytes:
    """The content at an address; a connection that breaks in its middle is tried again.

    Raises OSError (of it urllib.error.HTTPError for an answer of the server that is no content).
    """
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(attempt)
        try:
            with urllib.request.urlopen(address, timeout=SECONDS) as answer:
                return bytes(answer.read())
        except (http.client.HTTPException, ConnectionResetError) as error:
            failure = error
    raise ConnectionError(f"the connection broke {ATTEMPTS} times: {failure}")
