"""Runs the command line in a process of its own, with a limit on its time, and measures what it took."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

# of the process's own memory: what rusage tells counts its parent's, from before it began
_PEAK = "print(open('/proc/self/status').read() if __import__('os').path.exists('/proc') else '')"


@dataclass(frozen=True)
class Ended:
    """Exit code, what went to standard error, seconds of processor time, MB of memory at the most."""

    code: int
    said: str
    seconds: float
    megabytes: float


def confined(*arguments: str | Path, seconds: int = 60) -> Ended:
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as peak:
        limit = f"import resource as r; r.setrlimit(r.RLIMIT_CPU, ({seconds}, {seconds}))"
        code = f"{limit}\nfrom iteralign.cli.main import main\ntry:\n    main()\nfinally:\n    {_PEAK}"
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdout=peak,
            stderr=said,
            stdin=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        peak.seek(0)
        told = re.findall(rb"VmHWM:\s*(\d+) kB", peak.read())
        return Ended(
            process.returncode,
            said.read().decode(errors="replace"),
            used.ru_utime + used.ru_stime,
            int(told[-1]) / 1024 if told else 0.0,
        )


SHOWN = 200
"""Characters of one foreign text that a message shows, at most."""


def shows_little(said: str, foreign: str) -> bool:
    """Whether a message repeats no more than 200 characters in a row of a foreign text."""
    return not any(said[i : i + SHOWN + 1] in foreign for i in range(len(said) - SHOWN))


def is_one_message(said: str, *named: str | Path, foreign: int = SHOWN) -> bool:
    """Whether this is one line without a traceback, that names these, and holds no page of foreign text."""
    lines = [line for line in said.splitlines() if not line.startswith("warning: ")]
    paths = sum(len(str(n)) * said.count(str(n)) for n in named)
    return (
        len(lines) == 1
        and "Traceback" not in said
        and all(str(n) in said for n in named)
        and len(lines[0]) - paths <= foreign + 200
    )
