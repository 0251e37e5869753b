"""The SQLite file of a run: opening, transactions, and what goes wrong on disks, said so that its reader can
act.

Knows nothing of steps or records.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from iteralign.errors import StoreError
from iteralign.foreign.errors import short
from iteralign.store import foreign

KEPT = "everything that was finished is kept"
FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
REMEDIES = {
    "SQLITE_FULL": f"the disk is full: free some space and resume; {KEPT}",
    "SQLITE_IOERR": "the disk could not be read or written: see that it is mounted, whole and not full, then "
    "resume; "
    f"{KEPT}",
    "SQLITE_READONLY": f"it cannot be written: make it writable and resume; {KEPT}",
    "SQLITE_CANTOPEN": "it cannot be opened: see that the directory and its files may be read and written, "
    "then "
    "resume; "
    f"{KEPT}",
    "SQLITE_PERM": f"it may not be opened: change its permissions and resume; {KEPT}",
    "SQLITE_BUSY": f"another program holds the database: close it and resume; {KEPT}",
    "SQLITE_NOTADB": "the file is damaged: put a copy of it back, or start another run in another directory "
    "(checkpoints/ is untouched)",
    "SQLITE_CORRUPT": "the file is damaged: put a copy of it back, save what can be saved with `sqlite3 "
    "run.sqlite "
    ".recover`, "
    "or start another run in another directory (checkpoints/ is untouched)",
    "SQLITE_ERROR": "it is no database of this iteralign's layout: use the version that wrote it, or start "
    "another "
    "run "
    "in another directory",
}


@contextmanager
def storage(place: Path) -> Iterator[None]:
    """Turns what the system and SQLite say about ``place`` into ``StoreError`` with what to do about it."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "SQLITE_CORRUPT" if "decode" in str(error) else "")
        remedy = next(
            (text for code, text in REMEDIES.items() if name.startswith(code)),
            "this should not happen: please report it",
        )
        raise StoreError(f"{place}: {short(str(error))}: {remedy}") from error
    except OSError as error:
        raise StoreError(f"{_spelled(error, place)}: {_remedy(error)}") from error


def is_full(error: BaseException) -> bool:
    """Whether this error, or one that led to it, is a full disk in the words of any library."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in FULL:
            return True
        if any(os.strerror(code) in str(seen) for code in FULL):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _spelled(error: OSError, place: Path) -> str:
    return f"{error.filename or place}: {error.strerror or error}"


def _remedy(error: OSError) -> str:
    if error.errno in FULL:
        return REMEDIES["SQLITE_FULL"]
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return REMEDIES["SQLITE_READONLY"]
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        return (
            "there is something else, or nothing, where the run's files belong: put them back, or choose "
            "another directory"
        )
    return REMEDIES["SQLITE_IOERR"]


def sha256(content: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(content).hexdigest()


class Database:
    """An open ``run.sqlite``. Any thread may use it; one at a time does."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        readonly: bool,
        copy: tempfile.TemporaryDirectory[str] | None = None,
    ) -> None:
        self.path, self.readonly = path, readonly
        self._connection, self._copy = connection, copy
        self._mutex = threading.RLock()
        self._inode = path.stat().st_ino
        self._closed = False

    @classmethod
    def open(cls, path: Path, *, readonly: bool) -> Self:
        """Open an existing database. Raises ``sqlite3.Error`` and ``OSError``."""
        foreign.must_have_no_foreign_journal(path)
        if readonly:
            return cls._open_readonly(path)
        connection = _connect(f"{path.resolve().as_uri()}?mode=rw")
        try:
            foreign.must_be_ours(connection, path)
            damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        except (sqlite3.Error, StoreError):
            connection.close()
            raise
        if damage != "ok":
            connection.close()
            raise StoreError(f"{path}: {short(damage)}: {REMEDIES['SQLITE_CORRUPT']}")
        return cls(path, connection, readonly=False)

    @classmethod
    def _open_readonly(cls, path: Path) -> Self:
        uri = path.resolve().as_uri()
        connection = _connect(f"{uri}?mode=ro")
        try:
            foreign.must_be_ours(connection, path)
            return cls(path, connection, readonly=True)
        except (sqlite3.Error, StoreError) as error:
            connection.close()
            if not getattr(error, "sqlite_errorname", "").startswith(
                ("SQLITE_CANTOPEN", "SQLITE_READONLY")
            ) or not os.access(path, os.R_OK):
                raise
        # A directory that cannot be written: SQLite cannot make the index of its log there. Without a log the
        # file is all there
        # is and nobody changes it; a log that a killed run left is read from a copy.
        log = path.with_name(path.name + "-wal")
        if not log.exists() or not log.stat().st_size:
            connection = _connect(f"{uri}?mode=ro&immutable=1")
            return cls._of_ours(path, connection)
        copy = tempfile.TemporaryDirectory(prefix="iteralign-")
        for file in (path, log):
            shutil.copyfile(file, Path(copy.name) / file.name)
        connection = _connect(f"{(Path(copy.name) / path.name).as_uri()}?mode=rw")
        return cls._of_ours(path, connection, copy)

    @classmethod
    def _of_ours(
        cls,
        path: Path,
        connection: sqlite3.Connection,
        copy: tempfile.TemporaryDirectory[str] | None = None,
    ) -> Self:
        try:
            foreign.must_be_ours(connection, path)
        except (sqlite3.Error, StoreError):
            connection.close()
            raise
        return cls(path, connection, readonly=True, copy=copy)

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query. Raises ``StoreError``."""
        with self._use():
            found = self._connection.execute(query, values).fetchall()
        for row in found:
            foreign.must_be_text_or_number(row, self.path)
        return found

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it is stored or nothing. Unless ``durable`` is off, it survives a power cut.
        Raises ``StoreError``.
        """
        with self._use():
            if self.readonly:
                raise StoreError(f"{self.path.parent} was opened for reading only")
            self._must_be_in_place()
            db = self._connection
            db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    def close(self) -> None:
        """Close; doing so twice is harmless."""
        with self._mutex:
            self._closed = True
            self._connection.close()
            if self._copy is not None:
                self._copy.cleanup()

    @contextmanager
    def _use(self) -> Iterator[None]:
        with self._mutex, storage(self.path):
            if self._closed:
                raise StoreError(f"{self.path.parent} was closed: open the run again")
            yield

    def _must_be_in_place(self) -> None:
        """SQLite goes on writing into a file that was deleted or moved, and all of it would be lost."""
        try:
            same = self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            same = False
        if not same:
            raise StoreError(
                f"{self.path} was moved, replaced or deleted while the run was open: put it back and "
                f"resume; {KEPT} in that file"
            )


def _connect(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=20)
    foreign.harden(connection)
    return connection
