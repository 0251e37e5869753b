"""One JSON text per value, a hash of it, and values back from it: what ids, store keys and files are made of.

Knows no record by name. This module imports nothing of ours.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any


def canonical(value: object) -> str:
    """One JSON text per value: sorted keys, no spaces, whole floats as integers.

    Records inside are spelled by their fields.

    A record's fields named in its ``_unless_none`` are left out where they are None: what was written before
    there was such a field keeps its hash.

    Raises ``TypeError`` for what JSON cannot say and ``ValueError`` for NaN and infinities.
    """
    return json.dumps(
        _plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )


def content_hash(*values: object) -> str:
    """Hex SHA-256 of the canonical JSON of the values."""
    return hashlib.sha256(canonical(list(values)).encode()).hexdigest()


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return (
            int(value) if value.is_integer() else value
        )  # 1 and 1.0 are one value: a field typed float reads both alike
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        left_out = getattr(value, "_unless_none", ())
        named = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {name: _plain(own) for name, own in named if own is not None or name not in left_out}
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

    Raises ``ValueError`` (pydantic's, naming the field) where the data do not fit, or where an id does not
    fit its content.
    """
    return _adapter(kind).validate_python(data)
