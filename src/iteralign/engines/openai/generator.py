"""A chat model behind an OpenAI-compatible endpoint (``protocols.StructuredGenerator``).

Knows nothing of judging, and leaves retries, limits and the ledger to ``wire``. How far a server can hold a
reply to a schema, and whether it takes a system turn, is found out once and remembered.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from iteralign.chat.thoughts import written
from iteralign.engines.openai.faults import Fault
from iteralign.engines.openai.parameters import DEFAULTS
from iteralign.engines.openai.reading import all_of, first_choice, text_of, thought_of, usage
from iteralign.engines.openai.session import Ask, Session
from iteralign.engines.openai.wire import CHAT, Wire
from iteralign.errors import EngineError
from iteralign.log import log
from iteralign.protocols import Ledger
from iteralign.records.chat import Chat, Completion, SamplingParams

Outcome = Completion | EngineError
LADDER = ("json_schema", "json_object", "none")
"""What a reply can be held to, from the best form to none."""
_OF_THE_SYSTEM_TURN = re.compile(
    r"system[ _-]?(?:role|prompt|message|turn|instruction)|['\"`]system['\"`]|developer instruction|"
    r"\broles?\b",
    re.IGNORECASE,
)


class OpenAIEngine:
    """Answers chats over HTTP.

    What is tried again and how often, the ledger and the limits are those of ``wire.Wire``. ``also``:
    parameters that every request says beside the usual ones. ``thoughts``: whether what a server gives as a
    thought beside the answer stands in the text, before it.
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
        patience: float = 90.0,
        ledger: Ledger | None = None,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        also: Mapping[str, Any] | None = None,
        thoughts: bool = False,
        token: str | None = None,
        socket: str | None = None,
    ) -> None:
        self._model = model
        self._also = dict(also or {})
        self._thoughts = thoughts
        self._implied = {} if also else DEFAULTS  # who says more than the usual leaves nothing to a server
        self._rungs: dict[str, str] = {}  # schema title -> what the server can hold it to
        self._folds: bool | None = None  # whether system turns must open the user turn, once it is known
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
            token=token,
            socket=socket,
        )

    def remembers(self, chat: Chat, params: SamplingParams) -> bool:
        """Whether the ledger holds the reply to this chat, so that asking for it would send nothing."""
        return self._wire.remembers(CHAT, self._body(chat, params, params.seed), Completion)

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
                pieces.append(self._ask_in_form(session, body, schema))
            return await self._wire.gather(session, pieces)

        return self._wire.run(work)

    async def _ask_in_form(
        self, session: Session, body: Mapping[str, Any], schema: Mapping[str, Any] | None
    ) -> Completion | Fault:
        """Ask in the best form that the server is known to take.

        While none is known, one request at a time finds it out: else each of many would climb down the ladder
        by itself.
        """
        if not self._known(body, schema):
            async with session.lock:
                if not self._known(body, schema):
                    return await self._find_out(session, body, schema)
        ((fold, rung),) = self._forms(body, schema)
        return await self._ask(session, body, schema, fold, rung)

    def _known(self, body: Mapping[str, Any], schema: Mapping[str, Any] | None) -> bool:
        return len(self._forms(body, schema)) == 1

    def _forms(self, body: Mapping[str, Any], schema: Mapping[str, Any] | None) -> list[tuple[bool, str]]:
        """The forms that may do, best first: whether the system turn is folded, and a rung of the ladder."""
        folds = [self._folds] if self._folds is not None else [False, True]
        if body["messages"][0]["role"] != "system" or len(body["messages"]) < 2:
            folds = [False]
        title = "" if schema is None else str(schema["title"])
        rungs = [LADDER[-1]] if schema is None else [self._rungs[title]] if title in self._rungs else LADDER
        return [(fold, rung) for fold in folds for rung in rungs]

    async def _find_out(
        self, session: Session, body: Mapping[str, Any], schema: Mapping[str, Any] | None
    ) -> Completion | Fault:
        forms = self._forms(body, schema)
        while True:
            fold, rung = forms.pop(0)
            done = await self._ask(session, body, schema, fold, rung, suspect=bool(forms))
            if isinstance(done, Completion):
                self._learn(session, body, schema, fold, rung)
                return done
            if not forms or not (done.kind == "request" or (done.kind == "passing" and done.status == 500)):
                return done
            folded = [form for form in forms if form[0]]
            if folded and _OF_THE_SYSTEM_TURN.search(str(done.error)):
                forms = folded
            elif done.kind != "request":  # a 500 does not mean that the system turn is refused
                forms = [form for form in forms if form[0] == fold] or [(fold, rung)]

    def _learn(
        self,
        session: Session,
        body: Mapping[str, Any],
        schema: Mapping[str, Any] | None,
        fold: bool,
        rung: str,
    ) -> None:
        """Remember the form that the server took, and say what it did not take."""
        place = session.server.place
        if body["messages"][0]["role"] == "system" and self._folds is None:
            self._folds = fold
            if fold:
                session.tell(
                    f"{place}, model {self._model!r} takes no system turn: its text opens the user turn"
                )
        if schema is None or schema["title"] in self._rungs:
            return
        self._rungs[str(schema["title"])] = rung
        if rung != LADDER[0]:
            session.tell(
                f"{place} does not take response_format {LADDER[0]}: asking with {rung}, "
                "and checking every answer"
            )

    async def _ask(
        self,
        session: Session,
        body: Mapping[str, Any],
        schema: Mapping[str, Any] | None,
        fold: bool,
        rung: str,
        *,
        suspect: bool = False,
    ) -> Completion | Fault:
        messages = _folded(body["messages"]) if fold else body["messages"]
        ask = Ask(
            CHAT,
            {**body, "messages": messages, **({} if schema is None else _form(rung, schema))},
            Completion,
            partial(_read, anywhere=schema is not None, thoughts=self._thoughts),
            most_output=int(body["max_tokens"]),
            suspect=suspect,
            simple={**body, "messages": [{"role": "user", "content": "Say yes."}]},
            implied=self._implied,
        )
        return await self._wire.ask(session, ask)

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


def _read(reply: Any, *, anywhere: bool, thoughts: bool) -> Completion:
    choice = first_choice(reply)
    text = text_of(choice, anywhere=anywhere)
    if thoughts and (thought := thought_of(choice)):
        text = written(thought, text, ended=bool(text.strip()))
    finish = str(choice.get("finish_reason")).lower()
    return Completion(text, "length" if finish in ("length", "max_tokens") else "stop", *usage(reply))


def _folded(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The turns without the system turn: its text opens the first user turn."""
    system, first, *rest = messages
    return [{**first, "content": f"{system['content']}\n\n{first['content']}"}, *map(dict, rest)]


def _form(rung: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    if rung == "json_schema":
        return {
            "response_format": {
                "type": rung,
                "json_schema": {"name": schema["title"], "schema": dict(schema), "strict": True},
            }
        }
    return {"response_format": {"type": rung}} if rung == "json_object" else {}
