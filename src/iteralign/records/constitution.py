"""Principles, the constitution that they make up, and how one version follows from the version before it.

A run of two thousand rounds has as many versions with up to ten thousand principles each. So a version is
written down as what it adds (``Amendment``), and its id is made only when somebody asks for it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from iteralign.canonical import canonical
from iteralign.records.base import Record

PrincipleStatus = Literal["active", "rejected", "merged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Principle(Record):
    """One rule of a constitution with its provenance.

    Its id is made of its text alone, so that evidence can grow. ``evidence``: ids of the improper responses
    that led to it; ``born``: the iteration (0: brought by the user); ``parents``: ids of principles that were
    merged into it.
    """

    _prefix: ClassVar[str] = "principle-"
    _identity: ClassVar[tuple[str, ...]] = ("text",)

    text: str
    category: str | None = None
    evidence: tuple[str, ...] = ()
    born: int = 0
    status: PrincipleStatus = "active"
    parents: tuple[str, ...] = ()

    def spelled(self) -> str:
        """The canonical JSON, made once: every version of a constitution is hashed with it."""
        try:
            return self._json
        except AttributeError:
            object.__setattr__(self, "_json", canonical(self))
            return self._json


@dataclass(frozen=True, slots=True, kw_only=True)
class Constitution(Record):
    """A version of the rules; ``parent`` is the id of the version before it."""

    _prefix: ClassVar[str] = "constitution-"

    version: int = 0
    principles: tuple[Principle, ...] = ()
    parent: str | None = None

    def __post_init__(self) -> None:
        if self.id:
            Record.__post_init__(self)  # a slotted dataclass has no super()
        else:
            object.__delattr__(self, "id")  # made when it is first asked for

    if not TYPE_CHECKING:  # else every name would pass for an attribute

        def __getattr__(self, name: str) -> str:
            if name != "id":
                raise AttributeError(name)
            object.__setattr__(self, "id", f"{self._prefix}{self._digest()[:20]}")
            return self.id

    def _digest(self) -> str:
        # content_hash of the same fields, from the principles' own JSON
        made = hashlib.sha256(f'["Constitution",{{"parent":{canonical(self.parent)},"principles":['.encode())
        made.update(",".join([p.spelled() for p in self.principles]).encode())
        made.update(f'],"version":{self.version}}}]'.encode())
        return made.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment(Record):
    """A version of the rules, by what it changes of the version ``parent``.

    ``constitution_id`` and ``version`` are those of the version that comes of it. ``evidence``: principles of
    the parent with the ids that were added to their evidence. ``removed``: ids of principles that leave their
    place. ``added``: principles at the end, among them those that were removed and come again.
    """

    _prefix: ClassVar[str] = "amendment-"

    constitution_id: str
    version: int
    parent: str
    evidence: tuple[tuple[str, tuple[str, ...]], ...] = ()
    removed: tuple[str, ...] = ()
    added: tuple[Principle, ...] = ()


def amendment(before: Constitution, after: Constitution) -> Amendment | Constitution:
    """The version ``after`` as it is stored: what it changes of ``before``, whose id it names as its parent.

    The whole of it where there is nothing before it. Where nothing changed, an amendment that names its own
    version as its parent.
    """
    if not before.principles or (after is not before and after.parent != before.id):
        return after
    evidence: list[tuple[str, tuple[str, ...]]] = []
    removed: list[str] = []
    place = 0
    for old in before.principles:
        new = after.principles[place] if place < len(after.principles) else None
        if new is not old:
            if new is None or not _grew(old, new):
                removed.append(old.id)  # and comes again among those added, where it only changed
                continue
            evidence.append((old.id, new.evidence[len(old.evidence) :]))
        place += 1
    return Amendment(
        constitution_id=after.id,
        version=after.version,
        parent=before.id,
        evidence=tuple(evidence),
        removed=tuple(removed),
        added=after.principles[place:],
    )


def _grew(old: Principle, new: Principle) -> bool:
    """Whether the principles differ in nothing but evidence that was added."""
    if new.id != old.id or new.evidence[: len(old.evidence)] != old.evidence:
        return False
    return replace(new, evidence=old.evidence) == old


def amended(before: Constitution, change: Amendment | Constitution) -> Constitution:
    """The version that a change of ``before`` makes.

    Its id is the one that the change names, whose own id covers it: nothing is hashed again. Raises
    ``ValueError`` where the change belongs to another version.
    """
    if isinstance(change, Constitution):
        return change
    if change.parent != before.id:
        raise ValueError(f"{change.id} changes {change.parent}, not {before.id}")
    if change.constitution_id == before.id:
        return before
    principles = before.principles
    if change.removed or change.evidence:
        removed = set(change.removed)
        more = dict(change.evidence)
        principles = tuple(
            replace(p, evidence=(*p.evidence, *more[p.id])) if p.id in more else p
            for p in principles
            if p.id not in removed
        )
    made = Constitution(version=change.version, principles=(*principles, *change.added), parent=change.parent)
    object.__setattr__(made, "id", change.constitution_id)
    return made
