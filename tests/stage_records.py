"""Prompts, answers, verdicts and principles that the tests of the stages make."""

from __future__ import annotations

from iteralign.records.chat import Message, SamplingParams
from iteralign.records.iteralign import (
    Exchange,
    Failure,
    Principle,
    RedTeamPrompt,
    Response,
    Revision,
    Screening,
    Verdict,
)
from iteralign.stages.screen import screen

PARAMS = SamplingParams()


def prompt(text: str, **more: object) -> RedTeamPrompt:
    return RedTeamPrompt(messages=(Message("user", text),), source="test", **more)  # type: ignore[arg-type]


def exchange(text: str, answer: str = "Sure.") -> Exchange:
    p = prompt(text)
    return Exchange(
        prompt=p, response=Response(prompt_id=p.id, text=answer, finish="stop", model="m", sampling=PARAMS)
    )


def verdict(e: Exchange, label: str, *categories: str, refusal: bool | None = None) -> Verdict:
    return Verdict(
        response_id=e.response.id,
        label=label,
        categories=categories,
        refusal=refusal,
        oracle="o",
        template="1",
        rationale="why",
    )  # type: ignore[arg-type]


def failure(text: str, category: str = "theft", answer: str = "Sure.") -> Failure:
    e = exchange(text, answer)
    return Failure(prompt=e.prompt, response=e.response, verdict=verdict(e, "improper", category))


def principle(text: str, category: str | None = None, **more: object) -> Principle:
    return Principle(text=text, category=category, **more)  # type: ignore[arg-type]


def revision_of(f: Failure, text: str = "I won't.", finish: str = "stop") -> Revision:
    return Revision(
        prompt_id=f.prompt.id,
        response_id=f.response.id,
        constitution_id="c",
        principle_ids=(),
        reflection="r",
        text=text,
        finish=finish,
        attempt=1,  # type: ignore[arg-type]
    )


def screening(f: Failure, label: str, text: str = "I won't.", finish: str = "stop") -> Screening:
    e = exchange(f.prompt.text, text)
    return screen([revision_of(f, text, finish)], [verdict(e, label)])[0]
