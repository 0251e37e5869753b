"""Parameters of a request that a server may refuse: which ones a refusal names, and the request without them.

Knows the words of servers, and neither HTTP nor what a request is for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

LENGTH = ("max_tokens", "max_completion_tokens")
"""The two spellings of the longest reply; newer servers take only the second."""
SPARE = (
    "top_k",
    "repetition_penalty",
    "return_token_ids",
    "stop_token_ids",
    "stop",
    "top_p",
    "seed",
    "temperature",
    *LENGTH,
)
"""What a request can do without, though its answer may be another one; what is missed least comes first."""
DEFAULTS: Mapping[str, Any] = {"temperature": 1.0, "top_p": 1.0}
"""What the API takes where nothing is said."""

_LENGTH_WORDS = r"max[ _-]?(?:completion[ _-]?|output[ _-]?|new[ _-]?)?tokens"
_PATTERNS = {name: name.replace("_", "[ _-]?") for name in SPARE if name not in LENGTH} | {
    LENGTH[0]: _LENGTH_WORDS
}
_NAMES = {
    name: re.compile(rf"(?<![a-z])(?:{pattern})(?![a-z])", re.IGNORECASE)
    for name, pattern in _PATTERNS.items()
}
_ANY = "|".join(_PATTERNS.values())
_NOT_TAKEN = (
    r"not support|unsupported|not permitted|not allowed|not accepted|unrecognized|unknown|unexpected|invalid|"
    r"deprecated|extra (?:input|field)"
)
_REFUSED = re.compile(rf"(?<![a-z])({_ANY})(?![a-z])[^.]*?(?:{_NOT_TAKEN})", re.IGNORECASE)
_UNSUPPORTED = re.compile(rf"(?:{_NOT_TAKEN})[^.]*?(?<![a-z])({_ANY})(?![a-z])", re.IGNORECASE)
_TOGETHER = re.compile(
    r"\bboth\b|together|simultaneous|at the same time|only one|mutually|combin|conjunction|\beither\b",
    re.IGNORECASE,
)


def refused_in(text: str, fields: Iterable[str] = (), *, strict: bool = False) -> tuple[str, ...]:
    """The parameters that a refusal names, the likeliest first.

    ``fields``: what the server itself gives as the place of the fault (``temperature``, ``body.seed``).
    ``strict``: only what is next to a word of refusal, for texts that may speak of something else.
    """
    found = [name for field in fields for name in (_named(field.rpartition(".")[2]),) if name]
    # of two that exclude each other, the one that is missed less goes: the order of ``SPARE``
    if strict or not _TOGETHER.search(text):
        match = _REFUSED.search(text) or _UNSUPPORTED.search(text)
        found += [name for name in (_named(match[1]) if match else None,) if name]
    if not strict:
        found += [name for name in SPARE if name in _NAMES and _NAMES[name].search(text)]
    return tuple(dict.fromkeys(found))


def next_to_go(named: Iterable[str], body: Mapping[str, Any]) -> str | None:
    """The first of the named parameters that the body holds, in whichever spelling."""
    for name in named:
        for spelling in LENGTH if name in LENGTH else (name,):
            if spelling in body:
                return spelling
    return None


def without(body: Mapping[str, Any], left_out: Collection[str], implied: Mapping[str, Any]) -> dict[str, Any]:
    """The body as it is sent: without what was refused, and without values that go without saying."""
    kept = {k: v for k, v in body.items() if k not in left_out and not (k in implied and implied[k] == v)}
    old, new = LENGTH
    if old in body and old in left_out and new not in left_out:
        kept[new] = body[old]
    return kept


def _named(word: str) -> str | None:
    return next((name for name, pattern in _NAMES.items() if pattern.fullmatch(word)), None)
