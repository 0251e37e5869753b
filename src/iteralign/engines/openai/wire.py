"""One OpenAI-compatible endpoint: concurrent, metered, patient within bounds.

It is honest about what it may not try again. Sends bodies to paths and gives back what a reader makes of the
replies. Knows nothing of chats, schemas or weights. The key is read from the environment at each call and
kept nowhere.
"""

from __future__ import annotations

import asyncio
import queue
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from iteralign.engines.openai.address import Address
from iteralign.engines.openai.faults import Fault, Server, classify
from iteralign.engines.openai.pace import Pace
from iteralign.engines.openai.parameters import LENGTH, SPARE, next_to_go, without
from iteralign.engines.openai.reading import as_json, trouble, without_key
from iteralign.engines.openai.session import Ask, Session
from iteralign.engines.openai.size import Size
from iteralign.errors import BudgetExceeded, EngineError, RateLimited
from iteralign.ledger import NOT_SENT, Facts, R, Request, Unmetered, key_of
from iteralign.protocols import Ledger

CHAT = "/chat/completions"
STRIDE = 16
"""Requests that are made ready before the first of them are given their turn."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request as it is sent, and what the ledger knows it by.

    ``left_out``: parameters that it goes without, be it that the server is known to refuse them, be it to
    find out.
    """

    body: dict[str, Any]
    entry: Request
    left_out: frozenset[str]


class Wire:
    """Requests to one endpoint.

    429, 5xx, timeouts, lost connections and unreadable answers are tried again up to ``max_retries`` times
    with growing, jittered pauses (first ``backoff`` seconds); a Retry-After is kept, and told through
    ``warn``, up to ``patience`` seconds. A refused key, an unknown model and a bad request are never tried
    again. ``timeout``: seconds for one whole request.

    ``ledger`` remembers replies, so that none is paid for twice, and holds the budget: at a cap nothing more
    is sent, what is under way is awaited and kept, and ``BudgetExceeded`` is raised. ``requests_per_minute``,
    ``tokens_per_minute``: the server's limits, kept. ``token`` and ``socket``: the key itself and a Unix
    socket, where the server is a process of ours on this machine.
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
        patience: float = 90.0,
        ledger: Ledger | None = None,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        token: str | None = None,
        socket: str | None = None,
    ) -> None:
        self._model = model
        self._token = token
        self._socket = socket
        self._address = Address.of(base_url, model)
        self._key_env = api_key_env
        self._concurrency = concurrency
        self._max_retries = max_retries
        self._timeout = timeout
        self._warn = warn
        self._backoff = backoff
        self._patience = patience
        self._ledger: Ledger = ledger or Unmetered()
        self._pace = Pace(requests_per_minute, tokens_per_minute)
        self._size = Size()
        self._refused: frozenset[str] = frozenset()  # parameters that the server does not take
        self._told: dict[str, float] = {}
        self._untold: Counter[str] = Counter()
        self.server()

    def server(self) -> Server:
        """The endpoint with its key. Raises ``Unavailable`` where the key is missing or cannot be one."""
        return self._address.server(self._model, self._key_env, self._token)

    def remembers(self, path: str, body: Mapping[str, Any], kind: type[R]) -> bool:
        """Whether the ledger holds a reply of this kind to such a request."""
        return self._ledger.recall(self._key(self.server(), path, body), kind) is not None

    def run(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """What the work on a session of its own comes to; from inside an event loop, too."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self._run(work, self._warn))
        said: queue.SimpleQueue[str] = queue.SimpleQueue()
        inner: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[T]]] = []

        async def start() -> T:
            task = asyncio.ensure_future(self._run(work, said.put))
            inner.append((asyncio.get_running_loop(), task))
            return await task

        def stop() -> None:
            for loop, task in inner:
                loop.call_soon_threadsafe(task.cancel)

        with ThreadPoolExecutor(1) as pool, ExitStack() as interrupted:
            interrupted.callback(stop)
            future = pool.submit(lambda: asyncio.run(start()))
            # the caller's thread hears the warnings: it may own a database
            while not (future.done() and said.empty()):
                try:
                    self._warn(said.get(timeout=0.05))
                except queue.Empty:
                    continue
            interrupted.pop_all()
            return future.result()

    async def _run(self, work: Callable[[Session], Awaitable[T]], tell: Callable[[str], None]) -> T:
        server = self.server()
        async with self._address.client(server, self._timeout, socket=self._socket) as client:
            return await work(Session(client, server, tell, asyncio.Semaphore(self._concurrency)))

    async def gather(self, session: Session, work: Sequence[Awaitable[R | Fault]]) -> list[R | EngineError]:
        """One outcome per piece of work, in order: its reply, or the error that is its own.

        Raises what concerns all of it, when what was under way has come back and is in the ledger.
        """

        async def one(piece: Awaitable[R | Fault]) -> R | EngineError:
            done = await piece
            if not isinstance(done, Fault):
                return done
            if done.kind == "fatal":
                session.halt(done.error)
            return done.error

        def ended(task: asyncio.Task[R | EngineError]) -> None:
            error = None if task.cancelled() else task.exception()
            if error is not None:  # the ledger's, say: a full disk
                session.halt(error)

        tasks: list[asyncio.Task[R | EngineError]] = []
        for number, piece in enumerate(work, start=1):
            tasks.append(asyncio.ensure_future(one(piece)))
            tasks[-1].add_done_callback(ended)
            if number % STRIDE == 0:
                await asyncio.sleep(0)  # the first ones are on their way while the others are made ready
        await asyncio.gather(*tasks, return_exceptions=True)
        if session.stop is not None:
            raise session.stop
        return [task.result() for task in tasks]

    async def ask(self, session: Session, ask: Ask[R]) -> R | Fault:
        """One reply; the same request at the same time is sent once.

        A request that fails to the last try, or that the server refuses, is its own chat's trouble as long as
        the server answers others.
        """
        try:
            sent = self._sent(session, ask)
        except UnicodeEncodeError:
            return Fault(
                "item",
                EngineError("the chat holds half of a surrogate pair (a broken \\u escape): repair it"),
                "a broken text",
                sent=False,
            )
        key = sent.entry.key
        if key not in session.under_way:
            session.under_way[key] = asyncio.ensure_future(self._try(session, ask, sent))
            session.under_way[key].add_done_callback(lambda _: session.under_way.pop(key))
        # a key is of one kind of reply: path and body are in it
        done: R | Fault = await session.under_way[key]
        return done

    async def _try(self, session: Session, ask: Ask[R], sent: _Sent) -> R | Fault:
        """One request with its retries."""
        tries = 0
        last = float("-inf")  # when the try before began
        strikes = 0  # tries that ended with a 500: what a server gives for a form that it stumbles over
        while True:
            # a slot is held while the server works, not while this request waits for its next try
            async with session.slots:
                known = self._ledger.recall(sent.entry.key, ask.kind)
                if known is not None:
                    return known
                sent = self._sized(sent, ask)
                if (own := self._pace.reserve(sent.entry.most_input + sent.entry.most_output)) > 0:
                    await session.sleep(own)
                while (pause := session.not_before - time.monotonic()) > 0 and session.stop is None:
                    await session.sleep(pause * random.uniform(1.0, 1.1))
                if not self._refused <= sent.left_out:
                    sent = self._sent(session, ask, sent.left_out)
                if session.alive is not None and not session.alive.done():
                    await asyncio.wait({session.alive})  # the server is being asked whether it works at all
                began = time.monotonic()
                done, sent = await self._adapted(session, ask, sent)
                if not isinstance(done, Fault):
                    self._size.counted(ask.body, done.prompt_tokens)
                    return done
                if done.status == 429 and session.last_success > last:
                    tries = 0  # others get through: the window is open, and this one has to wait for its turn
                last = began
                tries += 1
                strikes += done.status == 500
                final = await self._final(session, ask, done, tries, strikes, began)
                if final is not None and done.kind == "request" and not self._refused <= sent.left_out:
                    continue  # the plain request went through without something that this one still said
                if final is not None:
                    if final.kind == "fatal":
                        session.halt(final.error)
                    return final
            await self._pause(session, done, tries)

    async def _final(
        self, session: Session, ask: Ask[R], fault: Fault, tries: int, strikes: int, began: float
    ) -> Fault | None:
        """What is given back for a failed request; None where it is tried again."""
        if fault.kind == "denied" or (fault.kind == "request" and not ask.suspect):
            own = session.last_success > began or await self._alive(session, ask, fault, began)
            error = (fault.alone or fault.error) if own else fault.error
            return replace(fault, kind="item" if own else "fatal", error=error)
        if fault.kind != "passing" or (ask.suspect and strikes == 2):
            return fault
        if (fault.wait or 0.0) > self._patience:
            text = (
                f"{fault.error}: the server asks to wait {fault.wait:.0f} s, "
                f"more than {self._patience:g} s: resume later"
            )
            return replace(fault, kind="fatal", error=RateLimited(text))
        if tries > self._max_retries:
            own = session.last_success > began or await self._alive(session, ask, fault, began)
            text = f"{fault.error}; gave up after {tries} tries"
            return replace(fault, kind="item" if own else "fatal", error=type(fault.error)(text))
        return None

    async def _alive(self, session: Session, ask: Ask[R], fault: Fault, began: float) -> bool:
        """Whether the server answers a simple request, asked after the one that failed began.

        Several that failed share one.
        """
        if ask.simple is None or not fault.sent or session.stop is not None:
            return False
        if session.alive is None or session.alive_since < began:
            session.alive_since = time.monotonic()
            simple = replace(ask, body=ask.simple, suspect=False)
            session.alive = asyncio.ensure_future(self._answers(session, simple, fault.status == 429))
        return await session.alive

    async def _answers(self, session: Session, simple: Ask[R], once: bool) -> bool:
        sent = self._sent(session, simple)
        tries = 0
        while True:
            done, sent = await self._adapted(session, simple, sent)
            if not isinstance(done, Fault):
                return True
            spare = next((name for name in SPARE[:-1] if name in sent.body), None)
            if done.status in (400, 422) and done.kind == "request" and spare is not None:
                sent = self._sent(session, simple, sent.left_out | {spare})
                continue  # plainer than this nothing is: a parameter is refused that no message names
            tries += 1
            hopeless = done.kind != "passing" or (done.wait or 0.0) > self._patience
            if hopeless or once or tries > self._max_retries:
                return False
            await self._pause(session, done, tries)

    async def _adapted(self, session: Session, ask: Ask[R], sent: _Sent) -> tuple[R | Fault, _Sent]:
        """One request, again without a parameter that its refusal names, as often as it names one."""
        while True:
            done = await self._metered(session, ask, sent)
            if not isinstance(done, Fault):
                session.last_success = time.monotonic()
                self._learn(sent, session)
                return done, sent
            named = next_to_go(done.parameters, sent.body)
            if named is None:
                return done, sent
            sent = self._sent(session, ask, sent.left_out | {named})

    async def _metered(self, session: Session, ask: Ask[R], sent: _Sent) -> R | Fault:
        """Send one request if the ledger admits it, and book what came of it."""
        try:
            while session.stop is None and (ticket := self._ledger.admit(sent.entry)) is None:
                await asyncio.sleep(0.02)
        except BudgetExceeded as error:
            session.halt(error)
        if session.stop is not None:
            return Fault("spent", EngineError(str(session.stop)), "nothing more is sent", sent=False)
        done: R | Fault | None = None
        outcome = "cancelled"
        try:
            done = await self._send(session, ask, sent.body)
            if isinstance(done, Fault) and done.kind == "fatal":
                session.halt(done.error)
            outcome = "answered" if not isinstance(done, Fault) else done.what if done.sent else NOT_SENT
        finally:  # also where this task is cancelled: the ticket counts as spent until it is settled
            if isinstance(done, Fault):
                self._ledger.settle(ticket or 0, outcome, unpaid=done.unpaid, used=done.used)
            else:
                self._ledger.settle(ticket or 0, outcome, done)
        return done

    async def _send(self, session: Session, ask: Ask[R], body: Mapping[str, Any]) -> R | Fault:
        from openai import OpenAIError

        try:
            # the client's own timeout starts anew with every byte
            async with asyncio.timeout(self._timeout):
                # not chat.completions.create: it walks through every request and reply again, at a
                # millisecond each
                options = self._address.options(session.server)
                send = (
                    session.client.post(ask.path, body=body, cast_to=object, options=options)
                    if body
                    else session.client.get(ask.path, cast_to=object, options=options)
                )
                reply = without_key(as_json(await send), session.server.key)
                return (ask.kind is not Facts and trouble(reply, session.server)) or ask.read(reply)
        except (OpenAIError, ValueError, TimeoutError, RecursionError) as error:
            return classify(error, session.server, self._timeout)

    async def _pause(self, session: Session, fault: Fault, tries: int) -> None:
        """Exponential with jitter; a pause that the server asked for holds for all of the session.

        After a 429 the pauses grow faster: with the usual settings they outlast a window of a minute.
        """
        limited = fault.status == 429
        own = min(self._backoff * (4 if limited else 2) ** (tries - 1), self._patience)
        own *= random.uniform(1.0, 1.5) if limited else random.uniform(0.5, 1.5)
        if fault.wait is not None:
            session.not_before = max(session.not_before, time.monotonic() + fault.wait)
            self._tell(session, fault, f"asks to wait {fault.wait:.1f} s, which is done")
        else:
            self._tell(session, fault, f"try {tries} of {self._max_retries + 1}, again in {own:.1f} s")
        await session.sleep(max(own, fault.wait or 0.0))

    def _tell(self, session: Session, fault: Fault, what: str) -> None:
        """One warning per kind of trouble in ten seconds; the next one counts those that were left out."""
        now = time.monotonic()
        if now - self._told.get(fault.what, float("-inf")) < 10:
            self._untold[fault.what] += 1
            return
        more = self._untold.pop(fault.what, 0)
        self._told[fault.what] = now
        session.tell(
            f"{session.server.place}: {fault.what}: {what}"
            + (f" ({more} more like it since the last warning)" if more else "")
        )

    def _sent(self, session: Session, ask: Ask[R], left_out: frozenset[str] = frozenset()) -> _Sent:
        """The request without what the server refuses, and as the ledger knows it."""
        server = session.server
        left_out |= self._refused
        key = self._key(server, ask.path, ask.body)
        entry = Request(key, server.place, server.model, self._size.of(ask.body), ask.most_output)
        return _Sent(without(ask.body, left_out, ask.implied), entry, left_out)

    def _sized(self, sent: _Sent, ask: Ask[R]) -> _Sent:
        """The same, with its size as far as it is known by now."""
        return replace(sent, entry=replace(sent.entry, most_input=self._size.of(ask.body)))

    def _key(self, server: Server, path: str, body: Mapping[str, Any]) -> str:
        """What the whole request is known by: two samples stay two where the server takes no seed."""
        return key_of(server.place if path == CHAT else server.place + path, body)

    def _learn(self, sent: _Sent, session: Session) -> None:
        """A request went through: what it did without is refused, from now on for all."""
        new = sent.left_out - self._refused
        self._refused |= new
        for parameter in sorted(new - {LENGTH[0]}):
            session.tell(
                f"{session.server.place}, model {self._model!r} does not take {parameter}: "
                "asking without it, so answers may differ between runs"
            )
