"""Refuses regular expressions of a tokenizer that could take all time: a folder may come from anybody.

The tokenizers' library ends one match after ten million retries, and every character of a text may begin a
match. Knows the forms of patterns; runs none, and reads no file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

LONGEST: Final = 5_000
"""Characters of a pattern."""
_DEPTH: Final = 50
_UNBOUNDED: Final = 2
"""Quantifiers without an end in a row: three take a minute for a thousand characters, and so do two before
something that must match and does not.
"""
_CHOICES: Final = 8
"""Places in a row where a match may go two ways."""
_REPEATS: Final = 5
"""Of a group within which a match may go two ways, fewer than so many."""
_MANY: Final = 100
"""A quantifier that may repeat more often counts as one without an end."""
_QUANTIFIER = re.compile(r"[*+?]|\{(\d*)(,?)(\d*)\}")
_OPENING = re.compile(r"\((?:\?(?:[a-zA-Z-]*:|=|!|<=|<!|>|<\w+>|'\w+'))?")
_UNREAD = re.compile(r"\(\?(?:[#~({]|[a-zA-Z-]*x)|(?<!\\)(?:\\\\)*\\[cCMg]")
"""What could hide from the reading below where a class or a group begins, or repeat one by its name."""
_ESCAPE = re.compile(r"\\(?:[pPxokgu]\{[^}]*\}|.)", re.DOTALL)


@dataclass(slots=True)
class _Ways:
    """Of a part of a pattern: how many quantifiers have no end, in how many places it may go two ways, and
    whether a match fails without it. ``needed``: quantifiers without an end before something in it that must
    match, the most.
    """

    unbounded: int = 0
    choices: int = 0
    must_match: bool = True
    needed: int = 0

    def then(self, other: _Ways) -> None:
        self.unbounded += other.unbounded
        self.choices += other.choices

    def either(self, other: _Ways) -> None:
        self.unbounded = max(self.unbounded, other.unbounded)
        self.choices = max(self.choices, other.choices)
        self.needed = max(self.needed, other.needed)


class _Costly(Exception):
    pass


def patterns_of(tokenizer: dict[str, Any]) -> Iterator[str]:
    """The regular expressions of a ``tokenizer.json``, wherever they stand beside the model."""
    waiting: list[Any] = [
        tokenizer.get(k) for k in ("normalizer", "pre_tokenizer", "post_processor", "decoder")
    ]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if isinstance(value.get("Regex"), str):
                yield value["Regex"]
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def costly(pattern: str) -> str | None:
    """Why a pattern could take all time; None where it cannot, or is none at all."""
    if len(pattern) > LONGEST:
        return f"it has {len(pattern)} characters, and {LONGEST} at most are taken"
    if _UNREAD.search(pattern):
        return "it has comments, calls, conditions or control characters, which no tokenizer needs"
    try:
        at = 0
        while at < len(pattern):
            _, at = _either(pattern, at, 0)
            at += 1  # a parenthesis that closes nothing
    except _Costly as error:
        return str(error)
    return None


def _either(text: str, at: int, depth: int) -> tuple[_Ways, int]:
    """The alternatives from a place on, to the parenthesis that closes them."""
    if depth > _DEPTH:
        raise _Costly(f"groups lie more than {_DEPTH} deep in each other")
    found, at = _row(text, at, depth)
    begins = 1
    while at < len(text) and text[at] == "|":
        other, at = _row(text, at + 1, depth)
        found.either(other)
        begins += 1
    if begins > 1 and depth:
        found.choices += 1
    return found, at


def _row(text: str, at: int, depth: int) -> tuple[_Ways, int]:
    """What follows one another, to the next ``|`` or the closing parenthesis."""
    found = _Ways()
    while at < len(text) and text[at] not in "|)":
        part, at = _one(text, at, depth)
        part, at = _repeated(part, text, at, depth)
        if part.must_match:
            found.needed = max(found.needed, found.unbounded + part.needed)
        if found.needed >= _UNBOUNDED:
            raise _Costly(f"something must match after {_UNBOUNDED} quantifiers without an end")
        found.then(part)
        if found.unbounded > _UNBOUNDED:
            raise _Costly(f"more than {_UNBOUNDED} quantifiers without an end follow one another")
        if found.choices > _CHOICES:
            raise _Costly(f"a match may go two ways in more than {_CHOICES} places in a row")
    return found, at


def _one(text: str, at: int, depth: int) -> tuple[_Ways, int]:
    if text[at] == "(":
        opening = _OPENING.match(text, at)
        inner, at = _either(text, opening.end() if opening else at + 1, depth + 1)
        atomic = opening is not None and opening[0] == "(?>"
        return _Ways(needed=inner.needed) if atomic else inner, at + 1
    if text[at] == "[":
        return _Ways(), _class(text, at)
    escape = _ESCAPE.match(text, at)
    return _Ways(), escape.end() if escape else at + 1


def _repeated(part: _Ways, text: str, at: int, depth: int) -> tuple[_Ways, int]:
    """The part with the quantifiers that follow it."""
    alone = not part.choices and not part.unbounded
    while (quantifier := _QUANTIFIER.match(text, at)) is not None and quantifier[0] not in ("{}", "{,}"):
        at = quantifier.end()
        least, most = _bounds(quantifier)
        ends = not depth and text[at : at + 1] in ("", "|")
        if alone and ends and quantifier[0] == "+" and part.choices:
            # cl100k's \p{N}{1,3}+: nothing follows that would make a match go back
            part = _Ways(unbounded=1, must_match=part.must_match)
            continue
        if part.choices and (most is None or most >= _REPEATS):
            raise _Costly("a quantifier repeats a group within which a match may go two ways")
        plain = quantifier[0] in "*+?"
        if plain and text[at : at + 1] == "+":  # possessive: what it took is not given back
            at += 1
            part = _Ways(part.unbounded, part.choices, part.must_match and least > 0, part.needed)
            continue
        if text[at : at + 1] == "?":
            at += 1
        part = _Ways(
            part.unbounded * (most or 1) + (most is None or most > _MANY),
            part.choices * (most or 1) + (least != most),
            part.must_match and least > 0,
            part.needed,
        )
    return part, at


def _bounds(quantifier: re.Match[str]) -> tuple[int, int | None]:
    match quantifier[0]:
        case "*":
            return 0, None
        case "+":
            return 1, None
        case "?":
            return 0, 1
    least = int(quantifier[1][:6] or 0)
    if not quantifier[2]:
        return least, least
    return least, int(quantifier[3][:6]) if quantifier[3] else None


def _class(text: str, at: int) -> int:
    """Where a class of characters ends; classes may lie in it."""
    depth = 0
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        if text[at] == "[":
            depth += 1
            if text[at + 1 : at + 2] == "^":
                at += 1
            if text[at + 1 : at + 2] == "]":  # the first one is a character
                at += 1
        elif text[at] == "]":
            depth -= 1
            if not depth:
                return at + 1
        at += 1
    return at
