"""Who has the device: models that are too large to stay beside others take turns on it.

A device's memory is one for the process, so this knows every host of the process. Knows nothing of loading.
"""

from __future__ import annotations

from typing import Protocol
from weakref import WeakSet

KEEP_WARM = 2 << 30
"""Bytes: smaller models stay loaded beside others, and between two uses."""


class Holder(Protocol):
    """What may have a model loaded."""

    def held(self) -> int:
        """Bytes of its weights that are loaded."""
        ...

    def free(self) -> None:
        """Give them back."""
        ...


_HOLDERS: WeakSet[Holder] = WeakSet()


def take(holder: Holder | None) -> None:
    """Have every other holder of a large model give it back, before one is loaded (or trained: None)."""
    for other in list(_HOLDERS):
        if other is not holder and other.held() > KEEP_WARM:
            other.free()
    if holder is not None:
        _HOLDERS.add(holder)
