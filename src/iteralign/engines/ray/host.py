"""Serves checkpoints from replicas of an engine on a Ray cluster (``protocols.PolicyHost``).

Replicas are actors; parts of the work go to whichever is free, and a lost replica's part to another one. The
order and what each answer depends on are those of one engine. Knows nothing of what the answers are for.
"""

from __future__ import annotations

import math
import os
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from iteralign.engines.facts import Began, Facts, no_run
from iteralign.engines.limits import TRUSTED
from iteralign.engines.ray.replica import Make, Outcomes, Replica
from iteralign.engines.ray.spread import Joined, Lost, cut, spread
from iteralign.engines.turns import take
from iteralign.errors import EngineError, IterAlignError, Unavailable
from iteralign.log import log
from iteralign.records.chat import Chat, Completion, SamplingParams, Score
from iteralign.records.iteralign import Checkpoint
from iteralign.text.printable import one_line

ROUNDS = 4
USUAL = 8
"""Replicas that are counted with where a recipe does not say how many."""
FAILURES = 3
"""Replicas that end before they answer, one after the other, until it is said why."""
PASSED_ON = (TRUSTED,)
"""Variables of the user's environment that hold for replicas, too."""
_MOMENT = 0.5
"""Seconds."""
_EVERYTHING = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Which machines, and what of them.

    ``cluster``: ``auto`` is the running cluster that ``RAY_ADDRESS`` names or that this machine belongs to,
    ``local`` one of this machine alone. ``replicas``: None is one for each share of ``gpus``, or on a cluster
    without GPUs one for each machine. ``gpus``, ``cpus``: of each replica; None is one GPU where the cluster
    has any. ``wait``: seconds until a replica must be there.
    """

    cluster: Literal["auto", "local"] = "auto"
    replicas: int | None = None
    gpus: float | None = None
    cpus: float = 1.0
    wait: float = 600.0


class RayHost:
    """Owns the replicas. They start at the first request, and end when the devices are wanted for other work.

    ``make`` builds a replica's engine from ``given`` there. ``rows``: chats that one works on at once.
    ``locate`` gives a checkpoint's folder, which all machines must see; ``warn`` hears what a user should
    know.
    """

    def __init__(
        self,
        cluster: Cluster,
        make: Make,
        given: Mapping[str, Any],
        *,
        rows: int,
        chat_template: str | None = None,
        dtype: str = "auto",
        locate: Callable[[Checkpoint], str],
        warn: Callable[[str], None],
        began: Began = no_run,
    ) -> None:
        self.rows = rows
        self.warn = warn
        self._cluster = cluster
        self._make = make
        self._given = given
        self._facts = Facts(chat_template, dtype, began, warn)
        self._locate = locate
        self._places: dict[str, str] = {}
        self._replicas: Replicas | None = None

    @contextmanager
    def serve(self, checkpoint: Checkpoint) -> Iterator[RayPolicy]:
        """A policy with these weights; replicas load them at its first request."""
        yield RayPolicy(self, checkpoint)

    def fingerprint(self, checkpoint: Checkpoint) -> str:
        """What the answers of a checkpoint depend on; nothing is started."""
        place = self._locate(checkpoint) if checkpoint.parent is None else ""
        return self._facts.fingerprint(checkpoint, place)

    def held(self) -> int:
        """Bytes that the replicas take of a GPU, as if they were all on the device here."""
        return _EVERYTHING if self._replicas is not None and self._replicas.gpus else 0

    def free(self) -> None:
        """End the replicas, and so give their devices back."""
        if self._replicas is not None:
            self._replicas.close()
        self._replicas = None

    def spread(self, what: str, checkpoint: Checkpoint, chats: Sequence[Chat], given: Any) -> list[Any]:
        """Work on chats, by all replicas. ``given``: sampling, or one continuation per chat."""
        if self._replicas is None:
            take(self)
            self._replicas = Replicas(self._cluster, self._make, self._given, self.warn)
        if checkpoint.id not in self._places:
            self._places[checkpoint.id] = self._locate(checkpoint)  # of trained weights this verifies them
        place = self._places[checkpoint.id]
        self._facts.loaded(place)
        last = isinstance(given, SamplingParams) and given.stream == "question"
        parts = cut([c[-1:] if last else c for c in chats], self._part(len(chats)))
        pool = _Work(self._replicas, what, checkpoint, absolute(place), self.warn)
        own = [
            ([chats[i] for i in p], given if isinstance(given, SamplingParams) else [given[i] for i in p])
            for p in parts
        ]
        return Joined[Any](parts).whole(spread(own, pool, self.warn))

    @property
    def asked(self) -> int:
        """Replicas by the settings alone: parts of a run are cut alike in all its sessions."""
        return self._cluster.replicas or USUAL

    def _part(self, chats: int) -> int:
        """Chats of a part, so that all replicas have some. It does not follow from which are alive."""
        wanted = self.asked if self._replicas is None else self._replicas.wanted
        return max(1, min(self.rows, math.ceil(chats / wanted)))


class RayPolicy:
    """A checkpoint that answers and scores (``protocols.Policy`` and ``Scorer``)."""

    def __init__(self, host: RayHost, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self._host = host

    @property
    def fingerprint(self) -> str:
        """The checkpoint's id, and what changed of template, commit and precision since the run began."""
        return self._host.fingerprint(self.checkpoint)

    def pace(self) -> tuple[float, int]:
        """Chats of a few rounds of all replicas (``protocols.Paced``), as many as are asked for."""
        return math.inf, ROUNDS * self._host.rows * self._host.asked

    def generate(self, chats: Sequence[Chat], params: SamplingParams) -> list[Completion]:
        """One completion per chat, in order. Raises the first chat's ``EngineError``."""
        found = []
        for outcome in self.attempt(chats, params):
            if isinstance(outcome, EngineError):
                raise outcome
            found.append(outcome)
        return found

    def attempt(self, chats: Sequence[Chat], params: SamplingParams) -> list[Completion | EngineError]:
        """One outcome per chat, in order: its completion, or the error of this chat alone."""
        return self._host.spread("attempt", self.checkpoint, chats, params) if chats else []

    def logprobs(self, chats: Sequence[Chat], continuations: Sequence[str]) -> list[Score]:
        """Each continuation as the assistant's answer to its chat, nats."""
        if not chats:
            return []
        return self._host.spread("logprobs", self.checkpoint, chats, list(continuations))


class Replicas:
    """The actors: made, counted, replaced, ended."""

    def __init__(
        self, cluster: Cluster, make: Make, given: Mapping[str, Any], warn: Callable[[str], None]
    ) -> None:
        if cluster.cluster == "local":
            _stay_inside(warn)
        import ray

        actor: Any = ray.remote(Replica)
        self._ours = not ray.is_initialized()
        if self._ours:
            _connect(cluster.cluster)
        there = ray.cluster_resources()
        self.gpus = (1.0 if there.get("GPU") else 0.0) if cluster.gpus is None else cluster.gpus
        self._cluster = cluster
        self._warn = warn
        share = {"num_gpus": self.gpus, "num_cpus": cluster.cpus}
        users = {"env_vars": {name: os.environ[name] for name in PASSED_ON if name in os.environ}}
        kind = actor.options(**share, max_restarts=0, scheduling_strategy="SPREAD", runtime_env=users)
        self._new = partial(kind.remote, make, given)
        machines = sum(bool(n["Alive"]) for n in ray.nodes())
        fitting = int(there.get("GPU", 0) // self.gpus) if self.gpus else machines
        self.wanted = cluster.replicas or max(1, fitting)
        self._alive: dict[str, Any] = {}
        self._coming: dict[Any, Any] = {}  # the promise of one that starts, or is asked again -> the actor
        self._asked_again: set[Any] = set()  # promises of those that were there before
        self._since = time.monotonic()  # when one answered, or was first asked for
        self._failed = 0  # that ended before they answered, since one did
        self._finalize = weakref.finalize(self, _end, self._alive, self._coming, self._ours)
        log(f"Ray: {self.wanted} {'replica' if self.wanted == 1 else 'replicas'} on {machines} machines")

    def there(self) -> list[str]:
        """The names of those that answer; lost ones are replaced as soon as there is room.

        None is made any more after ``FAILURES`` in a row while others answer.
        """
        import ray

        more = self.wanted - len(self._alive) - len(self._coming)
        for _ in range(more if self._failed < FAILURES or not self._alive else 0):
            actor = self._new()
            self._coming[actor.ready.remote()] = actor
        if self._coming:
            done, _ = ray.wait(
                list(self._coming), num_returns=len(self._coming), timeout=0 if self._alive else 1
            )
            for promise in done:
                self._arrived(promise)
        if self._alive:
            self._since = time.monotonic()
        elif time.monotonic() - self._since > self._cluster.wait:
            raise Unavailable(
                f"no replica could be started on the Ray cluster within {self._cluster.wait:g} s: each needs "
                f"{self.gpus:g} GPUs and {self._cluster.cpus:g} CPUs (model.ray), and `ray status` says what "
                "is free"
            )
        return list(self._alive)

    def _arrived(self, promise: Any) -> None:
        import ray

        actor = self._coming.pop(promise)
        again = promise in self._asked_again
        self._asked_again.discard(promise)
        try:
            ray.get(promise)
        except ray.exceptions.RayError as error:  # its machine is no more, or it cannot be made anywhere
            if not again:
                self._could_not_start(error)
            return
        self._failed = 0
        self._alive[actor._actor_id.hex()] = actor

    def _could_not_start(self, error: Exception) -> None:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = f"a replica could not be started: {one_line(lines[-1] if lines else type(error).__name__)}"
        self._failed += 1
        if self._failed >= FAILURES and not self._alive:
            raise EngineError(said) from error
        if self._failed == 1:
            self._warn(f"{said}. After {FAILURES} in a row the others do the work alone")

    def actor(self, name: str) -> Any:
        """The actor of this name."""
        return self._alive[name]

    def forget(self, name: str) -> None:
        """End one that does not answer, so that its devices come back where its machine lives."""
        import ray

        actor = self._alive.pop(name, None)
        with suppress(ray.exceptions.RayError, ValueError):
            if actor is not None:
                ray.kill(actor)

    def doubt(self, idle: Callable[[str], bool]) -> None:
        """Ask those that are idle whether they are still there; until they answer they get no work."""
        for name in [n for n in self._alive if idle(n)]:
            actor = self._alive.pop(name)
            promise = actor.ready.remote()
            self._coming[promise] = actor
            self._asked_again.add(promise)

    def close(self) -> None:
        """End all of them."""
        self._finalize()


class _Work:
    """One piece of work as a ``spread.Pool``."""

    def __init__(
        self, replicas: Replicas, what: str, checkpoint: Checkpoint, place: str, warn: Callable[[str], None]
    ) -> None:
        self._replicas = replicas
        self._what = what
        self._weights = (checkpoint, place)
        self._warn = warn
        self._asked: dict[str, Any] = {}

    def workers(self) -> Sequence[str]:
        return self._replicas.there()

    def ask(self, worker: str, part: tuple[list[Chat], Any]) -> None:
        method = getattr(self._replicas.actor(worker), self._what)
        self._asked[worker] = method.remote(*self._weights, *part)

    def next(self, busy: Sequence[str]) -> str | None:
        import ray

        promises = {self._asked[w]: w for w in busy}
        done, _ = ray.wait(list(promises), num_returns=1, timeout=_MOMENT)
        return promises[done[0]] if done else None

    def result(self, worker: str) -> list[Any]:
        import ray

        try:
            outcomes: Outcomes = ray.get(self._asked.pop(worker))
        except ray.exceptions.RayTaskError as error:
            raise EngineError(f"a replica failed: {error.cause or error}") from error
        except ray.exceptions.RayError as error:
            raise Lost(type(error).__name__) from error
        found, said = outcomes
        for text in said:
            self._warn(text)
        if isinstance(found, IterAlignError):
            raise found
        return found

    def lose(self, worker: str) -> None:
        self._asked.pop(worker, None)
        self._replicas.forget(worker)
        # its machine may have held others, and a part that goes to one of them would count one more loss
        self._replicas.doubt(lambda name: name not in self._asked)


def absolute(place: str) -> str:
    """A file or folder by its absolute path, for machines with another current folder; other names stay."""
    return os.path.abspath(place) if os.path.exists(place) else place


def _stay_inside(warn: Callable[[str], None]) -> None:
    """Have a cluster of this machine alone listen on its loopback, and ask for a token.

    Ray reads the first of the variables when it is imported.
    """
    inside = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
    before = sys.modules.get("ray")
    if before is not None and os.environ.get(inside) != "0" and not before.is_initialized():
        warn(
            "ray was imported before, so that its local cluster listens on all addresses of this machine: "
            f"set {inside}=0 in the environment"
        )
    os.environ[inside] = "0"
    os.environ.setdefault("RAY_AUTH_MODE", "token")


def _connect(cluster: str) -> None:
    """Raises ``Unavailable`` where there is no such cluster."""
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(address=cluster, log_to_driver=False, logging_level="error", include_dashboard=None)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise Unavailable(
            f"no Ray cluster can be reached ({error}): start one (`ray start --head`), set RAY_ADDRESS, "
            "or set model.ray.cluster = local"
        ) from error


def _end(alive: dict[str, Any], coming: dict[Any, Any], ours: bool) -> None:
    import ray

    for actor in (*alive.values(), *coming.values()):
        with suppress(Exception):  # its machine may be gone, and so may Ray
            ray.kill(actor)
    alive.clear()
    coming.clear()
    if ours and ray.is_initialized():
        ray.shutdown()
