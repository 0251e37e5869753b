"""Keeps requests and tokens per minute under a server's limits by spacing them evenly.

There is no burst, so that no minute holds more. Knows nothing of requests. Times are monotonic seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """Says how long to wait. ``None`` is no limit. Threads may not share it."""

    def __init__(
        self,
        requests_per_minute: int | None,
        tokens_per_minute: int | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_request = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._per_token = 60.0 / tokens_per_minute if tokens_per_minute else 0.0
        self._clock = clock
        self._free = float("-inf")

    def reserve(self, tokens: int) -> float:
        """Seconds to wait before a request of at most so many tokens may be sent; its place is taken."""
        now = self._clock()
        start = max(now, self._free)
        self._free = start + max(self._per_request, self._per_token * tokens)
        return start - now
