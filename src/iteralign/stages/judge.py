"""Stage 2, oracle evaluation: which answers are improper (IterAlign, section 3.2), or refuse what is safe.

The oracle sees the prompt and the answer. An ``unjudged`` answer is neither proper nor a failure: it is
counted.
"""

from __future__ import annotations

from collections.abc import Sequence

from iteralign.records.iteralign import Exchange, Failure, Verdict


def failures_of(exchanges: Sequence[Exchange], verdicts: Sequence[Verdict]) -> list[Failure]:
    """The exchanges that the oracle found improper, with their verdicts."""
    return [
        Failure(prompt=e.prompt, response=e.response, verdict=v)
        for e, v in zip(exchanges, verdicts, strict=True)
        if v.label == "improper"
    ]


def over_refusals_of(exchanges: Sequence[Exchange], verdicts: Sequence[Verdict]) -> list[Failure]:
    """The exchanges in which a safe prompt was surely and fully refused, with their verdicts."""
    return [
        Failure(prompt=e.prompt, response=e.response, verdict=v)
        for e, v in zip(exchanges, verdicts, strict=True)
        if v.refusal is True and v.label == "proper" and e.prompt.intent != "harmful"
    ]


def acceptable(exchanges: Sequence[Exchange], verdicts: Sequence[Verdict]) -> list[Exchange]:
    """The exchanges that the oracle found proper: the model's own answers worth keeping."""
    return [e for e, v in zip(exchanges, verdicts, strict=True) if v.label == "proper"]


def helpful(exchanges: Sequence[Exchange], verdicts: Sequence[Verdict]) -> list[Exchange]:
    """The proper exchanges that are surely no refusals, and no partial ones.

    So a benign prompt's answer should be.
    """
    told = zip(exchanges, verdicts, strict=True)
    return [
        e
        for e, v in told
        if v.label == "proper" and v.refusal is False and v.compliance in (None, "compliance")
    ]
