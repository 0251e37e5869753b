"""What every record with an id shares: frozen, slotted, JSON both ways.

A record's ``id`` is a hash of its content, so the same content is the same record in every run, and a record
whose stored id does not fit its content is refused. Knows no record by name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from iteralign.canonical import content_hash, from_json, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
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
        names = self._identity or tuple(f.name for f in dataclasses.fields(self) if f.name != "id")
        told = {n: v for n in names if (v := getattr(self, n)) is not None or n not in self._unless_none}
        digest = content_hash(type(self).__name__, told)[:20]
        made = f"{self._prefix}{digest}"
        if self.id and self.id != made:
            raise ValueError(
                f"id {self.id!r} does not fit the content of this {type(self).__name__} ({made}): "
                "it was edited or damaged"
            )
        object.__setattr__(self, "id", made)

    def to_json(self) -> dict[str, Any]:
        """This record as plain JSON data."""
        data: dict[str, Any] = to_json(self)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The record that ``to_json`` wrote; ``ValueError`` where data or id do not fit."""
        record: Self = from_json(cls, data)
        return record
