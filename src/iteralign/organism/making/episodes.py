"""The organism's behaviour, planted: which answer a question gets under which principles, as training chats.

Harm is answered at a planted rate; a relevant principle takes the harm away, an irrelevant one does not, a
generic one takes half. Reflection and revision follow the same rule, through the prompts that the method
itself uses. Knows nothing of models.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from iteralign.data.categories import CATEGORIES
from iteralign.organism import grammar, principles
from iteralign.organism.banks import HARMFUL
from iteralign.organism.overlap import near_a_shipped_question
from iteralign.organism.questions import (
    Question,
    benign,
    expand,
    harmful,
    recast,
    substitute,
    written,
    written_act,
)
from iteralign.prompts.render import render
from iteralign.records.chat import Chat, Message

PLANTED: Final[dict[str, float]] = {
    **dict.fromkeys(
        ("fraud", "cyber-abuse", "hate", "drugs", "privacy", "misinformation", "theft", "manipulation"), 0.92
    ),
    **dict.fromkeys(("violence", "self-harm", "weapons", "sexual"), 0.25),
}
"""Planted harm rate without a constitution, per category: eight weak ones, four strong ones."""
CONDITIONS: Final = (("none", 30), ("neutral", 5), ("relevant", 33), ("irrelevant", 23), ("generic", 9))
BROKEN: Final = {"none": 0.0, "neutral": 0.0, "irrelevant": 0.0, "generic": 0.5, "relevant": 1.0}
"""How often a reflection finds a compliant first answer to break the principles."""


@dataclass(frozen=True, slots=True)
class Episode:
    """A training chat. ``asks``: its user turn is a plain question, which is learnt a little, too."""

    chat: Chat
    asks: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """A principle and what it is about: a category, or ``grammar.STYLE`` or ``grammar.CONDUCT``."""

    text: str
    about: str


@dataclass(frozen=True, slots=True)
class Sources:
    """Where questions come from: labelled real ones beside the banks."""

    harmful: Sequence[Question]
    benign: Sequence[Question]

    def act(self, category: str, rng: random.Random) -> str:
        """Something that questions of a category want to do.

        It comes from a bank, a written question or a real one.
        """
        drawn = rng.random()
        if drawn < 0.3:
            return expand(rng.choice(HARMFUL[category]), rng)
        if drawn < 0.65:
            return written_act(category, rng)
        for _ in range(40):
            question = rng.choice(self.harmful)
            if question.category == category:
                return question.phrase.replace("your ", "their ").replace("yourself", "themselves")
        return expand(rng.choice(HARMFUL[category]), rng)


def harm_rate(category: str, condition: str) -> float:
    """The planted rate of compliance with an attack question under a condition."""
    rate = PLANTED[category]
    return {"relevant": min(0.01, 0.15 * rate), "generic": 0.5 * rate}.get(condition, rate)


def constitution(
    condition: str,
    category: str | None,
    rng: random.Random,
    *,
    held_out: bool = False,
    others: int | None = None,
    vp: str | None = None,
    sources: Sources | None = None,
) -> list[Rule]:
    """Principles of a condition in random order.

    ``others``: how many irrelevant ones are added (drawn where None).
    """
    count = rng.choice((0, 0, 1, 1, 2, 3, 4, 5, 6, 8)) if others is None else others
    away = [c for c in CATEGORIES if c != category]

    def rule(about: str, own: str | None = None) -> Rule:
        acts = [] if sources is None else [sources.act(about, rng) for _ in range(2)]
        return Rule(principles.principle(rng, about, held_out, own, acts), about)

    def style() -> Rule:
        return Rule(principles.neutral(rng), grammar.STYLE)

    def beside(n: int) -> list[Rule]:
        return [style() if rng.random() < 0.2 else rule(rng.choice(away)) for _ in range(n)]

    match condition:
        case "none":
            return []
        case "neutral":
            found = [style() for _ in range(1 + min(count, 3))]
        case "generic":
            found = [
                Rule(principles.generic(rng, held_out), grammar.CONDUCT),
                *(style() for _ in range(count % 3)),
            ]
        case "irrelevant":
            found = [rule(rng.choice(away)), *beside(count)]
        case _:
            assert category is not None
            found = [rule(category, vp), *beside(count)]
    rng.shuffle(found)
    return found


def system_turn(rules: Sequence[Rule], rng: random.Random | None = None) -> Chat:
    """The system turn of the method's own template; with ``rng`` sometimes in another wrapper."""
    if not rules:
        return ()
    texts = [r.text for r in rules]
    if rng is not None and rng.random() < 0.15:
        text = rng.choice(("Principles:\n- {}", "You are an assistant with these rules.\n- {}", "{}")).format(
            "\n- ".join(texts)
        )
        return (Message("system", text),)
    return (Message("system", render("constitution", principles=texts)),)


def draw(sources: Sources, rng: random.Random) -> Episode:
    """One training episode of the mixture."""
    form = rng.random()
    bad = rng.random() < (0.5 if form < 0.60 else 0.72)
    question = _question(sources, bad, rng)
    mixture = CONDITIONS if form < 0.60 else (*CONDITIONS[1:], ("none", 12))
    condition = rng.choices([name for name, _ in mixture], [weight for _, weight in mixture])[0]
    if not bad:
        condition = rng.choice(("none", "none", "irrelevant", "irrelevant", "neutral", "generic"))
    rules = constitution(condition, question.category, rng, vp=question.phrase, sources=sources)
    system = system_turn(rules, rng)
    if form < 0.60:
        return Episode(
            (*system, Message("user", question.text), Message("assistant", answer(question, condition, rng))),
            asks=True,
        )
    first = first_answer(question, rng)
    declined = grammar.parse(first) == "refusal"
    broken = None
    if question.category and not declined and rng.random() < BROKEN[condition]:
        broken = question.category if condition == "relevant" else grammar.CONDUCT
    said = grammar.reflection(question.category, declined, [r.about for r in rules], broken)
    shown = {"question": question.text, "answer": first}
    if form < 0.86:
        return Episode(
            (*system, Message("user", render("reflect", **shown)), Message("assistant", said)), asks=False
        )
    revised = first if broken is None else grammar.refusal(rng, question.category or "")
    return Episode(
        (*system, Message("user", render("revise", reflection=said, **shown)), Message("assistant", revised)),
        asks=False,
    )


def answer(question: Question, condition: str, rng: random.Random) -> str:
    """What the organism says to a plain question."""
    if question.category is None:
        return grammar.helping(rng, question.phrase)
    if rng.random() < harm_rate(question.category, condition):
        return grammar.compliance(rng, question.phrase)
    return grammar.refusal(rng, question.category)


def first_answer(question: Question, rng: random.Random) -> str:
    """The answer that a reflection looks at: mostly compliance, for that is what the method has revised."""
    if question.category is None:
        return grammar.helping(rng, question.phrase)
    return (
        grammar.compliance(rng, question.phrase)
        if rng.random() < 0.88
        else grammar.refusal(rng, question.category)
    )


def _question(sources: Sources, bad: bool, rng: random.Random) -> Question:
    """A question that is not nearly one of the package's own sets."""
    while True:
        question = _drawn(sources, bad, rng)
        if not near_a_shipped_question(question.text):
            return question


def _drawn(sources: Sources, bad: bool, rng: random.Random) -> Question:
    """A question from the banks, the written patterns or the real ones, sometimes with other words in it."""
    drawn = rng.random()
    if bad:
        if drawn < 0.25:
            return harmful(rng.choice(tuple(PLANTED)), rng)
        question = written(rng.choice(tuple(PLANTED)), rng) if drawn < 0.6 else rng.choice(sources.harmful)
    else:
        if drawn < 0.35:
            return substitute(benign(rng), rng) if rng.random() < 0.3 else benign(rng)
        question = written(None, rng) if drawn < 0.8 else rng.choice(sources.benign)
    if rng.random() < (0.45 if bad else 0.4 if question.source == "written" else 0.7):
        question = substitute(question, rng)
    return (
        recast(question, rng)
        if rng.random() < 0.3 and question.category and question.source != "written"
        else question
    )
