"""Which rule does what: the alignment stage once more with each rule left out, over the same instructions
with the same random streams.

Goes through the stages of ``self_align_steps``, and with them through the store. Knows no engine and no file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from iteralign.algorithms.self_align import write_instructions
from iteralign.algorithms.self_align_answers import Answers
from iteralign.algorithms.self_align_steps import Parts, Steps
from iteralign.canonical import content_hash
from iteralign.data.sample import stratified
from iteralign.recipe.self_align import SelfAlignRecipe
from iteralign.records.self_align import Aligned, Instruction
from iteralign.stats import wilson
from iteralign.store.run import Run

Follows = Callable[[str, str, str], bool | None]
"""Rule, question, answer -> whether the answer follows the rule, where it bears on the question and that can
be told.
"""


def ablation(
    run: Run,
    recipe: SelfAlignRecipe,
    parts: Parts,
    rules: Sequence[str],
    limit: int | None = None,
    follows: Follows | None = None,
) -> list[dict[str, Any]]:
    """For each rule: how many answers apply it (``applied``), how many are ``kept`` of all ``asked`` without
    it, and over the answers kept with and without it the share ``changed`` of those that applied it and of
    the others (``changed_others``), and where there is a truth ``follows_with`` and ``follows_without``, of
    those that applied it; shares with n and 95% interval.
    """
    steps = Steps(run, recipe, parts)
    every = write_instructions(steps)
    instructions = [every[i] for i in stratified([(x.origin, x.type) for x in every], limit, recipe.seed)]
    whole = len(instructions) == len(every)
    before = steps.align(instructions) if whole else steps.align(instructions, name=f"ablate-{limit}")
    found = []
    for rule in rules:
        name = f"ablate-{content_hash(rule)[:8]}" + ("" if whole else f"-{limit}")
        after = steps.align(instructions, guide=parts.words.guide.without(rule), name=name)
        found.append(_compared(rule, before, after, follows))
    return found


def _compared(rule: str, before: Answers, after: Answers, follows: Follows | None) -> dict[str, Any]:
    applied = changed = both = others = changed_others = 0
    told: list[tuple[bool, bool]] = []
    for (instructions, old), (_, new) in zip(before, after, strict=True):
        for instruction, was, now in zip(instructions, old, new, strict=True):
            applied += was.kept and rule in was.rules
            if not (was.kept and now.kept):
                continue
            if rule not in was.rules:
                others += 1
                changed_others += was.text != now.text
                continue
            both += 1
            changed += was.text != now.text
            ends = [_follows(follows, rule, instruction, x) for x in (was, now)]
            if ends[0] is not None and ends[1] is not None:
                told.append((ends[0], ends[1]))
    return {
        "rule": rule,
        "asked": after.tally.asked,
        "kept": after.tally.kept,
        "applied": applied,
        "changed": asdict(wilson(changed, both)) if both else None,
        "changed_others": asdict(wilson(changed_others, others)) if others else None,
        "follows_with": asdict(wilson(sum(a for a, _ in told), len(told))) if told else None,
        "follows_without": asdict(wilson(sum(b for _, b in told), len(told))) if told else None,
    }


def _follows(follows: Follows | None, rule: str, instruction: Instruction, answer: Aligned) -> bool | None:
    return None if follows is None else follows(rule, instruction.text, answer.text)
