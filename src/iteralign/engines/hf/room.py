"""How many tokens fit into memory at once, as far as batches have shown. Knows no device and no model."""

from __future__ import annotations

import math

_CALM = 4
"""Batches at the limit that must have fitted before a larger one is tried, doubled each time it fails."""


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that memory does not suffice. CPU and MPS say it as plain RuntimeErrors."""
    import torch

    text = str(error).lower()
    said = "out of memory" in text or "can't allocate memory" in text or "alloc_failed" in text
    return said or isinstance(error, (torch.OutOfMemoryError, MemoryError))


class Room:
    """A limit on rows times tokens. There is none until a batch did not fit.

    Counted in tokens, so that one long batch costs only such batches their size; and it grows back, because
    what took the memory may be gone.
    """

    def __init__(self) -> None:
        self._tokens = math.inf
        self._calm = 0
        self._patience = _CALM

    def rows(self, length: int, most: int) -> int:
        """Rows of so many tokens that go together, one at least."""
        return max(1, int(min(most, self._tokens / max(1, length))))

    def fell_short(self, rows: int, length: int) -> int:
        """A batch did not fit; gives the rows that are tried next."""
        if self._tokens < math.inf:
            self._patience *= 2
        self._tokens = rows * length / 2
        self._calm = 0
        return self.rows(length, rows // 2)

    def fitted(self, rows: int, length: int) -> None:
        """A batch fitted. After some that the limit had bounded, it is doubled."""
        if (rows + 1) * length <= self._tokens:
            return
        self._calm += 1
        if self._calm >= self._patience:
            self._tokens *= 2
            self._calm = 0
