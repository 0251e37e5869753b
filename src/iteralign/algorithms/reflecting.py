"""Self-reflection in tries: how often a revision is asked for, what each further try changes, which is kept.

Knows no run, no model and no oracle: who calls asks and judges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from iteralign.prompts.forms import OTHER, Asking
from iteralign.recipe.sections import ReflectionSection, ScreenSection
from iteralign.records.chat import SamplingParams
from iteralign.records.iteralign import Exchange, Failure, Revision, Screening, Verdict
from iteralign.stages.screen import choose, revised_exchanges, screen, unresolved

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


Ask = Callable[[Try, Sequence[Failure], SamplingParams], list[Revision]]
"""One revision of each failure, in order."""
Judge = Callable[[Try, list[Exchange]], list[Verdict]]
"""A verdict on each revised answer, in order."""


def screened(
    failures: Sequence[Failure],
    section: ReflectionSection,
    screening: ScreenSection,
    seed: int,
    ask: Ask,
    judge: Judge,
) -> list[Screening]:
    """Every revision that was drawn, with what came of it; of each failure one is kept at most.

    A failure without a kept revision is tried again, ``section.attempts`` times in all. All samples of a try
    are asked for before one is judged, so that model and judge take turns once.
    """
    must_help = {f.response.id for f in failures if f.over_refusal}
    found: list[Screening] = []
    for samples in tries(section):
        pending = unresolved(failures, found)
        params = [section.sampling.params(seed + one.seed) for one in samples]
        drawn = [ask(one, pending, p) for one, p in zip(samples, params, strict=True)]
        now: list[Screening] = []
        for one, p, revisions in zip(samples, params, drawn, strict=True):
            verdicts = judge(one, revised_exchanges(pending, revisions, p))
            now += screen(
                revisions,
                verdicts,
                enabled=screening.enabled,
                must_help=must_help,
                failed=pending if screening.rules else None,
            )
        found += choose(now)
    return found
