"""JSON that others wrote, with limits on depth and digits. Knows no file and no field."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from iteralign.foreign.errors import DEPTH, DIGITS, Unreadable

_TOO_DEEP = f"nested more than {DEPTH} deep"


def parse(text: str, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """The value of a JSON text. Raises ``Unreadable``.

    ``pairs`` makes an object of its pairs; a ``ValueError`` that it raises passes through.
    """
    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_int=_whole)
    except json.JSONDecodeError as error:
        raise Unreadable(f"not JSON: {error.msg}", error.lineno, error.colno) from error
    except RecursionError as error:
        raise Unreadable(_TOO_DEEP) from error
    if text.count("[") + text.count("{") > DEPTH:
        _must_be_shallow(value)
    return value


def parse_object(text: str) -> dict[str, Any]:
    """The object of a JSON text. Raises ``Unreadable``, also for another value."""
    value = parse(text)
    if not isinstance(value, dict):
        raise Unreadable(f"a JSON object is expected, found {named(value)}")
    return value


def read_object(path: Path, most: int) -> dict[str, Any]:
    """The object of a JSON file of at most so many bytes. Raises ``Unreadable`` and ``OSError``."""
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise Unreadable(f"larger than {most >> 20} MiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"not UTF-8 text (byte {error.start})") from error
    return parse_object(text)


def named(value: object) -> str:
    """What kind of JSON a value is, in words."""
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _whole(digits: str) -> int:
    if len(digits) > DIGITS:
        raise Unreadable(f"a number of {len(digits)} digits")
    return int(digits)


def _must_be_shallow(value: Any) -> None:
    level = [value]
    for _ in range(DEPTH):
        inner = [v.values() if isinstance(v, dict) else v for v in level if isinstance(v, dict | list)]
        level = [v for values in inner for v in values if isinstance(v, dict | list)]
        if not level:
            return
    raise Unreadable(_TOO_DEEP)
