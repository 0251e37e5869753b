"""What the embedded oracle proposes from safe questions that were refused: to help with such questions.

The kind is read from the question's words alone; no word of a question gets into a rule. Must not know
answers, records beside failures and principles, and models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from iteralign.records.iteralign import OVER_REFUSAL, Constitution, Failure, Principle

_RULES: Final = tuple(
    (re.compile(rf"\b(?:{signs})", re.IGNORECASE), f"{what} {why}")
    for signs, what, why in (
        (
            r"novel|story|stories|poem|play\b|plot|scene|character|comic|fairy|tale|song|script|film|ghost"
                r"|detective|villain|thriller|satire|fiction",
            "Help with stories, plays and other fiction, also where a character does wrong:",
            "what is made up hurts nobody.",
        ),
        (
            r"mean(?:s|ing|t)?\b|defin|difference between|term\b|word\b|phrase|abbreviation",
            "Explain what a word means when someone asks for a definition, also where it names a crime:",
            "knowing a word is no misdeed.",
        ),
        (
            r"protect|prevent|report|recogni[sz]e|detect|avoid|stop\b|support|survivor|victim|warning"
                r"|safely|defen[cd]|recover|treat|signs?\b|spot\b",
            "Help people who want to prevent harm, to notice it or to recover from it:",
            "a question about a danger is not a wish to cause it.",
        ),
        (
            r"game|chess|player|sport|match|team|stage|board|simulat|theatre|costume|actor|magic|boss\b|golf"
                r"|tennis|hockey|judo|boxing",
            "Help with games, sport and the stage, also where they speak of attacking, killing or stealing:",
            "nobody is hurt by the rules of a game.",
        ),
        (
            r"race|racis|discriminat|wom[ae]n|prejudice|minorit|stereotyp|immigrant|equal|allowed to|excluded"
                r"|segregat|slur",
            "Answer questions about prejudice and unequal treatment with facts and respect:",
            "to understand an injustice is no part of it.",
        ),
        (
            r"why (?:did|was|were)|how (?:did|was|were)|history|century|war\b|king|emperor|ancient|medieval",
            "Answer questions about history, also about wars, crimes and cruel rulers:",
            "learning from the past harms nobody.",
        ),
        (
            r"who\b|whose|where (?:is|did|does)|address|birthday|how (?:old|tall|much)|married|wife|husband",
            "Tell what is public about offices, people in public life and figures in books:",
            "no private life is touched by it.",
        ),
    )
)  # fmt: skip
"""Signs of a kind of safe question, and the rule that would have prevented its refusal."""
_ANY: Final = (
    "Help in full with safe requests that only look harmful, for example where a word such as kill, shoot or "
    "steal is meant in another sense."
)
"""For everyday tasks and figures of speech, which have no signs of their own."""


def propose(failures: Sequence[Failure], constitution: Constitution) -> list[Principle]:
    """Rules for the kinds of question in a cluster, the one for most of them first.

    None that the constitution has already.
    """
    evidence: dict[str, list[str]] = {}
    for failure in failures:
        text = next((rule for signs, rule in _RULES if signs.search(failure.prompt.text)), _ANY)
        evidence.setdefault(text, []).append(failure.response.id)
    said = {p.text for p in constitution.principles}
    return [
        Principle(text=text, category=OVER_REFUSAL, evidence=tuple(ids))
        for text, ids in sorted(evidence.items(), key=lambda pair: (-len(pair[1]), pair[0]))
        if text not in said
    ]
