"""Trains on nothing unverified: which revisions pass the oracle, and why the others are dropped (absent from
the published script).

Pure: from revisions and the oracle's verdicts on them to screenings. Every drop has a reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from iteralign.records.chat import SamplingParams
from iteralign.records.iteralign import Exchange, Failure, Response, Revision, Screening, Verdict
from iteralign.text.revised import flaw
from iteralign.text.words import runs

CUT = "the revision was cut at the length limit"


def revised_exchanges(
    failures: Sequence[Failure], revisions: Sequence[Revision], params: SamplingParams
) -> list[Exchange]:
    """The prompts with their revised answers, as the oracle judges them.

    It does not see that they are revisions.
    """
    return [
        Exchange(
            prompt=f.prompt,
            response=Response(
                prompt_id=f.prompt.id,
                text=r.text,
                finish=r.finish,
                thought=r.thought,
                model=f.response.model,
                sampling=params,
                reason=r.reason,
            ),
        )
        for f, r in zip(failures, revisions, strict=True)
    ]


def screen(
    revisions: Sequence[Revision],
    verdicts: Sequence[Verdict],
    *,
    enabled: bool = True,
    must_help: Collection[str] = (),
    failed: Sequence[Failure] | None = None,
) -> list[Screening]:
    """One screening per revision. With ``enabled`` off (the paper's set-up) every one with a text is kept.

    ``must_help``: ids of the first answers whose revision must not refuse, since the prompt is safe.
    ``failed``: the failures in the order of the revisions, where these are to be held to the rules of
    ``text.revised``, too: that they answer the question, and are no copy of the first answer.
    """
    flaws: Sequence[str | None] = [None] * len(revisions)
    if enabled and failed is not None:
        pairs = zip(failed, revisions, strict=True)
        flaws = [flaw(f.prompt.dialogue, f.response.text, r.text) for f, r in pairs]
    return [
        _screen(r, v, enabled, r.response_id in must_help, found)
        for r, v, found in zip(revisions, verdicts, flaws, strict=True)
    ]


def choose(drawn: Sequence[Screening]) -> list[Screening]:
    """The screenings of several revisions of each failure, with at most one kept of each.

    The best one: the least severe, the least likely to be unsafe where the oracle says, and among equals the
    one that is most like the others (so that no odd one is learnt); the first of those. In order.
    """
    passed: dict[str, list[int]] = {}
    for i, s in enumerate(drawn):
        if s.kept:
            passed.setdefault(s.response_id, []).append(i)
    best = set()
    for places in passed.values():
        words = {i: set(runs(drawn[i].revision.text)) for i in places}
        best.add(
            min(
                places,
                key=lambda i: (
                    drawn[i].verdict.severity,
                    drawn[i].verdict.score or 0.0,
                    -_likeness(words[i], words.values()),
                ),
            )
        )
    return [
        s if not s.kept or i in best else replace(s, id="", kept=False, reason="another revision was chosen")
        for i, s in enumerate(drawn)
    ]


def _likeness(words: set[str], others: Iterable[set[str]]) -> float:
    """How much of its words a revision shares with each of the others, summed up."""
    return sum(len(words & other) / max(1, len(words | other)) for other in others)


def unresolved(failures: Sequence[Failure], screenings: Sequence[Screening]) -> list[Failure]:
    """The failures that have no kept revision yet."""
    kept = {s.response_id for s in screenings if s.kept}
    return [f for f in failures if f.response.id not in kept]


def drops(screenings: Sequence[Screening]) -> Counter[str]:
    """Why failures have no kept revision: the reason of the last try, in a few words."""
    kept = {s.response_id for s in screenings if s.kept}
    last = {s.response_id: s for s in screenings if s.response_id not in kept}
    return Counter(_briefly(s) for s in last.values())


def _briefly(screening: Screening) -> str:
    if screening.revision.finish == "left_out":
        return (screening.revision.reason or "").partition(": ")[0]
    return screening.reason.partition(": ")[0]


def _screen(
    revision: Revision, verdict: Verdict, enabled: bool, must_help: bool, found: str | None
) -> Screening:
    if revision.finish == "left_out":
        kept = False
        reason = f"the revision was left out: {revision.reason}"
    elif not revision.text and revision.finish == "length":
        kept = False
        reason = CUT
    elif not revision.text:
        kept = False
        reason = "the revision is empty"
    elif not enabled:
        kept = True
        reason = "screening is off"
    elif revision.finish == "length":
        kept = False
        reason = CUT
    elif verdict.label == "proper" and must_help and verdict.refusal is not False:
        kept = False
        reason = "still refuses a safe prompt" if verdict.refusal else "the oracle does not say that it helps"
    elif verdict.label == "proper" and found is not None:
        kept = False
        reason = found
    elif verdict.label == "proper" and verdict.on_topic is False:
        kept = False
        reason = "does not speak to the question"
    elif verdict.label == "proper":
        kept = True
        reason = "the oracle found it proper"
    elif verdict.label == "unjudged":
        kept = False
        reason = f"the oracle gave no judgement: {verdict.rationale}"
    else:
        kept = False
        reason = f"still improper: {verdict.rationale}"
    return Screening(
        response_id=revision.response_id, revision=revision, verdict=verdict, kept=kept, reason=reason
    )
