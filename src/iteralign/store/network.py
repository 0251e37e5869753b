"""Whether a directory lies on a network file system, where locks hold only as far as its server has them.

Reads the system's table of mounts. Knows nothing of runs.
"""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = re.compile(
    r"nfs\d*|cifs|smb\d*|smbfs|afs|9p|ceph|lustre|gpfs|beegfs|glusterfs|pvfs2|orangefs|panfs|wekafs|"
    r"fuse\.(?:sshfs|s3fs|gcsfuse|goofys|rclone|blobfuse\d*|mount-s3|juicefs|cephfs?|glusterfs|davfs\d*)"
)


def network_of(directory: Path, mounts: Path = MOUNTS) -> str | None:
    """The kind of the network file system that a directory lies on; None for a local one, or an unknown."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        place = directory.resolve()
    except OSError:
        return None
    found = [f for f in map(_mount, lines) if f is not None and place.is_relative_to(f[0])]
    if not found:
        return None
    deepest = max(len(point.parts) for point, _ in found)
    kind = [k for point, k in found if len(point.parts) == deepest][-1]  # the last one mounted is on top
    return kind if _NETWORK.fullmatch(kind) else None


def _mount(line: str) -> tuple[Path, str] | None:
    """Mount point and kind of a line of mountinfo: ``ID PARENT DEV ROOT POINT OPTIONS ... - KIND ...``."""
    before, dash, after = line.partition(" - ")
    fields = before.split(" ")
    if not dash or len(fields) < 5 or not after:
        return None
    point = re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), fields[4])
    return Path(point), after.split(" ")[0]
