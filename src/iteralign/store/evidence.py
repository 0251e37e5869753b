"""What a run leaves for others: its digest, and its records as JSONL.

Reads the database as it stands. Knows nothing of what the records mean.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from iteralign.canonical import canonical
from iteralign.store.database import Database, storage, write_whole


def digest(database: Database) -> str:
    """SHA-256 over all current records, in hex."""
    found = hashlib.sha256()
    for row in database.rows(
        "SELECT scope, name, item, value FROM steps WHERE current ORDER BY scope, name, place, item"
    ):
        found.update(canonical(list(row)).encode() + b"\n")
    return found.hexdigest()


def export(database: Database, folder: Path) -> list[Path]:
    """The current records, one file per kind of record in the folder; the files."""
    found: dict[str, list[str]] = {}
    for scope, step, kind, value in database.rows(
        "SELECT scope, name, kind, value FROM steps WHERE current ORDER BY rowid"
    ):
        data = json.loads(value)
        for record in data if isinstance(data, list) else [data]:
            fields = record if isinstance(record, dict) else {"value": record}
            found.setdefault(_file_name(kind), []).append(
                json.dumps({"scope": scope, "step": step, **fields}, ensure_ascii=False) + "\n"
            )
    with storage(folder):
        folder.mkdir(exist_ok=True)
        for name, lines in found.items():
            write_whole(folder / name, "".join(lines).encode())
    return sorted(folder / name for name in found)


def _file_name(kind: str) -> str:
    """``list[RedTeamPrompt]`` -> ``red_team_prompt.jsonl``."""
    inner = kind.rstrip("]").rpartition("[")[2].split(",")[0]
    words: Sequence[str] = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", inner)
    return f"{'_'.join(words).lower() or 'value'}.jsonl"
