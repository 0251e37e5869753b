"""Steps whose functions are closures, for tests that count or interrupt what is computed: their keys are made
of the inputs alone, as a plain function's would be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iteralign.records.iteralign import Checkpoint
from iteralign.store.run import Run


@dataclass(frozen=True)
class Unseen:
    """A function that no key sees."""

    function: Callable[..., Any]
    fingerprint: str = "unseen"


def _value(unseen: Unseen, *inputs: object) -> Any:
    return unseen.function()


def _first(first: Any, unseen: Unseen, *inputs: object) -> Any:
    return unseen.function(first)


def once(scope: Any, name: str, kind: Any, compute: Callable[[], Any], *inputs: object) -> Any:
    return scope.once(name, kind, _value, Unseen(compute), *inputs)


def each(
    scope: Any,
    name: str,
    kind: Any,
    items: Sequence[Any],
    compute: Callable[[Sequence[Any]], list[Any]],
    *inputs: object,
    chunk: Any = 96,
) -> list[Any]:
    found: list[Any] = scope.each(name, kind, _first, items, Unseen(compute), *inputs, chunk=chunk)
    return found


def keep(run: Run, name: str, build: Callable[[Path], Checkpoint], *inputs: object) -> Checkpoint:
    return run.checkpoint(name, _first, Unseen(build), *inputs)
