"""What every record with an id shares: frozen, slotted, JSON both ways.

A record's ``id`` is a hash of its content, so the same content is the same record in every run, and a record
whose stored id does not fit its content is refused. Knows no record by name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Self

from iteralign.canonical import content_hash, from_json, to_json


class _Spelled:
    """Room for the canonical JSON of a record that is spelled again and again."""

    __slots__ = ("_json",)
    _json: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(_Spelled):
    """What every record with an id shares.

    ``_identity``: the fields that the id is made of; empty means all. ``_unless_none``: later fields, which a
    None leaves out of id and JSON, so that older records keep theirs.
    """

    _identity: ClassVar[tuple[str, ...]] = ()
    _unless_none: ClassVar[tuple[str, ...]] = ()
    _prefix: ClassVar[str] = ""
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    id: str = ""

    def __post_init__(self) -> None:
        made = f"{self._prefix}{self._digest()[:20]}"
        if self.id and self.id != made:
            raise ValueError(
                f"id {self.id!r} does not fit the content of this {type(self).__name__} ({made}): "
                "it was edited or damaged"
            )
        object.__setattr__(self, "id", made)

    def _digest(self) -> str:
        """The hash that the id is made of, in hex."""
        kind: Any = type(self)
        told = {
            name: own
            for name, always in _identity_of(kind)
            if (own := getattr(self, name)) is not None or always
        }
        return content_hash(type(self).__name__, told)

    def to_json(self) -> dict[str, Any]:
        """This record as plain JSON data."""
        data: dict[str, Any] = to_json(self)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The record that ``to_json`` wrote; ``ValueError`` where data or id do not fit."""
        record: Self = from_json(cls, data)
        return record


@cache
def _identity_of(kind: Any) -> tuple[tuple[str, bool], ...]:
    """The fields that the ids of a class are made of, each with whether it counts while it is None."""
    names = kind._identity or tuple(f.name for f in dataclasses.fields(kind) if f.name != "id")
    return tuple((name, name not in kind._unless_none) for name in names)
