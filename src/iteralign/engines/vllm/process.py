"""A vLLM server as a child process: started, awaited, ended with everything that it holds.

It listens on a Unix socket in a folder of the user's alone, so that no other user reaches it or takes its
place, and asks for a token that is made for it. Knows nothing of what it serves.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Final

from iteralign.engines.vllm import keeper
from iteralign.errors import EngineError
from iteralign.text.printable import one_line

_LINES = 3
"""Of the log's last lines that name an error, in a message."""
_ERROR = re.compile(r"\bERROR\b|\b[A-Za-z]*(?:Error|Exception|Interrupt): |out of memory|Killed")
_PAUSE = 0.1
URL: Final = "http://localhost/v1"
"""What requests through the socket name."""
_LONGEST: Final = 90
"""Bytes of a socket's path: systems take some 104."""


class Process:
    """One server. ``command``: from its socket to what is run. ``environment``: from its token."""

    def __init__(
        self, command: Callable[[Path], Sequence[str]], environment: Callable[[str], Mapping[str, str]]
    ) -> None:
        self.token = secrets.token_urlsafe(32)
        self.pid = 0
        self._command = command
        self._environment = environment
        self._keeper: subprocess.Popen[bytes] | None = None
        folder = _folder()
        self.log = folder / "log.txt"
        self.socket = folder / "socket"
        self._held: list[tuple[subprocess.Popen[bytes], int]] = []
        self._kept: list[Path] = []  # folders of logs that messages name
        self._finalize = weakref.finalize(self, _end, self._held, folder, self._kept)

    def start(self, wait: float) -> None:
        """Start the server, and come back when it answers. Raises ``EngineError``."""
        self._begin()
        until = time.monotonic() + wait
        while self._keeper is not None and self._keeper.poll() is None:
            if self._answers():
                return
            if time.monotonic() > until:
                said = self.told()
                self.close(keep_log=True)
                raise EngineError(f"vLLM did not answer in {wait:g} s: {said}")
            time.sleep(_PAUSE)
        said = self.told()
        self.close(keep_log=True)
        raise EngineError(f"vLLM did not start: {said}")

    def _begin(self) -> None:
        with self.log.open("wb") as log:
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", keeper.__file__, *self._command(self.socket)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=dict(self._environment(self.token)),
                cwd=self.log.parent,
                start_new_session=True,
            )
        line = self._keeper.stdout.readline() if self._keeper.stdout else b""
        self.pid = int(line or 0)
        self._held.append((self._keeper, self.pid))

    def _answers(self) -> bool:
        """Whether the server lists its models for our token."""
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(5)
        try:
            connection.sock.connect(str(self.socket))
            connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {self.token}"})
            reply = connection.getresponse()
            return reply.status == HTTPStatus.OK and isinstance(json.load(reply), dict)
        except (http.client.HTTPException, OSError, ValueError):
            return False
        finally:
            connection.close()

    def alive(self, grace: float = 0.0) -> bool:
        """Whether it runs. ``grace``: seconds that one which is about to end may take."""
        if self._keeper is None:
            return False
        with suppress(subprocess.TimeoutExpired):
            self._keeper.wait(grace)
        return self._keeper.poll() is None

    def told(self, *, kept: bool = True) -> str:
        """How it ended, and the last lines of its log that name an error, on one line.

        ``kept``: the log stays, and is named.
        """
        code = None if self._keeper is None else self._keeper.poll()
        lines = [line.strip() for line in self._text().splitlines() if line.strip()]
        errors = [line for line in lines if _ERROR.search(line)] or lines
        said = "; ".join(dict.fromkeys(one_line(line, 300) for line in errors[-_LINES:]))
        state = "" if code is None else f"{_how(code)}; "
        return f"{state}its log{f' {self.log}' if kept else ''} says: {said or 'nothing'}"

    def close(self, *, keep_log: bool = False) -> None:
        """End the server and all its processes, and wait for them."""
        if keep_log:
            self._kept.append(self.log.parent)
        self._finalize()
        self._keeper = None

    def _text(self) -> str:
        try:
            return self.log.read_text(encoding="utf-8", errors="replace")[-20_000:]
        except OSError:
            return ""


def _end(held: Sequence[tuple[subprocess.Popen[bytes], int]], folder: Path, kept: Sequence[Path]) -> None:
    """Let go of the keepers, which end the servers, or end both. Remove the log unless it is kept."""
    for process, pid in held:
        with suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()
        try:
            process.wait(2 * keeper.GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if pid and process.returncode < 0:
            keeper.send(pid, signal.SIGKILL)  # the keeper itself was killed
        if process.stdout is not None:
            process.stdout.close()
    if folder not in kept:
        shutil.rmtree(folder, ignore_errors=True)


def _folder() -> Path:
    """A new folder of the user's alone, whose path leaves room for a socket's name."""
    found = Path(tempfile.mkdtemp(prefix="iteralign-vllm-"))
    if len(os.fsencode(found)) <= _LONGEST:
        return found
    found.rmdir()
    return Path(tempfile.mkdtemp(prefix="iteralign-vllm-", dir="/tmp"))


def _how(code: int) -> str:
    """An exit code as a text: 128 and more are signals."""
    if code > 128 or code < 0:
        with suppress(ValueError):
            return f"it was ended by {signal.Signals(code - 128 if code > 0 else -code).name}"
    return f"it ended with exit code {code}"
