"""A vLLM server as a child process: started, awaited, ended with everything that it holds.

It listens on this machine alone and asks for a token that is made for it. Knows nothing of what it serves.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from iteralign.engines.vllm import keeper
from iteralign.errors import EngineError
from iteralign.text.printable import one_line

_LINES = 3
"""Of the log's last lines that name an error, in a message."""
_ERROR = re.compile(r"\bERROR\b|\b[A-Za-z]*(?:Error|Exception|Interrupt): |out of memory|Killed")
_TAKEN = "address already in use"
_PAUSE = 0.1


class Process:
    """One server. ``command``: from a free port to what is run. ``environment``: from its token."""

    def __init__(
        self, command: Callable[[int], Sequence[str]], environment: Callable[[str], Mapping[str, str]]
    ) -> None:
        self.token = secrets.token_urlsafe(32)
        self.url = ""
        self.pid = 0
        self._command = command
        self._environment = environment
        self._keeper: subprocess.Popen[bytes] | None = None
        folder = Path(tempfile.mkdtemp(prefix="iteralign-vllm-"))
        self.log = folder / "log.txt"
        self._held: list[tuple[subprocess.Popen[bytes], int]] = []
        self._kept: list[Path] = []  # folders of logs that messages name
        self._finalize = weakref.finalize(self, _end, self._held, folder, self._kept)

    def start(self, wait: float) -> None:
        """Start the server, and come back when it answers. Raises ``EngineError``."""
        for last in (False, True):
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
            if last or _TAKEN not in self._text().lower():
                break
        said = self.told()
        self.close(keep_log=True)
        raise EngineError(f"vLLM did not start: {said}")

    def _begin(self) -> None:
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}/v1"
        with self.log.open("wb") as log:
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", keeper.__file__, *self._command(port)],
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
        """Whether the server lists its models for our token: it is up, and it is ours."""
        request = urllib.request.Request(
            f"{self.url}/models", headers={"Authorization": f"Bearer {self.token}"}
        )
        straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with straight.open(request, timeout=5) as reply:
                return isinstance(json.load(reply), dict)
        except (urllib.error.URLError, OSError, ValueError):
            return False

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


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _how(code: int) -> str:
    """An exit code as a text: 128 and more are signals."""
    if code > 128 or code < 0:
        with suppress(ValueError):
            return f"it was ended by {signal.Signals(code - 128 if code > 0 else -code).name}"
    return f"it ended with exit code {code}"
