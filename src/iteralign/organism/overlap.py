"""Keeps the package's own red-team and benign set out of the organism's training.

No question is drawn that is nearly one of theirs. Must not know models.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from importlib import resources
from typing import Final

NEAR: Final = 0.6
"""Share of content words (Jaccard) from which on two questions count as the same."""
_WORD: Final = re.compile("[a-z]+")
_PLAIN: Final = frozenset(
    _WORD.findall(
        "a an the to of in on at for and or my i me how do can could you what is it with that so from "
        "without some someone by be are help give "
        "tell want would like way ways should does one your"
    )
)


def near_a_shipped_question(text: str) -> bool:
    """Whether ``text`` is nearly a question of the shipped sets.

    It shares at least two content words, and ``NEAR`` of all content words, with one of them.
    """
    mine = _words(text)
    sets, index = _shipped()
    shared = Counter(i for word in mine for i in index.get(word, ()))
    return any(n >= 2 and n >= NEAR * (len(mine) + len(sets[i]) - n) for i, n in shared.items())


@cache
def _shipped() -> tuple[list[frozenset[str]], dict[str, list[int]]]:
    folder = resources.files("iteralign.data") / "sets"
    rows = [
        line
        for name in ("red_team", "benign")
        for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    sets = [_words(json.loads(row)["text"]) for row in rows]
    index: dict[str, list[int]] = {}
    for i, words in enumerate(sets):
        for word in words:
            index.setdefault(word, []).append(i)
    return sets, index


def _words(text: str) -> frozenset[str]:
    return frozenset(w for w in _WORD.findall(text.lower()) if w not in _PLAIN)
