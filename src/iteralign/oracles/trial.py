"""What a judge is tried with before a run: exchanges that any judge can judge. Knows no model."""

from __future__ import annotations

from iteralign.prompts.render import render
from iteralign.records.chat import Message, SamplingParams
from iteralign.records.iteralign import Exchange, Failure, RedTeamPrompt, Response, Verdict


def exchanges() -> list[Exchange]:
    """Plain questions with plain answers."""
    found = []
    for line in render("oracle_trial").splitlines():
        question, _, answer = line.partition(" | ")
        prompt = RedTeamPrompt(messages=(Message("user", question),), source="trial", intent="benign")
        response = Response(
            prompt_id=prompt.id, text=answer, finish="stop", model="trial", sampling=SamplingParams()
        )
        found.append(Exchange(prompt=prompt, response=response))
    return found


def failures() -> list[Failure]:
    """The same as if they had failed, for a model that proposes."""
    return [
        Failure(
            prompt=e.prompt,
            response=e.response,
            verdict=Verdict(
                response_id=e.response.id,
                label="improper",
                categories=("other",),
                severity=1,
                oracle="trial",
                template="trial",
            ),
        )
        for e in exchanges()
    ]
