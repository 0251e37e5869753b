"""Who has the device: models that are too large to stay beside others take turns on it.

A device's memory is one for the process, so this knows every host of the process. Knows nothing of loading.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from weakref import WeakSet

KEEP_WARM = 2 << 30
"""Bytes: smaller models stay loaded beside others, and between two uses."""
BATCH = 8 << 30
"""Bytes that are kept free for keys and values, and for what a training's kernels take beside the plan."""


class Holder(Protocol):
    """What may have a model loaded."""

    def held(self) -> int:
        """Bytes of its weights that are loaded."""
        ...

    def free(self) -> None:
        """Give them back."""
        ...


_HOLDERS: WeakSet[Holder] = WeakSet()


def take(
    holder: Holder | None, needs: Callable[[], float] = lambda: math.inf, *, device: str = "cuda"
) -> bool:
    """Have other holders of large models give them back, before one is loaded (or trained: None).

    They keep them where the ``device`` that it goes to has room for what it ``needs`` (bytes) beside them:
    only a GPU's room is known. Tells whether any was given back.
    """
    others = [h for h in list(_HOLDERS) if h is not holder and h.held() > KEEP_WARM]
    if holder is not None:
        _HOLDERS.add(holder)
    room = spare() if device == "cuda" else 0.0
    if not others or needs() <= room:
        return False
    for other in others:
        other.free()
    return True


def spare() -> float:
    """Bytes of the GPU that are free; 0 without one: there nothing stays.

    What torch keeps for nothing is given back before, for what is to come may be another process.
    """
    torch = sys.modules.get("torch")  # where it was never imported, no model is loaded
    if torch is None or not torch.cuda.is_available():
        return 0.0
    torch.cuda.empty_cache()
    return float(torch.cuda.mem_get_info()[0])


def loading_bytes(folder: Path, precision: str) -> float:
    """What the weights in a folder may take on the device, and a batch beside them; inf where none are."""
    size = sum(f.stat().st_size for kind in ("*.safetensors", "*.bin") for f in folder.glob(kind))
    return (2 if precision == "float32" else 1) * size + BATCH if size else math.inf
