"""What a request is, and what the requests of one call to a server share while they are under way.

Sends nothing itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic

from iteralign.engines.openai.faults import Fault, Server
from iteralign.ledger import R


@dataclass
class Session:
    """What the requests of one call share; it lives as long as their event loop."""

    client: Any
    server: Server
    tell: Callable[[str], None]
    slots: asyncio.Semaphore
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)  # for what is found out once
    not_before: float = 0.0  # monotonic seconds: a server that asked for patience is left alone by everybody
    last_success: float = float("-inf")
    under_way: dict[str, asyncio.Task[Any]] = field(default_factory=dict)
    stop: BaseException | None = None  # nothing more may be sent; what is under way is awaited and kept
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    alive: asyncio.Task[bool] | None = None
    alive_since: float = float("-inf")  # when it was asked

    def halt(self, error: BaseException) -> None:
        """Send nothing more, for this reason; the first one counts."""
        self.stop = self.stop or error
        self.stopped.set()

    async def sleep(self, seconds: float) -> None:
        """Wait so long, or until the session is halted."""
        try:
            await asyncio.wait_for(self.stopped.wait(), max(0.0, seconds))
        except TimeoutError:
            return


@dataclass(frozen=True, slots=True)
class Ask(Generic[R]):
    """A request: where it goes, what it says (nothing: a GET), what is replied, and how that is read.

    ``read`` makes a reply of this ``kind`` of the JSON, and raises ``Malformed`` where it is no such reply.
    ``most_output``: tokens that the reply has at most. ``suspect``: its form may be what the server stumbles
    over, so that a second 500 ends it. ``simple``: a request of the same kind that any server that works at
    all answers. ``implied``: values that need not be said, for they are the API's own.
    """

    path: str
    body: Mapping[str, Any]
    kind: type[R]
    read: Callable[[Any], R | Fault]
    most_output: int = 0
    suspect: bool = False
    simple: Mapping[str, Any] | None = None
    implied: Mapping[str, Any] = field(default_factory=dict)
