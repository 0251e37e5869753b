"""What changed from one constitution to another, as plain data and as text.

Knows nothing of runs or files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from iteralign.canonical import to_json
from iteralign.records.iteralign import Constitution, Principle
from iteralign.text.printable import spelled

_FIELDS = ("status", "category", "evidence", "born", "parents")


@dataclass(frozen=True, slots=True)
class Change:
    """A principle that is in both; ``fields`` names what differs (``text`` where it was reworded)."""

    before: Principle
    after: Principle
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """The principles of the later constitution that are new, that are gone, and that changed.

    Each in its own order.
    """

    before: str
    after: str
    added: tuple[Principle, ...]
    removed: tuple[Principle, ...]
    changed: tuple[Change, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data."""
        data: dict[str, Any] = to_json(self)
        return data

    def to_text(self) -> str:
        """One line per principle: + added, - removed, ~ changed.

        Safe to print: control characters are escaped.
        """
        lines = [f"+ {spelled(p.text)}{_of(p)}" for p in self.added]
        lines += [f"- {spelled(p.text)}{_of(p)}" for p in self.removed]
        lines += [
            f"~ {spelled(c.after.text)}: " + "; ".join(_told(c, name) for name in c.fields)
            for c in self.changed
        ]
        return "\n".join(lines) if lines else "no difference"


def diff(before: Constitution, after: Constitution) -> Difference:
    """What was added, removed and changed.

    A new principle that names a gone one as its parent is that one, reworded.
    """
    old = {p.id: p for p in before.principles}
    new = {p.id: p for p in after.principles}
    gone = {i: p for i, p in old.items() if i not in new}
    changed: list[Change] = []
    added: list[Principle] = []
    for principle in new.values():
        elder = old.get(principle.id)
        reworded = elder is None
        if elder is None:
            elder = next((gone.pop(i) for i in principle.parents if i in gone), None)
        if elder is None:
            added.append(principle)
            continue
        fields = (("text",) if reworded else ()) + tuple(
            f for f in _FIELDS if getattr(elder, f) != getattr(principle, f)
        )
        if fields:
            changed.append(Change(elder, principle, fields))
    return Difference(before.id, after.id, tuple(added), tuple(gone.values()), tuple(changed))


def _told(change: Change, name: str) -> str:
    old = getattr(change.before, name)
    new = getattr(change.after, name)
    if name in ("evidence", "parents"):
        return f"{name} {len(old)} -> {len(new)}"
    return (
        f"{name} {spelled(str(old))!r} -> {spelled(str(new))!r}"
        if name == "text"
        else f"{name} {spelled(str(old))} -> {spelled(str(new))}"
    )


def _of(principle: Principle) -> str:
    count = len(principle.evidence)
    return (
        f" [{spelled(principle.category or 'no category')}, {count} failing "
        f"answer{'' if count == 1 else 's'}, {principle.status}]"
    )
