"""Every seam of iteralign on one page. Everything else is functions from records to records.

Who implements what: engines give ``Generator``, ``Scorer``, ``Policy`` and ``PolicyHost``; oracles give
``Oracle``; training gives ``Trainer``; evals give ``Eval``; the store gives ``Recorder`` and ``Ledger``.
Nothing here knows a concrete class.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from iteralign.errors import EngineError
from iteralign.ledger import Reply, Request
from iteralign.records.base import Record
from iteralign.records.chat import Chat, Completion, Continuation, SamplingParams, Score
from iteralign.records.iteralign import (
    Checkpoint,
    Constitution,
    EvalReport,
    Exchange,
    Failure,
    Principle,
    TrainingExample,
    Verdict,
)
from iteralign.records.pairs import Contest, Preference

T = TypeVar("T")
Item = TypeVar("Item", bound=Record)
R = TypeVar("R", bound=Record)
Cut = Callable[[Sequence[Any]], Sequence[Sequence[Any]]]
"""Cuts the items of a step into parts, each of which is computed and kept as a whole. How it cuts follows
from the items and the settings alone: what a resumed run asks for is what it would have asked for."""
Said = TypeVar("Said", bound=Reply)


class Generator(Protocol):
    """Answers chats."""

    def generate(self, chats: Sequence[Chat], params: SamplingParams) -> list[Completion]:
        """One completion per chat, in order. Batching and concurrency are the engine's own affair.

        Raises ``LeftOut`` (naming the chat) for a chat that cannot be answered, and other ``EngineError``.
        """
        ...


@runtime_checkable
class Attempting(Protocol):
    """Tells one chat's trouble from everybody's. A generator without this is asked again by halves."""

    def attempt(self, chats: Sequence[Chat], params: SamplingParams) -> Sequence[Completion | EngineError]:
        """One outcome per chat, in order: its completion, or the error that concerns this chat alone.

        Raises ``EngineError`` for what concerns every chat.
        """
        ...


@runtime_checkable
class StructuredGenerator(Generator, Protocol):
    """A generator whose answers can be held to a JSON schema, and that tells one chat's trouble from
    everybody's.
    """

    def attempt(
        self, chats: Sequence[Chat], params: SamplingParams, schema: Mapping[str, Any] | None = None
    ) -> list[Completion | EngineError]:
        """One outcome per chat, in order: its completion, or the error that concerns this chat alone (too
        long, filtered, ...).

        Answers follow ``schema`` (JSON schema with a ``title``) as far as the server can hold them to it:
        validate them. Raises ``EngineError`` for what concerns every chat (the key, the model's name, a
        server that is away).
        """
        ...


@runtime_checkable
class Scorer(Protocol):
    """Scores given continuations."""

    def logprobs(self, chats: Sequence[Chat], continuations: Sequence[str]) -> list[Score]:
        """Log-probabilities in nats of each continuation after its chat, in order. Raises ``Unsupported``
        where there are none.
        """
        ...


class Continuing(Protocol):
    """Continues texts as they stand, for models that are asked in a form of their own."""

    def template(self) -> str | None:
        """The chat template that the model brings; None where there is none, or it is out of reach."""
        ...

    def written(self, chat: Chat, settings: Mapping[str, Any]) -> str:
        """The chat as that template writes it with these settings. Raises ``RefusedByTemplate``."""
        ...

    def continued(self, texts: Sequence[str], limit: int) -> list[Continuation | EngineError]:
        """The greedy continuation of each text, in order, of at most ``limit`` tokens; a text's own error.

        Special tokens in a text count as such. Raises ``EngineError`` for what concerns every text.
        """
        ...


@runtime_checkable
class Weighty(Protocol):
    """Has its weights in this process, for a harness that runs models itself."""

    def weights(self) -> tuple[Any, Any]:
        """Model and tokenizer of transformers, as they are served; to be used, not changed."""
        ...


@runtime_checkable
class Paced(Protocol):
    """Knows how much it gets through in some 20 seconds, so that no more than that is ever lost."""

    def pace(self) -> tuple[float, int]:
        """Tokens, read and written, and chats; ``inf`` tokens where their number is not what takes the time.

        It is the same in all sessions of a run, whatever a clock says: a resumed run cuts as before.
        """
        ...


class Ledger(Protocol):
    """Remembers what was asked of paid servers: a reply is paid once, and spending has its caps."""

    def recall(self, key: str, kind: type[Said]) -> Said | None:
        """The reply of this kind to this very request, if one was ever paid for."""
        ...

    def admit(self, request: Request) -> int | None:
        """A ticket to send one request, which counts from now on; None: wait until one under way is settled,
        it may fit then.

        Raises ``BudgetExceeded`` where it cannot fit any more.
        """
        ...

    def settle(
        self,
        ticket: int,
        outcome: str,
        reply: Reply | None = None,
        *,
        unpaid: bool = False,
        used: tuple[int, int] = (0, 0),
    ) -> None:
        """What came of a request: ``answered`` with the reply, or what went wrong. ``unpaid``: the server
        refused it before any work. ``used``: tokens of request and reply, where a server told them of a
        failure.

        Where the server may have worked and does not tell how much (0), the most that the request may use is
        counted.
        """
        ...


class Policy(Generator, Protocol):
    """A model that is being aligned, with given weights."""

    @property
    def checkpoint(self) -> Checkpoint:
        """The weights that answer."""
        ...

    @property
    def fingerprint(self) -> str:
        """What its answers depend on beside the chat and the sampling: the checkpoint's id, and
        what else its host knows (template, commit, precision)."""
        ...


class PolicyHost(Protocol):
    """Owns the device: loads, swaps and proves weights, and frees the memory before training."""

    def serve(self, checkpoint: Checkpoint) -> AbstractContextManager[Policy]:
        """A policy with these weights. Loading may wait until the first request, so that a resumed run loads
        nothing in vain.
        """
        ...


class Oracle(Protocol):
    """A stronger judge: finds improper answers and proposes principles."""

    @property
    def name(self) -> str:
        """Name and version, as verdicts record it. Some have a ``version``, too: their verdicts'
        ``template``; and ``proposing``, the version of what proposes principles.
        """
        ...

    def judge(self, exchanges: Sequence[Exchange]) -> list[Verdict]:
        """One verdict per exchange, in order; ``unjudged`` where no judgement could be had. Never raises for
        a single bad item.
        """
        ...

    def propose(self, failures: Sequence[Failure], constitution: Constitution) -> list[Principle]:
        """Principles that would have prevented these failures (one cluster), best first, beyond what the
        constitution already says.
        """
        ...


@runtime_checkable
class Tried(Protocol):
    """An oracle that can be tried before anything depends on it."""

    def must_work(self) -> None:
        """Judge plain exchanges. Raises ``EngineError`` where it cannot."""
        ...


class PairJudge(Protocol):
    """Compares two answers to one request."""

    @property
    def name(self) -> str:
        """Name and version, as preferences record it."""
        ...

    def compare(self, contests: Sequence[Contest]) -> list[Preference]:
        """One preference per contest, in order; ``unjudged`` where none could be had."""
        ...


class Trainer(Protocol):
    """Fine-tunes weights."""

    @property
    def fingerprint(self) -> str:
        """Hash of everything but the data that the result depends on."""
        ...

    def finetune(self, start: Checkpoint, examples: Collection[TrainingExample], out: Path) -> Checkpoint:
        """Train from ``start`` on the examples (loss on the last turn only) and leave the weights in the
        folder ``out``. Examples may be walked through more than once, and need not all be in memory.

        ``out`` is a path inside the run directory; the checkpoint's ``path`` is as the caller will record it.
        Raises ``TrainingError``.
        """
        ...


@runtime_checkable
class Selective(Protocol):
    """A trainer that knows before a training which examples it cannot learn."""

    def unfit(self, start: Checkpoint, examples: Collection[TrainingExample]) -> dict[str, str]:
        """Example id -> why it cannot be trained on: a few words, a colon, the details."""
        ...


class Recorder(Protocol):
    """Remembers finished work: the two words that hold all of resume."""

    def once(self, name: str, kind: Any, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """The stored value of this step if it was finished with these arguments, else
        ``function(*args, **kwargs)``, stored at once.

        ``kind`` is the type that is read back (``list[Principle]``, say). The key is a hash of the arguments:
        each has canonical JSON, or an attribute ``fingerprint`` that says what its results depend on.
        """
        ...

    def each(
        self,
        name: str,
        kind: type[R],
        function: Callable[..., list[R]],
        items: Sequence[Item],
        /,
        *args: Any,
        chunk: int | Cut = 96,
        **kwargs: Any,
    ) -> list[R]:
        """One stored result per item; ``function(items, *args, **kwargs)`` is asked for those that are
        missing, ``chunk`` of them at once (or the parts that it cuts), and each chunk is kept at once.
        """
        ...


@runtime_checkable
class Remembering(Protocol):
    """A recorder that can be looked into, and be told what a user should know."""

    def stored(
        self,
        name: str,
        kind: type[R],
        function: Callable[..., list[R]],
        items: Sequence[Record],
        /,
        *args: Any,
        **kwargs: Any,
    ) -> list[R]:
        """The stored results of an ``each`` for those of the items that have one; nothing is computed or
        marked.
        """
        ...

    def warn(self, text: str) -> None:
        """Tell whoever watches."""
        ...


class Eval(Protocol):
    """Measures a policy."""

    @property
    def name(self) -> str:
        """Also the name of the report's main metric."""
        ...

    def run(self, policy: Policy, recorder: Recorder) -> EvalReport:
        """The report of this policy; expensive parts go through the recorder."""
        ...
