"""Runs of these tests lie in memory where there is room: small transactions need not wait for a disk."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """As pytest's, elsewhere."""
    with tempfile.TemporaryDirectory(prefix="iteralign-test-", dir=IN_MEMORY) as folder:
        yield Path(folder)
