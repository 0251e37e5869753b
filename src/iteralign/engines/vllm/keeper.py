"""Runs a command until its own standard input ends, then ends the command with all its processes.

Whoever started it holds the other end: when that process dies, however it dies, the device is given back.
Run as a script with the standard library alone; knows nothing of what it runs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress

GRACE = 10.0
"""Seconds between the request to end and the kill."""


def keep(command: Sequence[str]) -> None:
    """Run the command, print the id of its process, and leave with its exit code."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True)
    print(child.pid, flush=True)

    def watch() -> None:
        code = child.wait()
        send(child.pid, signal.SIGKILL)  # what it left behind
        os._exit(code if code >= 0 else 128 - code)

    threading.Thread(target=watch, daemon=True).start()
    sys.stdin.buffer.read()
    send(child.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(GRACE)
    send(child.pid, signal.SIGKILL)
    child.wait()


def send(group: int, number: int) -> None:
    """Signal all processes of a group, where there are any."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


if __name__ == "__main__":
    keep(sys.argv[1:])
