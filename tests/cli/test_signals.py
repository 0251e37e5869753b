"""SIGTERM ends a run as Ctrl-C does, with its own exit code, and the run goes on from there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from iteralign import load_run
from patience import PATIENCE

SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
signal.signal(signal.SIGTERM, signal.SIG_DFL)
sys.path.insert(0, {tests!r})
from scripted_run import scripted_parts, scripted_recipe
from iteralign.build import iteralign as build
from iteralign.engines.scripted import ScriptedPolicy
from iteralign.cli import main, run
plain = ScriptedPolicy.generate
def slow(self, chats, params):
    print("ready", flush=True)
    time.sleep(900)
    return plain(self, chats, params)
ScriptedPolicy.generate = slow
build.parts = scripted_parts
sys.argv = ["iteralign", "run", "--out", {out!r}, "--quiet"]
main.main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_asked_to_stop_keeps_what_it_has(number: int, code: int, tmp_path: Path) -> None:
    tests = str(Path(__file__).parents[1])
    script = SLOW.format(tests=tests, out=str(tmp_path / "run"))
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert "ready" in process.stdout.readline()
    time.sleep(0.1)
    os.kill(process.pid, number)
    _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, told
    assert f"Continue with: iteralign resume {tmp_path / 'run'}" in told
    with load_run(tmp_path / "run") as run:
        assert [e.fields["state"] for e in run.events("run")] == ["started", "interrupted"]
