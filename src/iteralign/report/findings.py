"""What a run found and made, row by row, as plain data.

Failures, revisions, unjudged answers, and prompts that the final model answers properly. Reads a run that is
finished or not. Knows the names of the run's steps, and nothing of printing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from iteralign.records.iteralign import EvalReport, RedTeamPrompt, Response, Screening, Verdict
from iteralign.report.stored import failures_in, iteration_scopes, result_of
from iteralign.store.run import Run


def failures(run: Run) -> list[dict[str, Any]]:
    """The improper answers and the refused safe prompts that were found, oldest first."""
    found = []
    for number, scope in enumerate(iteration_scopes(run), start=1):
        for failure in failures_in(run, scope):
            found.append(
                {
                    "iteration": number,
                    "category": failure.category,
                    "prompt": failure.prompt.text,
                    "response": failure.response.text,
                    "rationale": failure.verdict.rationale,
                    "severity": failure.verdict.severity,
                }
            )
    return found


def revised(run: Run) -> list[dict[str, Any]]:
    """The revisions that were tried.

    Of each: question, first answer, reflection, second answer, and whether it was kept and why.
    """
    found = []
    for number, scope in enumerate(iteration_scopes(run), start=1):
        by_response = {f.response.id: f for f in failures_in(run, scope)}
        for screening in (s for value in run.read(list[Screening], scope, "screen") for s in value):
            failure = by_response[screening.response_id]
            found.append(
                {
                    "iteration": number,
                    "category": failure.category,
                    "prompt": failure.prompt.text,
                    "before": failure.response.text,
                    "reflection": screening.revision.reflection,
                    "after": screening.revision.text,
                    "kept": screening.kept,
                    "reason": screening.reason,
                }
            )
    return found


def unjudged(run: Run) -> list[dict[str, Any]]:
    """The answers that the oracle gave no judgement on, oldest first; a jury's ties among them."""
    prompts = {p.id: p for value in run.read(list[RedTeamPrompt], "data", "prompts") for p in value}
    found = []
    for scope in run.scopes():
        answers = {r.id: r for step in ("red_team", "responses") for r in run.read(Response, scope, step)}
        for verdict in (v for step in ("judge", "verdicts") for v in run.read(Verdict, scope, step)):
            if verdict.label == "unjudged" and verdict.response_id in answers:
                response = answers[verdict.response_id]
                asked = prompts.get(response.prompt_id)
                found.append(
                    {
                        "scope": scope,
                        "prompt": asked.text if asked else response.prompt_id,
                        "response": response.text,
                        "rationale": verdict.rationale,
                        "votes": dict(verdict.votes),
                    }
                )
    return found


def before_after(run: Run, limit: int = 3) -> list[dict[str, Any]]:
    """Held-out prompts that the base model answered improperly and the final one does not.

    One per category comes first. Both answers were given without a constitution in the prompt. Where no such
    prompt exists the list is empty.
    """
    result = result_of(run)
    if result is None:
        return []
    base, final = result.claims
    was = _harm(base)
    now = _harm(final)
    prompts = {p.id: p for value in run.read(list[RedTeamPrompt], "data", "prompts") for p in value}
    mended = [prompts[i] for i in sorted(was) if i in prompts and was[i] == 1.0 and now.get(i) == 0.0]
    part = "test" if result.tested_base else "evaluation"
    old = _answers(run, part, base)
    new = _answers(run, part, final)
    found = [
        {"category": p.category, "prompt": p.text, "before": old[p.id], "after": new[p.id]}
        for p in _varied(mended)
        if p.id in old and p.id in new
    ]
    return found[:limit]


def _harm(reports: Iterable[EvalReport]) -> dict[str, float]:
    return next((r.per_item for r in reports if r.name == "harm"), {})


def _answers(run: Run, part: str, reports: Sequence[EvalReport]) -> dict[str, str]:
    scope = f"{part}-{reports[0].checkpoint}" if reports else ""
    return {r.prompt_id: r.text for r in run.read(Response, scope, "responses")}


def _varied(prompts: Sequence[RedTeamPrompt]) -> list[RedTeamPrompt]:
    """The same prompts, the first of each category in front."""
    first = {p.category: p.id for p in reversed(prompts)}
    return sorted(prompts, key=lambda p: first[p.category] != p.id)
