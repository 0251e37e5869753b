"""What a person sees while a run works: the plan first, then each step as it goes.

Live on a terminal, else one line per step. A listener of the store's events. Everything that a model or a
data file wrote goes through ``safe`` and is never read as markup. Knows nothing of what is
in the steps.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Self, TextIO

from rich.console import Console
from rich.progress import Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from iteralign.records.iteralign import Decision
from iteralign.report.decisions import told
from iteralign.report.page import whole
from iteralign.report.plan import plan_lines, time_words
from iteralign.report.step_words import step_words
from iteralign.store.run import Event
from iteralign.text.printable import count_of, safe

PLAIN_WIDTH = 110
HEARTBEAT = 30.0
"""Seconds after which a step that is not finished says where it is, where no live display does."""


def console(stream: TextIO) -> Console:
    """A console that reads no markup; where the stream is no terminal, as wide as COLUMNS says, or 110."""
    plain = not stream.isatty()
    told = os.environ.get("COLUMNS", "")
    asked = int(told) if told.isdecimal() and int(told) > 0 else PLAIN_WIDTH
    return Console(
        file=stream,
        markup=False,
        highlight=False,
        emoji=False,
        width=asked if plain else None,
        soft_wrap=plain,
    )


class Reporter:
    """A listener for ``Run.listen``; a context manager that ends its live display however the run ends."""

    def __init__(self, stream: TextIO, *, quiet: bool = False, phase: str = "before training") -> None:
        self._console = console(stream)
        self._quiet = quiet
        self._live = self._progress() if self._console.is_terminal and not quiet else None
        self._task: TaskID | None = None
        self._phase = phase
        self._said = 0.0
        self._found = 0  # items of the step under way that were there when it began
        # None once the run works on something new: evaluations of one checkpoint share steps
        self._reused: int | None = 0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def plan(self, plan: Mapping[str, Any], settings: Mapping[str, Any], out: str, *, resumed: bool) -> None:
        """What the run will do and take, before it starts."""
        if not self._quiet:
            for line in plan_lines(plan, settings, out, resumed=resumed):
                self._line(line)

    def lines(self, lines: Sequence[str]) -> None:
        """A plan in words, before a Self-Align run starts, whose steps bear their stages' numbers."""
        self._phase = "self-align"
        if not self._quiet:
            for line in lines:
                self._line(line)

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if event.kind == "warning":
            self._line(f"warning: {safe(event.fields['text'])}", style="yellow")
        elif event.kind == "step" and not self._quiet:
            self._step(event)
        elif event.kind == "iteration" and not self._quiet and "details" in event.fields:
            reason = told(Decision.from_json(event.fields["details"]))
            self._line(f"{self._phase:<16} {safe(event.fields['decision'])}: {safe(reason)}")

    def _step(self, event: Event) -> None:
        scope = str(event.fields["scope"])
        name = str(event.fields["name"])
        state = str(event.fields["state"])
        if scope.startswith("iteration-"):
            self._phase = f"iteration {int(scope.removeprefix('iteration-'))}"
        words = step_words(scope, name)
        if state == "reused" and self._reused is not None:
            self._reused += 1
        elif words is not None and state != "reused":
            if self._reused:
                self._line(f"finished before and taken from the run: {count_of(self._reused, 'step')}")
            self._reused = None
            self._show(event, f"{self._phase:<16} {words}", state)

    def _show(self, event: Event, words: str, state: str) -> None:
        done = int(event.fields["done"])
        total = int(event.fields["total"])
        if state == "done":
            self._finish()
            count = f"{total:>6}" if total != 1 else " " * 6
            self._line(f"{words:<50} {count} {float(event.fields['seconds']):>8.1f} s")
            self._said = event.time
            return
        if state == "started":
            self._found = done
            self._said = event.time
        left = self._left(done, total, float(event.fields["seconds"]))
        if self._live is not None:
            if self._task is None or state == "started":
                self._finish()
                self._task = self._live.add_task(words, total=total)
            count = f"  {done} of {total}{left}" if total > 1 else ""
            self._live.update(self._task, completed=done, description=f"{words}{count}")
        elif state != "started" and event.time - self._said >= HEARTBEAT and done < total:
            self._line(f"{words:<50} {done:>6} of {total}{left}")
            self._said = event.time

    def _left(self, done: int, total: int, seconds: float) -> str:
        """How long the rest of a step may take, at the pace since it began here."""
        new = done - self._found
        return f", {time_words(seconds / new * (total - done))} left" if new > 0 and seconds > 0 else ""

    def _finish(self) -> None:
        if self._live is not None and self._task is not None:
            self._live.remove_task(self._task)
            self._task = None

    def _line(self, text: str, style: str = "") -> None:
        whole(self._console, text, style)

    def _progress(self) -> Progress:
        words = Column(no_wrap=False, overflow="fold")
        columns = (
            TextColumn("{task.description}", markup=False, table_column=words),
            TimeElapsedColumn(),
        )
        return Progress(*columns, console=self._console, transient=True)
