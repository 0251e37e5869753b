"""A chat model behind an OpenAI-compatible endpoint: concurrent, patient within bounds, and honest about what it may not retry.

Knows nothing of judging. What a server can do (structured output, parameters) is found out once and remembered; the key is
read from the environment at each call and kept nowhere.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import queue
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from iteralign.engines.openai_faults import Fault, Malformed, Server, classify
from iteralign.engines.openai_pace import Pace
from iteralign.errors import BudgetExceeded, EngineError, Filtered, RateLimited, Unavailable
from iteralign.ledger import NOT_SENT, Request, Unmetered, key_of
from iteralign.protocols import Ledger
from iteralign.records import Chat, Completion, Finish, SamplingParams

OPENAI_URL = "https://api.openai.com/v1"
LADDER = ("json_schema", "json_object", "none")
Outcome = Completion | EngineError


def _log(text: str) -> None:
    logging.getLogger("iteralign").warning(text)


@dataclass
class _Session:
    """What the requests of one call share; it lives as long as their event loop."""

    client: Any
    server: Server
    tell: Callable[[str], None]
    slots: asyncio.Semaphore
    finding_out: asyncio.Lock = field(default_factory=asyncio.Lock)
    not_before: float = 0.0  # monotonic seconds: a server that asked for patience is left alone by everybody
    last_success: float = float("-inf")
    under_way: dict[str, asyncio.Task[Completion | Fault]] = field(default_factory=dict)
    spent: BudgetExceeded | None = None  # nothing more may be sent; what is under way is awaited


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request's body, what the ledger knows it by, and how many parameters were known to be refused when it was made."""

    request: dict[str, Any]
    entry: Request
    refused: int


class OpenAIEngine:
    """``protocols.StructuredGenerator`` over HTTP.

    429, 5xx, timeouts, lost connections and unreadable answers are tried again up to ``max_retries`` times with growing, jittered
    pauses (first ``backoff`` seconds); a Retry-After is kept, and told through ``warn``, up to ``patience`` seconds. A refused key,
    an unknown model and a bad request are never tried again. ``timeout``: seconds for one whole request.

    ``ledger`` remembers replies, so that none is paid for twice, and holds the budget: at a cap nothing more is sent, what is under way
    is awaited and kept, and ``BudgetExceeded`` is raised. ``requests_per_minute``, ``tokens_per_minute``: the server's limits, kept.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key_env: str = "OPENAI_API_KEY",
        concurrency: int = 8,
        max_retries: int = 5,
        timeout: float = 60.0,
        warn: Callable[[str], None] = _log,
        *,
        backoff: float = 0.5,
        patience: float = 60.0,
        ledger: Ledger | None = None,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
    ) -> None:
        self._model, self._url, self._key_env = model, base_url or OPENAI_URL, api_key_env
        self._concurrency, self._max_retries, self._timeout, self._warn = concurrency, max_retries, timeout, warn
        self._backoff, self._patience = backoff, patience
        self._ledger: Ledger = ledger or Unmetered()
        self._pace = Pace(requests_per_minute, tokens_per_minute)
        self._rungs: dict[str, str] = {}  # schema title -> what the server can hold it to
        self._refused: set[str] = set()  # parameters that the server does not know
        self._told: dict[str, float] = {}
        self._untold: Counter[str] = Counter()
        self._server()

    def generate(self, chats: Sequence[Chat], params: SamplingParams) -> list[Completion]:
        """One completion per chat, in order. Raises the first chat's ``EngineError``, naming its place."""
        done: list[Completion] = []
        for number, outcome in enumerate(self.attempt(chats, params)):
            if isinstance(outcome, EngineError):
                raise type(outcome)(f"chat {number + 1} of {len(chats)}: {outcome}")
            done.append(outcome)
        return done

    def attempt(self, chats: Sequence[Chat], params: SamplingParams, schema: Mapping[str, Any] | None = None) -> list[Outcome]:
        """One outcome per chat, in order: a completion, or the error of this chat alone. Raises what concerns every chat.

        A chat that fails to the last try while others get through is that chat's trouble; where none gets through, the server's.
        """
        if not chats:
            return []
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self._all(chats, params, schema, self._warn))
        said: queue.SimpleQueue[str] = queue.SimpleQueue()
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(lambda: asyncio.run(self._all(chats, params, schema, said.put)))
            while not (future.done() and said.empty()):  # the caller's thread hears the warnings: it may own a database
                try:
                    self._warn(said.get(timeout=0.05))
                except queue.Empty:
                    continue
            return future.result()

    def _server(self) -> Server:
        """The endpoint with its key. Raises ``Unavailable`` where the key is missing or cannot be one."""
        key = os.environ.get(self._key_env, "").strip()
        server = Server(self._model, self._url, self._key_env, key or None)
        if not key and self._url == OPENAI_URL:
            raise Unavailable(f"{server.place} needs a key: put it into the environment variable {self._key_env}")
        if not key.isascii() or any(c.isspace() or not c.isprintable() for c in key):
            raise Unavailable(f"the value of the environment variable {self._key_env} cannot be a key: it holds spaces or special characters")
        return server

    async def _all(
        self, chats: Sequence[Chat], params: SamplingParams, schema: Mapping[str, Any] | None, tell: Callable[[str], None]
    ) -> list[Outcome]:
        from openai import AsyncOpenAI

        server = self._server()
        async with AsyncOpenAI(api_key=server.key or "none", base_url=self._url, max_retries=0, timeout=self._timeout) as client:
            session = _Session(client, server, tell, asyncio.Semaphore(self._concurrency))
            seen: Counter[Chat] = Counter()
            tasks: list[asyncio.Task[Outcome]] = []
            try:
                async with asyncio.TaskGroup() as group:
                    for chat in chats:
                        tasks.append(group.create_task(self._one(session, chat, params, params.seed + seen[chat], schema)))
                        seen[chat] += 1
            except ExceptionGroup as failed:  # the others were cancelled
                raise failed.exceptions[0] from None
            if session.spent is not None:
                raise session.spent
            return [task.result() for task in tasks]

    async def _one(self, session: _Session, chat: Chat, params: SamplingParams, seed: int, schema: Mapping[str, Any] | None) -> Outcome:
        body = self._body(chat, params, seed)
        done = await (self._ask(session, body, {}) if schema is None else self._ask_structured(session, body, schema))
        if isinstance(done, Completion):
            return done
        if done.kind in ("item", "spent"):
            return done.error
        raise done.error

    async def _ask_structured(self, session: _Session, body: Mapping[str, Any], schema: Mapping[str, Any]) -> Completion | Fault:
        """Ask in the best form that the server is known to take; while none is known, one request at a time finds it out."""
        title = str(schema["title"])
        if title not in self._rungs:
            async with session.finding_out:
                if title not in self._rungs:
                    return await self._find_out(session, body, schema, title)
        return await self._ask(session, body, _form(self._rungs[title], schema))

    async def _find_out(self, session: _Session, body: Mapping[str, Any], schema: Mapping[str, Any], title: str) -> Completion | Fault:
        for rung in LADDER:
            last = rung == LADDER[-1]
            done = await self._ask(session, body, _form(rung, schema), suspect=not last)
            if isinstance(done, Completion):
                self._rungs[title] = rung
                if rung != LADDER[0]:
                    session.tell(f"{session.server.place} does not take response_format {LADDER[0]}: asking with {rung}, and checking every answer")
                return done
            if last or not (done.kind == "request" or done.status >= 500):
                return done
        raise AssertionError("the ladder has a last rung")

    async def _ask(self, session: _Session, body: Mapping[str, Any], form: Mapping[str, Any], *, suspect: bool = False) -> Completion | Fault:
        """One reply; the same request at the same time is sent once."""
        asked = self._asked(session, body, form)
        key = asked.entry.key
        if key not in session.under_way:
            session.under_way[key] = asyncio.ensure_future(self._try(session, body, form, suspect, asked))
            session.under_way[key].add_done_callback(lambda _: session.under_way.pop(key))
        return await session.under_way[key]

    async def _try(self, session: _Session, body: Mapping[str, Any], form: Mapping[str, Any], suspect: bool, asked: _Asked) -> Completion | Fault:
        """One request with its retries. ``suspect``: the form may be what the server stumbles over, so a second 5xx ends it."""
        tries = strikes = 0
        first = float("inf")
        while True:
            async with session.slots:  # held while the server works, not while this request waits for its next try
                while (pause := session.not_before - time.monotonic()) > 0:
                    await asyncio.sleep(pause * random.uniform(1.0, 1.1))
                if asked.refused != len(self._refused):
                    asked = self._asked(session, body, form)
                if (known := self._ledger.recall(asked.entry.key)) is not None:
                    return known
                await asyncio.sleep(self._pace.reserve(asked.entry.most_input // 3 + asked.entry.most_output))
                first = min(first, time.monotonic())
                done = await self._metered(session, asked)
            if isinstance(done, Completion):
                session.last_success = time.monotonic()
                return done
            if done.parameter is not None and done.parameter in asked.request:
                self._refuse(done.parameter, session)
                continue
            tries, strikes = tries + 1, strikes + (done.status >= 500)
            if done.kind != "passing" or (suspect and strikes == 2):
                return done
            if (done.wait or 0.0) > self._patience:
                text = f"{done.error}: the server asks to wait {done.wait:.0f} s, more than {self._patience:g} s: resume later"
                return Fault("fatal", RateLimited(text), done.what, done.status)
            if tries > self._max_retries:
                others_pass = session.last_success > first
                gave_up = type(done.error)(f"{done.error}; gave up after {tries} tries")
                return Fault("item" if others_pass else "fatal", gave_up, done.what, done.status)
            await self._pause(session, done, tries)

    async def _metered(self, session: _Session, asked: _Asked) -> Completion | Fault:
        """Send one request if the ledger admits it, and book what came of it."""
        try:
            while session.spent is None and (ticket := self._ledger.admit(asked.entry)) is None:
                await asyncio.sleep(0.02)
        except BudgetExceeded as error:
            session.spent = error
        if session.spent is not None:
            return Fault("spent", EngineError(str(session.spent)), "the budget is used up")
        done, outcome = None, "cancelled"
        try:
            done = await self._send(session, asked.request)
            outcome = "answered" if isinstance(done, Completion) else done.what if done.sent else NOT_SENT
        finally:
            unpaid = isinstance(done, Fault) and done.unpaid
            self._ledger.settle(ticket or 0, outcome, done if isinstance(done, Completion) else None, unpaid=unpaid)
        return done

    async def _send(self, session: _Session, request: Mapping[str, Any]) -> Completion | Fault:
        from openai import OpenAIError
        from openai.types.chat import ChatCompletion

        try:
            async with asyncio.timeout(self._timeout):  # the client's own timeout starts anew with every byte
                # not chat.completions.create: it walks through every request and its schema again, a millisecond each
                choice, usage = _choice(await session.client.post("/chat/completions", body=request, cast_to=ChatCompletion))
        except (OpenAIError, ValueError, TimeoutError) as error:
            return classify(error, session.server, self._timeout)
        text = choice.message.content or getattr(choice.message, "refusal", None) or ""
        if choice.finish_reason == "content_filter" and not text:
            withheld = Filtered(f"{session.server.place}, model {self._model!r}: the server's content filter withheld the answer")
            return Fault("item", withheld, "a filtered answer")
        finish: Finish = "length" if choice.finish_reason == "length" else "stop"
        return Completion(text, finish, getattr(usage, "prompt_tokens", None) or 0, getattr(usage, "completion_tokens", None) or 0)  # 0: not told

    async def _pause(self, session: _Session, fault: Fault, tries: int) -> None:
        """Exponential with jitter; a pause that the server asked for holds for every request of the session."""
        own = min(self._backoff * 2 ** (tries - 1), self._patience) * random.uniform(0.5, 1.5)
        if fault.wait is not None:
            session.not_before = max(session.not_before, time.monotonic() + fault.wait)
            self._tell(session, fault, f"asks to wait {fault.wait:.1f} s, which is done")
        else:
            self._tell(session, fault, f"try {tries} of {self._max_retries + 1}, again in {own:.1f} s")
        await asyncio.sleep(max(own, fault.wait or 0.0))

    def _tell(self, session: _Session, fault: Fault, what: str) -> None:
        """One warning per kind of trouble in ten seconds; the next one counts those that were left out."""
        now = time.monotonic()
        if now - self._told.get(fault.what, float("-inf")) < 10:
            self._untold[fault.what] += 1
            return
        more = self._untold.pop(fault.what, 0)
        self._told[fault.what] = now
        session.tell(f"{session.server.place}: {fault.what}: {what}" + (f" ({more} more like it since the last warning)" if more else ""))

    def _body(self, chat: Chat, params: SamplingParams, seed: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": m.role, "content": m.text} for m in chat],
            "max_tokens": params.max_new_tokens,
            "temperature": params.temperature,
            "seed": seed,
        }
        return body if params.top_p == 1.0 else body | {"top_p": params.top_p}

    def _accepted(self, body: Mapping[str, Any], form: Mapping[str, Any]) -> dict[str, Any]:
        """The request without what the server refused; newer servers spell the length limit differently."""
        request = {k: v for k, v in {**body, **form}.items() if k not in self._refused}
        return request | {"max_completion_tokens": body["max_tokens"]} if "max_tokens" in self._refused else request

    def _asked(self, session: _Session, body: Mapping[str, Any], form: Mapping[str, Any]) -> _Asked:
        """The request as it is sent and as the ledger knows it. A token is at least a byte, so that the input is at most as long as its JSON."""
        request, server = self._accepted(body, form), session.server
        said = json.dumps([request["messages"], request.get("response_format")], ensure_ascii=False)
        most_input, most_output = len(said.encode(errors="replace")), int(body["max_tokens"])
        return _Asked(request, Request(key_of(server.place, request), server.place, server.model, most_input, most_output), len(self._refused))

    def _refuse(self, parameter: str, session: _Session) -> None:
        if parameter not in self._refused and parameter != "max_tokens":
            session.tell(
                f"{session.server.place}, model {self._model!r} does not take {parameter}: asking without it, so answers may differ between runs"
            )
        self._refused.add(parameter)


def _form(rung: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    if rung == "json_schema":
        return {"response_format": {"type": rung, "json_schema": {"name": schema["title"], "schema": dict(schema), "strict": True}}}
    return {"response_format": {"type": rung}} if rung == "json_object" else {}


def _choice(reply: Any) -> tuple[Any, Any]:
    """The first choice and the usage of a reply. Raises ``Malformed`` for anything else that a server may send with status 200."""
    choices = getattr(reply, "choices", None)
    if not isinstance(choices, list) or not choices or getattr(choices[0], "message", None) is None:
        said = getattr(reply, "error", None) or reply
        raise Malformed(f"{type(reply).__name__}: {str(said)[:200]}")
    if not isinstance(choices[0].message.content, str | None):
        raise Malformed("its content is no text")
    return choices[0], getattr(reply, "usage", None)
