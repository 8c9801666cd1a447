"""A stand-in for a chat model behind an address, on the loopback: it answers as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = str | dict[str, Any] | tuple[int, dict[str, str], str] | None
"""A text, a whole answer, a status with headers and content, or None: the connection is cut."""


@dataclass
class Judge:
    """What was asked, in order, and where."""

    address: str
    reply: Callable[[dict[str, Any], int], Reply]
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def contents(self) -> list[str]:
        """What stood in the messages."""
        return [body["messages"][0]["content"] for body in self.asked]


def completion(text: str, likely: list[tuple[str, float]] | None = None) -> dict[str, Any]:
    """An answer of the protocol, of 7 tokens to 100."""
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "length" if likely else "stop",
    }
    if likely:
        tops = [{"token": token, "logprob": value} for token, value in likely]
        choice["logprobs"] = {"content": [{**tops[0], "top_logprobs": tops}]}
    usage = {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}
    return {"object": "chat.completion", "choices": [choice], "usage": usage}


@contextmanager
def serving(reply: Callable[[dict[str, Any], int], Reply]) -> Iterator[Judge]:
    """A server that answers `reply(body, n)` to a body that it got n times before."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with judge.lock:
                before = judge.asked.count(body)
                judge.asked.append(body)
                judge.keys.append(self.headers["Authorization"])
            if self.path != "/v1/chat/completions":
                given: Reply = (404, {}, "no such path")
            else:
                given = judge.reply(body, before)
            if given is None:
                self.connection.close()
                return
            if isinstance(given, str):
                given = completion(given)
            if isinstance(given, dict):
                given = (200, {"Content-Type": "application/json"}, json.dumps(given))
            status, headers, text = given
            content = text.encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            raise AssertionError("nothing is to be got")

        def log_message(self, *given: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    judge = Judge(f"http://127.0.0.1:{server.server_port}/v1", reply)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield judge
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
