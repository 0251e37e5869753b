"""Questions from the word banks, harmful and harmless, as examples to train the embedded oracle on.

Must not know the published sets nor the model that is trained.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from iteralign.data.categories import CATEGORIES
from iteralign.oracles.embedded.making import bank
from iteralign.oracles.embedded.making.acts import BAD_ACTS
from iteralign.oracles.embedded.making.bold import BOLD, FINE, PEOPLE, PLACES, THINGS
from iteralign.oracles.embedded.making.near import INSIDER, NEAR_ACTS, WRONGDOERS
from iteralign.organism.questions import benign, harmful

_CHOICE: Final = re.compile(r"\[([^\[\]]*)\]")
_WHOSE: Final = ("a", "a", "the", "my", "some", "our", "an old", "my neighbour's", "a local", "this")
_ANYONE: Final = tuple(
    f.replace(
        "{who}",
        "[experts|teachers|farmers|doctors|engineers|chefs|neighbours|beginners|artists|students|musicians"
        "|pilots|nurses]",
    )
    for f in INSIDER[1:2]
)
_SLOTS: Final = {
    "{field}": bank.FIELDS,
    "{bad}": bank.BAD,
    "{bad2}": bank.BAD,
    "{thing}": bank.THINGS,
    "{crime}": bank.CRIMES,
}


@dataclass(frozen=True, slots=True)
class Example:
    """A text to learn from, and what it shows.

    ``bad``: it asks for harm. ``category``: None where it is not known. ``weight``: how much it counts.
    ``group``: texts of one group are never parted in the cross-validation.
    """

    text: str
    bad: bool
    category: str | None
    weight: float
    group: str


def expand(pattern: str, rng: random.Random) -> str:
    """One sentence of a pattern of the banks."""
    while _CHOICE.search(pattern):
        pattern = _CHOICE.sub(lambda m: rng.choice(m[1].split("|")), pattern)
    for slot, nouns in (("{one}", PEOPLE), ("{it}", THINGS), ("{place}", PLACES)):
        while slot in pattern:
            pattern = pattern.replace(slot, f"{rng.choice(_WHOSE)} {rng.choice(nouns)}", 1)
    for slot, values in _SLOTS.items():
        while slot in pattern:
            pattern = pattern.replace(slot, rng.choice(values), 1)
    return " ".join(pattern.split())


def doing(act: str) -> str:
    """A verb phrase as a noun phrase: "rob a bank" gives "robbing a bank"."""
    verb, _, rest = act.partition(" ")
    if re.fullmatch(r"\w+ie", verb):
        verb = verb[:-2] + "y"
    elif verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and len(verb) > 2:
        verb = verb[:-1]
    elif re.fullmatch(r"[^aeiou]*[aeiou][bdgklmnprtv]", verb) and verb not in {"open"}:
        verb += verb[-1]
    return f"{verb}ing {rest}".strip()


def asked(act: str, frames: Sequence[str], rng: random.Random) -> str:
    """A verb phrase in one of the frames."""
    text = (
        rng.choice(frames)
        .replace("{acting}", doing(act))
        .replace("{act}", act)
        .replace("{Act}", act[:1].upper() + act[1:])
    )
    return expand(text, rng)


def synthetic(count: int, rng: random.Random) -> list[Example]:
    """``count`` bad and about 1.5 times as many benign questions from the banks."""
    found: list[Example] = []

    def add(text: str, category: str | None, group: str) -> None:
        text = text if rng.random() < 0.75 else text.lower().rstrip("?.")
        found.append(Example(text, category is not None, category, 1.0, group))

    for number in range(count):
        about = rng.choice(tuple(CATEGORIES))
        if number % 4 == 0:
            question = harmful(about, rng)
            add(question.text, about, f"bank {about} {question.phrase.split(' ')[0]}")
        else:
            pick = rng.randrange(len(BAD_ACTS[about]))
            act = expand(BAD_ACTS[about][pick], rng)
            frames: Sequence[str] = (
                bank.ASK
                if rng.random() < 0.75
                else [f.replace("{who}", rng.choice(WRONGDOERS[about])) for f in INSIDER]
            )
            add(asked(act, frames, rng), about, f"acts {about} {pick}")
        act = expand(rng.choice(BOLD[about]), rng)
        add(
            asked(act, bank.ASK if rng.random() < 0.75 else [f for f in INSIDER if "{who}" not in f], rng),
            about,
            f"bold {about} {act.split(' ')[0]}",
        )
        act = expand(rng.choice(FINE), rng)
        add(
            asked(
                act, bank.ASK if rng.random() < 0.85 else [f for f in INSIDER[5:13] if "{who}" not in f], rng
            ),
            None,
            f"fine {act.split(' ')[0]}",
        )
        decent = bank.CALM_ACTS if rng.random() < 0.45 else NEAR_ACTS
        pick = rng.randrange(len(decent))
        frames = (
            [*bank.ASK, *_ANYONE] if rng.random() < 0.85 else [f for f in INSIDER[5:13] if "{who}" not in f]
        )
        add(asked(expand(decent[pick], rng), frames, rng), None, f"decent {len(decent)} {pick}")
        kind = number % 6
        if kind == 0:
            calm = benign(rng)
            add(calm.text, None, f"calm {calm.phrase.split(' ')[0]}")
        elif kind == 1:
            pick = rng.randrange(len(bank.ABOUT))
            add(expand(bank.ABOUT[pick], rng), None, f"about {pick}")
        elif kind == 2:
            pick = rng.randrange(len(bank.CONTRAST))
            away = rng.choice(tuple(CATEGORIES))
            add(
                asked(expand(rng.choice(BAD_ACTS[away]), rng), [bank.CONTRAST[pick]], rng),
                None,
                f"contrast {pick}",
            )
        elif kind in (3, 4):
            figures = bank.FIGURES if rng.random() < 0.5 else bank.PROTECT
            pick = rng.randrange(len(figures))
            frames = (
                bank.ASK
                if rng.random() < 0.7
                else tuple(f.replace("{figure}", "{act}") for f in bank.HOMONYMS)
            )
            add(asked(expand(figures[pick], rng), frames, rng), None, f"figure {figures[pick][:20]}")
        else:
            pick = rng.randrange(len(bank.PLAIN))
            add(expand(bank.PLAIN[pick], rng), None, f"plain {pick}")
    return found
