"""Renders chat templates that others wrote, so that none of them can hang or fill the memory.

A template is a program, and transformers' sandbox keeps it from files, but not from ``'a' * 10**10`` or from
loops inside loops; Python cannot stop it in this process. A process of its own can be stopped: it takes one
template after another, a millisecond each, and is started when the first template of others comes. A limit on
words of the language (``range``, ``*``) would leave filters, macros and doubled texts.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from iteralign.chat.template_worker import SECONDS
from iteralign.errors import EngineError

WAIT = 60
"""Seconds for an answer, and for the start: a machine may be busy, so what counts is processor time."""
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
"""Of the environment: the process sees no keys."""


class Refused(Exception):
    """A template does not render a chat; the message says why."""


def render(
    template: str, turns: Sequence[Mapping[str, str]], settings: Mapping[str, Any], ours: frozenset[str]
) -> str:
    """The text of a chat under a template. Raises ``Refused``, and ``EngineError`` where no process starts.

    ``settings``: what transformers' ``render_jinja_template`` takes beside the turns. ``ours``: the SHA-256
    of templates that are rendered right here, for we wrote them.
    """
    name = hashlib.sha256(template.encode("utf-8", "surrogatepass")).hexdigest()
    if name in ours:
        return _here(template, turns, settings)
    return _WORKER.render(name, template, turns, settings)


def _here(template: str, turns: Sequence[Mapping[str, str]], settings: Mapping[str, Any]) -> str:
    from jinja2 import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template

    try:
        rendered, _ = render_jinja_template(conversations=[turns], chat_template=template, **settings)
    except TemplateError as error:
        raise Refused(str(error)) from error
    return str(rendered[0])


class _Worker:
    """The process, which is started anew after a template had to be stopped. Threads may share it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0
        self._known: set[str] = set()
        self._stopped: dict[str, str] = {}
        self._mutex = threading.Lock()

    def render(
        self, name: str, template: str, turns: Sequence[Mapping[str, str]], settings: Mapping[str, Any]
    ) -> str:
        with self._mutex:
            if name in self._stopped:  # once is enough: each time would take seconds
                raise Refused(self._stopped[name])
            asked = {"name": name, "turns": list(turns), "settings": dict(settings)}
            process = self._started()
            if name not in self._known:
                asked["template"] = template
            told = self._answer(process, json.dumps(asked, default=str))
            self._known.add(name)
            if "text" in told:
                return str(told["text"])
            if told.get("stopped"):
                self._stopped[name] = told["why"]
            raise Refused(told["why"])

    def _started(self) -> subprocess.Popen[str]:
        if self._process is not None and self._owner == os.getpid() and self._process.poll() is None:
            return self._process
        self._known.clear()
        paths = os.pathsep.join(p or os.getcwd() for p in sys.path)
        kept = {k: os.environ[k] for k in _KEPT if k in os.environ}
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "iteralign.chat.template_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
                env={**kept, "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
                start_new_session=True,  # Ctrl-C at a terminal is for this process
            )
        except OSError as error:
            raise EngineError(f"the process that renders chat templates does not start: {error}") from error
        self._owner = os.getpid()
        if "stopped" in self._read(self._process):
            raise EngineError(
                f"the process that renders chat templates does not start: "
                f"see what `{sys.executable} -m iteralign.chat.template_worker` says"
            )
        return self._process

    def _answer(self, process: subprocess.Popen[str], asked: str) -> dict[str, Any]:
        try:
            assert process.stdin is not None
            process.stdin.write(asked + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # why it ended is found out by reading
        return self._read(process)

    def _read(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        assert process.stdout is not None
        late = not _answers(process)
        line = "" if late else process.stdout.readline()
        if line.endswith("\n"):
            told: dict[str, Any] = json.loads(line)
            return told
        self.end()
        if late:
            return {"why": f"it was not rendered within {WAIT} seconds", "stopped": os.name != "posix"}
        deep = process.returncode == -signal.SIGSEGV
        why = "it is nested too deeply" if deep else f"it takes more than {SECONDS} s of processor time"
        return {"why": why, "stopped": True}

    def end(self) -> None:
        """Stop the process, where this one started it."""
        process = self._process
        self._process = None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue


def _answers(process: subprocess.Popen[str]) -> bool:
    """Whether the process says something in time, or ends."""
    assert process.stdout is not None
    if os.name == "posix":
        return bool(select.select([process.stdout], [], [], WAIT)[0])
    timer = threading.Timer(WAIT, process.kill)  # no select for pipes: a killed process ends the reading
    timer.daemon = True
    timer.start()
    try:
        return bool(process.stdout.buffer.peek(1))  # type: ignore[attr-defined]
    finally:
        timer.cancel()


_WORKER = _Worker()
atexit.register(_WORKER.end)
