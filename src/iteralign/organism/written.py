"""Questions written out one by one: sentence patterns of ours in ``patterns/``.

One file per category, and one of its innocent twins. ``[a|b]`` stands for one of the alternatives, ``<...>``
marks the act that is asked about. The patterns are vacuous: they name wishes, never a way. None of them is a
question of the package's own red-team or benign set. Must not know models.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

BENIGN: Final = "benign"
"""The name that stands for all innocent patterns.

That is: every category's twins (``theft-benign.txt``) and those of no category.
"""
_ALTERNATIVES: Final = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a pattern; ``act``: its marked verb phrase, None where the pattern marks none."""

    text: str
    act: str | None


@cache
def patterns(name: str) -> tuple[str, ...]:
    """The patterns of a category, or of ``BENIGN``.

    Raises ``FileNotFoundError`` for a category without a file.
    """
    folder = resources.files("iteralign.organism") / "patterns"
    if name != BENIGN:
        return lines((folder / f"{name}.txt").read_text(encoding="utf-8"))
    files = sorted(f.name for f in folder.iterdir() if f.name.endswith("-benign.txt"))
    return tuple(line for file in files for line in lines((folder / file).read_text(encoding="utf-8")))


def sentence(pattern: str, rng: random.Random) -> Sentence:
    """One sentence of a pattern."""
    text = re.sub(
        r"\b([Aa]) (?=[aeiou])", r"\1n ", _ALTERNATIVES.sub(lambda m: rng.choice(m[1].split("|")), pattern)
    )
    marked = re.search("<(.*)>", text)
    return Sentence(re.sub("[<>]", "", text), marked[1].strip() if marked else None)


def lines(text: str) -> tuple[str, ...]:
    """The patterns of a file's text, one a line; ``#`` begins a comment.

    An indented line continues the one before it: after a space, or directly where it begins with ``|``.
    """
    found: list[str] = []
    for line in text.splitlines():
        said = " ".join(line.split())
        if not said or line.startswith("#"):
            continue
        if line[0].isspace() and found:
            found[-1] += said if said.startswith("|") else f" {said}"
        else:
            found.append(said)
    return tuple(found)
