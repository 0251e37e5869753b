"""What is wrong with a text that others wrote. Knows no format and no file."""

from __future__ import annotations

DEPTH = 100
"""Lists and mappings inside each other, at most: nothing that is read here needs ten."""
DIGITS = 100
"""Of a whole number, at most: more would not fit a float, and Python refuses to print some thousand."""
_SHOWN = 160


class Unreadable(ValueError):
    """A text cannot be read.

    The message is one short line. ``line`` and ``column`` say where, from 1; None where that is not known.
    """

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(short(message))
        self.line = line
        self.column = column

    @property
    def at(self) -> str:
        """``, line 3``, to follow the file's name; empty where the line is not known."""
        return "" if self.line is None else f", line {self.line}"


def short(text: str, limit: int = _SHOWN) -> str:
    """A message on one line, its middle left out where foreign words make it long."""
    line = " ".join(text.split())
    half = limit // 2
    return line if len(line) <= limit else f"{line[:half]} ... {line[-half:]}"
