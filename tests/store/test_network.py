"""A run on a network file system, or on one without locks, is reported."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from iteralign.errors import StoreError
from iteralign.store.lock import Lock
from iteralign.store.network import network_of

TABLE = r"""22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:40 / /home rw shared:1 - nfs4 server:/home rw
31 30 0:41 / /home/my\040scratch rw - xfs /dev/sdb rw
32 22 0:42 / /mnt/lustre rw - lustre 10.0.0.1@tcp:/fs rw
33 22 0:43 / /mnt/remote rw - fuse.sshfs me@host: rw
a line that no kernel writes
"""


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        ("/home/me/runs/a", "nfs4"),
        ("/home/my scratch/runs", None),
        ("/homework", None),
        ("/mnt/lustre/a", "lustre"),
        ("/mnt/remote", "fuse.sshfs"),
        ("/tmp/a", None),
    ],
)
def test_the_deepest_mount_tells(directory: str, kind: str | None, tmp_path: Path) -> None:
    (tmp_path / "mounts").write_text(TABLE)
    assert network_of(Path(directory), tmp_path / "mounts") == kind


def test_a_system_without_a_table_tells_nothing(tmp_path: Path) -> None:
    assert network_of(tmp_path, tmp_path / "none") is None


def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StoreError, match=r"has no locks \(No locks available\).* local disk"):
        Lock.take(tmp_path)
