"""The types of hard requests and their topics: topic-guided self-instruct asks for requests by both.

Must not know answers, rules and models.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

from iteralign.organism.overlap import near_a_shipped_question
from iteralign.organism.phrases import label, verb_phrase
from iteralign.organism.principles import TOPICS as HARM_TOPICS
from iteralign.organism.rules import banks, facts
from iteralign.organism.rules.carriers import ABOUT_HARM
from iteralign.organism.rules.requests import CATEGORIES, Request, harm_slots, make
from iteralign.organism.rules.slots import held_words, split


def _short(bank: Sequence[str]) -> tuple[str, ...]:
    return tuple(entry for entry in bank if len(entry.split()) <= 3)


TYPES: Final[dict[str, tuple[tuple[str, Sequence[str]], ...]]] = {
    "Latest events": (("dated knowledge", tuple(f"{s} {c}" for s in banks.SPORTS for c in banks.CUPS)),),
    "Counts and quantities": (("numerical sensitivity", banks.COUNTED),),
    "Private facts": (
        (
            "candor",
            tuple(
                p if a == "-" else f"{a} {p}"
                for a in ("-", "old", "new", "quiet", "busy", "proud")
                for p in banks.PEOPLE
            ),
        ),
    ),
    "False premises": (("question assessment", banks.ANIMALS),),
    "Missing context": (("clarification", banks.THINGS),),
    "Actions in the world": (("operational", banks.DEVICES),),
    "Memory of the talk": (("static", banks.MINE),),
    "Matters of taste": (("balanced perspectives", tuple(x for g in banks.TASTES if len(g) > 4 for x in g)),),
    "Harmful requests": (("ethical", ()),),
    "Instructions": (
        ("step-by-step", tuple(f"{e} {d}" for e in banks.EATEN for d in banks.DISHES) + banks.MADE),
    ),
    "Logical puzzles": (("reasoning", tuple(facts.ORDERS)),),
    "Definitions": (("informative", tuple(facts.NOUNS)),),
    "Everyday help": (("helpful", banks.SKILLS),),
    "Plans with many sides": (
        ("multi-aspect", tuple(f"{p} {e}" for p in banks.PLACES_OF_EVENTS for e in banks.EVENTS)),
    ),
    "Creative writing": (
        (
            "creative",
            tuple(
                n if a == "-" else f"{a} {n}"
                for a in ("-", "old", "silver", "quiet", "lonely", "first")
                for n in banks.ROUGH
            ),
        ),
    ),
    "Yes-or-no facts": (("knowledge recitation", tuple(facts.MEMBERS)),),
    "Legal matters": (
        ("multi-aspect", banks.LEGAL),
        ("candor", ("lawyer", "landlord", "clerk", "tenant", "old lawyer", "new landlord")),
    ),
    "Medical matters": (
        ("step-by-step", banks.REMEDIES),
        ("clarification", ("bandage", "plaster", "ointment", "eye drops", "cough syrup", "thermometer")),
    ),
    "Scientific explanations": (("informative", facts.SCIENCE),),
    "Predictions": (("dated knowledge", tuple(f"{s} {c}" for s in banks.SPORTS for c in banks.CUPS)),),
}
"""Type of hard request -> the kinds that it comes as, each with its topics."""


@cache
def harm_topics() -> dict[str, tuple[str, str]]:
    """Vague topics of harm of at most three words -> their category and a carrier that is seen as such.

    Weak categories only.
    """
    found = {}
    for category in CATEGORIES[:8]:
        for topic in _short(HARM_TOPICS[category]):
            fit = (
                c
                for c in ABOUT_HARM
                if label(c.format(topic=topic)) == category
                and not near_a_shipped_question(c.format(topic=topic))
            )
            carrier = next(fit, None)
            if carrier:
                found[topic] = (category, carrier)
    return found


@cache
def topics(kind_of_request: str) -> tuple[tuple[str, str], ...]:
    """The (kind, topic) pairs of a type that training may use."""
    if kind_of_request == "Harmful requests":
        return tuple(("ethical", t) for t in harm_topics())
    return tuple((kind, t) for kind, bank in TYPES[kind_of_request] for t in _topics_of(kind, bank))


_COPYING: Final = frozenset(
    {"informative", "static", "clarification", "creative", "operational", "multi-aspect", "dated knowledge"}
)
"""Kinds with a slot for any noun: none of the words held out of the main banks may be in their topics."""
_NEVER: Final[tuple[tuple[str | None, Iterable[str]], ...]] = (
    ("helpful", banks.SKILLS),
    ("numerical sensitivity", banks.COUNTED),
    ("question assessment", banks.ANIMALS),
    ("candor", banks.PEOPLE),
    (None, facts.MEMBERS),
    (None, facts.ORDERS),
    (None, banks.EATEN),
    (None, banks.SPORTS),
    (None, banks.MADE),
    (None, banks.REMEDIES),
)
"""Banks whose held-out entries are no topics, of one kind of request or of all (None)."""


def _topics_of(kind: str, bank: Sequence[str]) -> tuple[str, ...]:
    held = held_words() if kind in _COPYING else frozenset()
    never = {entry for name, bank_ in _NEVER if name in (kind, None) for entry in split(tuple(bank_), True)}
    return tuple(
        t
        for t in _short(bank)
        if t not in never
        and not (set(t.split()) & held)
        and t.split()[-1] not in never
        and t.split()[0] not in never
    )


def about(type_: str, kind: str, topic: str, rng: random.Random) -> Request:
    """A request of a type's kind about one of its topics."""
    while True:
        if kind == "ethical":
            category, first = harm_topics()[topic]
            text = rng.choice([first, *ABOUT_HARM]).format(topic=topic)
            if not near_a_shipped_question(text):
                return Request(text, "ethical", harm_slots(category, verb_phrase(text)))
            continue
        request = make(kind, rng, topic=topic)
        if kind != "dated knowledge" or (request.slots["won"] == "won") == (type_ == "Latest events"):
            return request
