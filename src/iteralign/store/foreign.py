"""What a run's database from elsewhere may not hold: whatever makes reading it do more than reading.

Views, triggers, tables of others, computed columns, values of the wrong type, and a journal that names
another file (SQLite would delete that one). Knows SQLite; nothing of steps or of what is stored.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from iteralign.errors import StoreError
from iteralign.foreign.errors import short

_TABLES = frozenset({"meta", "steps", "events", "files", "discarded", "calls"})
_INDEXES = frozenset({"calls_by_key"})
_OWN = "sqlite_"
"""SQLite's own: its sequence, its statistics, the indexes of primary keys. Nobody can name a view so."""
_COMPUTED = re.compile(
    r"\b(?:check|generated|default|collate|references|virtual|as|where|select|match|glob)\b", re.I
)
_SUPER = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
"""A journal ends with this where it names a second one, as only a change of two databases does."""
_TYPES = {
    "meta": "typeof(key) <> 'text' OR typeof(value) <> 'text'",
    "events": "typeof(seq) <> 'integer' OR typeof(time) NOT IN ('real', 'integer') OR typeof(kind) <> 'text' "
    "OR typeof(fields) <> 'text'",
    "files": "typeof(checkpoint) <> 'text' OR typeof(file) <> 'text' OR typeof(bytes) <> 'integer' "
    "OR typeof(sha256) <> 'text'",
}
_REMEDY = "it was not written by iteralign, or was changed since: do not use it"


def must_have_no_foreign_journal(path: Path) -> None:
    """Raises ``StoreError`` where opening this database would delete another file. Call it before that."""
    journal = path.with_name(f"{path.name}-journal")
    if not journal.is_file():
        return
    with journal.open("rb") as file:
        file.seek(-min(len(_SUPER), journal.stat().st_size), 2)
        if file.read() == _SUPER:
            raise StoreError(f"{journal} names another file, which would be deleted: {_REMEDY}")


def harden(connection: sqlite3.Connection) -> None:
    """Trust nothing that a schema calls, and notice damaged pages. Call it before the first query."""
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")


def must_be_ours(connection: sqlite3.Connection, path: Path) -> None:
    """Raises ``StoreError`` for a database that holds anything but our tables, with values of their types."""
    found = set()
    for kind, name, statement in connection.execute("SELECT type, name, sql FROM sqlite_master"):
        known = _TABLES if kind == "table" else _INDEXES if kind == "index" else frozenset()
        if str(name).startswith(_OWN) and kind in ("table", "index"):
            continue
        if name not in known:
            raise StoreError(f"{path} holds the {kind} {_shown(name)}, which no run has: {_REMEDY}")
        if _COMPUTED.search(str(statement)):
            raise StoreError(f"{path}: its {kind} {_shown(name)} computes something: {_REMEDY}")
        found.add(name)
    for table in found & _TYPES.keys():
        if connection.execute(f"SELECT 1 FROM {table} WHERE {_TYPES[table]} LIMIT 1").fetchone():
            raise StoreError(f"{path}: its table {table} holds a value of another type: {_REMEDY}")


def must_be_text_or_number(row: tuple[object, ...], path: Path) -> None:
    """Raises ``StoreError`` for bytes: no column of ours holds any."""
    if any(type(value) is bytes for value in row):
        raise StoreError(f"{path} holds bytes where a text belongs: {_REMEDY}")


def _shown(name: object) -> str:
    return ascii(short(str(name)))[:100]
