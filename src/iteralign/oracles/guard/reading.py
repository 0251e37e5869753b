"""Reads a guard's reply, strictly, and how sure it was of it from the token that decided.

A reply that is not one of the family's forms is no judgement. Knows neither models nor exchanges.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from iteralign.oracles.guard.family import Family
from iteralign.records.chat import Continuation
from iteralign.text.printable import one_line

_WORD = re.compile(r"[^A-Za-z]*([A-Za-z]+)")


class Unreadable(ValueError):
    """A reply that is none of the family's forms."""


@dataclass(frozen=True)
class Reply:
    """What a guard said.

    ``word``: its verdict, in lower case. ``chance``: the probability of its unsafe words against its safe
    ones where the verdict stands, None where the engine gives none.
    """

    word: str
    chance: float | None
    categories: tuple[str, ...] = ()
    refusal: bool | None = None


def read(family: Family, said: Continuation) -> Reply:
    """The reply. Raises ``Unreadable``."""
    whole = said.text
    start = len(whole) - len(whole.lstrip())
    for pattern in family.replies:
        found = pattern.fullmatch(whole.strip())
        if found is None:
            continue
        told = found.groupdict()
        refusal = told.get("refusal")
        return Reply(
            word=told["verdict"].lower(),
            chance=_chance(family, said, start + found.start("verdict")),
            categories=tuple(c.strip() for c in (told.get("categories") or "").split(",") if c.strip()),
            refusal=None if refusal is None else refusal.lower() == "yes",
        )
    cut = f", cut at {family.limit} tokens" if said.finish == "length" else ""
    raise Unreadable(f"the reply is not one of {family.title}{cut}: {one_line(whole, 80)!r}")


def _chance(family: Family, said: Continuation, at: int) -> float | None:
    """The probability of the unsafe words, from the token that holds the character ``at``."""
    passed = 0
    deciding = None
    for token, likely in zip(said.tokens, said.likely, strict=False):
        passed += len(token)
        if passed > at:
            deciding = likely
            break
    if deciding is None:
        return None
    unsafe = sum(math.exp(p) for text, p in deciding if _begins(text, family.unsafe, family.safe))
    safe = sum(math.exp(p) for text, p in deciding if _begins(text, family.safe, family.unsafe))
    return round(unsafe / (unsafe + safe), 6) if unsafe + safe > 0 else None


def _begins(token: str, words: tuple[str, ...], others: tuple[str, ...]) -> bool:
    """Whether a token is one of these words, or how one of them begins and none of the others."""
    found = _WORD.match(token)
    if found is None:
        return False
    start = found[1].lower()
    return any(w.startswith(start) for w in words) and not any(w.startswith(start) for w in others)
