"""A chat model behind an OpenAI-compatible endpoint (``protocols.StructuredGenerator``).

Knows nothing of judging, and leaves retries, limits and the ledger to ``wire``. How far a server can hold a
reply to a schema is found out once and remembered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from iteralign.engines.openai.faults import Fault, Malformed
from iteralign.engines.openai.reading import all_of, first_choice, usage
from iteralign.engines.openai.session import Ask, Session
from iteralign.engines.openai.wire import CHAT, Wire
from iteralign.errors import EngineError, Filtered
from iteralign.log import log
from iteralign.protocols import Ledger
from iteralign.records.chat import Chat, Completion, SamplingParams

Outcome = Completion | EngineError
LADDER = ("json_schema", "json_object", "none")
"""What a reply can be held to, from the best form to none."""


class OpenAIEngine:
    """Answers chats over HTTP.

    What is tried again and how often, the ledger and the limits are those of ``wire.Wire``. ``also``:
    parameters that every request says beside the usual ones.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key_env: str = "OPENAI_API_KEY",
        concurrency: int = 8,
        max_retries: int = 5,
        timeout: float = 60.0,
        warn: Callable[[str], None] = log,
        *,
        backoff: float = 0.5,
        patience: float = 60.0,
        ledger: Ledger | None = None,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        also: Mapping[str, Any] | None = None,
    ) -> None:
        self._model = model
        self._also = dict(also or {})
        self._rungs: dict[str, str] = {}  # schema title -> what the server can hold it to
        self._wire = Wire(
            model,
            base_url,
            api_key_env,
            concurrency,
            max_retries,
            timeout,
            warn,
            backoff=backoff,
            patience=patience,
            ledger=ledger,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
        )

    def generate(self, chats: Sequence[Chat], params: SamplingParams) -> list[Completion]:
        """One completion per chat, in order. Raises the first chat's ``EngineError``, naming its place."""
        return all_of(self.attempt(chats, params))

    def attempt(
        self, chats: Sequence[Chat], params: SamplingParams, schema: Mapping[str, Any] | None = None
    ) -> list[Outcome]:
        """One outcome per chat, in order: a completion, or the error of this chat alone.

        Raises what concerns every chat. A chat that fails to the last try while others get through is that
        chat's trouble; where none gets through, the server's.
        """
        if not chats:
            return []

        async def work(session: Session) -> list[Outcome]:
            seen: Counter[Chat] = Counter()
            pieces: list[Awaitable[Completion | Fault]] = []
            for chat in chats:
                body = self._body(chat, params, params.seed + seen[chat])
                seen[chat] += 1
                pieces.append(
                    self._ask(session, body, {})
                    if schema is None
                    else self._ask_structured(session, body, schema)
                )
            return await self._wire.gather(session, pieces)

        return self._wire.run(work)

    async def _ask_structured(
        self, session: Session, body: Mapping[str, Any], schema: Mapping[str, Any]
    ) -> Completion | Fault:
        """Ask in the best form that the server is known to take.

        While none is known, one request at a time finds it out: else each of many would climb down the ladder
        by itself.
        """
        title = str(schema["title"])
        if title not in self._rungs:
            async with session.lock:
                if title not in self._rungs:
                    return await self._find_out(session, body, schema, title)
        return await self._ask(session, body, _form(self._rungs[title], schema))

    async def _find_out(
        self, session: Session, body: Mapping[str, Any], schema: Mapping[str, Any], title: str
    ) -> Completion | Fault:
        for rung in LADDER:
            last = rung == LADDER[-1]
            done = await self._ask(session, body, _form(rung, schema), suspect=not last)
            if isinstance(done, Completion):
                self._rungs[title] = rung
                if rung != LADDER[0]:
                    session.tell(
                        f"{session.server.place} does not take response_format {LADDER[0]}: "
                        f"asking with {rung}, and checking every answer"
                    )
                return done
            if last or not (done.kind == "request" or (done.kind == "passing" and done.status == 500)):
                return done
        raise AssertionError("the ladder has a last rung")

    async def _ask(
        self, session: Session, body: Mapping[str, Any], form: Mapping[str, Any], *, suspect: bool = False
    ) -> Completion | Fault:
        simple = {**body, "messages": [{"role": "user", "content": "Say yes."}]}
        ask = Ask(
            CHAT,
            {**body, **form},
            Completion,
            partial(self._read, session),
            most_output=int(body["max_tokens"]),
            suspect=suspect,
            simple=simple,
        )
        return await self._wire.ask(session, ask)

    def _read(self, session: Session, reply: Any) -> Completion | Fault:
        choice = first_choice(reply)
        message = choice.get("message")
        if not isinstance(message, dict):
            raise Malformed("its choice has no message")
        text = message.get("content") or message.get("refusal") or ""
        if not isinstance(text, str):
            raise Malformed("its content is no text")
        if choice.get("finish_reason") == "content_filter" and not text:
            withheld = Filtered(
                f"{session.server.place}, model {self._model!r}: "
                "the server's content filter withheld the answer"
            )
            return Fault("item", withheld, "a filtered answer", used=usage(reply))
        return Completion(
            text, "length" if choice.get("finish_reason") == "length" else "stop", *usage(reply)
        )

    def _body(self, chat: Chat, params: SamplingParams, seed: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": m.role, "content": m.text} for m in chat],
            "max_tokens": params.max_new_tokens,
            "temperature": params.temperature,
            "seed": seed,
            "top_p": params.top_p,
        }
        return body | self._also


def _form(rung: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    if rung == "json_schema":
        return {
            "response_format": {
                "type": rung,
                "json_schema": {"name": schema["title"], "schema": dict(schema), "strict": True},
            }
        }
    return {"response_format": {"type": rung}} if rung == "json_object" else {}
