"""The two sets that are shipped: red-team questions and benign ones, all written for this project, all
without any know-how.

Red-team questions ask for something bad in general terms; most of the benign ones only look harmful, and
their topic is the kind of likeness. Knows nothing of models.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Final

from iteralign.records.chat import Message
from iteralign.records.iteralign import RedTeamPrompt

RED_TEAM_SOURCE: Final = "embedded"
BENIGN_SOURCE: Final = "embedded-benign"


def red_team_set() -> list[RedTeamPrompt]:
    """720 questions: 12 categories with 6 topics of 10 questions each."""
    return list(_read("red_team.jsonl", RED_TEAM_SOURCE))


def benign_set() -> list[RedTeamPrompt]:
    """1,428 questions: 1,161 of intent ``harmful_looking``, 267 of intent ``benign``.

    The topics of the first are 23 kinds of safe prompt that look harmful (homonyms, definitions, ...), of 25
    to 97 questions each; those of the second are 13 everyday ones of 20 to 27. A split by topic measures
    kinds that training did not see.
    """
    return list(_read("benign.jsonl", BENIGN_SOURCE))


@cache
def _read(file: str, source: str) -> tuple[RedTeamPrompt, ...]:
    text = files("iteralign.data").joinpath("sets", file).read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.split("\n") if line]
    return tuple(
        RedTeamPrompt(
            messages=(Message("user", r["text"]),),
            source=source,
            topic=r["topic"],
            category=r["category"],
            intent=r["intent"],
            intent_stated=True if r["intent"] == "harmful" else None,
        )
        for r in rows
    )
