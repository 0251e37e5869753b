"""JSONL files of records, for the stages alone: read line by line, written whole or not at all.

A message names the file and the line. Knows no stage.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from iteralign.canonical import canonical
from iteralign.errors import DataError
from iteralign.records.base import Record
from iteralign.store.files import write_for_user
from iteralign.text.printable import readable_json

T = TypeVar("T", bound=Record)


def read_records(path: Path, kind: type[T]) -> list[T]:
    """Return the records of a JSONL file. Raises ``DataError``."""
    found: list[T] = []
    for number, row in json_lines(path):
        try:
            found.append(kind.from_json(row))
        except ValueError as error:
            raise DataError(f"{path}, line {number}: not a {kind.__name__} record: {error}") from error
    return found


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of a JSONL file with their line numbers, one at a time. Raises ``DataError``."""
    for number, line in enumerate(_text_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{path}, line {number}: not JSON ({error.msg}, column {error.colno}); one object a line is "
                "expected"
            ) from error
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: {type(row).__name__} found, an object expected")
        yield number, row


def _text_lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            yield from file
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def write_lines(out: Path, rows: Iterable[object]) -> dict[str, Any]:
    """Write rows as JSONL, one by one as they come, and return the path and their number.

    The file appears when it is whole. Raises ``StoreError``.
    """
    count = 0

    def lines() -> Iterator[str]:
        nonlocal count
        for row in rows:
            count += 1
            yield readable_json(canonical(row)) + "\n"

    write_for_user(out, lines())
    return {"path": str(out), "rows": count}
