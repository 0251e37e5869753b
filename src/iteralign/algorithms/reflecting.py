"""The tries of self-reflection: how often a revision is asked for, and what each further try changes.

Knows no run and no oracle: a try is what ``stages.revise`` is given beside the failures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from iteralign.prompts.forms import OTHER, Asking
from iteralign.recipe.sections import ReflectionSection

APART: Final = 1000
"""Between the seeds of two samples of one try."""


@dataclass(frozen=True, slots=True)
class Try:
    """One revision of each failure that has none yet.

    ``name`` tells the steps of a run apart; ``seed`` is added to the recipe's; ``settings`` are ``revise``'s.
    """

    name: str
    seed: int
    settings: dict[str, Any] = field(default_factory=dict)


def tries(section: ReflectionSection) -> Iterator[list[Try]]:
    """The samples of each attempt, attempt by attempt.

    The first attempt asks in the section's form. Each further one takes the next rung of the ladder, and the
    last rung again where there are more attempts.
    """
    passed_over = 0
    for attempt in range(1, section.attempts + 1):
        rung = "retry" if attempt == 1 else section.ladder[min(attempt - 2, len(section.ladder) - 1)]
        form = OTHER[section.form] if rung == "other-form" else section.form
        settings: dict[str, Any] = {
            "principles": section.principles,
            "shown": section.shown,
            "attempt": attempt,
        }
        if rung == "other-principles":
            passed_over += section.shown
            settings["skip"] = passed_over
        # left out where it is the usual form: what a run stored before there were others stays its own
        if form != "reflect-revise" or section.exemplars:
            settings["asking"] = Asking(form, section.exemplars)
        if section.sentences is not None:
            settings["sentences"] = section.sentences
        yield [
            Try(f"{attempt}" if not n else f"{attempt}.{n + 1}", attempt + APART * n, settings)
            for n in range(section.samples)
        ]
