"""A real HTTP server here that answers chat completions by a script: late, wrong, or not at all."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from iteralign.records.chat import Chat, Message

KEY = "canary-3f9a-key"


def chat(text: str) -> Chat:
    return (Message("user", text),)


def chats(n: int) -> list[Chat]:
    return [chat(f"q{i}") for i in range(n)]


def good(text: str, finish: str = "stop", **message: Any) -> bytes:
    choice = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": text, **message},
    }
    return json.dumps(
        {
            "id": "x",
            "object": "chat.completion",
            "choices": [choice],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2},
        }
    ).encode()


def raw(value: Any) -> bytes:
    """Any JSON as a body."""
    return json.dumps(value).encode()


def bad(message: str, **facts: Any) -> bytes:
    return json.dumps({"error": {"message": message, "type": "invalid_request_error", **facts}}).encode()


class Reply:
    """Status, body and headers of one answer; ``stall`` seconds before, ``reset`` instead, ``trickle``
    seconds between bytes.
    """

    def __init__(
        self,
        status: int = 200,
        body: bytes = b"",
        *,
        stall: float = 0.0,
        reset: bool = False,
        trickle: float = 0.0,
        **headers: str,
    ) -> None:
        self.status, self.body, self.stall, self.reset, self.trickle = status, body, stall, reset, trickle
        self.headers = {k.replace("_", "-"): v for k, v in headers.items()}


class Server:
    """Answers every request with what ``script(request, nth)`` says; an echo where it says None."""

    def __init__(self, script: Callable[[dict[str, Any], int], Reply | None]) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.busy = self.busiest = 0
        lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet for headers and body

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    nth = len(outer.requests)
                    outer.requests.append(request)
                    outer.headers.append({k.lower(): v for k, v in self.headers.items()})
                    outer.busy += 1
                    outer.busiest = max(outer.busiest, outer.busy)
                try:
                    self._answer(
                        script(request, nth) or Reply(body=good(f"echo {request['messages'][-1]['content']}"))
                    )
                finally:
                    with lock:
                        outer.busy -= 1

            def _answer(self, reply: Reply) -> None:
                time.sleep(reply.stall)
                if reply.reset:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in {
                    "Content-Type": "application/json",
                    "Content-Length": str(len(reply.body)),
                    **reply.headers,
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                if not reply.trickle:
                    self.wfile.write(reply.body)
                    return
                for byte in reply.body:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    time.sleep(reply.trickle)

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError:
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                return

        class Quiet(ThreadingHTTPServer):
            request_queue_size = 256

            def handle_error(self, *_: object) -> None:
                return  # a client that gave up leaves a broken pipe: that is what the script wants

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def asked(self) -> list[str]:
        return [r["messages"][-1]["content"] for r in self.requests]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


Serve = Callable[[Callable[[dict[str, Any], int], Reply | None]], Server]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    monkeypatch.setenv("TEST_KEY", KEY)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    started: list[Server] = []

    def start(script: Callable[[dict[str, Any], int], Reply | None]) -> Server:
        started.append(Server(script))
        return started[-1]

    yield start
    for server in started:
        server.close()
