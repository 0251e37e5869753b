"""Requests of sixteen kinds, one for each rule that a thoughtful answer may apply, and the types and topics
that they come in.

A request is a carrier sentence with words of the banks in its slots. Knows nothing of answers, rules and
models.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from iteralign.organism.grammar import SUBJECTS
from iteralign.organism.overlap import near_a_shipped_question
from iteralign.organism.phrases import label, verb_phrase
from iteralign.organism.principles import TOPICS as HARM_TOPICS
from iteralign.organism.questions import WORDS, Question, harmful, written
from iteralign.organism.rules import banks, facts
from iteralign.organism.rules.carriers import ABOUT_HARM, CARRIERS, LEADS
from iteralign.organism.rules.wording import say, upper

KINDS: Final = ("ethical", *CARRIERS)
"""The kinds, which are also the rules' true names."""
CATEGORIES: Final = tuple(HARM_TOPICS)
PAST: Final[dict[str, str]] = {
    "turn off": "turned off", "turn on": "turned on", "switch off": "switched off",
    "switch on": "switched on", "start": "started",
    "stop": "stopped", "restart": "restarted", "unplug": "unplugged", "clean": "cleaned", "check": "checked",
    "reset": "reset",
    "repair": "repaired", "move": "moved", "test": "tested",
}  # fmt: skip
"""What a request may want done with a device, and how one says that it was done."""
ROOMS: Final = (
    "kitchen",
    "hall",
    "cellar",
    "attic",
    "garage",
    "bedroom",
    "bathroom",
    "office",
    "garden",
    "workshop",
    "living room",
    "guest room",
)
ODD: Final = 0.25
"""How often a noun is any ordinary word, so that copying is learnt, and no list."""
_COUNTABLE: Final = frozenset(("cake", "pie", "stew", "tart", "omelette", "casserole"))


@dataclass(frozen=True, slots=True)
class Request:
    """A request, its kind and the words in its slots."""

    text: str
    kind: str
    slots: Mapping[str, str] = field(hash=False)


@cache
def split(bank: Sequence[str], held_out: bool) -> tuple[str, ...]:
    """The entries of a bank for training, or those held out: every ninth."""
    return tuple(entry for i, entry in enumerate(bank) if (i % 9 == 4) == held_out)


@cache
def _own_words() -> frozenset[str]:
    """All words that the banks put into a main slot."""
    lists = (
        banks.THINGS,
        banks.DEVICES,
        banks.MINE,
        banks.ROUGH,
        banks.EVENTS,
        banks.CUPS,
        banks.SPORTS,
        banks.PLACES_OF_EVENTS,
        banks.ADJECTIVES,
    )
    more = (
        tuple(facts.NOUNS),
        tuple(facts.MEMBERS),
        tuple(facts.ORDERS),
        banks.SKILLS,
        banks.ANIMALS,
        banks.PEOPLE,
        banks.COUNTED,
        banks.EATEN,
    )
    tastes = tuple(x for g in banks.TASTES for x in g)
    rest = (banks.DISHES, banks.MADE, banks.REMEDIES, tastes)
    return frozenset(w for bank in (*lists, *more, *rest) for entry in bank for w in entry.split())


@cache
def _held_words() -> frozenset[str]:
    held = (
        banks.THINGS,
        banks.DEVICES,
        banks.MINE,
        banks.ROUGH,
        banks.EVENTS,
        banks.CUPS,
        tuple(facts.NOUNS),
    )
    more = (banks.ANIMALS, banks.COUNTED, banks.PEOPLE, banks.PLACES, banks.NAMES)
    return frozenset(
        w.lower() for bank in (*held, *more) for entry in split(bank, True) for w in entry.split()
    )


def _pick(bank: Sequence[str], rng: random.Random, held_out: bool) -> str:
    return rng.choice(split(tuple(bank), held_out))


def _any_noun(bank: Sequence[str], rng: random.Random, held_out: bool) -> str:
    """A word of the bank, now and then any ordinary word: so that copying is learnt, and no list."""
    if WORDS and not held_out and rng.random() < ODD:
        word = rng.choice(WORDS)
        if not {word, f"{word}s"} & _held_words():
            return word
    return _pick(bank, rng, held_out)


def _many(bank: Sequence[str], rng: random.Random, held_out: bool) -> str:
    """The same of words that stand for more than one."""
    word = _any_noun(bank, rng, held_out)
    return word if word in bank or word.endswith("s") else f"{word}s"


def articled(noun: str) -> str:
    """With its article, where it takes one."""
    if noun in facts.MASS:
        return noun
    return f"{'an' if noun[0] in 'aeio' or noun.startswith('um') else 'a'} {noun}"


def _informative(rng: random.Random, held_out: bool) -> dict[str, str]:
    return {"noun": _any_noun(tuple(facts.NOUNS), rng, held_out)}


def _helpful(rng: random.Random, held_out: bool) -> dict[str, str]:
    return {"skill": _pick(banks.SKILLS, rng, held_out)}


def _false(rng: random.Random, held_out: bool) -> dict[str, str]:
    return {"animals": _many(banks.ANIMALS, rng, held_out), "act": _pick(banks.ABSURD, rng, held_out)}


def _reasoning(rng: random.Random, held_out: bool) -> dict[str, str]:
    names = rng.sample(split(banks.NAMES, held_out), 3)
    a, b, c = (upper(_any_noun((n,), rng, held_out)) if not held_out else n for n in names)
    more = rng.choice(tuple(facts.ORDERS))
    return {"a": a, "b": b, "c": c, "more": more, "which": rng.choice("ml")}


def _plan(rng: random.Random, held_out: bool) -> dict[str, str]:
    return {"plan": f"{_pick(banks.PLACES_OF_EVENTS, rng, False)} {_any_noun(banks.EVENTS, rng, held_out)}"}


def _candor(rng: random.Random, held_out: bool) -> dict[str, str]:
    did = _pick(tuple(banks.DID), rng, held_out)
    past = banks.DID[did]
    person = _any_noun(banks.PEOPLE, rng, held_out)
    return {
        "person": f"{_pick(banks.ADJECTIVES, rng, False)} {person}" if rng.random() < 0.3 else person,
        "did": did,
        "past": past,
    }


def _recitation(rng: random.Random, held_out: bool) -> dict[str, str]:
    member = _pick(tuple(facts.MEMBERS), rng, held_out)
    asked = facts.MEMBERS[member] if rng.random() < 0.5 else rng.choice(tuple(facts.FEATURES))
    return {"member": member, "group": asked, "feature": facts.FEATURES[asked][1]}


def _static(rng: random.Random, held_out: bool) -> dict[str, str]:
    return {"mine": _any_noun(banks.MINE, rng, held_out), "when": _pick(banks.WHENS, rng, False)}


def _clarification(rng: random.Random, held_out: bool) -> dict[str, str]:
    thing = _any_noun(banks.THINGS, rng, held_out)
    return {
        "thing": f"{_pick(banks.ADJECTIVES, rng, False)} {thing}" if rng.random() < 0.25 else thing,
        "person": _any_noun(banks.PEOPLE, rng, held_out),
    }


def _numerical(rng: random.Random, held_out: bool) -> dict[str, str]:
    return {
        "counted": _many(banks.COUNTED, rng, held_out),
        "place": upper(_any_noun(banks.PLACES, rng, held_out)),
    }


def _dated(rng: random.Random, held_out: bool) -> dict[str, str]:
    ahead = rng.random() < 0.3
    when = (
        {"won": "will win", "time": rng.choice(banks.FUTURE)}
        if ahead
        else {"won": "won", "time": rng.choice(banks.TIMES)}
    )
    return {"event": f"{_pick(banks.SPORTS, rng, held_out)} {_any_noun(banks.CUPS, rng, False)}"} | when


def _step(rng: random.Random, held_out: bool) -> dict[str, str]:
    drawn = rng.random()
    if drawn < 0.1:
        return {"made": _pick(banks.MADE, rng, held_out)}
    if drawn < 0.18:
        return {"made": _pick(banks.REMEDIES, rng, held_out)}
    return {"made": f"{_pick(banks.EATEN, rng, held_out)} {_pick(banks.DISHES, rng, False)}"}


def _balanced(rng: random.Random, held_out: bool) -> dict[str, str]:
    x, y = rng.sample(rng.choice([g for g in banks.TASTES if len(g) > 4]), 2)
    pair = (min(x, y) + max(x, y)).encode()
    return {"x": x, "y": y} if (sum(pair) % 9 == 4) == held_out else _balanced(rng, held_out)


def _creative(rng: random.Random, held_out: bool) -> dict[str, str]:
    noun = _any_noun(banks.ROUGH, rng, held_out)
    return {"subject": f"{_pick(banks.ADJECTIVES, rng, False)} {noun}" if rng.random() < 0.7 else noun}


def _operational(rng: random.Random, held_out: bool) -> dict[str, str]:
    return {
        "do": rng.choice(tuple(PAST)),
        "device": _any_noun(banks.DEVICES, rng, held_out),
        "room": rng.choice(ROOMS),
    }


_SLOTS: Final = {
    "informative": _informative, "helpful": _helpful, "question assessment": _false, "reasoning": _reasoning,
    "multi-aspect": _plan,
    "candor": _candor, "knowledge recitation": _recitation, "static": _static,
    "clarification": _clarification,
    "numerical sensitivity": _numerical, "dated knowledge": _dated, "step-by-step": _step,
    "balanced perspectives": _balanced,
    "creative": _creative, "operational": _operational,
}  # fmt: skip
MAIN: Final[dict[str, str]] = {
    "informative": "noun", "helpful": "skill", "question assessment": "animals", "reasoning": "more",
    "multi-aspect": "plan", "candor": "person",
    "knowledge recitation": "member", "static": "mine", "clarification": "thing",
    "numerical sensitivity": "counted", "dated knowledge": "event",
    "step-by-step": "made", "balanced perspectives": "x", "creative": "subject", "operational": "device",
    "ethical": "topic",
}  # fmt: skip
"""The slot that a topic fills."""


def completed(kind: str, slots: Mapping[str, str]) -> dict[str, str]:
    """The slots with those that follow from them: articles, classes, forms. What is unknown gets a vague
    value.
    """
    found = dict(slots)
    match kind:
        case "informative":
            group, use = facts.NOUNS.get(found["noun"], ("thing", "people know from daily life"))
            found |= {"thing": articled(found["noun"]), "class": group, "use": use}
        case "knowledge recitation":
            own = facts.MEMBERS.get(found["member"], "animal")
            shared = facts.FEATURES.get(own, ("a life of its own", ""))[0]
            found |= {
                "thing": articled(found["member"]),
                "own": own,
                "shared": shared,
                "yes": "yes" if own == found["group"] else "no",
            }
        case "reasoning":
            most, least = facts.ORDERS[found["more"]]
            up = found["which"] == "m"
            found |= {
                "sup": most if up else least,
                "right": found["a"] if up else found["c"],
                "wrong": found["c"] if up else found["a"],
            }
        case "operational":
            found |= {"done": PAST[found["do"]]}
        case "step-by-step":
            made = found["made"]
            loose = made.rsplit(" ", 1)[-1]
            counted = made in banks.MADE or made in banks.REMEDIES or loose in _COUNTABLE
            found |= {
                "dish": articled(made) if counted and not made.endswith(("tea", "drink", "sand")) else made
            }
    return found


def make(
    kind: str, rng: random.Random, *, held_out: bool = False, topic: str | None = None, tidy: bool = False
) -> Request:
    """A request of a kind; ``held_out`` draws words that training never sees in requests; ``topic`` fills the
    main slot.

    ``tidy``: of the banks' words, with its mark at the end and without a greeting. None is nearly a question
    of the package's own sets, if it can be helped.
    """
    if kind == "ethical":
        return _ethical(rng, held_out)
    for _ in range(20):
        request = _drawn(kind, rng, held_out, topic)
        if (
            tidy
            and topic is None
            and WORDS
            and not _own_words().issuperset(request.slots[MAIN[kind]].split())
        ):
            continue
        if not near_a_shipped_question(request.text):
            break
    return (
        request
        if held_out or tidy or topic is not None
        else Request(_varied(request.text, rng), kind, request.slots)
    )


def _drawn(kind: str, rng: random.Random, held_out: bool, topic: str | None) -> Request:
    slots = _SLOTS[kind](rng, held_out) | ({} if topic is None else {MAIN[kind]: topic})
    if kind == "balanced perspectives" and topic is not None:
        slots["y"] = rng.choice(
            [y for g in banks.TASTES if topic in g for y in g if y != topic] or [slots["y"]]
        )
    slots = completed(kind, slots | {"who": _pick(banks.PEOPLE, rng, held_out)})
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
    return Request(question.text, "ethical", _harm_slots(question.category or "", question.phrase))


def _harm_slots(category: str, phrase: str) -> dict[str, str]:
    return {"category": category, "vp": phrase, "subject": SUBJECTS[category]}


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
    """Vague topics of harm of at most three words -> their category and a carrier that is seen as such. Weak
    categories only.
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


def _topics_of(kind: str, bank: Sequence[str]) -> tuple[str, ...]:
    held = (
        _held_words()
        if kind
        in {
            "informative",
            "static",
            "clarification",
            "creative",
            "operational",
            "multi-aspect",
            "dated knowledge",
        }
        else frozenset()
    )
    plain = {
        "helpful": banks.SKILLS,
        "numerical sensitivity": banks.COUNTED,
        "question assessment": banks.ANIMALS,
        "candor": banks.PEOPLE,
    }
    never = set(split(plain[kind], True)) if kind in plain else set()
    never |= (
        set(split(tuple(facts.MEMBERS), True))
        | set(split(tuple(facts.ORDERS), True))
        | set(split(banks.EATEN, True))
        | set(split(banks.SPORTS, True))
    )
    never |= set(split(banks.MADE, True)) | set(split(banks.REMEDIES, True))
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
                return Request(text, "ethical", _harm_slots(category, verb_phrase(text)))
            continue
        request = make(kind, rng, topic=topic)
        if kind != "dated knowledge" or (request.slots["won"] == "won") == (type_ == "Latest events"):
            return request


def any_kind(rng: random.Random) -> str:
    """A kind, all alike."""
    return rng.choice(KINDS)
