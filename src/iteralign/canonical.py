"""One JSON text per value, a hash of it, and values back from it: what ids, store keys and files are made of.

Knows no record by name. This module imports nothing of ours.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from json.encoder import encode_basestring
from math import isfinite
from operator import itemgetter
from typing import Any

SHOWN = 4
"""Faults of data that a message names."""


def canonical(value: object) -> str:
    """One JSON text per value: sorted keys, no spaces, whole floats as integers.

    Records inside are spelled by their fields.

    A record's fields named in its ``_unless_none`` are left out where they are None: what was written before
    there was such a field keeps its hash.

    Raises ``TypeError`` for what JSON cannot say and ``ValueError`` for NaN and infinities.
    """
    return _spelled(value)


def content_hash(*values: object) -> str:
    """Hex SHA-256 of the canonical JSON of the values."""
    return hashlib.sha256(canonical(list(values)).encode()).hexdigest()


def _spelled(value: object) -> str:
    # by exact type first: a run spells some million values, most of them texts in records
    kind: Any = type(value)
    if kind is str:
        return encode_basestring(value)  # type: ignore[arg-type]
    if value is None:
        return "null"
    fields = _fields(kind)
    if fields is not None:
        told = [
            key + (encode_basestring(own) if type(own) is str else _spelled(own))
            for name, key, always in fields
            if (own := getattr(value, name)) is not None or always
        ]
        return f"{{{','.join(told)}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join([_spelled(v) for v in value])}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        if not isfinite(value):
            raise ValueError(f"{value} is not a number that JSON has")
        # 1 and 1.0 are one value: a field typed float reads both alike
        return int.__repr__(int(value)) if value.is_integer() else float.__repr__(value)
    if isinstance(value, Mapping):
        told = [f"{encode_basestring(k)}:{_spelled(v)}" for k, v in _sorted(value)]
        return f"{{{','.join(told)}}}"
    if isinstance(value, str):
        return encode_basestring(value)
    raise TypeError(f"{kind.__name__} cannot be written as JSON")


def _sorted(value: Mapping[Any, Any]) -> list[tuple[str, Any]]:
    return sorted({str(k): v for k, v in value.items()}.items(), key=itemgetter(0))


@cache
def _fields(kind: Any) -> tuple[tuple[str, str, bool], ...] | None:
    """The fields of a record class by name: each with its key as JSON, and whether it is written while it is
    None. None for another class.
    """
    if not dataclasses.is_dataclass(kind):
        return None
    left_out = getattr(kind, "_unless_none", ())
    names = sorted(f.name for f in dataclasses.fields(kind))
    return tuple((name, f"{encode_basestring(name)}:", name not in left_out) for name in names)


@cache
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def to_json(value: object) -> Any:
    """Plain JSON data of a record, or of any nest of records, lists and dicts."""
    return json.loads(canonical(value))


def from_json(kind: Any, data: object) -> Any:
    """A value of type ``kind`` (a record class, ``list[Record]``, ...) from plain JSON data.

    Raises ``ValueError`` that names the fields where the data do not fit, or where an id does not fit its
    content.
    """
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_python(data)
    except ValidationError as error:
        raise ValueError(_in_words(error.errors(include_url=False))) from None


def _in_words(faults: list[Any]) -> str:
    """What is wrong with data, field by field; the first few of them."""
    told = list(dict.fromkeys(_fault(f) for f in faults))
    more = len(told) - SHOWN
    return "; ".join(told[:SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _fault(fault: Any) -> str:
    field = ".".join(map(str, fault["loc"]))
    if fault["type"] == "missing":
        return f"field {field!r} is missing"
    if fault["type"] == "unexpected_keyword_argument":
        return f"field {field!r} is not known"
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    value = json.dumps(fault["input"], default=str)
    shown = value if len(value) <= 80 else f"{value[:77]}..."
    wanted = str(fault["msg"]).removeprefix("Input should be ")
    return f"{f'field {field!r} is ' if field else ''}{shown}, and should be {wanted}"
