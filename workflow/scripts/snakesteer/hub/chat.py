"""A chat model behind an address that speaks OpenAI's protocol, as vLLM, Ollama and others do.

Every answer is kept in a file of its own, named by what was asked of whom, so nothing is asked
twice. The protocol is that of `POST /chat/completions`.
"""

from __future__ import annotations

import http.client
import json
import os
import textwrap
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from snakesteer.core.errors import StudyError, reason_of
from snakesteer.core.spent import SPENT
from snakesteer.hub.http import BROKEN, busy
from snakesteer.storage.files import read_json, write_text
from snakesteer.storage.points import digest

AT_ONCE = 8  # requests that are under way
PAUSES = (1.0, 3.0, 9.0, 27.0, 60.0)  # seconds between attempts, unless the server says how long
LONGEST_PAUSE = 600.0  # that a server may ask for
SECONDS = 300  # until an answer
KEPT = "all answers so far are kept and are not requested again"


@dataclass(frozen=True)
class Answer:
    """What was answered: its `text`, and whether it was `cut` at the most tokens.

    `likely` are the most likely first tokens with their log-probabilities, in nats; none unless
    they were asked for. Tokens are as the server counts them, 0 where it does not.
    """

    text: str
    cut: bool
    likely: tuple[tuple[str, float], ...]
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class Chat:
    """A `model` at an `address`, whose answers are kept in a `folder`.

    `key` names the environment variable with the key, None where the server wants none. `price` is
    that of a million tokens of the `input` and of the `output`.
    """

    address: str
    model: str
    folder: Path
    key: str | None = None
    price: Mapping[str, float] | None = None

    def answers(self, requests: Sequence[Mapping[str, Any]]) -> list[Answer]:
        """The answer to each request, the fields of its body beside the model.

        Those that are kept are not asked for. Where the server is busy or the connection breaks, a
        request waits and is sent again. Raises StudyError for a server that is not reached, or
        refuses, or speaks another protocol, and for a key that is not set; answers until then are
        kept.
        """
        bodies = {self._file(body): body for body in requests}
        found = {}
        for path in bodies:
            kept = _kept(path)
            if kept:
                found[path] = kept
        missing = {path: body for path, body in bodies.items() if path not in found}
        if missing:
            found |= self._ask(missing)
        return [found[self._file(body)] for body in requests]

    def _file(self, body: Mapping[str, Any]) -> Path:
        name = digest(self.address, self.model, sorted(body.items()))
        return self.folder / name[:2] / f"{name}.json"

    def _ask(self, bodies: Mapping[Path, Mapping[str, Any]]) -> dict[Path, Answer]:
        """The answers to these requests, several at a time, each kept when it is there."""
        key = self._key()
        stopped = threading.Event()

        def ask(path: Path, body: Mapping[str, Any]) -> Answer | None:
            try:
                answered = self._send({"model": self.model, **body}, key, stopped)
                if answered is None:
                    return None
                answer = self._read(answered, body)
                kept = {"address": self.address, "model": self.model}
                write_text(path, json.dumps(kept | {"asked": body, "answered": answered}))
            except BaseException:
                stopped.set()
                raise
            return answer

        with ThreadPoolExecutor(AT_ONCE) as pool:
            asked: dict[Path, Future[Answer | None]] = {}
            for path, body in bodies.items():
                asked[path] = pool.submit(ask, path, body)
            try:
                wait(asked.values())
            except BaseException:
                stopped.set()
                raise
        for each in asked.values():
            error = each.exception()
            if error:
                raise error
        found = {}
        for path, each in asked.items():
            answer = each.result()
            assert answer
            found[path] = answer
            self._count(answer)
        return found

    def _key(self) -> str | None:
        if self.key is None:
            return None
        key = os.environ.get(self.key, "").strip()
        if not key:
            raise StudyError(
                f"{self._who} needs a key, but the environment variable {self.key} is not set; "
                "set it before the run."
            )
        if not key.isascii() or not key.isprintable() or " " in key:
            raise StudyError(
                f"the environment variable {self.key} does not hold a key for {self._who}; set "
                "it to the key and nothing else."
            )
        return key

    def _send(
        self, body: Mapping[str, Any], key: str | None, stopped: threading.Event
    ) -> dict[str, Any] | None:
        """What the server answers; None where another request has failed for good."""
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        address = f"{self.address.rstrip('/')}/chat/completions"
        content = json.dumps(body).encode()
        for pause in (*PAUSES, None):
            if stopped.is_set():
                return None
            request = urllib.request.Request(address, content, headers)
            try:
                with _OPENER.open(request, timeout=SECONDS) as answer:
                    return self._object(answer.read())
            except urllib.error.HTTPError as error:
                seconds = _asked_to_wait(error)
                if not busy(error.code):
                    raise self._refusal(error, key) from None
                if pause is None or (seconds or 0) > LONGEST_PAUSE:
                    raise StudyError(
                        f"{self._who} is still busy (HTTP {error.code}{_said(error, key)}); run "
                        f"again later: {KEPT}."
                    ) from None
                pause = pause if seconds is None else seconds
            except (*BROKEN, http.client.HTTPException) as error:
                if pause is None:
                    reason = reason_of(error)
                    raise StudyError(
                        f"{self._who} cannot be reached ({reason}); start it or correct its "
                        f"address, and run again: {KEPT}."
                    ) from None
            stopped.wait(pause)
        return None

    def _refusal(self, error: urllib.error.HTTPError, key: str | None) -> StudyError:
        status = f"HTTP {error.code}"
        if error.code in (401, 403):  # what is said may hold a part of the key
            if self.key is None:
                return StudyError(
                    f"{self._who} needs a key ({status}); set `key` to the environment variable "
                    f"that holds it: {KEPT}."
                )
            return StudyError(
                f"{self._who} rejects the key in the environment variable {self.key} ({status}); "
                f"set another key and run again: {KEPT}."
            )
        return StudyError(
            f"{self._who} rejects the request ({status}{_said(error, key)}); correct address, "
            f"model or options: {KEPT}."
        )

    def _object(self, content: bytes) -> dict[str, Any]:
        try:
            answered = json.loads(content)
        except ValueError:
            answered = None
        if not isinstance(answered, dict):
            raise self._another_protocol()
        return answered

    def _read(self, answered: Mapping[str, Any], body: Mapping[str, Any]) -> Answer:
        try:
            answer = _answer(answered)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            raise self._another_protocol() from None
        if body.get("logprobs") and not answer.likely:
            raise StudyError(
                f"{self._who} gives no log-probabilities of tokens; set take to `parsed`, or "
                "name a model that gives them."
            )
        return answer

    def _another_protocol(self) -> StudyError:
        return StudyError(
            f"{self._who} does not answer like OpenAI's chat completions; give the address that "
            "does, which usually ends with /v1."
        )

    @property
    def _who(self) -> str:
        return f"{self.model} at {self.address}"

    def _count(self, answer: Answer) -> None:
        SPENT["judge_answers"] += 1
        SPENT["judge_input_tokens"] += answer.input_tokens
        SPENT["judge_output_tokens"] += answer.output_tokens
        if self.price:
            cost = self.price["input"] * answer.input_tokens
            cost += self.price["output"] * answer.output_tokens
            SPENT["judge_cost"] += cost / 1e6


class _Staying(urllib.request.HTTPRedirectHandler):
    """Follows no redirection, which would take the key to another server."""

    def redirect_request(self, *given: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_Staying)


def _kept(path: Path) -> Answer | None:
    """An answer that is there; None for a file that is missing or damaged."""
    try:
        return _answer(read_json(path)["answered"])
    except (FileNotFoundError, StudyError, KeyError, IndexError, TypeError, AttributeError):
        return None


def _answer(answered: Mapping[str, Any]) -> Answer:
    choice = answered["choices"][0]
    tokens = (choice.get("logprobs") or {}).get("content") or [{}]
    likely = [(each["token"], float(each["logprob"])) for each in tokens[0].get("top_logprobs", ())]
    usage = answered.get("usage") or {}
    return Answer(
        str(choice["message"].get("content") or ""),
        choice.get("finish_reason") == "length",
        tuple(likely),
        int(usage.get("prompt_tokens") or 0),
        int(usage.get("completion_tokens") or 0),
    )


def _asked_to_wait(error: urllib.error.HTTPError) -> float | None:
    """Seconds in the header Retry-After, which is a number of them or a date; None if it is not."""
    given = error.headers.get("Retry-After", "").strip()
    if given.isdecimal():
        return float(given)
    try:
        return max(0.0, parsedate_to_datetime(given).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _said(error: urllib.error.HTTPError, key: str | None) -> str:
    """What the server says of its error, without the key."""
    try:
        content = error.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return ""
    try:
        said = json.loads(content)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        said = content
    said = str(said).replace(key, "…") if key else str(said)
    short = textwrap.shorten(said, 200, placeholder=" …").rstrip(" .")
    return f": {short}" if short else ""
