"""Makes text safe for a terminal: what a model wrote may hold escape sequences, markup and characters that
reorder a line.

Nothing but printable characters passes; everything else is shown as its code. Knows nothing of runs.
"""

from __future__ import annotations


def safe(text: object, limit: int | None = None) -> str:
    """The text on one line, printable characters only, cut to ``limit`` characters.

    White space of any kind becomes one space; control, formatting (bidirectional, zero-width), private and
    unassigned characters are spelled ``\\\\u202e``. Rich's markup is not interpreted where the result goes
    (``Text`` is used, never markup).
    """
    spaced = "".join(c if c.isprintable() else " " if c.isspace() else _code(c) for c in str(text))
    line = " ".join(spaced.split())
    return line if limit is None or len(line) <= limit else f"{line[: limit - 3].rstrip()}..."


def _code(character: str) -> str:
    point = ord(character)
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
