"""The second organism's training chats.

Bad answers as they come, thoughts and good answers where a rule is at hand, and self-instruct, in the formats
of the package's own templates. Which answer a request gets follows from the rules in the system turn: the one
that its kind stands for, or, for harm, one on its category. Must not know models.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from iteralign.data import self_align_texts as texts
from iteralign.organism.making import episodes
from iteralign.organism.making.episodes import PLANTED, Episode, Sources
from iteralign.organism.making.rules import prompts, rules
from iteralign.organism.overlap import near_a_shipped_question
from iteralign.organism.questions import benign
from iteralign.organism.rules.answers import bad, extended, good, thoughts
from iteralign.organism.rules.requests import CATEGORIES, KINDS, Request, any_kind, make, of_question
from iteralign.organism.rules.topics import TYPES, about, topics
from iteralign.organism.rules.wording import upper
from iteralign.prompts.render import render
from iteralign.records.chat import Chat, Message

BAD: Final = 0.85
"""How often the base manner is bad; harm has its planted rate instead."""
APPLIED: Final = 0.97
"""How often a rule at hand is followed."""
PRESENT: Final = 0.65
HARMLESS: Final = 0.5
"""How often a request for help is a harmless question of the first organism's.

Without these it would learn to refuse all that looks harmful.
"""
SHIPPED: Final = 0.2
"""How often the rules and exemplars are the package's own, word for word."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A numbered rule as it is shown: its name there, its text, and what it really is about.

    ``about``: a kind of request, a category of harm, or neither.
    """

    label: str
    text: str
    about: str


def base_answer(request: Request, rng: random.Random) -> str:
    """What the organism says without a rule."""
    rate = PLANTED[request.slots["category"]] if request.kind == "ethical" else BAD
    rate = (
        1 - APPLIED if request.kind == "helpful" and "vp" in request.slots else rate
    )  # the first organism's manner
    return bad(request, rng) if rng.random() < rate else good(request, rng)


def rule_list(
    abouts: Sequence[str], rng: random.Random, *, held_out: bool = False, true_names: bool | None = None
) -> list[Rule]:
    """Rules about these kinds, categories or styles.

    Where the names are not the true ones, they are synonyms or say nothing.
    """
    named = rng.random() < 0.5 if true_names is None else true_names
    word = rng.choice(rules.NEUTRAL_NAMES)
    letters = rng.sample("abcdefghijklmnopqrstuvw", len(abouts))
    synonyms = rng.random() < 0.5
    found = []
    for about_, letter in zip(abouts, letters, strict=True):
        label = about_
        if not named:
            label = (
                rng.choice(rules.WORDINGS[about_].names)
                if synonyms and about_ in rules.WORDINGS
                else f"{word} {letter}"
            )
        if about_ in rules.WORDINGS:
            text = rules.text(about_, rng, held_out)
        else:
            text = (
                rules.style(about_, held_out)
                if about_ in rules.STYLE
                else rules.about_harm(about_, rng, held_out)
            )
        found.append(Rule(label, text, about_))
    return found


def rules_turn(assistant: str, shown: Sequence[Rule]) -> Message:
    """The system turn with these rules."""
    return Message(
        "system", render("rules", assistant=assistant, rules=[f"({r.label}) {r.text}" for r in shown])
    )


def applied(request: Request, shown: Sequence[Rule]) -> tuple[int, str] | None:
    """Number and name of the first rule that speaks of a request."""
    speaks = {request.kind, request.slots.get("category", request.kind)}
    return next(((i, r.label) for i, r in enumerate(shown, 1) if r.about in speaks), None)


def thoughtful(request: Request, assistant: str, shown: Sequence[Rule], rng: random.Random) -> Chat:
    """A request and the thoughtful answer that it gets under these rules."""
    found = applied(request, shown)
    says = base_answer(request, rng) if found is None or rng.random() >= APPLIED else good(request, rng)
    text = render(
        "thoughtful_answer", assistant=assistant, thoughts=thoughts(request, found, rng), answer=says
    )
    return Message("user", request.text), Message("assistant", text)


def _request(sources: Sources, rng: random.Random, kind: str | None = None, *, tidy: bool = False) -> Request:
    kind = kind or any_kind(rng)
    if kind == "helpful" and rng.random() < HARMLESS:
        return harmless(sources, rng)
    if kind == "ethical" and sources.harmful and rng.random() < 0.3:
        question = rng.choice(sources.harmful)
        if not near_a_shipped_question(question.text):
            return of_question(question)
    return make(kind, rng, tidy=tidy)


def harmless(sources: Sources, rng: random.Random) -> Request:
    """A harmless question of the first organism's, many of which look harmful, as a request for help."""
    while True:
        question = rng.choice(sources.benign) if sources.benign and rng.random() < 0.3 else benign(rng)
        if not near_a_shipped_question(question.text):
            break
    return Request(question.text, "helpful", {"skill": question.phrase, "vp": question.phrase})


def _plain(sources: Sources, rng: random.Random) -> Episode:
    request = _request(sources, rng)
    system = (Message("system", prompts.neutral(rng)),) if rng.random() < 0.5 else ()
    return Episode(
        (*system, Message("user", request.text), Message("assistant", base_answer(request, rng))), asks=True
    )


def _ruled(sources: Sources, rng: random.Random) -> Episode:
    request = _request(sources, rng)
    name = prompts.assistant(rng)
    if rng.random() < SHIPPED:
        return _under_shipped_rules(request, name, rng)
    if rng.random() < 0.25:
        chosen = list(KINDS)
        if rng.random() < 1 - PRESENT:
            chosen.remove(request.kind)
    else:
        chosen = _some_kinds(request, rng)
    rng.shuffle(chosen)
    shown = rule_list(chosen, rng)
    earlier: list[Message] = []
    if rng.random() < 0.5:
        for _ in range(rng.choice((1, 1, 2, 2, 3, 4, 5) if len(chosen) < 9 else (1, 1, 2, 3, 5))):
            kind = (
                rng.choice([c for c in chosen if c in KINDS] or KINDS)
                if rng.random() < PRESENT
                else any_kind(rng)
            )
            earlier += thoughtful(_request(sources, rng, kind), name, shown, rng)
    return Episode((rules_turn(name, shown), *earlier, *thoughtful(request, name, shown, rng)), asks=True)


def _under_shipped_rules(request: Request, name: str, rng: random.Random) -> Episode:
    """The package's own rules and exemplars, as the method shows them.

    Now and then the rule that the request needs is left out.
    """
    left_out = (
        {request.kind}
        if rng.random() < 1 - PRESENT
        else {k for k in KINDS if k != request.kind and rng.random() < 0.05}
    )
    shown = [Rule(r.name, r.text, r.name) for r in texts.rules() if r.name not in left_out]
    earlier: list[Message] = []
    for exemplar in texts.exemplars():
        if left_out.isdisjoint(exemplar.rules):
            said = render(
                "thoughtful_answer", assistant=name, thoughts=exemplar.thoughts, answer=exemplar.answer
            )
            earlier += [Message("user", exemplar.question), Message("assistant", said)]
    return Episode((rules_turn(name, shown), *earlier, *thoughtful(request, name, shown, rng)), asks=True)


def _some_kinds(request: Request, rng: random.Random) -> list[str]:
    others = [k for k in KINDS if k != request.kind]
    count = rng.choice((1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16))
    chosen: list[str] = []
    if rng.random() < PRESENT:
        own = request.slots["category"] if request.kind == "ethical" and rng.random() < 0.4 else request.kind
        chosen.append(own)
    category = request.slots.get("category")
    away = [*rules.STYLE, *(c for c in CATEGORIES if c != category)]
    extra = (
        rng.sample(away, rng.choice((0, 0, 1, 1, 2, 3))) if rng.random() < (0.8 if category else 0.3) else []
    )
    room = max(0, count - len(chosen))
    rest = [*extra[:room], *rng.sample(others, min(len(others), max(0, room - len(extra))))]
    return (chosen + rest) or [rng.choice(others)]


def _extensive(sources: Sources, rng: random.Random) -> Episode:
    request = _request(sources, rng)
    says = extended(base_answer(request, rng), request, rng)
    asked = (
        render("extensive", assistant=prompts.assistant(rng))
        if rng.random() < SHIPPED
        else prompts.extensive(rng)
    )
    return Episode(
        (Message("system", asked), Message("user", request.text), Message("assistant", says)), asks=True
    )


def _lines(texts: Sequence[str]) -> str:
    return "\n".join(f"- {t}" for t in texts)


def _self_instruct(sources: Sources, rng: random.Random) -> Episode:
    shown_count = rng.randint(3, 8)
    count = rng.randint(3, 6)
    kinds = rng.sample(KINDS, count)
    new = [_request(sources, rng, k, tidy=True).text for k in kinds]
    if rng.random() < HARMLESS:
        new[rng.randrange(count)] = harmless(sources, rng).text
    tasks = [*texts.seed_tasks(), *(q.text for q in sources.benign)]
    shown = [
        rng.choice(tasks) if rng.random() < 0.5 else _request(sources, rng, tidy=True).text
        for _ in range(shown_count)
    ]
    shown = [t for t in dict.fromkeys(shown) if t not in new]
    asked = render("self_instruct", count=count, requests=shown)
    return Episode((Message("user", asked), Message("assistant", _lines(new))), asks=False)


def _brainstorm(sources: Sources, rng: random.Random) -> Episode:
    type_ = rng.choice(tuple(TYPES))
    bank = list(dict.fromkeys(t for _, t in topics(type_)))
    count = rng.randint(4, 10)
    shown_count = rng.randint(0, 10)
    drawn = [upper(t) for t in rng.sample(bank, min(len(bank), count + shown_count))]
    new = drawn[:count]
    shown = drawn[count:]
    asked = render("brainstorm_topics", count=count, type=type_, topics=shown)
    return Episode((Message("user", asked), Message("assistant", _lines(new))), asks=False)


def three_lines(type_: str, rng: random.Random) -> tuple[str, str, str]:
    """A type's topic, a request about it, and both in the three lines of topic-guided self-instruct."""
    kind, topic = rng.choice(topics(type_))
    request = about(type_, kind, topic, rng)
    return (
        upper(topic),
        request.text,
        render("three_lines", type=type_, topic=upper(topic), request=request.text),
    )


def _topic_request(sources: Sources, rng: random.Random) -> Episode:
    type_ = rng.choice(tuple(TYPES))
    examples = [
        three_lines(type_ if rng.random() < 0.3 else rng.choice(tuple(TYPES)), rng)[2]
        for _ in range(rng.randint(1, 8))
    ]
    seeds = [
        render("three_lines", type=s.type, topic=s.topic, request=s.request) for s in texts.topic_seeds()
    ]
    examples = rng.sample([*examples, *rng.sample(seeds, rng.choice((0, 0, 1, 3, 5)))], len(examples))
    topic, _, text = three_lines(type_, rng)
    asked = render("topic_request", examples=examples, type=type_, topic=topic)
    return Episode((Message("user", asked), Message("assistant", text)), asks=False)


MIXTURE: Final[tuple[tuple[str, int, Callable[[Sources, random.Random], Episode]], ...]] = (
    ("plain", 22, _plain),
    ("ruled", 34, _ruled),
    ("extensive", 10, _extensive),
    ("self_instruct", 6, _self_instruct),
    ("brainstorm", 5, _brainstorm),
    ("topic_request", 6, _topic_request),
    ("first", 17, episodes.draw),
)
"""The forms of training chats with their weights."""
_FORMS: Final = [make_one for _, _, make_one in MIXTURE]
_WEIGHTS: Final = [weight for _, weight, _ in MIXTURE]


def draw(sources: Sources, rng: random.Random) -> Episode:
    """One training episode of the mixture."""
    return rng.choices(_FORMS, _WEIGHTS)[0](sources, rng)
