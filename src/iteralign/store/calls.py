"""Every request to a paid server: what it was for, what it used, and its reply.

``Calls`` is ``protocols.Ledger`` over table ``calls``, so that no reply is paid for twice. A request is
stored before it is sent, with the most that it may use, and again when it is answered: one that a killed
process had under way is ``lost``, and what it reserved for its reply is released. Knows nothing of HTTP.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from iteralign.errors import StoreError
from iteralign.foreign.errors import short
from iteralign.ledger import NOT_SENT, Caps, Facts, R, Reply, Request, Scores, Spending, exceeded, settled
from iteralign.records.chat import Completion
from iteralign.store.database import Database
from iteralign.store.events import DAMAGED, Event

# a run of an older version, opened for reading, has none
_IS_THERE = "SELECT 1 FROM sqlite_master WHERE name = 'calls'"


@dataclass(frozen=True, slots=True)
class Spent:
    """What one part of a run used at one model.

    ``lost``: of the unanswered, those under way now, or when a process was killed.
    """

    scope: str
    step: str
    model: str
    calls: int
    unanswered: int
    lost: int
    input_tokens: int
    output_tokens: int


class Calls:
    """The ledger of a run. Threads may share it."""

    def __init__(self, database: Database, directory: Path) -> None:
        self._database = database
        self._directory = directory
        self._caps = Caps()
        self._sum = Spending()
        self._under_way: dict[int, Request] = {}
        self._step = ("start", "check")
        self._mutex = threading.Lock()

    def release(self) -> None:
        """Give back what requests of killed processes reserved; for the only writer of a run, at its start.

        Their text reached the server, so their own tokens stay counted; no reply was read.
        """
        if self._database.rows("SELECT 1 FROM calls WHERE outcome = 'sent' LIMIT 1"):
            with self._database.write() as db:
                db.execute("UPDATE calls SET outcome = 'lost', output_tokens = 0 WHERE outcome = 'sent'")

    def limit(self, caps: Caps) -> None:
        """Hold the run to these caps, counting what was spent before."""
        with self._mutex:
            self._caps = caps
            self._sum = Spending()
            for row in self.spent():
                self._sum.add(caps, row.model, row.input_tokens, row.output_tokens, row.calls)

    def heard(self, event: Event) -> None:
        """A listener: the step that is at work is the one that requests are booked to."""
        if event.kind == "step":
            self._step = (str(event.fields["scope"]), str(event.fields["name"]))

    def recall(self, key: str, kind: type[R]) -> R | None:
        """The reply to this very request, if one was ever paid for."""
        query = "SELECT reply FROM calls WHERE key = ? AND outcome = 'answered' ORDER BY seq LIMIT 1"
        rows = self._database.rows(query, (key,))
        reply = _read(rows[0][0], kind) if rows else None
        return reply if isinstance(reply, kind) else None

    def admit(self, request: Request) -> int | None:
        """A ticket to send one request, or None to wait. Raises ``BudgetExceeded``."""
        with self._mutex:
            cap = self._sum.room(self._caps, request)
            if cap is not None:
                if self._under_way and cap != "calls":
                    return None  # what is under way may use less than it may
                raise exceeded(cap, self._caps, self._sum, request, str(self._directory))
            most = (request.most_input, request.most_output)
            with self._database.write(durable=False) as db:
                insert = (
                    "INSERT INTO calls "
                    "(time, scope, step, key, endpoint, model, outcome, input_tokens, output_tokens) "
                    "VALUES (?, ?, ?, ?, ?, ?, 'sent', ?, ?)"
                )
                values = (time.time(), *self._step, request.key, request.endpoint, request.model, *most)
                ticket = db.execute(insert, values).lastrowid or 0
            self._sum.add(self._caps, request.model, *most)
            self._under_way[ticket] = request
            return ticket

    def settle(
        self,
        ticket: int,
        outcome: str,
        reply: Reply | None = None,
        *,
        unpaid: bool = False,
        used: tuple[int, int] = (0, 0),
    ) -> None:
        """What came of a request.

        One that the server refused used no tokens; one that was ``NOT_SENT`` is taken out again; where the
        server may have worked and does not tell how much (0), the request counts for the most that it may
        use, input and output apart.
        """
        with self._mutex:
            request = self._under_way.pop(ticket)
            used = settled(request, reply, unpaid=unpaid, used=used)
            with self._database.write(durable=False) as db:
                if outcome == NOT_SENT:
                    db.execute("DELETE FROM calls WHERE seq = ?", (ticket,))
                update = (
                    "UPDATE calls SET outcome = ?, input_tokens = ?, output_tokens = ?, reply = ? "
                    "WHERE seq = ?"
                )
                db.execute(update, (outcome, *used, None if reply is None else _written(reply), ticket))
            self._sum.add(
                self._caps,
                request.model,
                used[0] - request.most_input,
                used[1] - request.most_output,
                calls=-1 if outcome == NOT_SENT else 0,
            )

    def spent(self) -> list[Spent]:
        """What was used so far, by scope, step and model, in the order of first use."""
        query = (
            "SELECT scope, step, model, COUNT(*), SUM(outcome <> 'answered'), "
            "SUM(outcome IN ('sent', 'lost')), "
            "SUM(input_tokens), SUM(output_tokens) FROM calls GROUP BY scope, step, model ORDER BY MIN(seq)"
        )
        return [Spent(*row) for row in self._database.rows(query)] if self._database.rows(_IS_THERE) else []


_KINDS: dict[str, type[Reply]] = {"Completion": Completion, "Scores": Scores, "Facts": Facts}


def _written(reply: Reply) -> str:
    """A reply as JSON, in ASCII: a model may write half of a surrogate pair, which SQLite does not take."""
    return json.dumps({"kind": type(reply).__name__, **asdict(reply)})


def _read(written: str, kind: type[R]) -> Reply:
    """The reply that ``_written`` wrote."""
    try:
        fields = json.loads(written)
        reply = _KINDS[fields.pop("kind")](**fields)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(f"a stored reply is damaged ({short(str(error))}): {DAMAGED}") from error
    if isinstance(reply, Scores):
        return Scores(tuple(reply.logprobs), reply.prompt_tokens, reply.completion_tokens)
    if kind is Scores and isinstance(reply, Completion):
        # Runs of schema 2 and before kept log-probabilities as the text of a completion, in hex.
        values = tuple(float.fromhex(word) for word in reply.text.split())
        return Scores(values, reply.prompt_tokens, reply.completion_tokens)
    return reply
