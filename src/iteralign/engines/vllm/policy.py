"""A checkpoint behind a vLLM process of ours: it answers and scores.

Knows nothing of how the process runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from iteralign.engines.openai.host import ServedPolicy, ServerHost
from iteralign.engines.openai.reading import all_of
from iteralign.errors import EngineError
from iteralign.records.chat import Chat, Completion, SamplingParams, Score
from iteralign.records.iteralign import Checkpoint

if TYPE_CHECKING:
    from iteralign.engines.vllm.host import Servers, VLLMHost

ROUNDS = 4
"""Rounds of requests in a part of work: few rows are idle at its end, and little is lost where it stops."""


class VLLMPolicy:
    """A checkpoint that answers and scores (``protocols.Policy`` and ``Scorer``)."""

    def __init__(self, host: VLLMHost, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self._host = host
        self._served: dict[int, ServedPolicy] = {}  # by server: each proves its weights once for this policy
        self._of: ServerHost | None = None

    @property
    def fingerprint(self) -> str:
        """The checkpoint's id, and what changed of template, commit and precision since the run began."""
        return self._host.fingerprint(self.checkpoint)

    def pace(self) -> tuple[float, int]:
        """Chats of a few rounds of requests (``protocols.Paced``)."""
        return math.inf, ROUNDS * self._host.settings.rows

    def generate(self, chats: Sequence[Chat], params: SamplingParams) -> list[Completion]:
        """One completion per chat, in order. Raises the first chat's ``EngineError``."""
        return all_of(self.attempt(chats, params))

    def attempt(self, chats: Sequence[Chat], params: SamplingParams) -> list[Completion | EngineError]:
        """One outcome per chat, in order: its completion, or the error of this chat alone.

        Raises the ``EngineError`` of an engine that concerns all.
        """
        if not chats:
            return []

        def work(servers: Servers) -> list[Completion | EngineError]:
            return self._host.unless_ended(self._policy(servers, 0).attempt(chats, params))

        return self._host.on(self.checkpoint, work)

    def logprobs(self, chats: Sequence[Chat], continuations: Sequence[str]) -> list[Score]:
        """Each continuation as the assistant's answer to its chat, nats, as the transformers engine does."""
        if not chats:
            return []
        return self._host.on(
            self.checkpoint, lambda servers: self._policy(servers, 1).logprobs(chats, continuations)
        )

    def _policy(self, servers: Servers, which: int) -> ServedPolicy:
        if self._of is not servers[0]:
            self._of = servers[0]
            self._served = {}
        key = id(servers[which])
        if key not in self._served:
            self._served[key] = ServedPolicy(servers[which], self.checkpoint)
        return self._served[key]
