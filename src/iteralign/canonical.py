"""One JSON text per value, a hash of it, and values back from it: what ids, store keys and files are made of.

Knows no record by name. This module imports nothing of ours.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

UNLESS_SET: Final = {"left out unless set": True}
"""Metadata of a field that came later: it is spelled only where it is not the default, so that ids and keys of older runs stay."""


def canonical(value: object) -> str:
    """One JSON text per value: sorted keys, no spaces, whole floats as integers; records inside are spelled by their fields.

    Raises ``TypeError`` for what JSON cannot say and ``ValueError`` for NaN and infinities.
    """
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def content_hash(*values: object) -> str:
    """Hex SHA-256 of the canonical JSON of the values."""
    return hashlib.sha256(canonical(list(values)).encode()).hexdigest()


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value  # 1 and 1.0 are one value: a field typed float reads both alike
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        shown = [f for f in dataclasses.fields(value) if f.metadata != UNLESS_SET or getattr(value, f.name) != f.default]
        return {f.name: _plain(getattr(value, f.name)) for f in shown}
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


@cache
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def to_json(value: object) -> Any:
    """Plain JSON data of a record, or of any nest of records, lists and dicts."""
    return json.loads(canonical(value))


def from_json(kind: Any, data: object) -> Any:
    """A value of type ``kind`` (a record class, ``list[Record]``, ...) from plain JSON data.

    Raises ``ValueError`` (pydantic's, naming the field) where the data do not fit, or where an id does not fit its content.
    """
    return _adapter(kind).validate_python(data)
