"""One writer per run directory: an advisory lock that the system gives back when its holder dies, however it
dies.

Knows nothing of what is written.
"""

from __future__ import annotations

import errno
import os
import socket
import time
import weakref
from datetime import datetime
from pathlib import Path
from typing import Self

from iteralign.errors import RunLocked, StoreError

LOCK = "run.lock"
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


class Lock:
    """A held lock on ``run.lock``, whose text says who holds it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        _HELD.add(self)

    @classmethod
    def take(cls, directory: Path) -> Self:
        """Take the lock of a directory. Raises ``RunLocked`` naming the holder, ``OSError`` where it cannot
        be written.
        """
        import fcntl

        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(directory / LOCK, flags, 0o644)
        try:
            for _ in range(20):  # a reader that looks whether somebody holds it does so for an instant
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(0.01)
            else:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 500, 0).decode(errors="replace").strip() or "another process"
            os.close(descriptor)
            raise RunLocked(
                f"run {directory} is in use by {holder}: wait for it, or stop it first (it can be resumed)"
            ) from None
        except OSError as error:
            os.close(descriptor)
            if error.errno in NO_LOCKS:
                raise StoreError(
                    f"{directory}: its file system has no locks ({error.strerror}), so that nothing would "
                    "keep a second process from writing there: choose a directory on a local disk, or mount "
                    "it with locks (NFS: version 4, or a running lock service)"
                ) from error
            raise
        text = (
            f"process {os.getpid()} on {socket.gethostname()} since {datetime.now():%Y-%m-%d %H:%M:%S}\n"
        ).encode()
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text, 0)
        return cls(descriptor)

    def release(self) -> None:
        """Give the lock back; doing so twice is harmless."""
        if self._descriptor is not None:
            import fcntl

            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self._forget()

    def _forget(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


# A forked child shares its parent's lock: were it to outlive a killed parent (a data loader's worker, say),
# the run would
# stay locked. So a child closes its share at once, which leaves the parent's hold as it is.
_HELD: weakref.WeakSet[Lock] = weakref.WeakSet()


def _let_go() -> None:
    for lock in list(_HELD):
        lock._forget()  # without unlocking: that would take it from the parent too


os.register_at_fork(after_in_child=_let_go)
