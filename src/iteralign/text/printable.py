"""Texts made safe to show: what a model wrote may hold escape sequences, markup and characters that reorder a
line.

``safe`` is for people at a terminal, who shall see what was hidden. ``one_line`` is for what is stored or
sent to a model, where a code in place of a character would be noise. Knows nothing of runs.
"""

from __future__ import annotations

import json
import re

_NOT_ASCII = re.compile(r"[^\x20-\x7e\n]")


def one_line(text: str, limit: int | None = 300) -> str:
    """The text on one line, cut to ``limit`` characters.

    White space and unprintable characters become one space.
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if limit is None or len(line) <= limit else f"{line[: limit - 3]}..."


def count_of(number: int, thing: str, plural: str = "") -> str:
    """``1 answer``, ``2 answers``, ``1,200 answers``; ``plural`` where an s does not make it."""
    return f"{number:,} {thing if number == 1 else plural or f'{thing}s'}"


def kind_of_value(value: object) -> str:
    """What a value of a data file is, in a reader's words: ``a list``, ``a text``, ``nothing``."""
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}
    if value is None:
        return "nothing"
    return names.get(type(value), "an object")


def safe(text: object, limit: int | None = None) -> str:
    """The text on one line, printable characters only, cut to ``limit`` characters.

    White space of any kind becomes one space; control, formatting (bidirectional, zero-width), private and
    unassigned characters are spelled ``\\\\u202e``. Rich's markup is not interpreted where the result goes
    (``Text`` is used, never markup).
    """
    line = spelled(" ".join(str(text).split()))
    return line if limit is None or len(line) <= limit else f"{line[: limit - 3].rstrip()}..."


def spelled(text: str) -> str:
    """The text with every unprintable character, line ends too, as its code: ``\\\\n``, ``\\\\x1b``."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def readable_json(text: str) -> str:
    """JSON text that says the same, and that is safe to print and to read line by line.

    What a terminal would obey, and what some readers take for a line's end, is escaped. Line feeds between
    the values stay.
    """
    escaped = _NOT_ASCII.sub(lambda m: m[0] if m[0].isprintable() else json.dumps(m[0])[1:-1], text)
    return escaped.replace("\x7f", "\\u007f")  # json leaves this one as it is
