"""What paid requests are known by, what is replied to them, what they cost, and how much may be spent.

``protocols.Ledger`` is the seam: engines ask it before they send and say what came back, and the store keeps
it. This module knows neither HTTP nor files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from iteralign.canonical import content_hash
from iteralign.errors import BudgetExceeded
from iteralign.records.chat import Completion

NOT_SENT = "not sent"
"""The outcome of a request that no server can have seen: there was no connection. It counts for nothing."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The reply to a request for log-probabilities of a given text: nats, by token."""

    logprobs: tuple[float, ...]
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What a server says of itself, as it said it: JSON that only its reader understands."""

    said: Any
    prompt_tokens: int = 0
    completion_tokens: int = 0


Reply = Completion | Scores | Facts
"""What a server may be paid for. The request's path and body say which one it is."""
R = TypeVar("R", bound=Reply)


@dataclass(frozen=True, slots=True)
class Request:
    """A request to a server as the ledger knows it.

    ``most_input`` and ``most_output``: tokens that it takes at most.
    """

    key: str
    endpoint: str
    model: str
    most_input: int = 0
    most_output: int = 0


def key_of(endpoint: str, body: Mapping[str, object]) -> str:
    """The key of a request: a hash of where it goes and all that it says.

    That is the model, the messages with their template's words, the sampling, the seed, and the form.
    """
    return content_hash([endpoint, body])


@dataclass(frozen=True, slots=True)
class Price:
    """Of a model, in the currency of the recipe per million tokens."""

    input: float
    output: float


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that a run may spend (None: no cap), and what its models cost."""

    calls: int | None = None
    tokens: int | None = None
    cost: float | None = None
    prices: Mapping[str, Price] = field(default_factory=dict)

    def cost_of(self, model: str, input_tokens: int, output_tokens: int) -> float | None:
        """What so many tokens of a model cost; None where its price is unknown."""
        price = self.prices.get(model)
        return None if price is None else (price.input * input_tokens + price.output * output_tokens) / 1e6


@dataclass(slots=True)
class Spending:
    """A running sum.

    ``cost`` leaves out what models without a price cost; ``unpriced``: requests to such models.
    """

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0

    def add(self, caps: Caps, model: str, input_tokens: int, output_tokens: int, calls: int = 1) -> None:
        """Count requests; with negative numbers take a part of them back."""
        self.calls += calls
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens
        cost = caps.cost_of(model, input_tokens, output_tokens)
        if cost is None:
            self.unpriced += calls
        else:
            self.cost += cost

    def room(self, caps: Caps, request: Request) -> str | None:
        """None where the request fits under every cap, else the cap that it would pass.

        A cap is ``calls``, ``tokens`` or ``cost``.
        """
        tokens = self.input_tokens + self.output_tokens + request.most_input + request.most_output
        if caps.calls is not None and self.calls + 1 > caps.calls:
            return "calls"
        if caps.tokens is not None and tokens > caps.tokens:
            return "tokens"
        cost = caps.cost_of(request.model, request.most_input, request.most_output)
        if caps.cost is not None and (cost is None or self.cost + cost > caps.cost):
            return "cost"
        return None


def exceeded(cap: str, caps: Caps, spent: Spending, request: Request, run: str | None) -> BudgetExceeded:
    """The error at a cap: what was spent, what the next request may take, and how to go on.

    Without a ``run`` nothing was kept.
    """
    most = request.most_input + request.most_output
    most_cost = caps.cost_of(request.model, request.most_input, request.most_output)
    if cap == "cost" and most_cost is None:
        example = f'budget.prices={{"{request.model}": {{"input": 0.15, "output": 0.60}}}}'
        return BudgetExceeded(
            f"budget.cost is set, but the price of {request.model!r} is not known: add it, for instance\n"
            f"  {f'iteralign resume {run} ' if run else ''}--set '{example}'"
        )
    used = spent.input_tokens + spent.output_tokens
    state = {
        "calls": f"{spent.calls} of budget.calls = {caps.calls} requests were sent",
        "tokens": f"{used} of budget.tokens = {caps.tokens} were used, and the next request may take {most}",
        "cost": f"{spent.cost:.4f} of budget.cost = {caps.cost} were spent, "
        f"and the next request may cost {most_cost or 0:.4f}",
    }[cap]
    if run is None:
        return BudgetExceeded(f"the budget is used up: {state}. Raise it (--set budget.{cap}=...)")
    return BudgetExceeded(
        f"the budget is used up: {state}. "
        f"Nothing is lost: raise it with `iteralign resume {run} --set budget.{cap}=...`"
    )


class InMemory:
    """``protocols.Ledger`` that lasts as long as its process.

    For a stage alone, which has a budget but no run. Threads may not share it.
    """

    def __init__(self, caps: Caps) -> None:
        self._caps = caps
        self.spent = Spending()
        self._replies: dict[str, Reply] = {}
        self._under_way: dict[int, Request] = {}
        self._tickets = 0

    def recall(self, key: str, kind: type[R]) -> R | None:
        """The reply, if this process was given one."""
        reply = self._replies.get(key)
        return reply if isinstance(reply, kind) else None

    def admit(self, request: Request) -> int | None:
        """A ticket, or None to wait. Raises ``BudgetExceeded``."""
        cap = self.spent.room(self._caps, request)
        if cap is not None:
            if self._under_way and cap != "calls":
                return None
            raise exceeded(cap, self._caps, self.spent, request, None)
        self._tickets += 1
        self._under_way[self._tickets] = request
        self.spent.add(self._caps, request.model, request.most_input, request.most_output)
        return self._tickets

    def settle(
        self,
        ticket: int,
        outcome: str,
        reply: Reply | None = None,
        *,
        unpaid: bool = False,
        used: tuple[int, int] = (0, 0),
    ) -> None:
        """What came of it."""
        request = self._under_way.pop(ticket)
        if reply is not None:
            self._replies[request.key] = reply
        input_tokens, output_tokens = settled(request, reply, unpaid=unpaid, used=used)
        calls = -1 if outcome == NOT_SENT else 0
        self.spent.add(
            self._caps,
            request.model,
            input_tokens - request.most_input,
            output_tokens - request.most_output,
            calls,
        )


def settled(request: Request, reply: Reply | None, *, unpaid: bool, used: tuple[int, int]) -> tuple[int, int]:
    """Tokens of request and reply that count.

    What the server told, nothing where it refused before any work, the most where it does not tell.
    """
    told = used if reply is None else (reply.prompt_tokens, reply.completion_tokens)
    return told if unpaid else (told[0] or request.most_input, told[1] or request.most_output)


class Unmetered:
    """A ledger that remembers nothing and allows everything: for what is free, and for tests."""

    def recall(self, key: str, kind: type[R]) -> R | None:
        """Nothing."""
        return None

    def admit(self, request: Request) -> int | None:
        """Always."""
        return 0

    def settle(
        self,
        ticket: int,
        outcome: str,
        reply: Reply | None = None,
        *,
        unpaid: bool = False,
        used: tuple[int, int] = (0, 0),
    ) -> None:
        """Forgotten."""
