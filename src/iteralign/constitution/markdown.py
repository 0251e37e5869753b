"""A constitution as Markdown, both ways: readable by a person, and exact for a machine.

The visible text of a principle is what counts; its provenance stands beside it in words and, exactly, in a
comment. Knows nothing of files or of YAML and JSON.
"""

from __future__ import annotations

import html.entities
import json
import re
from dataclasses import dataclass
from typing import Any

from iteralign.foreign.errors import Unreadable
from iteralign.foreign.json import parse_object
from iteralign.records.iteralign import Constitution, Principle

_PUNCTUATION = r"!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~"
_ESCAPE = re.compile(
    rf"\\([{_PUNCTUATION}])|&#(\d{{1,7}});|&#[xX]([0-9a-fA-F]{{1,6}});|&([A-Za-z][A-Za-z0-9]{{1,31}};)"
)
_ITEM = re.compile(r"^(?P<indent> *)(?P<marker>[-*+]|\d{1,9}[.)])(?:[ \t]+(?P<text>.*))?$")
_BREAK = re.compile(r"^ *(?:(?:- *){3,}|(?:\* *){3,}|(?:_ *){3,})$")
_OF_PRINCIPLE = re.compile(r"(?<!\\)<!-- principle (\{.*\}) -->\s*$")
_OF_CONSTITUTION = re.compile(r"^<!-- constitution (\{.*\}) -->\s*$")


class MarkdownError(ValueError):
    """What is wrong with a Markdown text, and in which line (from 1)."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass
class Item:
    """One bullet: its line, its text and its provenance.

    Our own export wrote the provenance below it; a person's list has none.
    """

    line: int
    text: str
    facts: dict[str, Any]


def write(constitution: Constitution) -> str:
    """The constitution as a numbered list, every principle with its provenance."""
    active = sum(p.status == "active" for p in constitution.principles)
    facts = {"id": constitution.id, "version": constitution.version, "parent": constitution.parent}
    lines = [
        f"# Constitution, version {constitution.version}",
        "",
        f"{active} principles in force, {len(constitution.principles) - active} merged or refused.",
        f"<!-- constitution {_comment(facts)} -->",
    ]
    for number, principle in enumerate(constitution.principles, start=1):
        lines += [
            "",
            f"{number}. {escape(principle.text)}",
            "",
            f"   *{escape(_words(principle))}* <!-- principle {_comment(_facts(principle))} -->",
        ]
    return "\n".join(lines) + "\n"


def read(text: str) -> tuple[list[Item], dict[str, Any]]:
    """The bullets of a Markdown text, and the constitution's own facts where our export wrote them.

    Headings, comments and prose outside the list are passed over. Raises ``MarkdownError``.
    """
    items: list[Item] = []
    facts: dict[str, Any] = {}
    first_indent: int | None = None
    open_item = False
    after_blank = False
    for number, raw in enumerate(_without_comments(text).split("\n"), start=1):
        line = raw.rstrip("\r")
        indent = len(line) - len(line.lstrip(" \t"))
        if not line.strip():
            after_blank = True
            continue
        if match := _OF_CONSTITUTION.match(line):
            facts = _parsed(match[1], number)
        elif match := _OF_PRINCIPLE.search(line):
            if not items:
                raise MarkdownError(number, "a principle's provenance stands before any principle")
            items[-1].facts = _parsed(match[1], number)
        elif line.lstrip().startswith("#") or _BREAK.match(line):
            open_item = False
        elif match := _ITEM.match(line):
            first_indent = indent if first_indent is None else first_indent
            if indent > first_indent + 1:
                raise MarkdownError(
                    number, "a bullet inside a bullet: write each principle as one bullet of its own"
                )
            items.append(Item(number, unescape(match["text"] or ""), {}))
            open_item = True
        elif open_item and items and (not after_blank or indent > (first_indent or 0)):
            items[-1].text += "\n" + unescape(line.strip())
        else:
            open_item = False
        after_blank = False
    return items, facts


def escape(text: str) -> str:
    """The text on one line, so that Markdown shows it as it is; ``unescape`` gives it back exactly."""
    out = [_escaped(c) for c in text]
    if out and text[0] in "#+->=":
        out[0] = "\\" + text[0]
    if leading := re.match(r"\d+(?=[.)])", text):
        out[leading.end()] = "\\" + text[leading.end()]
    for place in (0, -1):
        if text and text[place] == " ":
            out[place] = "&#32;"
    return "".join(out)


def unescape(text: str) -> str:
    """Backslash escapes and character references as the characters they stand for."""
    return _ESCAPE.sub(_meant, text)


def _escaped(character: str) -> str:
    if not character.isprintable():
        return f"&#{ord(character)};"
    return "\\" + character if character in "\\`*_[]<>&|~$" else character


def _meant(match: re.Match[str]) -> str:
    literal, decimal, hexadecimal, name = match.groups()
    if literal:
        return str(literal)
    if name:
        return html.entities.html5.get(name, match[0])
    code = int(decimal) if decimal else int(hexadecimal, 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else match[0]


def _words(principle: Principle) -> str:
    """The provenance in words."""
    count = len(principle.evidence)
    parts = [principle.category or "no category", f"{count} failing answer{'' if count == 1 else 's'}"]
    parts.append(f"from iteration {principle.born}" if principle.born else "brought by a person")
    return "; ".join([*parts, principle.status] if principle.status != "active" else parts)


def _facts(principle: Principle) -> dict[str, Any]:
    return {k: v for k, v in principle.to_json().items() if k != "text"}


def _comment(facts: dict[str, Any]) -> str:
    """JSON that cannot end a comment, nor hold a control character."""
    return (
        json.dumps(facts, ensure_ascii=True)
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("\x7f", "\\u007f")
    )


def _parsed(text: str, line: int) -> dict[str, Any]:
    try:
        return parse_object(text)
    except Unreadable as error:
        raise MarkdownError(
            line, f"the provenance comment is damaged ({error}); restore it, or delete the comment"
        ) from error


def _without_comments(text: str) -> str:
    """The text with a person's comments blanked out, line by line; our own stay."""

    def blank(match: re.Match[str]) -> str:
        ours = match[0].startswith(("<!-- principle {", "<!-- constitution {"))
        return match[0] if ours else "\n" * match[0].count("\n")

    return re.sub(r"(?<!\\)<!--.*?-->", blank, text, flags=re.DOTALL)
