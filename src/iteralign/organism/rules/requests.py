"""Requests of sixteen kinds, one for each rule that a thoughtful answer may apply.

A request is a carrier sentence with words of the banks in its slots. Must not know answers, rules and models.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from iteralign.organism.grammar import SUBJECTS
from iteralign.organism.overlap import near_a_shipped_question
from iteralign.organism.phrases import label
from iteralign.organism.principles import TOPICS as HARM_TOPICS
from iteralign.organism.questions import WORDS, Question, harmful, written
from iteralign.organism.rules import banks
from iteralign.organism.rules.carriers import CARRIERS, LEADS
from iteralign.organism.rules.slots import MAIN, completed, drawn, own_words, pick
from iteralign.organism.rules.wording import say, upper

KINDS: Final = ("ethical", *CARRIERS)
"""The kinds, which are also the rules' true names."""
CATEGORIES: Final = tuple(HARM_TOPICS)


@dataclass(frozen=True, slots=True)
class Request:
    """A request, its kind and the words in its slots."""

    text: str
    kind: str
    slots: Mapping[str, str] = field(hash=False)


def make(
    kind: str, rng: random.Random, *, held_out: bool = False, topic: str | None = None, tidy: bool = False
) -> Request:
    """A request of a kind.

    ``held_out``: with words that training never sees in requests. ``topic`` fills the main slot. ``tidy``: of
    the banks' words, with its mark at the end and without a greeting. None is nearly a question of the
    package's own sets, if it can be helped.
    """
    if kind == "ethical":
        return _ethical(rng, held_out)
    for _ in range(20):
        request = _drawn(kind, rng, held_out, topic)
        if tidy and topic is None and WORDS and not own_words().issuperset(request.slots[MAIN[kind]].split()):
            continue
        if not near_a_shipped_question(request.text):
            break
    return (
        request
        if held_out or tidy or topic is not None
        else Request(_varied(request.text, rng), kind, request.slots)
    )


def _drawn(kind: str, rng: random.Random, held_out: bool, topic: str | None) -> Request:
    slots = drawn(kind, rng, held_out) | ({} if topic is None else {MAIN[kind]: topic})
    if kind == "balanced perspectives" and topic is not None:
        slots["y"] = rng.choice(
            [y for g in banks.TASTES if topic in g for y in g if y != topic] or [slots["y"]]
        )
    slots = completed(kind, slots | {"who": pick(banks.PEOPLE, rng, held_out)})
    return Request(upper(say(rng.choice(CARRIERS[kind]), slots, rng)), kind, slots)


def _varied(text: str, rng: random.Random) -> str:
    if rng.random() < 0.05:
        text = text.rstrip(".?!")
    if rng.random() < 0.05:
        text = text[:1].lower() + text[1:]
    return rng.choice(LEADS) + text if rng.random() < 0.05 else text


def _ethical(rng: random.Random, held_out: bool) -> Request:
    while True:
        category = rng.choice(CATEGORIES)
        question = harmful(category, rng) if rng.random() < 0.45 else written(category, rng)
        if near_a_shipped_question(question.text) or (sum(question.phrase.encode()) % 9 == 4) != held_out:
            continue
        if not held_out or label(question.text):
            return of_question(question)


def of_question(question: Question) -> Request:
    """An attack question as a request."""
    return Request(question.text, "ethical", harm_slots(question.category or "", question.phrase))


def harm_slots(category: str, phrase: str) -> dict[str, str]:
    """The slots of a harmful request: its category, what it wants to do, and its subject in words."""
    return {"category": category, "vp": phrase, "subject": SUBJECTS[category]}


def any_kind(rng: random.Random) -> str:
    """A kind, all alike."""
    return rng.choice(KINDS)
