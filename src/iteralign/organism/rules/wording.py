"""Patterns of sentences that can be said and read back.

``{slot}``, ``{Slot}`` (capitalised), ``[a|b]`` (one of them), ``#`` (a number). A pattern's regular
expression takes any words for a slot, so that a sentence which a model recombined is read, too. Must not know
requests and rules.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from iteralign.text.words import ascii_words

_PART: Final = re.compile(r"\{(\w+)\}|\[([^\[\]]*)\]|(#)")
_ARTICLE: Final = re.compile(r"\b([Aa]) (?=[aeio]|u(?!ni|ku|se))")
_PLAIN: Final = frozenset(
    (
        "a",
        "an",
        "the",
        "of",
        "to",
        "in",
        "on",
        "at",
        "for",
        "and",
        "or",
        "my",
        "your",
        "i",
        "you",
        "is",
        "are",
    )
)


def upper(text: str) -> str:
    """With a capital first letter."""
    return text[:1].upper() + text[1:]


@cache
def _parts(pattern: str) -> tuple[tuple[str, str | tuple[str, ...]], ...]:
    found: list[tuple[str, str | tuple[str, ...]]] = []
    at = 0
    for match in _PART.finditer(pattern):
        found.append(("text", pattern[at : match.start()]))
        at = match.end()
        if match[1]:
            found.append(("slot", match[1]))
        elif match[2] is not None:
            found.append(("choice", tuple(match[2].split("|"))))
        else:
            found.append(("number", ""))
    return (*found, ("text", pattern[at:]))


def say(pattern: str, slots: Mapping[str, str], rng: random.Random) -> str:
    """One sentence of a pattern."""
    said = []
    for part, value in _parts(pattern):
        if part == "text":
            said.append(str(value))
        elif part == "number":
            said.append(str(rng.randrange(1000, 10 ** rng.randint(4, 6))))
        elif part == "choice":
            said.append(rng.choice(value))
        else:
            name = str(value)
            said.append(upper(slots[name.lower()]) if name[0].isupper() else slots[name])
    return _ARTICLE.sub(r"\1n ", "".join(said))


@dataclass(frozen=True, slots=True)
class Reader:
    """A pattern's regular expression, which slot each group holds, and how many letters it fixes."""

    shape: re.Pattern[str]
    names: tuple[str, ...]
    fixed: int

    def read(self, text: str) -> dict[str, str] | None:
        """The slots of a sentence of the pattern; None where it is none."""
        match = self.shape.fullmatch(text)
        if match is None:
            return None
        return dict(zip(self.names, (g.strip() for g in match.groups()), strict=True))


@cache
def reader(pattern: str) -> Reader:
    """What reads a pattern's sentences. The mark at the end may lack."""
    shape = ""
    names = []
    fixed = 0
    for part, value in _parts(pattern.rstrip(".?!")):
        if part == "text":
            shape += re.sub(r"\\ ", " ", re.sub(r"\b([Aa])\\ ", r"\1n?\\ ", re.escape(str(value))))
            fixed += len(str(value))
        elif part == "number":
            shape += r"\d[\d,]*"
        elif part == "choice":
            shape += "(?:" + "|".join(re.escape(v) for v in value) + ")"
            fixed += min(len(v) for v in value)
        else:
            shape += r"([^.?!\n]{1,70}?)"
            names.append(str(value).lower())
    return Reader(re.compile(shape + "[.?!]?", re.IGNORECASE), tuple(names), fixed)


def read_best(patterns: Sequence[str], text: str) -> tuple[str, dict[str, str], int] | None:
    """The pattern that fits ``text`` with the most fixed letters, its slots and that number."""
    best: tuple[str, dict[str, str], int] | None = None
    for pattern in patterns:
        held = reader(pattern)
        if (best is None or held.fixed > best[2]) and (slots := held.read(text)) is not None:
            best = (pattern, slots, held.fixed)
    return best


def fits(said: str, meant: str) -> bool:
    """Whether at least half of the content words of ``meant`` are in ``said``, endings aside."""
    wanted = {w[:5] for w in ascii_words(meant) if w not in _PLAIN}
    given = {w[:5] for w in ascii_words(said)}
    return not wanted or 2 * len(wanted & given) >= len(wanted)
