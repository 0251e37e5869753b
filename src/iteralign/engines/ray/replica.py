"""One engine on one machine of the cluster, as a Ray actor runs it.

It is told which weights to serve with each part of work, and hands back outcomes with what it had to warn of.
Knows nothing of other replicas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from iteralign.errors import EngineError, IterAlignError, Unavailable
from iteralign.protocols import PolicyHost
from iteralign.records.chat import Chat, Completion, SamplingParams, Score
from iteralign.records.iteralign import Checkpoint

Outcomes = tuple[list[Any] | IterAlignError, list[str]]
"""Results or the error of all of them, and warnings."""


class Make(Protocol):
    """Makes a replica's engine. It goes to other machines: a function of a module."""

    def __call__(self, given: Mapping[str, Any], locate: Any, warn: Any) -> PolicyHost:
        """The engine with these settings."""
        ...


class Replica:
    """Holds an engine. ``make`` builds it from ``given``."""

    def __init__(self, make: Make, given: Mapping[str, Any]) -> None:
        self._said: list[str] = []
        self._open = ExitStack()
        self._served: tuple[str, Any] | None = None
        self._places: dict[str, str] = {}
        self._host = make(given, lambda c: self._places[c.id], self._said.append)

    def ready(self) -> bool:
        """True: it is there."""
        return True

    def attempt(
        self, checkpoint: Checkpoint, place: str, chats: Sequence[Chat], params: SamplingParams
    ) -> Outcomes:
        """One outcome per chat: its completion, or the error of this chat alone."""
        return self._do(checkpoint, place, "attempt", chats, params)

    def logprobs(
        self, checkpoint: Checkpoint, place: str, chats: Sequence[Chat], continuations: Sequence[str]
    ) -> Outcomes:
        """The score of each continuation."""
        return self._do(checkpoint, place, "logprobs", chats, continuations)

    def _do(self, checkpoint: Checkpoint, place: str, what: str, *given: Any) -> Outcomes:
        self._places[checkpoint.id] = place
        found: list[Completion | EngineError] | list[Score] | IterAlignError
        try:
            _must_be_seen(place)
            found = getattr(self._policy(checkpoint), what)(*given)
        except IterAlignError as error:
            found = error
        said, self._said[:] = list(self._said), []
        return found, said

    def _policy(self, checkpoint: Checkpoint) -> Any:
        """The policy of these weights, which stays open until others are asked for: it may hold them."""
        if self._served is None or self._served[0] != checkpoint.id:
            self._served = None
            self._open.close()
            self._served = (checkpoint.id, self._open.enter_context(self._host.serve(checkpoint)))
        return self._served[1]


def _must_be_seen(place: str) -> None:
    """Raises ``Unavailable`` where the folder is not on this machine."""
    if Path(place).is_absolute() and not Path(place).exists():
        import socket

        raise Unavailable(
            f"{place} is not on {socket.gethostname()}: put the run directory and the model on a file system "
            "that all machines of the cluster see under the same path"
        )
