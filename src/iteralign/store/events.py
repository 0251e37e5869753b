"""Events of a run: stored first, then told. Knows nothing of what a kind of event means."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from iteralign.canonical import canonical
from iteralign.errors import StoreError
from iteralign.foreign.errors import Unreadable
from iteralign.foreign.json import parse_object
from iteralign.store.database import Database

DAMAGED = "the file is damaged: put a copy of it back, or start another run in another directory"
_PARTICULARS: dict[str, dict[str, type]] = {
    "step": {"scope": str, "name": str, "state": str, "done": int, "total": int},
    "warning": {"text": str},
    "run": {"state": str},
}
"""What events of a kind have in any version."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, when (seconds since the epoch), and its particulars. Times are in events only,
    never in records.
    """

    seq: int
    time: float
    kind: str
    fields: dict[str, Any]


class Log:
    """Events: stored first, then told. What a listener raises reaches whoever caused the event, and finds
    everything stored.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.listeners: list[Callable[[Event], None]] = []

    def event(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Store an event and tell the listeners; a run that is open for reading only tells them."""
        if self._database.readonly:
            self.tell(Event(0, time.time(), kind, dict(fields)))
            return
        with self._database.write(durable=False) as db:
            event = self.insert(db, kind, fields)
        self.tell(event)

    def insert(self, db: sqlite3.Connection, kind: str, fields: Mapping[str, Any]) -> Event:
        """Store an event within a transaction; ``tell`` is the caller's, after it."""
        now = time.time()
        seq = (
            db.execute(
                "INSERT INTO events (time, kind, fields) VALUES (?, ?, ?)", (now, kind, canonical(fields))
            ).lastrowid
            or 0
        )
        return Event(seq, now, kind, dict(fields))

    def tell(self, event: Event) -> None:
        """Call every listener."""
        for listener in list(self.listeners):
            listener(event)

    def read(self, kind: str | None) -> list[Event]:
        """The stored events, oldest first."""
        rows = self._database.rows(
            "SELECT seq, time, kind, fields FROM events WHERE ?1 IS NULL OR kind = ?1 ORDER BY seq", (kind,)
        )
        found = []
        for seq, at, own, fields in rows:
            try:
                found.append(Event(seq, at, own, _particulars(own, fields)))
            except Unreadable as error:
                raise StoreError(f"{self._database.path}, event {seq}: {error}: {DAMAGED}") from error
        return found


def _particulars(kind: str, text: str) -> dict[str, Any]:
    fields = parse_object(text)
    for name, wanted in _PARTICULARS.get(kind, {}).items():
        if not isinstance(fields.get(name), wanted):
            raise Unreadable(f"{kind} has no {name}, or one of another kind")
    return fields
