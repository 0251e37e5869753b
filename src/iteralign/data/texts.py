"""A text of a data file as it may be asked, judged or trained on, and what a value is called in messages.

Knows nothing of fields.
"""

from __future__ import annotations

from typing import Final

from iteralign.errors import DataError

MAX_CHARACTERS: Final = 20_000


def clean(text: str, where: str) -> str:
    """The text without white space around it.

    Raises ``DataError`` where it is empty, too long, or no text in UTF-8.
    """
    text = text.strip()
    if not text:
        raise DataError(f"{where}: empty. Delete the row or fill it in.")
    if len(text) > MAX_CHARACTERS:
        raise DataError(
            f"{where}: {len(text):,} characters, more than the {MAX_CHARACTERS:,} that a prompt may have. "
            "Shorten or delete it."
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{where}: character {error.start + 1} is half of a surrogate pair (a broken \\u escape). "
            "Repair or delete the row."
        ) from error
    if "\0" in text:
        raise DataError(f"{where}: holds a zero character. Delete it.")
    return text


def kind(value: object) -> str:
    """What a value is, in words."""
    names = {
        "NoneType": "nothing (null)",
        "list": "a list",
        "dict": "an object",
        "bool": "a truth value",
        "int": "a number",
        "float": "a number",
    }
    name = names.get(type(value).__name__, type(value).__name__)
    return f"{name} ({value!r})" if isinstance(value, bool | int | float) else name
