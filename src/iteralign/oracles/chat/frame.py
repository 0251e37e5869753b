"""Puts hostile text into a frame that it cannot leave, and reads replies that it cannot forge.

The fence is a mark made of a hash of the text itself, so that the text cannot contain it, and a reply counts
only with that mark. Knows nothing of judging.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from iteralign.canonical import content_hash
from iteralign.text.printable import one_line

_END = re.compile(r"(?:\s|`{3,}|~{3,}|</?[A-Za-z_|]{1,20}>|[.\]])*")
"""What may follow the object of a reply: ends of fences, of tags around it, of a list, of a sentence."""
_REPLY_LIMIT = 20_000  # characters of a reply that are read
T = TypeVar("T", bound=BaseModel)


class Unusable(ValueError):
    """A reply that does not say what was asked; the message tells the model what is wrong."""


def mark_for(texts: Sequence[str], seed: int) -> str:
    """A word that occurs in none of the texts.

    The same texts and seed give the same one, so that a request can be repeated.
    """
    everything = "\n".join(texts).casefold()
    for attempt in range(1000):
        mark = f"x{content_hash(list(texts), seed, attempt)[:15]}"
        if mark not in everything:
            return mark
    raise AssertionError("a text cannot hold a thousand hashes of itself")


def read(reply: str, mark: str, shape: type[T]) -> T:
    """The last JSON object of the reply that bears the mark, validated. Raises ``Unusable``.

    Objects without the mark are quotations of the material, or inventions of it, and are passed over. Nothing
    may follow the object: where a judge quotes without escaping, the material may close it.
    """
    found: dict[str, Any] | None = None
    rest = ""
    # not strict: small models put line feeds and tabs into strings as they are
    decoder = json.JSONDecoder(object_pairs_hook=_without_repeats, strict=False)
    text = reply[-_REPLY_LIMIT:]
    at = 0
    while (at := text.find("{", at)) >= 0:
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        if isinstance(value, dict) and value.get("mark") == mark:
            found = value
            rest = text[at:]
    if found is None:
        raise Unusable(
            "it is empty" if not reply.strip() else "it holds no JSON object with the mark of the request"
        )
    if not _END.fullmatch(rest):
        raise Unusable(f"something follows the JSON object: {one_line(rest, 60)!r}")
    try:
        return shape.model_validate(found)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc'])) or 'the object'}: {e['msg']}" for e in error.errors()[:3]]
        raise Unusable(one_line("; ".join(problems))) from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is repeated")
    return found
