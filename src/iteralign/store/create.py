"""Laying out a new run directory: whole or not at all, and never over somebody's files.

Knows nothing of what a run does.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from iteralign.canonical import canonical
from iteralign.errors import StoreError
from iteralign.store.database import sha256
from iteralign.store.files import flush_folder, must_be_file, must_be_folder, write_whole
from iteralign.store.lock import LOCK
from iteralign.store.schema import SCHEMA, SCHEMA_VERSION

FOLDERS = ("checkpoints", "exports")
KEYS = "ids"
"""How a new run's steps tell records in their keys (``keys.key_of``)."""
DATABASE, RECIPE = "run.sqlite", "recipe.yaml"
UNBORN, UNBORN_RECIPE = ".run.sqlite.new", ".recipe.yaml.new"


def must_be_free(directory: Path) -> None:
    """Raises ``StoreError`` unless a run may start here: nothing is there, or only what a start that was
    killed leaves behind.
    """
    names = {p.name for p in directory.iterdir()} if directory.exists() else set()
    begun = names - {
        LOCK,
        UNBORN_RECIPE,
        UNBORN,
        *(UNBORN + suffix for suffix in ("-journal", "-wal", "-shm")),
    }
    if begun == {RECIPE} and UNBORN in names:
        begun = set()
    if begun:
        shown = ", ".join(sorted(begun)[:3]) + (", ..." if len(begun) > 3 else "")
        raise StoreError(
            f"{directory} is not empty and holds no run (it holds {shown}): choose another directory"
        )


def take_back(directory: Path) -> None:
    """Remove what ``write_new`` and opening it have laid out. The folder itself stays."""
    for name in (DATABASE, RECIPE):
        for file in directory.glob(f"{name}*"):
            file.unlink()
    for name in FOLDERS:
        if (directory / name).is_dir() and not any((directory / name).iterdir()):
            (directory / name).rmdir()
    (directory / LOCK).unlink(missing_ok=True)


def must_hold_own(directory: Path) -> None:
    """Raises ``StoreError`` where a link, a pipe or the like lies in the place of a run's file or folder."""
    for name in (LOCK, DATABASE, RECIPE, UNBORN, UNBORN_RECIPE):
        must_be_file(directory / name)
    for name in (DATABASE, UNBORN):
        for suffix in ("-journal", "-wal", "-shm"):
            must_be_file(directory / (name + suffix))
    for name in FOLDERS:
        must_be_folder(directory / name)


def write_new(directory: Path, settings: Mapping[str, Any], recipe_text: str) -> None:
    """Lay out a run. The database gets its name last: a run exists from then on, or not at all."""
    unborn = directory / UNBORN
    for leftover in directory.glob(f"{UNBORN}*"):
        leftover.unlink()
    db = sqlite3.connect(unborn, isolation_level=None)
    try:
        db.executescript(f"PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL; BEGIN; {SCHEMA} COMMIT;")
        facts = {
            "schema": str(SCHEMA_VERSION),
            "settings": canonical(settings),
            "recipe": sha256(recipe_text.encode()),
            "keys": KEYS,
        }
        db.executemany("INSERT INTO meta VALUES (?, ?)", facts.items())
        db.execute("PRAGMA journal_mode = WAL")  # the file remembers it
    finally:
        db.close()
    write_whole(directory / RECIPE, recipe_text.encode())
    os.replace(unborn, directory / DATABASE)
    flush_folder(directory)
