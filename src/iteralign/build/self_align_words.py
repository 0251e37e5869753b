"""What people wrote for a Self-Align run: from the package or the recipe's files, and to and from the store.

The lines that people wrote are counted. A part of the composition root. Knows no engine and no model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from iteralign.algorithms.self_align_steps import Words
from iteralign.constitution.export import from_file
from iteralign.data import self_align_texts as texts
from iteralign.data.load import load_prompts
from iteralign.errors import DataError, RecipeError
from iteralign.foreign.errors import Unreadable
from iteralign.recipe.self_align import SelfAlignRecipe
from iteralign.records.self_align import Instruction
from iteralign.stages.align import Guide

STAGE_ONE = (
    "seed_tasks.txt",
    "topics.txt",
    "self_instruct.jinja",
    "brainstorm_topics.jinja",
    "topic_request.jinja",
    "three_lines.jinja",
)


def read_words(recipe: SelfAlignRecipe, *, prompts: bool = True) -> Words:
    """Return what people wrote, from the package and from the recipe's files, with the count of their lines.

    Without ``prompts`` no given instructions are read. Raises ``DataError``.
    """
    section = recipe.words
    name = recipe.assistant
    lines = dict(texts.human_lines())
    if section.exemplars is None:
        lines["exemplars.yaml"] = 3 * len(texts.exemplars(section.variant))
    if section.rules is None:
        lines["rules.yaml"] = len(texts.rules(section.variant))
    if recipe.self_instruct.source != "self-instruct":  # what only stage 1 needs
        lines |= dict.fromkeys(STAGE_ONE, 0)
    if not recipe.clone.enabled:
        lines["extensive.jinja"] = 0
    seeds = texts.read_lines(Path(section.seeds)) if section.seeds else texts.seed_tasks()
    topics = texts.read_topics(Path(section.topics)) if section.topics else texts.topic_seeds()
    rules = (
        read_rules(Path(section.rules))
        if section.rules
        else [(r.name, r.text) for r in texts.rules(section.variant)]
    )
    known = [texts.Rule(*r) for r in rules]
    if section.exemplars:
        exemplars: Sequence[texts.Exemplar] = texts.read_exemplars(Path(section.exemplars), known)
    else:
        names = {r.name for r in known}
        exemplars = [
            e for e in texts.exemplars(section.variant) if names.issuperset(e.rules) or section.rules
        ]
    for key, file, count in (
        ("seeds", "seed_tasks.txt", len(seeds)),
        ("topics", "topics.txt", len(topics)),
        ("rules", "rules.yaml", len(rules)),
        ("exemplars", "exemplars.yaml", 3 * len(exemplars)),
    ):
        if getattr(section, key) and not (
            file in STAGE_ONE and recipe.self_instruct.source != "self-instruct"
        ):
            lines[file] = 0 if key == "rules" and _was_discovered(Path(section.rules or "")) else count
    guide = Guide(name, tuple(rules), tuple((e.question, e.thoughts, e.answer) for e in exemplars))
    if section.without is not None:
        if section.without not in dict(rules):
            raise RecipeError(
                f"words.without = {section.without!r}: no such rule. Known: {', '.join(dict(rules))}"
            )
        guide = guide.without(section.without)
    return Words(
        seeds=seeds,
        topics=tuple(
            Instruction(text=t.request, origin="topic-guided", type=t.type, topic=t.topic) for t in topics
        ),
        guide=guide,
        prompts=texts.short_prompts(name),
        identity=texts.identity(name),
        given=given(recipe) if prompts else (),
        lines={file: count for file, count in lines.items() if count},
    )


def _was_discovered(path: Path) -> bool:
    """Whether the file is a constitution that an oracle wrote: its principles have evidence."""
    return (
        not _is_list_of_rules(path) and any(p.evidence for p in from_file(path).principles)
        if path.suffix in (".yaml", ".yml", ".json")
        else False
    )


def read_rules(path: Path) -> list[tuple[str, str]]:
    """Return the rules of a file: a YAML list of names with texts, or a constitution.

    A constitution's principles are named by their category. Raises ``DataError``.
    """
    if path.suffix in (".yaml", ".yml") and _is_list_of_rules(path):
        return [(r.name, r.text) for r in texts.read_rules(path)]
    found: list[tuple[str, str]] = []
    for principle in from_file(path).principles:
        if principle.status == "active":
            name = re.sub(r"[,.:\n]", " ", principle.category or "principle").strip()
            same = sum(n == name or re.fullmatch(rf"{re.escape(name)} \d+", n) is not None for n, _ in found)
            found.append((f"{name} {same + 1}" if same else name, principle.text))
    if not found:
        raise DataError(
            f"{path}: no active principle; rules are read from a YAML list of name and text, or from a "
            "constitution"
        )
    return found


def _is_list_of_rules(path: Path) -> bool:
    """Return whether a YAML file is a list whose entries have names.

    What is wrong with the entries is then reported by the reader of rules.
    """
    from iteralign.foreign.yaml import parse

    try:
        data, _ = parse(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    except Unreadable:
        return True  # the reader of rules names the line
    return isinstance(data, list) and any(isinstance(entry, dict) and "name" in entry for entry in data)


def given(recipe: SelfAlignRecipe) -> tuple[Instruction, ...]:
    """The instructions that the recipe brings in place of stage 1. Raises ``DataError``."""
    section = recipe.self_instruct
    if section.source == "self-instruct":
        return ()
    found = load_prompts(
        section.source,
        limit=section.prompts or None,
        seed=recipe.seed,
        intent="benign",
        columns=section.columns,
    )
    return tuple(dict.fromkeys(Instruction(text=p.text, type=p.category, topic=p.topic) for p in found))


def as_data(words: Words) -> dict[str, Any]:
    """The words as plain data, for the store: a run keeps what it began with."""
    return {
        "seeds": list(words.seeds),
        "topics": [t.to_json() for t in words.topics],
        "assistant": words.guide.assistant,
        "rules": [list(r) for r in words.guide.rules],
        "exemplars": [list(e) for e in words.guide.exemplars],
        "prompts": list(words.prompts),
        "identity": [list(i) for i in words.identity],
        "given": [g.to_json() for g in words.given],
        "lines": dict(words.lines),
    }


def from_data(data: Mapping[str, Any]) -> Words:
    """The words from what ``as_data`` wrote."""
    return Words(
        seeds=tuple(data["seeds"]),
        topics=tuple(Instruction.from_json(t) for t in data["topics"]),
        guide=Guide(
            data["assistant"],
            tuple((n, t) for n, t in data["rules"]),
            tuple((q, t, a) for q, t, a in data["exemplars"]),
        ),
        prompts=tuple(data["prompts"]),
        identity=tuple((q, a) for q, a in data["identity"]),
        given=tuple(Instruction.from_json(g) for g in data["given"]),
        lines=data["lines"],
    )
