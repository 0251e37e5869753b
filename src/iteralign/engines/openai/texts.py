"""A completions endpoint that continues texts as they stand, for models with a form of their own.

vLLM's is the model of it. Knows nothing of what the texts are for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from iteralign.engines.openai.faults import Fault, Malformed
from iteralign.engines.openai.reading import first_choice, usage
from iteralign.engines.openai.session import Ask, Session
from iteralign.engines.openai.wire import Wire
from iteralign.errors import EngineError, RefusedByTemplate
from iteralign.ledger import Facts
from iteralign.protocols import Ledger
from iteralign.records.chat import Chat, Continuation, Finish

COMPLETIONS = "/completions"
LIKELY = 20
"""Alternatives that are asked of a token: as many as vLLM gives, where it is not told otherwise."""


class ServedTexts:
    """``protocols.Continuing`` over a server. ``wire``: what else ``wire.Wire`` takes."""

    def __init__(
        self, model: str, *, warn: Callable[[str], None], ledger: Ledger | None, **wire: Any
    ) -> None:
        self._model = model
        self._wire = Wire(model, warn=warn, ledger=ledger, **wire)

    def template(self) -> str | None:
        """None: a server does not show it."""
        return None

    def written(self, chat: Chat, settings: Mapping[str, Any]) -> str:
        """Raises ``RefusedByTemplate``: there is no template."""
        raise RefusedByTemplate(f"the server of {self._model!r} does not show its chat template")

    def continued(self, texts: Sequence[str], limit: int) -> list[Continuation | EngineError]:
        """The greedy continuation of each text, in order, or its own error.

        Raises ``EngineError`` for what concerns every text.
        """
        asks = [Ask(COMPLETIONS, self._body(t, limit), Facts, _facts, limit) for t in texts]

        async def work(session: Session) -> list[Facts | EngineError]:
            pieces: list[Awaitable[Facts | Fault]] = [self._wire.ask(session, ask) for ask in asks]
            return await self._wire.gather(session, pieces)

        found = self._wire.run(work)
        return [f if isinstance(f, EngineError) else _continuation(f) for f in found]

    def _body(self, text: str, limit: int) -> dict[str, Any]:
        return {
            "model": self._model,
            "prompt": text,
            "max_tokens": limit,
            "temperature": 0.0,
            "logprobs": LIKELY,
            "add_special_tokens": False,  # the text has its own
        }


def _facts(reply: Any) -> Facts:
    """What a reply holds that matters, as the ledger keeps it."""
    choice = first_choice(reply)
    text = choice.get("text")
    if not isinstance(text, str):
        raise Malformed("its text is not text")
    told = choice.get("logprobs")
    told = told if isinstance(told, dict) else {}
    tokens = told.get("tokens")
    likely = told.get("top_logprobs")
    said = {
        "text": text,
        "tokens": tokens if isinstance(tokens, list) else [],
        "likely": likely if isinstance(likely, list) else [],
        "cut": choice.get("finish_reason") == "length",
    }
    return Facts(said, *usage(reply))


def _continuation(facts: Facts) -> Continuation:
    said = facts.said
    tokens = tuple(map(str, said["tokens"]))
    likely = tuple(
        tuple((str(t), float(p)) for t, p in step.items() if isinstance(p, int | float))
        if isinstance(step, dict)
        else ()
        for step in said["likely"]
    )
    finish: Finish = "length" if said["cut"] else "stop"
    whole = str(said["text"])
    # the last token may be one that ends the reply, which the text leaves out
    while tokens and "".join(tokens) != whole and "".join(tokens[:-1]).startswith(whole):
        tokens = tokens[:-1]
    if "".join(tokens) != whole or len(likely) < len(tokens):
        return Continuation((whole,), (), finish)
    return Continuation(tokens, likely[: len(tokens)], finish)
