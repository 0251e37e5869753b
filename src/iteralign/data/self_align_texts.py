"""What people wrote for Self-Align: seed tasks, topics, rules, exemplars, short prompts and who the assistant
is; and how much it is.

The shipped texts lie in ``self_align/``; a user's own are read from the same formats. ``DataError`` names
file, line, field and remedy. Knows nothing of models.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from iteralign.data.handwritten import numbered_lines, yaml_items
from iteralign.errors import DataError
from iteralign.prompts.render import source

FILES: Final = (
    "seed_tasks.txt",
    "topics.txt",
    "rules.yaml",
    "exemplars.yaml",
    "short_prompts.txt",
    "identity.jsonl",
)
TEMPLATES: Final = (
    "self_instruct",
    "brainstorm_topics",
    "topic_request",
    "three_lines",
    "rules",
    "thoughtful_answer",
    "extensive",
)
VARIANT_RULE: Final = "multilingual"
_FOLDER: Final = files("iteralign.data") / "self_align"
_NAMED: Final = re.compile(r"^\S.*\sRules that apply: ([^.:]+)\.$", re.DOTALL)
_COMMENT: Final = re.compile(r"\{#.*?#\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TopicSeed:
    """A type of hard request, with one topic and one request of it."""

    type: str
    topic: str
    request: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule by which the assistant answers; exemplars call it by its name."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A question, thoughts that name the rules that apply, and the answer that follows them."""

    question: str
    thoughts: str
    answer: str

    @property
    def rules(self) -> tuple[str, ...]:
        """The names of the rules that the thoughts say apply, in the thoughts' order."""
        named = _NAMED.match(self.thoughts)
        return tuple(name.strip() for name in named[1].split(",")) if named else ()


@cache
def seed_tasks() -> tuple[str, ...]:
    """The 175 instructions from which self-instruct starts."""
    return read_lines(_FOLDER / "seed_tasks.txt")


@cache
def topic_seeds() -> tuple[TopicSeed, ...]:
    """The 20 types of hard requests from which topic-guided self-instruct starts."""
    return read_topics(_FOLDER / "topics.txt")


@cache
def rules(variant: bool = False) -> tuple[Rule, ...]:
    """The 16 rules; with the multilingual ``variant`` 17."""
    return tuple(r for r in read_rules(_FOLDER / "rules.yaml") if variant or r.name != VARIANT_RULE)


@cache
def exemplars(variant: bool = False) -> tuple[Exemplar, ...]:
    """The 5 exemplars; with the multilingual ``variant`` 6."""
    return tuple(
        e
        for e in read_exemplars(_FOLDER / "exemplars.yaml", rules(True))
        if variant or VARIANT_RULE not in e.rules
    )


def short_prompts(assistant: str) -> tuple[str, ...]:
    """Neutral system prompts of one line, the standard one first."""
    return tuple(p.replace("{assistant}", assistant) for p in read_lines(_FOLDER / "short_prompts.txt"))


def identity(assistant: str) -> tuple[tuple[str, str], ...]:
    """Requests about who the assistant is, each with its answer."""
    rows = [json.loads(line) for _, line in numbered_lines(_FOLDER / "identity.jsonl")]
    return tuple(
        (r["request"].replace("{assistant}", assistant), r["answer"].replace("{assistant}", assistant))
        for r in rows
    )


def human_lines() -> dict[str, int]:
    """How many lines people wrote, by file and prompt template; blank lines and comments do not count."""
    counts = {file: sum(1 for _ in numbered_lines(_FOLDER / file)) for file in FILES}
    return counts | {
        f"{name}.jinja": sum(1 for x in _COMMENT.sub("", source(name)).split("\n") if x.strip())
        for name in TEMPLATES
    }


def read_lines(path: Path | Traversable) -> tuple[str, ...]:
    """A text file's lines. Raises ``DataError`` where a line repeats another or there is none."""
    seen: dict[str, int] = {}
    for number, line in numbered_lines(path):
        if seen.setdefault(line, number) != number:
            raise DataError(f"{path}, line {number}: repeats line {seen[line]}. Leave one of them out.")
    return tuple(seen)


def read_topics(path: Path | Traversable) -> tuple[TopicSeed, ...]:
    """Lines ``Type | Topic | Request``; only the request may hold further bars."""
    seeds = []
    for where, line in ((f"{path}, line {n}", x) for n, x in numbered_lines(path)):
        parts = [p.strip() for p in line.split("|", 2)]
        missing = next(
            (n for n, p in zip(("type", "topic", "request"), [*parts, "", ""], strict=False) if not p), None
        )
        if missing:
            raise DataError(f"{where}: no {missing} in {line[:60]!r}. Write: Type | Topic | Request")
        seeds.append(TopicSeed(*parts))
    read_lines(path)  # refuses repeated lines
    return tuple(seeds)


def read_rules(path: Path | Traversable) -> tuple[Rule, ...]:
    """A YAML list of ``name`` and ``text``; names are unique and hold no comma, colon or full stop."""
    seen: dict[str, Rule] = {}
    for where, fields in yaml_items(path, ("name", "text")):
        name = fields["name"]
        if re.search(r"[,.:\n]", name):
            raise DataError(
                f"{where}: name {name[:60]!r} holds a comma, colon, full stop or line break. Thoughts list "
                "names with commas: drop it."
            )
        if name in seen:
            raise DataError(f"{where}: name {name!r} is another rule's too. Give each rule its own.")
        seen[name] = Rule(name, fields["text"])
    return tuple(seen.values())


def read_exemplars(path: Path | Traversable, known: Sequence[Rule] = ()) -> tuple[Exemplar, ...]:
    """A YAML list of ``question``, ``thoughts`` and ``answer``.

    Where rules are given, thoughts may name only them.
    """
    found = []
    for where, fields in yaml_items(path, ("question", "thoughts", "answer")):
        exemplar = Exemplar(**fields)
        if not exemplar.rules:
            raise DataError(
                f'{where}: thoughts do not end by naming rules. Close them with "Rules that apply: NAME, '
                'NAME."'
            )
        names = [r.name for r in known]
        if names and (strange := [n for n in exemplar.rules if n not in names]):
            raise DataError(
                f"{where}: thoughts name the rule {strange[0]!r}, which there is not. Known: "
                f"{', '.join(names)}"
            )
        found.append(exemplar)
    return tuple(found)
