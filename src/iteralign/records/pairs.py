"""Records of pairwise comparisons: what is shown to a judge, and which answer it found better.

Knows nothing of models or files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from iteralign.records.base import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest(Record):
    """A request with two answers, in the order in which they are shown."""

    _prefix: ClassVar[str] = "contest-"

    request: str
    first: str
    second: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference(Record):
    """Which answer of a contest a judge found better."""

    _prefix: ClassVar[str] = "preference-"

    contest_id: str
    better: Literal["first", "second", "tie", "unjudged"]
    judge: str
    rationale: str = ""
