"""A recorder that keeps what it has in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


class Memory:
    """A recorder that keeps what it has per step and item."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Any] = {}

    def once(self, name: str, kind: Any, compute: Callable[[], Any], *inputs: object) -> Any:
        if (name, "") not in self.kept:
            self.kept[name, ""] = compute()
        return self.kept[name, ""]

    def each(
        self,
        name: str,
        kind: Any,
        items: Sequence[Any],
        compute: Callable[[Sequence[Any]], list[Any]],
        *inputs: object,
        chunk: int = 96,
    ) -> list[Any]:
        missing = [i for i in items if (name, i.id) not in self.kept]
        if missing:
            self.kept.update({(name, i.id): r for i, r in zip(missing, compute(missing), strict=True)})
        return [self.kept[name, i.id] for i in items]
