"""Rows from where a user says they are: a file, a set on the hub or a file there; their fields as the user
names them.

Knows nothing of what a row holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from iteralign.data.columns import Columns, with_columns
from iteralign.data.files import read_rows
from iteralign.data.hub import hub_file, hub_rows, names_a_file
from iteralign.data.rows import Row

HUB: Final = "hub:"


@dataclass(frozen=True, slots=True)
class Source:
    """What was read: rows, the name that records keep, and the SHA-256 of the file's bytes, or none."""

    rows: list[Row]
    name: str
    sha256: str = ""


def read_source(
    source: str | Path, columns: Columns | None = None, hub: Callable[[str], list[Row]] = hub_rows
) -> Source:
    """The rows of ``FILE``, ``hub:OWNER/NAME`` or ``hub:OWNER/NAME/FILE``. Raises ``DataError``."""
    place = str(source)
    if not place.startswith(HUB):
        rows, sha256 = read_rows(Path(place).expanduser())
        return Source(with_columns(rows, columns, place), Path(place).name, sha256)
    address = place.removeprefix(HUB)
    if names_a_file(address):
        file = hub_file(address)
        rows, sha256 = read_rows(file)
        return Source(with_columns(rows, columns, place), file.name, sha256)
    return Source(with_columns(hub(address), columns, place), address.partition("?")[0])


def field_of(name: str) -> tuple[str, str | None]:
    """A source and the field that is named behind it: ``FILE::FIELD``, ``hub:OWNER/NAME?split=S::FIELD``."""
    source, two, field = name.partition("::")
    return source, field.strip() or None if two else None
