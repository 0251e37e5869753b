"""Reads the patterns of the oracle's training questions from ``patterns/``: one file for each bank.

The notation is that of ``organism.written``. Must not know what the patterns are used for.
"""

from __future__ import annotations

from importlib import resources

from iteralign.data.categories import CATEGORIES
from iteralign.organism.written import lines


def patterns(name: str) -> tuple[str, ...]:
    """The patterns of a bank. Raises ``FileNotFoundError`` for a name without a file."""
    file = resources.files("iteralign.oracles.embedded.making") / "patterns" / f"{name}.txt"
    return lines(file.read_text(encoding="utf-8"))


def by_category(name: str) -> dict[str, tuple[str, ...]]:
    """The patterns of a bank that has one file for each category (``acts-fraud.txt``)."""
    return {category: patterns(f"{name}-{category}") for category in CATEGORIES}
