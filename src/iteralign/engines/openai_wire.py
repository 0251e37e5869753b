"""One OpenAI-compatible endpoint: concurrent, patient within bounds, metered, and honest about what it may not retry.

Sends bodies to paths and gives back what a reader makes of the replies. Knows nothing of chats, schemas or weights. The key is read
from the environment at each call and kept nowhere.
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
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from iteralign.engines.openai_faults import Fault, Server, classify
from iteralign.engines.openai_pace import Pace
from iteralign.errors import BudgetExceeded, EngineError, RateLimited, Unavailable
from iteralign.ledger import NOT_SENT, Request, Unmetered, key_of
from iteralign.protocols import Ledger
from iteralign.records import Completion

OPENAI_URL = "https://api.openai.com/v1"
CHAT = "/chat/completions"
T = TypeVar("T")
Outcome = Completion | EngineError
Read = Callable[[Any], Completion | Fault]
"""From a reply's JSON to what it says. Raises ``Malformed`` where it is no such reply."""


def log(text: str) -> None:
    """The listener of who has no other."""
    logging.getLogger("iteralign").warning(text)


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
    under_way: dict[str, asyncio.Task[Completion | Fault]] = field(default_factory=dict)
    spent: BudgetExceeded | None = None  # nothing more may be sent; what is under way is awaited


@dataclass(frozen=True, slots=True)
class Ask:
    """A request: where it goes, what it says (nothing: a GET), and how its reply is read. ``suspect``: its form may be what the server stumbles over,
    so that a second 5xx ends it. ``most_output``: tokens that the reply has at most."""

    path: str
    body: Mapping[str, Any]
    read: Read
    most_output: int = 0
    suspect: bool = False


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request as it is sent, what the ledger knows it by, and how many parameters were known to be refused when it was made."""

    body: dict[str, Any]
    entry: Request
    refused: int


class Wire:
    """Requests to one endpoint.

    429, 5xx, timeouts, lost connections and unreadable answers are tried again up to ``max_retries`` times with growing, jittered
    pauses (first ``backoff`` seconds); a Retry-After is kept, and told through ``warn``, up to ``patience`` seconds. A refused key,
    an unknown model and a bad request are never tried again. ``timeout``: seconds for one whole request.

    ``ledger`` remembers replies, so that none is paid for twice, and holds the budget: at a cap nothing more is sent, what is under way
    is awaited and kept, and ``BudgetExceeded`` is raised. ``requests_per_minute``, ``tokens_per_minute``: the server's limits, kept.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None,
        api_key_env: str,
        concurrency: int,
        max_retries: int,
        timeout: float,
        warn: Callable[[str], None],
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
        self._refused: set[str] = set()  # parameters that the server does not know
        self._told: dict[str, float] = {}
        self._untold: Counter[str] = Counter()
        self.server()

    def server(self) -> Server:
        """The endpoint with its key. Raises ``Unavailable`` where the key is missing or cannot be one."""
        key = os.environ.get(self._key_env, "").strip()
        server = Server(self._model, self._url, self._key_env, key or None)
        if not key and self._url == OPENAI_URL:
            raise Unavailable(f"{server.place} needs a key: put it into the environment variable {self._key_env}")
        if not key.isascii() or any(c.isspace() or not c.isprintable() for c in key):
            raise Unavailable(f"the value of the environment variable {self._key_env} cannot be a key: it holds spaces or special characters")
        return server

    def run(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """What the work on a session of its own comes to; from inside an event loop, too."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self._run(work, self._warn))
        said: queue.SimpleQueue[str] = queue.SimpleQueue()
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(lambda: asyncio.run(self._run(work, said.put)))
            while not (future.done() and said.empty()):  # the caller's thread hears the warnings: it may own a database
                try:
                    self._warn(said.get(timeout=0.05))
                except queue.Empty:
                    continue
            return future.result()

    async def _run(self, work: Callable[[Session], Awaitable[T]], tell: Callable[[str], None]) -> T:
        from openai import AsyncOpenAI

        server = self.server()
        async with AsyncOpenAI(api_key=server.key or "none", base_url=self._url, max_retries=0, timeout=self._timeout) as client:
            return await work(Session(client, server, tell, asyncio.Semaphore(self._concurrency)))

    async def gather(self, session: Session, work: list[Awaitable[Completion | Fault]]) -> list[Outcome]:
        """One outcome per piece of work, in order: its completion, or the error that is its own. Raises what concerns all of it."""

        async def one(piece: Awaitable[Completion | Fault]) -> Outcome:
            done = await piece
            if isinstance(done, Completion):
                return done
            if done.kind in ("item", "spent"):
                return done.error
            raise done.error

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(piece)) for piece in work]
        except ExceptionGroup as failed:  # the others were cancelled
            raise failed.exceptions[0] from None
        if session.spent is not None:
            raise session.spent
        return [task.result() for task in tasks]

    async def ask(self, session: Session, ask: Ask) -> Completion | Fault:
        """One reply; the same request at the same time is sent once. A chat that fails to the last try while others get through is
        that chat's trouble; where none gets through, the server's."""
        sent = self._sent(session, ask)
        key = sent.entry.key
        if key not in session.under_way:
            session.under_way[key] = asyncio.ensure_future(self._try(session, ask, sent))
            session.under_way[key].add_done_callback(lambda _: session.under_way.pop(key))
        return await session.under_way[key]

    async def _try(self, session: Session, ask: Ask, sent: _Sent) -> Completion | Fault:
        """One request with its retries."""
        tries = strikes = 0
        first = float("inf")
        while True:
            async with session.slots:  # held while the server works, not while this request waits for its next try
                while (pause := session.not_before - time.monotonic()) > 0:
                    await asyncio.sleep(pause * random.uniform(1.0, 1.1))
                if sent.refused != len(self._refused):
                    sent = self._sent(session, ask)
                if (known := self._ledger.recall(sent.entry.key)) is not None:
                    return known
                await asyncio.sleep(self._pace.reserve(sent.entry.most_input // 3 + sent.entry.most_output))
                first = min(first, time.monotonic())
                done = await self._metered(session, ask, sent)
            if isinstance(done, Completion):
                session.last_success = time.monotonic()
                return done
            if done.parameter is not None and done.parameter in sent.body:
                self._refuse(done.parameter, session)
                continue
            tries, strikes = tries + 1, strikes + (done.status >= 500)
            if done.kind != "passing" or (ask.suspect and strikes == 2):
                return done
            if (done.wait or 0.0) > self._patience:
                text = f"{done.error}: the server asks to wait {done.wait:.0f} s, more than {self._patience:g} s: resume later"
                return Fault("fatal", RateLimited(text), done.what, done.status)
            if tries > self._max_retries:
                others_pass = session.last_success > first
                gave_up = type(done.error)(f"{done.error}; gave up after {tries} tries")
                return Fault("item" if others_pass else "fatal", gave_up, done.what, done.status)
            await self._pause(session, done, tries)

    async def _metered(self, session: Session, ask: Ask, sent: _Sent) -> Completion | Fault:
        """Send one request if the ledger admits it, and book what came of it."""
        try:
            while session.spent is None and (ticket := self._ledger.admit(sent.entry)) is None:
                await asyncio.sleep(0.02)
        except BudgetExceeded as error:
            session.spent = error
        if session.spent is not None:
            return Fault("spent", EngineError(str(session.spent)), "the budget is used up")
        done, outcome = None, "cancelled"
        try:
            done = await self._send(session, ask, sent.body)
            outcome = "answered" if isinstance(done, Completion) else done.what if done.sent else NOT_SENT
        finally:
            unpaid = isinstance(done, Fault) and done.unpaid
            self._ledger.settle(ticket or 0, outcome, done if isinstance(done, Completion) else None, unpaid=unpaid)
        return done

    async def _send(self, session: Session, ask: Ask, body: Mapping[str, Any]) -> Completion | Fault:
        from openai import OpenAIError

        try:
            async with asyncio.timeout(self._timeout):  # the client's own timeout starts anew with every byte
                # not chat.completions.create: it walks through every request and reply again, a millisecond each
                send = session.client.post(ask.path, body=body, cast_to=object) if body else session.client.get(ask.path, cast_to=object)
                return ask.read(await send)
        except (OpenAIError, ValueError, TimeoutError) as error:
            return classify(error, session.server, self._timeout)

    async def _pause(self, session: Session, fault: Fault, tries: int) -> None:
        """Exponential with jitter; a pause that the server asked for holds for every request of the session."""
        own = min(self._backoff * 2 ** (tries - 1), self._patience) * random.uniform(0.5, 1.5)
        if fault.wait is not None:
            session.not_before = max(session.not_before, time.monotonic() + fault.wait)
            self._tell(session, fault, f"asks to wait {fault.wait:.1f} s, which is done")
        else:
            self._tell(session, fault, f"try {tries} of {self._max_retries + 1}, again in {own:.1f} s")
        await asyncio.sleep(max(own, fault.wait or 0.0))

    def _tell(self, session: Session, fault: Fault, what: str) -> None:
        """One warning per kind of trouble in ten seconds; the next one counts those that were left out."""
        now = time.monotonic()
        if now - self._told.get(fault.what, float("-inf")) < 10:
            self._untold[fault.what] += 1
            return
        more = self._untold.pop(fault.what, 0)
        self._told[fault.what] = now
        session.tell(f"{session.server.place}: {fault.what}: {what}" + (f" ({more} more like it since the last warning)" if more else ""))

    def _sent(self, session: Session, ask: Ask) -> _Sent:
        """The request without what the server refused (newer servers spell the length limit differently), and as the ledger knows it.
        A token is at least a byte, so that the input is at most as long as its JSON."""
        body, server = {k: v for k, v in ask.body.items() if k not in self._refused}, session.server
        if "max_tokens" in self._refused and "max_tokens" in ask.body:
            body["max_completion_tokens"] = ask.body["max_tokens"]
        said = json.dumps([body.get("messages", body.get("prompt")), body.get("response_format")], ensure_ascii=False)
        endpoint = server.place if ask.path == CHAT else server.place + ask.path
        entry = Request(key_of(endpoint, body), server.place, server.model, len(said.encode(errors="replace")), ask.most_output)
        return _Sent(body, entry, len(self._refused))

    def _refuse(self, parameter: str, session: Session) -> None:
        if parameter not in self._refused and parameter != "max_tokens":
            session.tell(
                f"{session.server.place}, model {self._model!r} does not take {parameter}: asking without it, so answers may differ between runs"
            )
        self._refused.add(parameter)
