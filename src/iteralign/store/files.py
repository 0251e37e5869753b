"""How files are written: whole or not at all, and never through a link that somebody left there.

A directory from elsewhere may hold links, pipes and devices where files belong. Knows no run.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from iteralign.errors import StoreError

OTHERS_MAY_WRITE = 0o022
_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISREG, "a file"),
)


def kind_of(path: Path) -> str | None:
    """What lies at a path, in words, links not followed; None where nothing does. Raises ``OSError``."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return None
    return next((words for holds, words in _KINDS if holds(mode)), "something else")


def must_be_file(path: Path) -> None:
    """Raises ``StoreError`` where something else than a regular file lies at the path."""
    _must_be(path, "a file")


def must_be_folder(path: Path) -> None:
    """Raises ``StoreError`` where something else than a folder lies at the path."""
    _must_be(path, "a folder")


def _must_be(path: Path, wanted: str) -> None:
    found = kind_of(path)
    if found not in (None, wanted):
        raise StoreError(
            f"{path} is {found}, where {wanted} belongs: nothing is read or written through it; remove it, "
            f"or put {wanted} there"
        )


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """A file to write into, which gets its name, and replaces what had it, when the block ends without error.

    It is new (never a link or a file that was there), follows the umask, and survives a power cut. Raises
    ``OSError``.
    """
    partial = path.with_name(f".{path.name}.new")
    partial.unlink(missing_ok=True)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(partial, flags, 0o666), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        flush_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes | Iterable[str | bytes]) -> None:
    """Write a file, in one piece or in many: it is there whole or not at all. Raises ``OSError``."""
    with written(path) as file:
        for part in [content] if isinstance(content, str | bytes) else content:
            file.write(part.encode() if isinstance(part, str) else part)


def write_for_user(path: Path, content: str | Iterable[str]) -> None:
    """As ``write_whole``, for a file that a user named; its folder is made. Raises ``StoreError``."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror or error}; make room, or choose another place"
        ) from error


def flush_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system without such a thing
            raise
    finally:
        os.close(descriptor)


def remove_tree(path: Path) -> None:
    """Delete a folder with all that is in it; of a link the link alone."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path)


def links_in(folder: Path) -> Iterator[Path]:
    """What is neither a regular file nor a folder, in a folder and its folders; links are not followed."""
    for place, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            if kind_of(Path(place, name)) not in ("a file", "a folder"):
                yield Path(place, name)


def close_to_others(folder: Path) -> None:
    """Take from everybody but the owner the right to write into a folder, its folders and their files."""
    for place, _, files in os.walk(folder):
        for path in [Path(place), *(Path(place, name) for name in files)]:
            if not path.is_symlink():
                mode = path.stat().st_mode
                if mode & OTHERS_MAY_WRITE:
                    path.chmod(stat.S_IMODE(mode) & ~OTHERS_MAY_WRITE)
