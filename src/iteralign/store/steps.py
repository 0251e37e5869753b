"""What a run remembers: the results of steps by (scope, name, inputs, item).

``Memory`` keeps the rows; ``Scope`` is ``once`` and ``each`` over them, the two words that hold all of
resume. Knows nothing of what the steps compute, nor of files.
"""

from __future__ import annotations

import json
import time
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from iteralign.canonical import canonical, from_json
from iteralign.errors import StoreError
from iteralign.foreign.errors import short
from iteralign.protocols import Cut
from iteralign.records.base import Record
from iteralign.store.database import Database
from iteralign.store.events import Log
from iteralign.store.keys import key_of, must_be_plain

if typing.TYPE_CHECKING:
    pass

T = TypeVar("T")
Item = TypeVar("Item", bound=Record)
R = TypeVar("R", bound=Record)

ONLY = ""  # the item of a step that has one value


class Memory:
    """The rows of table ``steps``.

    A row is current while the run, as it stands, is made of it. When a step turns out to have other inputs
    than before, every row that this process has not asked for yet loses that mark: what follows may have
    changed too. It gets the mark back when it is asked for again with the same inputs; nothing is computed
    twice, and nothing stale is ever current.
    """

    def __init__(self, database: Database, log: Log, superseded: Callable[[], None]) -> None:
        self.database, self.log, self._superseded = database, log, superseded
        self.whole_keys = False
        """Whether an older version began the run, whose keys hold records whole."""
        self._asked: dict[
            tuple[str, str, str], dict[str, int]
        ] = {}  # (scope, name, key) -> item -> its place, in order of asking

    def recall(self, scope: str, name: str, key: str, items: Sequence[str]) -> dict[str, str]:
        """The stored values of those items that have one, marked as current.

        Where this step is current with other inputs, or another item stands in an item's place, the run is
        not what it was.
        """
        places = self._asked.setdefault((scope, name, key), {})
        new = [item for item in items if item not in places]
        for item in new:
            places.setdefault(item, len(places))
        query = "SELECT item, place, current, value FROM steps WHERE scope = ? AND name = ? AND key = ?"
        rows = self.database.rows(query, (scope, name, key))
        found = {item: value for item, _, _, value in rows}
        if not self.database.readonly:
            at_place = {place: item for item, place, current, _ in rows if current}
            moved = any(at_place.get(places[item], item) != item for item in new)
            others = "SELECT 1 FROM steps WHERE scope = ? AND name = ? AND key <> ? AND current LIMIT 1"
            if moved or self.database.rows(others, (scope, name, key)):
                self._supersede(scope, name)
                rows = self.database.rows(query, (scope, name, key))
            stale = [
                (places[i], scope, name, key, i)
                for i, place, current, _ in rows
                if i in places and not (current and place == places[i])
            ]
            if stale:
                with self.database.write() as db:
                    db.executemany(
                        "UPDATE steps SET current = 1, place = ? WHERE scope = ? AND name = ? AND key "
                        "= ? AND item = ?",
                        stale,
                    )
        return {item: found[item] for item in dict.fromkeys(items) if item in found}

    def store(
        self, scope: str, name: str, key: str, kind: str, values: Mapping[str, str], fields: Mapping[str, Any]
    ) -> None:
        """Store values by item, and an event about the step, in one transaction. What is stored already
        stays.
        """
        places = self._asked[scope, name, key]
        rows = [(scope, name, key, item, places[item], kind, value) for item, value in values.items()]
        with self.database.write() as db:
            db.executemany("INSERT OR IGNORE INTO steps VALUES (?, ?, ?, ?, ?, 1, ?, ?)", rows)
            event = self.log.insert(db, "step", fields)
        self.log.tell(event)

    def forget(self, scope: str, name: str, key: str) -> None:
        """Delete a step's rows: its result was lost and came out otherwise this time. What was not asked for
        yet may follow from it.
        """
        self._supersede(scope, name)
        with self.database.write() as db:
            db.execute("DELETE FROM steps WHERE scope = ? AND name = ? AND key = ?", (scope, name, key))

    def _supersede(self, scope: str, name: str) -> None:
        kept = [(*k, item) for k, places in self._asked.items() if k[:2] != (scope, name) for item in places]
        with self.database.write() as db:
            gone = db.execute("UPDATE steps SET current = 0 WHERE current").rowcount
            again = db.executemany(
                "UPDATE steps SET current = 1 WHERE scope = ? AND name = ? AND key = ? AND item = ?", kept
            ).rowcount
            text = (
                f"{scope}/{name} was made of other inputs before: it, and what follows from it, is made anew"
            )
            event = self.log.insert(
                db, "superseded", {"scope": scope, "name": name, "rows": gone - max(again, 0), "text": text}
            )
        self._superseded()
        self.log.tell(event)


class Scope:
    """The recorder of one part of a run (``protocols.Recorder``)."""

    def __init__(self, memory: Memory, name: str) -> None:
        self._memory, self.name = memory, name

    def once(self, name: str, kind: Any, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """The stored value of this step if it was finished with these arguments, else
        ``function(*args, **kwargs)``, stored at once.

        Raises ``StoreError`` where a value cannot be stored, or a stored one is damaged, and ``TypeError``
        for a function or an argument whose part in the result could not be seen (``keys``).
        """
        must_be_plain(function, f"{self.name}/{name}")
        key = self.key_of(function, args, kwargs)
        return self.keyed(name, kind, key, lambda: function(*args, **kwargs))

    def key_of(
        self,
        function: Callable[..., Any],
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        given: int = 0,
    ) -> str:
        """``keys.key_of``, as this run makes its keys."""
        return key_of(function, args, kwargs, given=given, whole=self._memory.whole_keys)

    def known(self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> bool:
        """Whether a ``once`` of this step with these arguments was ever stored."""
        query = "SELECT 1 FROM steps WHERE scope = ? AND name = ? AND key = ?"
        key = self.key_of(function, args, kwargs)
        return bool(self._memory.database.rows(query, (self.name, name, key)))

    def keyed(self, name: str, kind: Any, key: str, compute: Callable[[], T]) -> T:
        """``once`` under a key that is known: what checkpoints are kept by."""
        stored = self._memory.recall(self.name, name, key, [ONLY])
        value: T
        if stored:
            (value,) = self.decode(kind, name, stored)
            self._event(name, "reused", 1, 1)
            return value
        self.must_be_writable(name)
        self._event(name, "started", 0, 1)
        started = time.monotonic()
        fresh = self._encode(kind, name, {ONLY: compute()})
        (value,) = self.decode(kind, name, fresh, "computed")
        self._memory.store(
            self.name,
            name,
            key,
            spelled(type(value) if isinstance(kind, types.UnionType) else kind),
            fresh,
            self._fields(name, "done", 1, 1, time.monotonic() - started),
        )
        return value

    def each(
        self,
        name: str,
        kind: type[R],
        function: Callable[..., list[R]],
        items: Sequence[Item],
        /,
        *args: Any,
        chunk: int | Cut = 96,
        **kwargs: Any,
    ) -> list[R]:
        """One stored result per item, in the items' order; items with one id are computed once, by
        ``function(part of the items, *args, **kwargs)``.

        Items are cut into fixed chunks in their order, or as ``chunk`` cuts them, so that a resumed run asks
        for the very same batches; each chunk is stored in one transaction as it arrives. A chunk that lacks a
        result is asked again as a whole, and what is stored stays. Raises ``StoreError`` where the function
        gives another number of results than items, or a stored value is damaged, and ``TypeError`` as
        ``once`` does.
        """
        if isinstance(chunk, int) and chunk < 1:
            raise ValueError(f"chunk = {chunk}: must be at least 1")
        must_be_plain(function, f"{self.name}/{name}")
        key = self.key_of(function, args, kwargs, given=1)
        unique = list({item.id: item for item in items}.values())
        total = len(unique)
        stored = self._memory.recall(self.name, name, key, [item.id for item in unique])
        values: dict[str, R] = dict(zip(stored, self.decode(kind, name, stored), strict=True))
        if len(values) == total:
            if unique:
                self._event(name, "reused", total, total)
            return [values[item.id] for item in items]
        self.must_be_writable(name)
        self._event(name, "started", len(values), total)
        started = time.monotonic()
        parts = (
            [unique[first : first + chunk] for first in range(0, total, chunk)]
            if isinstance(chunk, int)
            else chunk(unique)
        )
        for part in parts:
            if all(item.id in values for item in part):
                continue
            results = function(part, *args, **kwargs)
            if len(results) != len(part):
                raise StoreError(
                    f"step {self.name}/{name} gave {len(results)} results for {len(part)} items: it "
                    "must give one per item, in order"
                )
            fresh = self._encode(
                kind,
                name,
                {item.id: r for item, r in zip(part, results, strict=True) if item.id not in values},
            )
            values |= zip(fresh, self.decode(kind, name, fresh, "computed"), strict=True)
            state = "done" if len(values) == total else "progress"
            fields = self._fields(name, state, len(values), total, time.monotonic() - started)
            self._memory.store(self.name, name, key, spelled(kind), fresh, fields)
        return [values[item.id] for item in items]

    def stored(
        self,
        name: str,
        kind: type[R],
        function: Callable[..., list[R]],
        items: Sequence[Record],
        /,
        *args: Any,
        **kwargs: Any,
    ) -> list[R]:
        """The stored results of an ``each`` for those of the items that have one, in order; nothing is
        computed, or marked as current.
        """
        query = "SELECT item, value FROM steps WHERE scope = ? AND name = ? AND key = ?"
        key = self.key_of(function, args, kwargs, given=1)
        found: dict[str, str] = dict(self._memory.database.rows(query, (self.name, name, key)))
        asked = dict.fromkeys(item.id for item in items)
        return self.decode(kind, name, {i: found[i] for i in asked if i in found})

    def warn(self, text: str) -> None:
        """Keep a warning as an event."""
        self._memory.log.event("warning", {"text": text})

    def must_be_writable(self, name: str) -> None:
        """Raises ``StoreError`` before a step is computed that could not be stored."""
        database = self._memory.database
        if database.readonly:
            raise StoreError(
                f"step {self.name}/{name} is not finished, and {database.path.parent} was opened for "
                "reading only: resume the run"
            )

    def decode(self, kind: Any, name: str, values: Mapping[str, str], what: str = "stored") -> list[Any]:
        """Values from their JSON texts, by item, in order. Raises ``StoreError`` naming the place of a
        damaged one.
        """
        try:
            found: list[Any] = from_json(
                types.GenericAlias(list, (kind,)), json.loads(f"[{','.join(values.values())}]")
            )
            if len(found) == len(values):
                return found
        except (ValueError, RecursionError):
            found = []  # one by one, to name the one that is wrong
        for item, value in values.items():
            try:
                found.append(from_json(kind, json.loads(value)))
            except (ValueError, RecursionError) as error:
                if what == "computed":
                    raise StoreError(
                        f"step {self.name}/{name} gave a value that is no {spelled(kind)} when read "
                        f"back: {error}"
                    ) from error
                place = f"{self._memory.database.path}, table steps, scope {self.name!r}, step {name!r}" + (
                    f", item {item!r}" if item else ""
                )
                raise StoreError(
                    f"{place}: a stored value is damaged: {short(str(error), 200)}\n"
                    "Delete that row and resume: it is computed again."
                ) from error
        return found

    def _encode(self, kind: Any, name: str, values: Mapping[str, object]) -> dict[str, str]:
        try:
            texts = {item: canonical(value) for item, value in values.items()}
            for text in texts.values():
                text.encode()  # half a surrogate pair is no text that a file could hold
            return texts
        except (ValueError, TypeError) as error:
            raise StoreError(
                f"step {self.name}/{name} gave a value that cannot be stored as {spelled(kind)}: {error}"
            ) from error

    def _event(self, name: str, state: str, done: int, total: int) -> None:
        self._memory.log.event("step", self._fields(name, state, done, total, 0.0))

    def _fields(self, name: str, state: str, done: int, total: int, seconds: float) -> dict[str, Any]:
        return {
            "scope": self.name,
            "name": name,
            "state": state,
            "done": done,
            "total": total,
            "seconds": round(seconds, 3),
        }


def given(value: T) -> T:
    """The value as it is: the function of a step that only keeps what was made of other steps' results."""
    return value


def spelled(kind: Any) -> str:
    """A type as the column ``kind`` names it: ``Verdict``, ``list[Verdict]``."""
    if isinstance(kind, types.UnionType):
        return " or ".join(spelled(a) for a in typing.get_args(kind))
    if typing.get_origin(kind) is None:
        return str(getattr(kind, "__name__", kind))
    inner = ", ".join("..." if a is Ellipsis else spelled(a) for a in typing.get_args(kind))
    return f"{getattr(typing.get_origin(kind), '__name__', kind)}[{inner}]"
