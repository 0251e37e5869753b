"""What a run leaves for others: its digest, and its records as JSONL.

Reads the database as it stands. Knows nothing of what the records mean.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from iteralign.canonical import canonical
from iteralign.errors import StoreError
from iteralign.foreign.errors import Unreadable, short
from iteralign.foreign.json import parse
from iteralign.store.database import Database, storage
from iteralign.store.files import must_be_folder, write_whole
from iteralign.text.printable import readable_json

_AT_ONCE = 500


def digest(database: Database) -> str:
    """SHA-256 over all current records, in hex."""
    found = hashlib.sha256()
    for row in _current(database, "scope, name, item, value", "scope, name, place, item"):
        found.update(canonical(list(row)).encode() + b"\n")
    return found.hexdigest()


def export(database: Database, folder: Path) -> list[Path]:
    """The current records, one file per kind of record in the folder; the files."""
    kinds: dict[str, list[str]] = {}
    for (kind,) in database.rows("SELECT DISTINCT kind FROM steps WHERE current"):
        kinds.setdefault(_file_name(kind), []).append(kind)
    with storage(folder):
        must_be_folder(folder)
        folder.mkdir(exist_ok=True)
        for name, own in kinds.items():
            write_whole(folder / name, _lines(database, own))
    return sorted(folder / name for name in kinds)


def _lines(database: Database, kinds: Sequence[str]) -> Iterator[bytes]:
    among = f"AND kind IN ({', '.join('?' * len(kinds))})"
    for scope, step, value in _current(database, "scope, name, value", "rowid", among, kinds):
        try:
            data = parse(value)
        except Unreadable as error:
            place = f"{database.path}, table steps, scope {short(scope)[:60]!r}, step {short(step)[:60]!r}"
            raise StoreError(f"{place}: a stored value is damaged: {error}") from error
        for record in data if isinstance(data, list) else [data]:
            fields = record if isinstance(record, dict) else {"value": record}
            line = json.dumps({"scope": scope, "step": step, **fields}, ensure_ascii=False)
            yield readable_json(line).encode() + b"\n"


def _current(
    database: Database, columns: str, order: str, among: str = "", values: Sequence[str] = ()
) -> Iterator[tuple[Any, ...]]:
    """The current rows in an order, few of them at once: a run may be larger than the memory."""
    rowids = database.rows(f"SELECT rowid FROM steps WHERE current {among} ORDER BY {order}", values)
    for first in range(0, len(rowids), _AT_ONCE):
        part = [rowid for (rowid,) in rowids[first : first + _AT_ONCE]]
        query = f"SELECT rowid, {columns} FROM steps WHERE rowid IN ({', '.join('?' * len(part))})"
        found = {row[0]: row[1:] for row in database.rows(query, part)}
        yield from (found[rowid] for rowid in part)


def _file_name(kind: str) -> str:
    """``list[RedTeamPrompt]`` -> ``red_team_prompt.jsonl``."""
    inner = kind.rstrip("]").rpartition("[")[2].split(",")[0]
    words: Sequence[str] = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", inner)
    return f"{'_'.join(words).lower() or 'value'}.jsonl"
