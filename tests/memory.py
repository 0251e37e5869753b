"""A recorder that keeps what it has in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


class Memory:
    """A recorder that keeps what it has per step and item."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Any] = {}

    def once(self, name: str, kind: Any, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return self.kept.setdefault((name, ""), function(*args, **kwargs))

    def each(
        self,
        name: str,
        kind: Any,
        function: Callable[..., list[Any]],
        items: Sequence[Any],
        /,
        *args: Any,
        chunk: Any = 32,
        **kwargs: Any,
    ) -> list[Any]:
        missing = [i for i in items if (name, i.id) not in self.kept]
        if missing:
            found = function(missing, *args, **kwargs)
            self.kept.update({(name, i.id): r for i, r in zip(missing, found, strict=True)})
        return [self.kept[name, i.id] for i in items]
