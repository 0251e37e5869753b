"""The run directory: records and events in SQLite, checkpoints, exports, and one writer at a time.

Resuming is running the algorithm again: ``Scope.once`` and ``Scope.each`` return what is stored where the
inputs are unchanged, and nothing else knows about resume. This module knows nothing of what is stored.
docs/store.md describes the files.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn, Self

from iteralign.canonical import to_json
from iteralign.errors import CheckpointCorrupt, RunMismatch, StoreError
from iteralign.records.iteralign import Checkpoint
from iteralign.store import checkpoints as weights
from iteralign.store.calls import Calls
from iteralign.store.create import DATABASE, must_be_free, must_hold_own, take_back, write_new
from iteralign.store.database import REMEDIES, Database, is_full, storage
from iteralign.store.events import Event, Log
from iteralign.store.evidence import digest, export
from iteralign.store.keys import BEGINNING, must_be_plain
from iteralign.store.lock import Lock
from iteralign.store.meta import Meta
from iteralign.store.schema import differences, flat, listed, may_change, nested
from iteralign.store.steps import ONLY, Memory, Scope, spelled

__all__ = ["Event", "Run", "Scope"]

EXPORTS = "exports"
PRIVATE = 0o700
"""Of a new run's directory: prompts and answers in it are nobody else's affair."""
OPEN = 0o777
"""The same, where the recipe says ``shared``; less what the umask takes."""


class Run:
    """An open run directory. A context manager; it holds the run's lock while it is open for writing. Threads
    may share it.
    """

    def __init__(self, directory: Path, database: Database, lock: Lock | None) -> None:
        """For ``create`` and ``open``."""
        self.directory = directory
        self._database = database
        self._lock = lock
        self._meta = Meta(database, directory)
        self._log = Log(database)
        self._memory = Memory(database, self._log, superseded=lambda: weights.clear_partial(directory))
        self.calls = Calls(database, directory)
        self._log.listeners.append(self.calls.heard)
        self._verified: set[Checkpoint] = set()
        self.settings: dict[str, Any] = {}

    # ---- opening and closing

    @classmethod
    def create(
        cls,
        directory: Path,
        settings: Mapping[str, Any],
        recipe_text: str,
        complete: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    ) -> Self:
        """Start a run in an empty or new directory; a directory that holds a run with these settings is
        opened to resume it.

        ``complete`` gives a run's settings with the defaults of keys that it was begun without. Raises
        ``StoreError`` where the directory holds something else, ``RunMismatch`` (naming every
        difference) where the run has other settings, ``RunLocked`` where another process works on it.
        """
        directory = Path(directory)
        with storage(directory):
            if not (directory / DATABASE).exists():
                must_be_free(directory)
                directory.parent.mkdir(parents=True, exist_ok=True)
                directory.mkdir(mode=OPEN if settings.get("shared") else PRIVATE, exist_ok=True)
                must_hold_own(directory)
                with ExitStack() as undo:
                    lock = Lock.take(directory)
                    undo.callback(lock.release)
                    if not (directory / DATABASE).exists():  # nobody was faster
                        write_new(directory, settings, recipe_text)
                    run = cls._open(directory, lock, None)
                    undo.pop_all()  # opened: the run itself closes and releases
                    return cls.same(run, settings, complete)
        return cls.same(cls.open(directory), settings, complete)

    @classmethod
    def same(
        cls,
        run: Self,
        settings: Mapping[str, Any],
        complete: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> Self:
        """The opened run, where it has these settings. Raises ``RunMismatch``."""
        found = differences(complete(run.settings), to_json(settings))
        if found:
            run.close()
            wanted = to_json(settings)
            if "method" in found:
                raise RunMismatch(
                    f"{run.directory} holds a run of another method ({found['method']}): choose "
                    "another directory"
                )
            able = [k for k in found if may_change(k, wanted)]
            sets = "".join(f" --set {k}={flat(wanted).get(k)}" for k in able)
            go_on = "continue that run with" if able else "continue that run as it is with"
            every = bool(able) and len(able) == len(found)
            way = go_on.capitalize() if every else f"Choose another directory, or {go_on}"
            raise RunMismatch(
                f"{run.directory} holds a run that was started with other settings "
                f"(its own -> yours):{listed(found)}\n{way} `iteralign resume {run.directory}{sets}`."
            )
        return run

    @classmethod
    def open(
        cls, directory: Path, *, readonly: bool = False, changes: Mapping[str, Any] | None = None
    ) -> Self:
        """Open a run to continue it, or only to read it (no lock; also while another process writes, or where
        nothing may be written).

        ``changes`` to the settings are laid over them and stored, section by section or with dotted keys;
        only ``stop.*``, ``budget.*``, ``schema.REACH`` and ``training.max_length`` may change. Raises
        ``StoreError``, ``RunLocked`` and ``RunMismatch``.
        """
        directory = Path(directory)
        with storage(directory):
            if not (directory / DATABASE).is_file():
                what = "holds no run (run.sqlite is missing)" if directory.is_dir() else "is no directory"
                raise StoreError(
                    f"{directory} {what}: name a run's directory, or start one there with `iteralign "
                    f"run --out {directory}`"
                )
            must_hold_own(directory)
            with ExitStack() as undo:
                lock = None if readonly else Lock.take(directory)
                if lock is not None:
                    undo.callback(lock.release)
                run = cls._open(directory, lock, changes)
                undo.pop_all()
                return run

    @classmethod
    def _open(cls, directory: Path, lock: Lock | None, changes: Mapping[str, Any] | None) -> Self:
        with storage(directory / DATABASE):
            database = Database.open(directory / DATABASE, readonly=lock is None)
        with ExitStack() as undo:
            undo.callback(database.close)
            run = cls(directory, database, lock)
            run._meta.must_be_readable()
            run.settings = run._meta.settings()
            run._memory.whole_keys = run._meta.has_whole_keys()
            if lock is not None:
                run._meta.must_have_its_recipe()
                run.calls.release()
            if changes:
                run.settings = run._meta.changed(run.settings, nested(changes), run._log)
            undo.pop_all()
        return run

    def withdraw(self) -> None:
        """Take back a run in which nothing was computed or paid for: its folder is empty then."""
        if not self._database.rows("SELECT 1 FROM steps UNION ALL SELECT 1 FROM calls LIMIT 1"):
            self._database.close()
            take_back(self.directory)

    def close(self) -> None:
        """Close the database and give the lock back; doing so twice is harmless."""
        self._database.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- steps and events

    def scope(self, name: str) -> Scope:
        """The recorder of one part of the run (an iteration, an evaluation)."""
        return Scope(self._memory, name)

    def beginning(self, name: str, kind: Any, function: Callable[..., Any], /, *args: Any) -> Any:
        """What the run begins with (its prompts, say): read once with ``function(*args)``, and kept whatever
        the source says later. The settings that the arguments come from cannot change.
        """
        return self.scope("data").keyed(name, kind, BEGINNING, lambda: function(*args))

    @property
    def has_older_keys(self) -> bool:
        """Whether an older version began it, whose steps had other keys.

        What it computed is made anew when the run goes on.
        """
        return self._meta.has_older_keys()

    def event(self, kind: str, **fields: Any) -> None:
        """Store an event with JSON fields and tell the listeners; a run that is open for reading only tells
        them.
        """
        self._log.event(kind, fields)

    def listen(self, callback: Callable[[Event], None]) -> None:
        """Call ``callback`` with every later event of this process, after it was stored. What it raises stops
        the run, which can be resumed.
        """
        self._log.listeners.append(callback)

    def events(self, kind: str | None = None) -> list[Event]:
        """The stored events, oldest first."""
        return self._log.read(kind)

    def read(self, kind: Any, scope: str, name: str) -> list[Any]:
        """The current values of a step: the records of an ``each`` in item order, ``[value]`` of a ``once``,
        or nothing.
        """
        query = "SELECT item, value FROM steps WHERE scope = ? AND name = ? AND current ORDER BY place"
        return self.scope(scope).decode(kind, name, dict(self._database.rows(query, (scope, name))))

    def holding(
        self, kind: Any, text: str, *, in_name: bool = False, stored_as: str | None = None
    ) -> list[tuple[str, str, Any]]:
        """Scope, step and value of the current values of a kind whose JSON (or step's name) holds a text.

        The others are not decoded. ``stored_as``: the kind's name in the store, where it is read as another.
        """
        column = "name" if in_name else "value"
        rows = self._database.rows(
            f"SELECT scope, name, value FROM steps WHERE current AND kind = ? AND instr({column}, ?) "
            "ORDER BY rowid",
            (stored_as or spelled(kind), text),
        )
        return [
            (scope, name, self.scope(scope).decode(kind, name, {"": value})[0]) for scope, name, value in rows
        ]

    def scopes(self) -> list[str]:
        """The names of all scopes that hold something, in order of first use."""
        return [
            s
            for (s,) in self._database.rows(
                "SELECT scope FROM steps WHERE current GROUP BY scope ORDER BY MIN(rowid)"
            )
        ]

    # ---- checkpoints

    def checkpoint(
        self, name: str, function: Callable[..., Checkpoint], /, *args: Any, **kwargs: Any
    ) -> Checkpoint:
        """The weights ``checkpoints/<name>``, made once with these arguments by
        ``function(folder, *args, **kwargs)`` in a partial folder that is renamed when it is whole.

        What was interrupted gets the same folder again if a trainer left checkpoints of its own there.
        Weights that are missing, although they were not discarded, are made again; where they come out the
        same, nothing that follows changes.
        """
        must_be_plain(function, f"{weights.FOLDER}/{name}")
        scope = self.scope(weights.FOLDER)
        key = scope.key_of(function, args, kwargs, given=1)
        home = self.directory / weights.FOLDER / weights.safe(name)
        stored = self._memory.recall(scope.name, name, key, [ONLY])
        known: Checkpoint | None = scope.decode(Checkpoint, name, stored)[0] if stored else None
        if known is not None and (home.is_dir() or self._is_discarded(name)):
            return scope.keyed(name, Checkpoint, key, lambda: known)
        scope.must_be_writable(name)

        def make() -> Checkpoint:
            partial = home.with_name(f"{weights.PARTIAL}{name}-{key[:8]}")
            return self._built(home, partial, lambda: function(partial, *args, **kwargs))

        if known is None:
            return scope.keyed(name, Checkpoint, key, make)
        text = f"checkpoint {name} is missing or was made of other inputs: it is made again"
        self.event("warning", checkpoint=name, text=text)
        fresh = make()
        if fresh != known:
            self._memory.forget(scope.name, name, key)
        return scope.keyed(name, Checkpoint, key, lambda: fresh)

    def _built(self, home: Path, partial: Path, build: Callable[[], Checkpoint]) -> Checkpoint:
        with storage(partial):
            weights.clear_partial(self.directory, keep=partial)
            weights.prepare(partial)
        try:
            made = build()
        except Exception as error:
            if not is_full(error):
                raise
            raise StoreError(f"{partial}: {error}: {REMEDIES['SQLITE_FULL']}") from error
        with storage(home):
            files = weights.manifest(partial)
            if not files:
                raise StoreError(
                    f"checkpoint {home.name}: the training left no weights "
                    f"({', '.join(weights.WEIGHTS)}) in {partial}"
                )
            weights.finish(partial, home)
        with self._database.write() as db:
            db.execute("DELETE FROM discarded WHERE checkpoint = ?", (home.name,))
            db.execute("DELETE FROM files WHERE checkpoint = ?", (home.name,))
            db.executemany(
                "INSERT INTO files VALUES (?, ?, ?, ?)",
                [(home.name, f.name, f.size, f.sha256) for f in files],
            )
        return dataclasses.replace(
            made, id="", path=f"{weights.FOLDER}/{home.name}", weights_hash=weights.hash_of(files)
        )

    def locate(self, checkpoint: Checkpoint) -> str:
        """Where the weights lie: a folder of the run, or the model's name or user's folder that the
        checkpoint names.

        A folder of the run is verified once per process. Raises ``CheckpointCorrupt`` naming the file that is
        wrong and the remedy.
        """
        name = weights.home(checkpoint)
        if name is None:
            return checkpoint.path
        folder = self.directory / weights.FOLDER / name
        if checkpoint not in self._verified:
            if self._is_discarded(name):
                self._must_come_back(name, folder)
            known = self._database.rows(
                "SELECT file, bytes, sha256 FROM files WHERE checkpoint = ? ORDER BY file", (name,)
            )
            with storage(folder):
                weights.verify(folder, checkpoint, [weights.File(*row) for row in known])
            self._verified.add(checkpoint)
        return str(folder.resolve())

    def discard(self, checkpoint: Checkpoint) -> None:
        """Delete the weights of a checkpoint of this run; the records stay, and a resume does not build them
        again. Other models are left alone.
        """
        name = weights.home(checkpoint)
        if name is None:
            return
        folder = self.directory / weights.FOLDER / name
        if not self._is_discarded(name):
            with self._database.write() as db:
                db.execute("INSERT INTO discarded VALUES (?)", (name,))
        with storage(folder):
            if folder.exists():
                weights.remove(folder)
        self._verified.discard(checkpoint)

    def _must_come_back(self, name: str, folder: Path) -> NoReturn:
        if self._database.readonly:
            raise CheckpointCorrupt(
                f"checkpoint {folder} was discarded: the run did not keep its weights; take the one "
                "that it ended with"
            )
        with self._database.write() as db:
            db.execute("DELETE FROM discarded WHERE checkpoint = ?", (name,))
        raise CheckpointCorrupt(
            f"checkpoint {folder} was discarded, but is needed again: resume the run, and it is trained again"
        )

    def _is_discarded(self, name: str) -> bool:
        return bool(self._database.rows("SELECT 1 FROM discarded WHERE checkpoint = ?", (name,)))

    # ---- notes and evidence

    def note(self, name: str, value: Mapping[str, Any]) -> None:
        """Keep something about the run that no step is made of, under a name; it replaces what was there."""
        self._meta.note(name, value)

    def noted(self, name: str) -> dict[str, Any] | None:
        """What was kept under this name; None where nothing was."""
        return self._meta.noted(name)

    def digest(self) -> str:
        """SHA-256 over all current records, the hashes of the weights among them, without times: equal for
        equal runs, wherever they lie.
        """
        return digest(self._database)

    def export(self) -> list[Path]:
        """Write the current records as JSONL, one file per kind of record under exports/ (``verdict.jsonl``);
        returns the files.

        A line is the record with the scope and step that it comes from before it.
        """
        return export(self._database, self.directory / EXPORTS)
