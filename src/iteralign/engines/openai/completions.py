"""A completions endpoint that takes token ids: it answers, scores given text, and is given adapters.

vLLM's is the model of it. Knows nothing of checkpoints and of which weights answer: a name is a name.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property, partial
from typing import Any

from iteralign.chat.format import PROBE, encode_prompt, end_tokens
from iteralign.chat.rows import answer_of, cut
from iteralign.engines.openai.faults import Fault, Malformed
from iteralign.engines.openai.reading import all_of, first_choice, usage
from iteralign.engines.openai.session import Ask, Session
from iteralign.engines.openai.wire import Wire
from iteralign.engines.weights import load_tokenizer
from iteralign.errors import EngineError, NotFound, Unsupported
from iteralign.ledger import Facts, R, Scores
from iteralign.protocols import Ledger
from iteralign.records.chat import Completion

COMPLETIONS = "/completions"
SILENT = (
    "give no log-probabilities of a given text (echo with logprobs): "
    "score with model.engine = hf, or with vLLM"
)


class Completions:
    """Requests of token ids to one server, and what its replies mean under a tokenizer of ours.

    ``served_as``: the model's name on the server. ``place``: folder or hub name of the same model here, for
    its tokenizer. ``wire``: what else ``wire.Wire`` takes. Where a request says ``anew``, the ledger is not
    asked: probes, names and adapters are of this moment.
    """

    def __init__(
        self,
        served_as: str,
        *,
        place: str,
        template: str | None,
        warn: Callable[[str], None],
        ledger: Ledger | None,
        **wire: Any,
    ) -> None:
        self.served_as = served_as
        self._place = place
        self._template = template
        self._warn = warn
        self._booked = Wire(served_as, warn=warn, ledger=ledger, **wire)
        self._anew = Wire(served_as, warn=warn, ledger=None, **wire)

    @cached_property
    def tokenizer(self) -> Any:
        """The model's tokenizer, under our chat format."""
        return load_tokenizer(self._place, self._template, self._warn)

    @property
    def server(self) -> str:
        """Its URL without credentials, for messages."""
        return self._booked.server().place

    def attempt(self, bodies: Sequence[dict[str, Any]], limit: int) -> list[Completion | EngineError]:
        """What the server answers to these requests, each of at most ``limit`` tokens, or a request's own
        error.
        """
        simple = encode_prompt(self.tokenizer, PROBE[:1])
        asks = [
            Ask(COMPLETIONS, body, Completion, self._answer, limit, simple=body | {"prompt": simple})
            for body in bodies
        ]
        return self._attempt(asks)

    def score(
        self, name: str, rows: Sequence[tuple[list[int], int]], *, anew: bool = False
    ) -> list[tuple[float, ...]]:
        """Log-probabilities, nats, of each row's tokens from its start on.

        Raises ``Unsupported`` where the server gives none.
        """
        asks = [
            Ask(COMPLETIONS, _echo(name, ids), Scores, partial(self._scores, name, ids, start), 1)
            for ids, start in rows
        ]
        return [reply.logprobs for reply in self._ask(asks, anew=anew)]

    def tokens(self, name: str, ids: list[int]) -> list[str]:
        """How the server spells these tokens; none where it does not say."""

        def read(reply: Any) -> Facts:
            logprobs = first_choice(reply).get("logprobs")
            return Facts(logprobs.get("tokens") or [] if isinstance(logprobs, dict) else [])

        (told,) = self._ask([Ask(COMPLETIONS, _echo(name, ids), Facts, read, 1)], anew=True)
        return [str(token) for token in told.said[: len(ids)]]

    def models(self) -> dict[str, dict[str, Any]]:
        """The models that the server lists, by name; none where it cannot list them."""
        try:
            (told,) = self._ask([Ask("/models", {}, Facts, Facts, suspect=True)], anew=True)
        except NotFound:
            self._warn(f"{self.server} does not list its models")
            return {}
        listed = told.said.get("data") if isinstance(told.said, dict) else None
        return {str(m.get("id")): m for m in listed or [] if isinstance(m, dict)}

    def load_adapter(self, name: str, folder: str) -> None:
        """Give the server an adapter under this name. Raises ``EngineError`` where it does not take it."""
        self._post("/load_lora_adapter", {"lora_name": name, "lora_path": folder})

    def unload_adapter(self, name: str) -> None:
        """Take an adapter away again. Raises ``EngineError`` where the server has none of this name."""
        self._post("/unload_lora_adapter", {"lora_name": name})

    def _post(self, path: str, body: dict[str, Any]) -> None:
        self._ask([Ask(path, body, Facts, Facts, suspect=True)], anew=True)

    # ---- replies

    def _answer(self, reply: Any) -> Completion:
        choice = first_choice(reply)
        tokens = choice.get("token_ids")
        text = choice.get("text")
        prompt, completion = usage(reply)
        if isinstance(tokens, list) and all(isinstance(t, int) for t in tokens):
            text, finish, kept = answer_of(self.tokenizer, tokens, end_tokens(self.tokenizer))
            if choice.get("finish_reason") == "stop":
                finish = "stop"  # a stop string of ours, which is no end token
            return Completion(text, finish, prompt, completion or kept)
        if not isinstance(text, str):
            raise Malformed("its text is not text")
        text, stopped = cut(self.tokenizer, text)
        finish = "length" if choice.get("finish_reason") == "length" and not stopped else "stop"
        return Completion(text, finish, prompt, completion)

    def _scores(self, name: str, ids: list[int], start: int, reply: Any) -> Scores | Fault:
        logprobs = first_choice(reply).get("logprobs")
        values = logprobs.get("token_logprobs") if isinstance(logprobs, dict) else None
        at = f"{self.server}, model {name!r}"
        if not isinstance(values, list) or len(values) < len(ids):
            return Fault("fatal", Unsupported(f"{at}: the server's completions {SILENT}"), "no scores")
        found = values[start : len(ids)]  # the first token has none: nothing stands before it
        if not all(isinstance(v, float | int) and math.isfinite(v) for v in found):
            return Fault("fatal", EngineError(f"{at}: log-probabilities that are no numbers"), "no numbers")
        return Scores(tuple(float(v) for v in found), *usage(reply))

    def _ask(self, asks: Sequence[Ask[R]], *, anew: bool = False) -> list[R]:
        return all_of(self._attempt(asks, anew=anew))

    def _attempt(self, asks: Sequence[Ask[R]], *, anew: bool = False) -> list[R | EngineError]:
        wire = self._anew if anew else self._booked

        async def work(session: Session) -> list[R | EngineError]:
            pieces: list[Awaitable[R | Fault]] = [wire.ask(session, ask) for ask in asks]
            return await wire.gather(session, pieces)

        return wire.run(work)


def _echo(name: str, ids: list[int]) -> dict[str, Any]:
    """The request that gives a text back with its log-probabilities; servers insist on one new token."""
    return {
        "model": name,
        "prompt": ids,
        "max_tokens": 1,
        "temperature": 0.0,
        "echo": True,
        "logprobs": 1,
    }
