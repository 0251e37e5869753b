"""The run's steps in a reader's words: ids of checkpoints and names such as ``screen-2`` are the store's own.

Knows the names of the steps, and nothing of what is in them.
"""

from __future__ import annotations

import re

from iteralign.text.printable import safe

_STEPS = {
    ("benign", "responses"): "answers to benign prompts",
    ("benign", "verdicts"): "oracle judges them",
    ("replay", "responses"): "answers to be replayed",
    ("replay", "verdicts"): "oracle judges them",
    ("evaluation", "responses"): "held-out prompts: answers",
    ("evaluation", "verdicts"): "held-out prompts: oracle judges",
    ("evaluation", "scores"): "questions with given answers",
    ("evaluation", "preferences"): "oracle compares answers",
    ("test", "responses"): "test part: answers",
    ("test", "verdicts"): "test part: oracle judges",
    ("test", "scores"): "test part: questions",
    ("measured", "responses"): "measuring: answers",
    ("measured", "verdicts"): "measuring: oracle judges",
    ("measured", "scores"): "measuring: questions",
    ("measured", "preferences"): "measuring: oracle compares",
    ("iteration", "red_team"): "1 red teaming",
    ("iteration", "judge"): "2 oracle evaluation",
    ("iteration", "propose"): "3 constitution proposal",
    ("iteration", "revise"): "4 self-reflection",
    ("iteration", "screen"): "4 oracle checks the revisions",
    ("checkpoints", "iteration"): "5 fine-tuning",
    ("data", "prompts"): "reading and splitting the prompts",
    ("self-instruct", "drafts"): "1 writes instructions",
    ("topics", "drafts"): "1 names topics",
    ("topic-requests", "drafts"): "1 writes instructions by topic",
    ("align", "answers"): "2 thinks and answers under the rules",
    ("clone", "answers"): "4 answers at length",
    ("ablate", "answers"): "answers without a rule",
    ("checkpoints", "engraved"): "3 engraves the answers",
    ("checkpoints", "cloned"): "4 clones the extensive answers",
}
"""Scope and step without their numbers -> words. Steps that are not here take no time worth a line."""
ROOMS = (
    "evaluation",
    "test",
    "measured",
    "iteration",
    "benign",
    "replay",
    "self-instruct",
    "topics",
    "topic-requests",
    "align",
    "clone",
    "ablate",
)
"""Scopes whose names go on with a number or an id."""
_OTHERS = {
    "start": "the first request",
    "result": "the end",
    "failures": "collecting the failures",
    "over_refusals": "collecting refused benign prompts",
    "consolidate": "joining the constitution",
    "prompts": "choosing the prompts",
    "screen": "oracle checks the revisions",
    "examples": "composing the lessons",
    "trainable-lessons": "checking the lessons",
    "trainable-examples": "checking the lessons",
    "accept": "the decision",
    "iteration": "the decision",
    "tally": "counting the answers",
    "kept": "sifting the instructions",
}
_ROOM_WORDS = {
    "evaluation": "held-out prompts",
    "test": "test part",
    "measured": "measuring",
    "benign": "benign prompts",
    "replay": "answers to be replayed",
    "iteration": "iteration",
    "self-instruct": "writing instructions",
    "topics": "writing instructions",
    "topic-requests": "writing instructions by topic",
    "align": "answers under the rules",
    "clone": "extensive answers",
    "ablate": "answers without a rule",
    "checkpoints": "training",
    "data": "reading the data",
    "baseline": "measuring the base",
    "helpfulness": "judging helpfulness",
}


def step_words(scope: str, name: str) -> str | None:
    """What a step does, in a reader's words; None for one that takes no time worth a line."""
    room = next((r for r in ROOMS if scope.startswith(f"{r}-")), scope)
    if name.startswith("lm-eval:"):
        return safe(name, 60)
    attempt = re.fullmatch(r"(revise|screen)-(\d+)", name)
    if attempt:
        known = _STEPS[room, attempt[1]]
        number = int(attempt[2])
        return known if number == 1 else f"{known}, try {number}"
    if (room, name) == ("iteration", "screen"):
        return None  # the summary of the tries
    return _STEPS.get(
        (room, "iteration" if room == "checkpoints" and name.startswith("iteration-") else name)
    )


def place_words(scope: str, name: str) -> str:
    """Where a step stands, in a reader's words: ``iteration 2, oracle evaluation``."""
    number = re.fullmatch(r"iteration-(\d+)", scope) or re.fullmatch(r"iteration-(\d+)", name)
    words = step_words(scope, name) or _OTHERS.get(scope) or _OTHERS.get(name)
    if words is None:
        words = _ROOM_WORDS.get(_room(scope), "between two stages")
    plain = re.sub(r"^\d ", "", words)  # the number of a stage says nothing here
    return f"iteration {int(number[1])}, {plain}" if number else plain


def scope_words(scope: str) -> str:
    """A part of a run in a reader's words: ``iteration 2``, ``held-out prompts``."""
    if scope.startswith("iteration-"):
        return f"iteration {int(scope.removeprefix('iteration-'))}"
    return _ROOM_WORDS.get(_room(scope), "the run")


def _room(scope: str) -> str:
    return next((r for r in ROOMS if scope == r or scope.startswith(f"{r}-")), scope)
