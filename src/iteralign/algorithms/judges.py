"""Which version of the oracle an iteration is judged by, where that changes between two sessions of a run.

A finished iteration stands as it was judged. One that is not finished is judged by the present version as a
whole: its answers, its proposals, its revisions. Knows nothing of what an oracle is.
"""

from __future__ import annotations

from iteralign.exchanges import Before, Current, Standing
from iteralign.protocols import Oracle
from iteralign.store.run import Run

NOTE = "judges"
"""The note of a run that holds the version by iteration."""


class Judges:
    """The run's oracle, as each iteration takes it."""

    def __init__(self, run: Run, oracle: Oracle) -> None:
        self._run = run
        self._oracle = oracle
        # events outlive a change of what the run is made of
        events = list(run.events("iteration"))
        self._finished = {event.fields.get("index") for event in events}
        self._checked = {event.fields.get("index") for event in events if event.fields.get("checked")}

    def older(self, index: int) -> bool:
        """Whether an older version, which checked no lessons, finished iteration ``index`` (from 1)."""
        return index in self._finished - self._checked

    def of(self, index: int) -> Oracle:
        """The oracle for iteration ``index``, counted from 1; its version is noted with the run."""
        version = str(getattr(self._oracle, "version", ""))
        if not version:
            return self._oracle
        now = " ".join(filter(None, (version, str(getattr(self._oracle, "proposing", "")))))
        noted = self._run.noted(NOTE) or {}
        # a version is noted where it changes, and holds for what comes after it
        since = [i for i in map(int, noted) if i <= index]
        before = noted[str(max(since))] if since else None
        if index in self._finished and before is None:
            return Before(self._oracle)  # it was finished before versions were noted
        if index in self._finished and before != now:
            return Standing(self._oracle, *str(before).split(" "))
        if before != now:
            self._run.note(NOTE, noted | {str(index): now})
        return Current(self._oracle)
