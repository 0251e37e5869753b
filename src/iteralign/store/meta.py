"""Table ``meta``: a run's version, settings, recipe and notes.

Decides what of the settings may change when a run is resumed. Knows nothing of steps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from iteralign.canonical import canonical, to_json
from iteralign.errors import RunMismatch, StoreError
from iteralign.foreign.errors import Unreadable
from iteralign.foreign.json import parse_object
from iteralign.store.create import DATABASE, RECIPE
from iteralign.store.database import REMEDIES, Database, sha256
from iteralign.store.events import Log
from iteralign.store.schema import (
    SCHEMA_VERSION,
    UPGRADES,
    differences,
    listed,
    may_change,
    merged,
    unknown,
)


class Meta:
    """What is known of a run beside its steps."""

    def __init__(self, database: Database, directory: Path) -> None:
        self._database = database
        self.directory = directory

    def must_be_readable(self) -> None:
        """Bring an older database up to date. Raises ``StoreError`` for one of a newer version."""
        version = self._value("schema")
        if not re.fullmatch("[1-9][0-9]{0,5}", version):
            raise StoreError(
                f"{self.directory / DATABASE}, table meta, key 'schema': {version[:40]!a} is no "
                f"version: "
                f"{REMEDIES['SQLITE_CORRUPT']}"
            )
        if int(version) > SCHEMA_VERSION:
            raise StoreError(
                f"{self.directory} was written by a newer iteralign (schema {version}; this one reads "
                f"up to {SCHEMA_VERSION}): upgrade it"
            )
        if int(version) < SCHEMA_VERSION and not self._database.readonly:
            with self._database.write() as db:
                for older in range(int(version), SCHEMA_VERSION):
                    for statement in filter(None, UPGRADES[older].split(";\n")):
                        db.execute(statement)
                db.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (str(SCHEMA_VERSION),))

    def has_older_keys(self) -> bool:
        """Whether the run was begun by a version whose steps had other keys (listed by hand)."""
        return not self._database.rows("SELECT 1 FROM meta WHERE key = 'keys'")

    def has_whole_keys(self) -> bool:
        """Whether the keys of the run's steps hold records whole, and not by their ids."""
        return not self._database.rows("SELECT 1 FROM meta WHERE key = 'keys' AND value = 'ids'")

    def settings(self) -> dict[str, Any]:
        """The run's settings. Raises ``StoreError`` where they are damaged."""
        try:
            return parse_object(self._value("settings"))
        except Unreadable as error:
            raise StoreError(
                f"{self.directory / DATABASE}, table meta, key 'settings': {error}: "
                f"{REMEDIES['SQLITE_CORRUPT']}"
            ) from error

    def must_have_its_recipe(self) -> None:
        """Raises ``RunMismatch`` where the recipe's file is not the one that the run started with."""
        recipe = self.directory / RECIPE
        if not recipe.is_file() or sha256(recipe.read_bytes()) != self._value("recipe"):
            raise RunMismatch(
                f"{recipe} was changed or removed after the run started, but a run keeps its recipe: "
                "put the file back, start another run "
                "with the new recipe, or, to go on for longer, change only the stop rule with "
                "`iteralign resume --set stop.KEY=VALUE`"
            )

    def changed(self, now: Mapping[str, Any], changes: Mapping[str, Any], events: Log) -> dict[str, Any]:
        """The settings with these changes, stored. Raises ``RunMismatch`` for what may not change."""
        settings = to_json(merged(now, changes))
        found = differences(now, settings)
        wrong = {k: text for k, text in found.items() if not may_change(k, settings)}
        if wrong:
            raise RunMismatch(
                "only stop.*, budget.*, how servers are reached, model.device, model.batch_size, "
                "model.max_context, evaluation.lm_eval_code and training.max_length may change when a run is "
                f"resumed, not:{listed(wrong)}"
            )
        unheard = unknown(now, changes)
        if unheard:
            raise RunMismatch(
                f"{self.directory}: its settings have no {', '.join(unheard)}: nothing was changed; "
                "see recipe.yaml for what they have"
            )
        if found:
            with self._database.write() as db:
                db.execute("UPDATE meta SET value = ? WHERE key = 'settings'", (canonical(settings),))
                event = events.insert(db, "settings", {"changes": found})
            events.tell(event)
        return dict(settings)

    def note(self, name: str, value: Mapping[str, Any]) -> None:
        """Keep something about the run that no step is made of, under a name; it replaces what was there."""
        with self._database.write() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"note:{name}", canonical(value)))

    def noted(self, name: str) -> dict[str, Any] | None:
        """What was kept under this name; None where nothing was."""
        rows = self._database.rows("SELECT value FROM meta WHERE key = ?", (f"note:{name}",))
        try:
            return parse_object(rows[0][0]) if rows else None
        except Unreadable as error:
            raise StoreError(
                f"{self.directory / DATABASE}, table meta, note {name!r}: {error}: "
                f"{REMEDIES['SQLITE_CORRUPT']}"
            ) from error

    def _value(self, key: str) -> str:
        rows = self._database.rows("SELECT value FROM meta WHERE key = ?", (key,))
        if not rows:
            raise StoreError(
                f"{self.directory / DATABASE} has no {key!r} in its table meta: {REMEDIES['SQLITE_CORRUPT']}"
            )
        return str(rows[0][0])
