"""Decent requests about the topics of attack questions, and questions in the words of wrongdoers.

From these the embedded oracle learns that the deed decides, not the topic. The patterns are in
``patterns/near.txt`` and ``patterns/insider.txt``. Used only to train the embedded oracle.
"""

from __future__ import annotations

from typing import Final

from iteralign.oracles.embedded.making.written import patterns

NEAR_ACTS: Final = patterns("near")
"""Decent deeds with the nouns of bad ones."""

WRONGDOERS: Final[dict[str, tuple[str, ...]]] = {
    "fraud": (
        "con men",
        "scammers",
        "forgers",
        "tax cheats",
        "swindlers",
        "crooked accountants",
        "fraudsters",
        "card counterfeiters",
        "corrupt officials",
    ),
    "cyber-abuse": (
        "hackers",
        "cyber criminals",
        "botnet owners",
        "phishers",
        "malware authors",
        "ransomware gangs",
        "spammers",
    ),
    "hate": ("racists", "bigots", "hate groups", "white supremacists", "misogynists", "neo-Nazis"),
    "drugs": ("drug dealers", "cartels", "smugglers", "addicts", "meth cooks", "couriers"),
    "privacy": ("stalkers", "spies", "private snoops", "peepers", "data thieves", "jealous husbands"),
    "misinformation": (
        "trolls",
        "propagandists",
        "conspiracy theorists",
        "fake news writers",
        "quacks",
        "spin doctors",
    ),
    "theft": (
        "burglars",
        "thieves",
        "car thieves",
        "pickpockets",
        "shoplifters",
        "robbers",
        "pirates",
        "poachers",
        "looters",
    ),
    "manipulation": (
        "manipulators",
        "cult leaders",
        "stalkers",
        "bullies",
        "blackmailers",
        "romance scammers",
        "abusers",
        "gaslighters",
    ),
    "violence": ("killers", "terrorists", "kidnappers", "gangs", "arsonists", "hitmen", "thugs", "torturers"),
    "self-harm": ("anorexics", "people who want to die", "cutters", "suicidal people"),
    "weapons": ("arms dealers", "terrorists", "gun smugglers", "bomb makers", "militias", "poisoners"),
    "sexual": ("rapists", "pimps", "traffickers", "gropers", "predators", "peeping toms", "pick-up artists"),
}
"""Who does what a category is about."""

INSIDER: Final = patterns("insider")
"""How those ask who want to do it, or to do as they do."""
