"""Self-Align, stage 1: topic-guided red-teaming self-instruct. The model writes new instructions from a few
shown ones; it names topics for types of hard requests, and writes an instruction about each (arXiv
2305.03047, section 3.1).

Every filter has its reason, and near-duplicates are dropped as ROUGE-L tells. Knows nothing of rules and
answers.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from iteralign.exchanges import each, in_short
from iteralign.prompts.render import render
from iteralign.protocols import Policy
from iteralign.records.chat import Chat, Completion, Message, SamplingParams
from iteralign.records.self_align import Draft, Harvest, Instruction, WritingTask
from iteralign.text.filters import listed, trouble_with, trouble_with_topic
from iteralign.text.near_duplicates import NearDuplicates
from iteralign.text.similarity import near_any

Topics = Mapping[str, Sequence[str]]
"""Type -> topics."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Words that an instruction must exceed and may have, and the prompts that are held out for measuring."""

    shortest: int = 3
    longest: int = 150
    measured: frozenset[str] = frozenset()

    def troubles(self, texts: Sequence[str]) -> list[str]:
        """Why each text may not be kept; empty where it may.

        One that says nearly what a held-out prompt says may not: by the measure that splits prompts.
        """
        leaked = near_any(texts, sorted(self.measured))
        return [
            trouble_with(text, self.shortest, self.longest) or ("held out for measuring" if near else "")
            for text, near in zip(texts, leaked, strict=True)
        ]


def write(tasks: Sequence[WritingTask], policy: Policy, params: SamplingParams) -> list[Draft]:
    """One draft per task, in order; an empty one with its reason where the task could not be asked."""
    found = each(policy, [t.chat for t in tasks], params)
    return [
        Draft(task_id=t.id, text=c.text, finish=c.finish)
        if isinstance(c, Completion)
        else Draft(task_id=t.id, text="", finish="left_out", reason=in_short(c))
        for t, c in zip(tasks, found, strict=True)
    ]


def ordinary_tasks(
    seeds: Sequence[str],
    kept: Sequence[str],
    *,
    first: int,
    count: int,
    shown: int,
    new: int,
    wanted: int,
    seed: str,
) -> list[WritingTask]:
    """``count`` requests for ``wanted`` instructions each.

    They show ``shown`` seeds and ``new`` instructions kept before, drawn anew for each.
    """
    rng = random.Random(seed)
    found = list[WritingTask]()
    for number in range(first, first + count):
        examples = [*rng.sample(seeds, min(shown, len(seeds))), *rng.sample(kept, min(new, len(kept)))]
        rng.shuffle(examples)
        found.append(WritingTask(number=number, chat=_ask("self_instruct", requests=examples, count=wanted)))
    return found


def topic_tasks(topics: Topics, *, first: int, per_type: int, wanted: int, seed: str) -> list[WritingTask]:
    """``per_type`` requests for ``wanted`` more topics of every type, which show at most ten known ones."""
    rng = random.Random(seed)
    found = list[WritingTask]()
    for name, known in topics.items():
        for _ in range(per_type):
            shown = rng.sample(list(known), min(10, len(known)))
            chat = _ask("brainstorm_topics", type=name, topics=shown, count=wanted)
            found.append(WritingTask(number=first + len(found), chat=chat, type=name))
    return found


def request_tasks(
    pairs: Sequence[tuple[str, str]],
    seeds: Sequence[Instruction],
    kept: Sequence[Instruction],
    *,
    first: int,
    shown: int,
    new: int,
    seed: str,
) -> list[WritingTask]:
    """One request for every (type, topic).

    It shows ``shown`` seeds and ``new`` instructions that were kept before.
    """
    rng = random.Random(seed)
    found = []
    for number, (name, topic) in enumerate(pairs, start=first):
        examples = [*rng.sample(seeds, min(shown, len(seeds))), *rng.sample(kept, min(new, len(kept)))]
        rng.shuffle(examples)
        chat = _ask("topic_request", type=name, topic=topic, examples=[_three_lines(e) for e in examples])
        found.append(WritingTask(number=number, chat=chat, type=name, topic=topic))
    return found


def new_topics(
    topics: Topics, tasks: Sequence[WritingTask], drafts: Sequence[Draft]
) -> tuple[dict[str, list[str]], Counter[str]]:
    """The topics with those of the drafts that are valid and new; and what was dropped, by reason.

    New is what its type does not have, without case.
    """
    found = {name: list(known) for name, known in topics.items()}
    dropped: Counter[str] = Counter()
    for task, draft in zip(tasks, drafts, strict=True):
        if draft.reason:
            dropped[draft.reason] += 1
        mine = found[task.type or ""]
        for line in _whole(draft):
            known = {t.casefold() for t in mine}
            reason = trouble_with_topic(line) or ("topic known" if line.casefold() in known else "")
            if reason:
                dropped[reason] += 1
            else:
                mine.append(line)
    return found, dropped


def equalised(topics: Topics, limit: int | None = None) -> dict[str, list[str]]:
    """Every type with as many topics as the type that has the fewest, at most ``limit``."""
    size = min([len(known) for known in topics.values()] + ([limit] if limit is not None else []), default=0)
    return {name: list(known[:size]) for name, known in topics.items()}


def harvest(drafts: Sequence[Draft], known: NearDuplicates, limits: Limits) -> Harvest:
    """The instructions of ordinary drafts that pass all filters.

    Each is new against all that are known; ``known`` learns them.
    """
    kept: list[Instruction] = []
    dropped: Counter[str] = Counter(draft.reason for draft in drafts if draft.reason)
    lines = [line for draft in drafts for line in _whole(draft)]
    for line, trouble in zip(lines, limits.troubles(lines), strict=True):
        reason = trouble or _repeats(line, known)
        if reason:
            dropped[reason] += 1
        else:
            kept.append(Instruction(text=line, origin="self-instruct"))
    return Harvest(kept=tuple(kept), dropped=dict(sorted(dropped.items())))


def harvest_requests(
    tasks: Sequence[WritingTask], drafts: Sequence[Draft], known: NearDuplicates, limits: Limits
) -> Harvest:
    """The instructions of topic-guided drafts: one at most per type and topic, which must have kept both."""
    kept: list[Instruction] = []
    dropped: Counter[str] = Counter()
    found = [[line.strip() for line in draft.text.strip().splitlines()] for draft in drafts]
    requests = [
        lines[2].removeprefix("Request:").strip()
        if len(lines) > 2 and lines[2].startswith("Request:")
        else ""
        for lines in found
    ]
    troubles = limits.troubles(requests)
    for task, draft, lines, request, trouble in zip(tasks, drafts, found, requests, troubles, strict=True):
        if draft.reason:
            reason = draft.reason
        elif lines[:2] != [f"Type: {task.type}", f"Topic: {task.topic}"] or not request:
            reason = "lost its type or topic"
        elif draft.finish == "length" and len(lines) == 3:
            reason = "unfinished"
        else:
            reason = trouble or _repeats(request, known)
        if reason:
            dropped[reason] += 1
        else:
            kept.append(Instruction(text=request, origin="topic-guided", type=task.type, topic=task.topic))
    return Harvest(kept=tuple(kept), dropped=dict(sorted(dropped.items())))


def _whole(draft: Draft) -> list[str]:
    """The listed lines of a draft; the last one is left out where the draft was cut off."""
    lines = listed(draft.text)
    return lines[:-1] if draft.finish == "length" else lines


def _repeats(text: str, known: NearDuplicates) -> str:
    return "near-duplicate" if known.admit(text) is not None else ""


def _three_lines(instruction: Instruction) -> str:
    return render("three_lines", type=instruction.type, topic=instruction.topic, request=instruction.text)


def _ask(template: str, **fields: object) -> Chat:
    return (Message("user", render(template, **fields)),)
