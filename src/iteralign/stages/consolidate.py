"""Keeps one constitution: validates proposals, merges repeats, keeps provenance (what the published script
lacks).

Pure: from a constitution and proposals to the next constitution. Knows nothing of oracles or models.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from iteralign.records.constitution import Amendment, Constitution, Principle, amendment
from iteralign.text.similarity import similarity

MIN_WORDS = 4


def objection(text: str, *, max_words: int) -> str | None:
    """Why a text cannot be a principle, or None.

    A principle is one printable line of 4 to ``max_words`` words.
    """
    words = len(text.split())
    if not text.isprintable():
        return "it holds line breaks or control characters"
    if words < MIN_WORDS:
        return f"it has {words} words; a rule of conduct needs at least {MIN_WORDS}"
    if words > max_words:
        return f"it has {words} words; the limit is {max_words}"
    return None


def consolidate(
    constitution: Constitution,
    proposals: Sequence[Principle],
    *,
    enabled: bool = True,
    threshold: float = 0.75,
    max_principles: int = 40,
    max_words: int = 60,
) -> Constitution:
    """The next version of the constitution.

    Valid new principles are added, near-repeats (cosine >= ``threshold``) give their evidence to the elder.
    Principles of two different categories are never merged: oracles phrase them alike and mean different
    things.

    Refused and merged proposals stay in the record with that status: nothing is lost. With ``enabled`` off
    (the paper's set-up) every proposal is added as it is. Returns the same constitution where nothing was
    proposed.
    """
    if not proposals:
        return constitution
    kept = {p.id: p for p in constitution.principles}
    for proposal in proposals:
        same = kept.get(proposal.id)
        if same is not None and same.status == "active":
            # the same words: the older one keeps its category and its birth
            kept[same.id] = _with_evidence(same, proposal)
            continue
        verdict = _place(proposal, kept, threshold, max_principles, max_words) if enabled else proposal
        kept.pop(verdict.id, None)
        kept[verdict.id] = verdict
    return Constitution(
        version=constitution.version + 1, principles=tuple(kept.values()), parent=constitution.id
    )


def amend(
    constitution: Constitution,
    proposals: Sequence[Principle],
    *,
    enabled: bool = True,
    threshold: float = 0.75,
    max_principles: int = 40,
    max_words: int = 60,
) -> Amendment | Constitution:
    """What ``consolidate`` changes of the constitution: the next version, as a run stores it."""
    after = consolidate(
        constitution,
        proposals,
        enabled=enabled,
        threshold=threshold,
        max_principles=max_principles,
        max_words=max_words,
    )
    return amendment(constitution, after)


def _place(
    proposal: Principle,
    kept: dict[str, Principle],
    threshold: float,
    max_principles: int,
    max_words: int,
) -> Principle:
    """The proposal with its status; a repeat's evidence is moved to its elder in ``kept``."""
    if objection(proposal.text, max_words=max_words) is not None:
        return dataclasses.replace(proposal, status="rejected")
    active = [p for p in kept.values() if p.status == "active"]
    akin = [p for p in active if None in (p.category, proposal.category) or p.category == proposal.category]
    if akin:
        scores = similarity([proposal.text], [p.text for p in akin])[0]
        nearest = max(range(len(akin)), key=lambda i: float(scores[i]))
        if float(scores[nearest]) >= threshold:
            elder = akin[nearest]
            kept[elder.id] = _with_evidence(elder, proposal)
            return dataclasses.replace(proposal, status="merged", parents=(elder.id,))
    if len(active) >= max_principles:
        return dataclasses.replace(proposal, status="rejected")
    return dataclasses.replace(proposal, status="active")


def _with_evidence(elder: Principle, proposal: Principle) -> Principle:
    return dataclasses.replace(elder, evidence=tuple(dict.fromkeys((*elder.evidence, *proposal.evidence))))
