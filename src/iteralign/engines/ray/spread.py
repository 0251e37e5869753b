"""Spreads parts of work over workers that may be lost: results in order, a lost worker's part is done again.

Pure: what a worker is, and how it is asked, comes in as a ``Pool``. Knows nothing of Ray and of models.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from iteralign.errors import EngineError

LOSSES = 3
"""Workers that one part of work may lose before the run stops: it may be what ends them."""
W = TypeVar("W", bound=Hashable)
P = TypeVar("P")
R = TypeVar("R")
P_contra = TypeVar("P_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Lost(Exception):
    """A worker is no more: its process, its machine or the way to it."""


class Pool(Protocol[W, P_contra, R_co]):
    """Workers that are asked for one part at a time."""

    def workers(self) -> Sequence[W]:
        """Those that are there, lost ones replaced where that is possible.

        Raises ``EngineError`` where there is none, and will be none.
        """
        ...

    def ask(self, worker: W, part: P_contra) -> None:
        """Have a worker begin with a part."""
        ...

    def next(self, busy: Sequence[W]) -> W | None:
        """One of the busy workers that is done or lost; None where none was within a moment."""
        ...

    def result(self, worker: W) -> R_co:
        """What it made of its part. Raises ``Lost``, and what the work itself raised."""
        ...

    def lose(self, worker: W) -> None:
        """Forget a lost worker."""
        ...


def spread(parts: Sequence[P], pool: Pool[W, P, R], tell: Callable[[str], None]) -> list[R]:
    """The results of all parts, in their order. Raises the first error of the work."""
    waiting = deque(range(len(parts)))
    at: dict[W, int] = {}
    losses = [0] * len(parts)
    done: dict[int, R] = {}
    while len(done) < len(parts):
        for worker in pool.workers():
            if waiting and worker not in at:
                at[worker] = waiting.popleft()
                pool.ask(worker, parts[at[worker]])
        ready = pool.next(list(at)) if at else None
        if ready is None:
            continue
        number = at.pop(ready)
        try:
            done[number] = pool.result(ready)
        except Lost as error:
            pool.lose(ready)
            losses[number] += 1
            if losses[number] == LOSSES:
                raise EngineError(
                    f"{LOSSES} workers were lost over the same part of work ({error}): lower "
                    "model.batch_size or model.max_context, and look at the logs of Ray; then resume"
                ) from error
            waiting.appendleft(number)
            tell(f"a worker was lost ({error}): its part of the work is given to another one")
    return [done[n] for n in range(len(parts))]


def cut(keys: Sequence[Hashable], most: int) -> list[list[int]]:
    """Places cut into parts of about ``most``.

    Equal keys stay in one part and in their order: equal chats have seeds by their place among each other.
    """
    groups: dict[Hashable, list[int]] = {}
    for place, key in enumerate(keys):
        groups.setdefault(key, []).append(place)
    parts: list[list[int]] = []
    for group in groups.values():
        if parts and len(parts[-1]) + len(group) <= most:
            parts[-1].extend(group)
        else:
            parts.append(list(group))
    return parts


class Joined(Generic[R]):
    """Results of parts, put back in the order of the whole."""

    def __init__(self, parts: Sequence[Sequence[int]]) -> None:
        self._parts = parts

    def whole(self, found: Sequence[Sequence[R]]) -> list[R]:
        """One result per place."""
        by_place: Mapping[int, R] = {
            place: result
            for places, results in zip(self._parts, found, strict=True)
            for place, result in zip(places, results, strict=True)
        }
        return [by_place[n] for n in range(len(by_place))]
