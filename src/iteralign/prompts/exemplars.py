"""The worked examples of reflection: each a principle, a vacuous question, a poor answer, what is wrong with
it, and a good answer. They stand in ``exemplars.json``, in an order in which every beginning is balanced.

Knows no model and no chat.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

MOST: Final = 8
"""Worked examples that there are."""


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A worked example of a revision."""

    principle: str
    question: str
    poor: str
    reflection: str
    good: str


def exemplars(count: int) -> tuple[Exemplar, ...]:
    """The first ``count`` of them. Raises ``ValueError`` where there are not so many."""
    known = _all()
    if not 0 <= count <= len(known):
        raise ValueError(f"exemplars = {count}: there are {len(known)}")
    return known[:count]


@cache
def _all() -> tuple[Exemplar, ...]:
    text = files("iteralign.prompts").joinpath("exemplars.json").read_text(encoding="utf-8")
    return tuple(Exemplar(**fields) for fields in json.loads(text))
