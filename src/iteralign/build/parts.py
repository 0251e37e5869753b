"""The work of a stage alone, part by part, with the events by which a run says how far it is.

Nothing is stored: a stage that is stopped begins anew. Knows no stage and no display.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from iteralign.protocols import Cut
from iteralign.store.run import Event

Item = TypeVar("Item")
Found = TypeVar("Found")
Done = TypeVar("Done")
Listen = Callable[[Event], None]
STAGE = "iteration"
"""The scope of such events: stages alone have the names of an iteration's steps."""


def teller(name: str, total: int, listen: Listen | None, scope: str = STAGE) -> Callable[[str, int], None]:
    """Return what tells ``listen`` a step's state (``started``, ``progress``, ``done``) and count."""
    began = time.monotonic()

    def tell(state: str, done: int) -> None:
        if listen is not None:
            fields = {"scope": scope, "name": name, "state": state, "done": done, "total": total}
            listen(Event(0, time.time(), "step", fields | {"seconds": time.monotonic() - began}))

    return tell


def in_parts(
    name: str,
    work: Callable[[Sequence[Item]], Sequence[Found]],
    items: Sequence[Item],
    cut: int | Cut,
    listen: Listen | None = None,
) -> list[Found]:
    """What ``work`` finds for all items, in the parts that ``cut`` makes; ``listen`` hears how far it is."""
    tell = teller(name, len(items), listen)
    tell("started", 0)
    found: list[Found] = []
    parts = [items[at : at + cut] for at in range(0, len(items), cut)] if isinstance(cut, int) else cut(items)
    for part in parts:
        found += work(part)
        if len(found) < len(items):
            tell("progress", len(found))
    tell("done", len(found))
    return found


def at_once(work: Callable[[], Done], name: str, listen: Listen | None = None, scope: str = STAGE) -> Done:
    """What one piece of work comes to; ``listen`` hears when it begins and ends."""
    tell = teller(name, 1, listen, scope)
    tell("started", 0)
    done = work()
    tell("done", 1)
    return done
