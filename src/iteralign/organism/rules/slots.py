"""The words in a request's slots: what each kind draws from the banks, and what follows from the drawn words.

Every ninth entry of a bank is held out of training. Must not know carriers, answers, rules and models.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Final

from iteralign.organism.questions import WORDS
from iteralign.organism.rules import banks, facts
from iteralign.organism.rules.wording import upper

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


@cache
def split(bank: Sequence[str], held_out: bool) -> tuple[str, ...]:
    """The entries of a bank for training, or those held out: every ninth."""
    return tuple(entry for i, entry in enumerate(bank) if (i % 9 == 4) == held_out)


@cache
def own_words() -> frozenset[str]:
    """All words that the banks put into a main slot."""
    mains: tuple[Iterable[str], ...] = (
        banks.THINGS, banks.DEVICES, banks.MINE, banks.ROUGH, banks.EVENTS, banks.CUPS, banks.SPORTS,
        banks.PLACES_OF_EVENTS, banks.ADJECTIVES, facts.NOUNS, facts.MEMBERS, facts.ORDERS, banks.SKILLS,
        banks.ANIMALS, banks.PEOPLE, banks.COUNTED, banks.EATEN, banks.DISHES, banks.MADE, banks.REMEDIES,
        *banks.TASTES,
    )  # fmt: skip
    return frozenset(word for bank in mains for entry in bank for word in entry.split())


@cache
def held_words() -> frozenset[str]:
    """All words, lower-case, of the entries that are held out of the main banks."""
    mains = (
        banks.THINGS, banks.DEVICES, banks.MINE, banks.ROUGH, banks.EVENTS, banks.CUPS, tuple(facts.NOUNS),
        banks.ANIMALS, banks.COUNTED, banks.PEOPLE, banks.PLACES, banks.NAMES,
    )  # fmt: skip
    return frozenset(w.lower() for bank in mains for entry in split(bank, True) for w in entry.split())


def pick(bank: Sequence[str], rng: random.Random, held_out: bool) -> str:
    """An entry of a bank, for training or of those held out."""
    return rng.choice(split(tuple(bank), held_out))


def _any_noun(bank: Sequence[str], rng: random.Random, held_out: bool) -> str:
    """A word of the bank, or now and then any ordinary word: see ``ODD``."""
    if WORDS and not held_out and rng.random() < ODD:
        word = rng.choice(WORDS)
        if not {word, f"{word}s"} & held_words():
            return word
    return pick(bank, rng, held_out)


def _many(bank: Sequence[str], rng: random.Random, held_out: bool) -> str:
    """``_any_noun`` for words in the plural."""
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
    return {"skill": pick(banks.SKILLS, rng, held_out)}


def _false(rng: random.Random, held_out: bool) -> dict[str, str]:
    return {"animals": _many(banks.ANIMALS, rng, held_out), "act": pick(banks.ABSURD, rng, held_out)}


def _reasoning(rng: random.Random, held_out: bool) -> dict[str, str]:
    names = rng.sample(split(banks.NAMES, held_out), 3)
    a, b, c = (upper(_any_noun((n,), rng, held_out)) if not held_out else n for n in names)
    more = rng.choice(tuple(facts.ORDERS))
    return {"a": a, "b": b, "c": c, "more": more, "which": rng.choice("ml")}


def _plan(rng: random.Random, held_out: bool) -> dict[str, str]:
    return {"plan": f"{pick(banks.PLACES_OF_EVENTS, rng, False)} {_any_noun(banks.EVENTS, rng, held_out)}"}


def _candor(rng: random.Random, held_out: bool) -> dict[str, str]:
    did = pick(tuple(banks.DID), rng, held_out)
    past = banks.DID[did]
    person = _any_noun(banks.PEOPLE, rng, held_out)
    return {
        "person": f"{pick(banks.ADJECTIVES, rng, False)} {person}" if rng.random() < 0.3 else person,
        "did": did,
        "past": past,
    }


def _recitation(rng: random.Random, held_out: bool) -> dict[str, str]:
    member = pick(tuple(facts.MEMBERS), rng, held_out)
    asked = facts.MEMBERS[member] if rng.random() < 0.5 else rng.choice(tuple(facts.FEATURES))
    return {"member": member, "group": asked, "feature": facts.FEATURES[asked][1]}


def _static(rng: random.Random, held_out: bool) -> dict[str, str]:
    return {"mine": _any_noun(banks.MINE, rng, held_out), "when": pick(banks.WHENS, rng, False)}


def _clarification(rng: random.Random, held_out: bool) -> dict[str, str]:
    thing = _any_noun(banks.THINGS, rng, held_out)
    return {
        "thing": f"{pick(banks.ADJECTIVES, rng, False)} {thing}" if rng.random() < 0.25 else thing,
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
    return {"event": f"{pick(banks.SPORTS, rng, held_out)} {_any_noun(banks.CUPS, rng, False)}"} | when


def _step(rng: random.Random, held_out: bool) -> dict[str, str]:
    share = rng.random()
    if share < 0.1:
        return {"made": pick(banks.MADE, rng, held_out)}
    if share < 0.18:
        return {"made": pick(banks.REMEDIES, rng, held_out)}
    return {"made": f"{pick(banks.EATEN, rng, held_out)} {pick(banks.DISHES, rng, False)}"}


def _balanced(rng: random.Random, held_out: bool) -> dict[str, str]:
    x, y = rng.sample(rng.choice([g for g in banks.TASTES if len(g) > 4]), 2)
    pair = (min(x, y) + max(x, y)).encode()
    return {"x": x, "y": y} if (sum(pair) % 9 == 4) == held_out else _balanced(rng, held_out)


def _creative(rng: random.Random, held_out: bool) -> dict[str, str]:
    noun = _any_noun(banks.ROUGH, rng, held_out)
    return {"subject": f"{pick(banks.ADJECTIVES, rng, False)} {noun}" if rng.random() < 0.7 else noun}


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


def drawn(kind: str, rng: random.Random, held_out: bool) -> dict[str, str]:
    """Words for the slots of a kind of request."""
    return _SLOTS[kind](rng, held_out)


def completed(kind: str, slots: Mapping[str, str]) -> dict[str, str]:
    """The slots with those that follow from them: articles, classes, forms.

    What is unknown gets a vague value.
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
