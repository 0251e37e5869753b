"""Files of records and of users' rows, for the stages alone: read line by line where they are JSONL, written
whole or not at all.

A message names the file and the line. Knows no stage.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

from iteralign.canonical import canonical
from iteralign.data.columns import Columns
from iteralign.data.files import must_be_file
from iteralign.data.sources import HUB, read_source
from iteralign.data.turns import is_chat
from iteralign.errors import DataError
from iteralign.foreign.errors import Unreadable
from iteralign.foreign.json import parse
from iteralign.records.base import Record
from iteralign.store.files import write_for_user
from iteralign.text.printable import readable_json

T = TypeVar("T", bound=Record)
_WHOLE: Final = frozenset(
    {".json", ".csv", ".tsv", ".parquet", ".gz", ".bz2", ".xz", ".zip", ".zst", ".lz4", ".br", ".7z"}
)
_LINES: Final = frozenset({".jsonl", ".ndjson"})


def read_records(path: Path, kind: type[T]) -> list[T]:
    """Return the records of a JSONL file. Raises ``DataError``."""
    found: list[T] = []
    for where, row in json_lines(path):
        try:
            found.append(kind.from_json(row))
        except ValueError as error:
            raise DataError(f"{where}: not as {_writer(kind)} writes it: {error}") from error
    return found


def _writer(kind: type[Record]) -> str:
    """The command whose lines these are."""
    return {"Exchange": "`iteralign red-team`", "Judged": "`iteralign judge`"}.get(kind.__name__, "iteralign")


def json_lines(path: Path, columns: Columns | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of a file, each with where it stands, as messages name it. Raises ``DataError``.

    JSONL is read one line at a time, so that it may be large. Whatever else holds rows is read whole: another
    format, a compressed file, an array, a set on the hub; and what has columns that the user names.
    """
    if columns or str(path).startswith(HUB) or path.suffix.lower() in _WHOLE:
        yield from _objects(path, columns)
        return
    must_be_file(path)
    begun = False
    for number, line in enumerate(_text_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = parse(line)
        except Unreadable as error:
            if error.column is not None and not begun and path.suffix.lower() in _LINES:
                yield from _objects(path, columns)
                return
            column = "" if error.column is None else f", column {error.column}"
            raise DataError(
                f"{path}, line {number}{column}: {error}; one object a line is expected"
            ) from error
        begun = True
        if isinstance(row, list) and path.suffix.lower() in _LINES:
            yield from _objects(path, columns)  # rows in an array
            return
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: {type(row).__name__} found, an object expected")
        yield f"{path}, line {number}", row


def _objects(path: Path, columns: Columns | None) -> Iterator[tuple[str, dict[str, Any]]]:
    for row in read_source(path, columns).rows:
        value = {"messages": row.value} if is_chat(row.value) else row.value
        if not isinstance(value, dict):
            raise DataError(f"{row.where}: {type(value).__name__} found, an object expected")
        yield row.where, value


def _text_lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            yield from file
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8") from error


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
