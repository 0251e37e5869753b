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

_LINE_ENDS = re.compile(r"\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x9f"  # control characters, but for tab, line feed and space-like ones
    r"\ud800-\udfff"  # halves of surrogate pairs
    r"\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff"  # no width, or another writing direction
    r"\ufff9-\ufffb\U000e0000-\U000e0fff]"  # annotations, and tags: invisible text of its own
)
_TOKENS = re.compile(
    r"<(?=[|\uff5c]|/?[A-Za-z_][\w:.-]{0,30}>|</?SYS>>)"
    r"|\[(?=/?[A-Za-z]{0,3}[A-Z_]{3,30}(?:_\d{1,4})?\]|\||[a-z]~\[)"
    r"|\](?=~!?[a-z]\]|~!?[a-z]\[)"
    r"|>(?=>[A-Z]{3,20}<<)"
)
"""Where a control token of some chat template may begin.

``<|...``, ``<word>``, ``<name:word>``, ``[WORD]``, ``[WORD_1]``, ``[|...``, ``[e~[``, ``]~b]``, ``]~!b[``,
``>>WORD<<``.
"""
_END = re.compile(r"(?:\s|`{3,}|~{3,}|</?[A-Za-z_|]{1,20}>|[.\]])*")
"""What may follow the object of a reply: ends of fences, of tags around it, of a list, of a sentence."""
_REPLY_LIMIT = 20_000  # characters of a reply that are read
T = TypeVar("T", bound=BaseModel)


class Unusable(ValueError):
    """A reply that does not say what was asked; the message tells the model what is wrong."""


def clean(text: str, limit: int) -> str:
    """The text as it may be shown to a judge.

    Without characters that cannot be seen, with plain line ends, with the control tokens of chat templates
    broken up (a server may obey them inside a message), and cut in the middle to about ``limit`` characters.
    """
    plain = _INVISIBLE.sub("", _LINE_ENDS.sub("\n", text))
    return _TOKENS.sub(lambda m: m[0] + " ", cut(plain, limit))


def cut(text: str, limit: int) -> str:
    """At most ``limit`` characters of the text, half from each end.

    A mark between them says how many are left out.
    """
    if len(text) <= limit:
        return text
    head = limit // 2
    tail = limit - head
    return f"{text[:head]}\n[... {len(text) - limit} characters left out ...]\n{text[len(text) - tail :]}"


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
