"""Judges behind a vLLM process of ours: a chat model that answers in a form, and a guard's texts.

Knows nothing of what is judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from iteralign.engines.openai.generator import OpenAIEngine
from iteralign.engines.openai.host import ServerHost
from iteralign.engines.openai.reading import all_of
from iteralign.engines.openai.texts import ServedTexts
from iteralign.engines.vllm.host import Servers, VLLMHost
from iteralign.engines.vllm.settings import SERVED_AS
from iteralign.errors import EngineError
from iteralign.protocols import Continuing
from iteralign.records.chat import Chat, Completion, Continuation, SamplingParams
from iteralign.records.iteralign import Checkpoint


class VLLMChat:
    """A chat model that answers in a form (``protocols.StructuredGenerator``), for an oracle.

    The model's own template is applied by the server.
    """

    def __init__(self, host: VLLMHost, checkpoint: Checkpoint) -> None:
        self._host = host
        self._checkpoint = checkpoint
        self._engine: tuple[ServerHost, OpenAIEngine] | None = None

    def generate(self, chats: Sequence[Chat], params: SamplingParams) -> list[Completion]:
        """One completion per chat, in order. Raises the first chat's ``EngineError``."""
        return all_of(self.attempt(chats, params))

    def attempt(
        self, chats: Sequence[Chat], params: SamplingParams, schema: Mapping[str, Any] | None = None
    ) -> list[Completion | EngineError]:
        """One outcome per chat, in order; answers follow ``schema``."""
        if not chats:
            return []

        def work(servers: Servers) -> list[Completion | EngineError]:
            if self._engine is None or self._engine[0] is not servers[0]:
                servers[0].ready(self._checkpoint)
                engine = OpenAIEngine(
                    SERVED_AS,
                    warn=self._host.warn,
                    concurrency=self._host.settings.rows,
                    **self._host.reached(),
                )
                self._engine = (servers[0], engine)
            return self._host.unless_ended(self._engine[1].attempt(chats, params, schema))

        return self._host.on(self._checkpoint, work)


class VLLMTexts:
    """Continues texts as they stand, for guards (``protocols.Continuing``).

    ``forms``: what reads the chat template, without weights.
    """

    def __init__(self, host: VLLMHost, checkpoint: Checkpoint, forms: Continuing) -> None:
        self._host = host
        self._checkpoint = checkpoint
        self.template = forms.template
        self.written = forms.written

    def continued(self, texts: Sequence[str], limit: int) -> list[Continuation | EngineError]:
        """The greedy continuation of each text, in order, or its own error."""

        def work(servers: Servers) -> list[Continuation | EngineError]:
            served = ServedTexts(
                SERVED_AS,
                warn=self._host.warn,
                ledger=None,
                concurrency=self._host.settings.rows,
                **self._host.reached(),
            )
            return self._host.unless_ended(served.continued(texts, limit))

        return self._host.on(self._checkpoint, work)
