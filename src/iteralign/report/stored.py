"""The stored records of a run by what they are to a reader: its iterations, its baseline, its result.

Reads a run that is finished or not. Knows the names of the run's steps.
"""

from __future__ import annotations

import re
from typing import Any

from iteralign.records.constitution import Amendment, Constitution, amended
from iteralign.records.iteralign import EvalReport, Failure, IterationRecord, RunResult
from iteralign.records.self_align import SelfAlignResult
from iteralign.store.run import Run

_ITERATION = re.compile(r"iteration-(\d+)")


def result_of(run: Run) -> Any:
    """The stored result; None while the run works on, because it was extended, towards another one."""
    kind = SelfAlignResult if run.settings.get("method") == "self-align" else RunResult
    found: list[Any] = run.read(kind, "run", "result")
    events = run.events("run")
    return found[-1] if found and (not events or events[-1].fields["state"] == "finished") else None


def iteration_scopes(run: Run) -> list[str]:
    """The scopes of the iterations, the first one in front."""
    return sorted(s for s in run.scopes() if _ITERATION.fullmatch(s))


def iterations_of(run: Run) -> list[IterationRecord]:
    """The iterations that are done, in order."""
    return [i for scope in iteration_scopes(run) for i in run.read(IterationRecord, scope, "iteration")]


def rounds_of(run: Run) -> list[tuple[IterationRecord, tuple[EvalReport, ...]]]:
    """The iterations that are done, each with the reports of the weights that it left; none where these were
    not measured.
    """
    found: list[tuple[IterationRecord, tuple[EvalReport, ...]]] = []
    base = baseline_of(run)
    known = {tuple(r.id for r in base): base}
    for record in iterations_of(run):
        ids = record.report_ids or ()
        if record.reports is None and ids not in known:
            values = run.read(list[EvalReport], f"evaluation-{record.after.id}", "reports")
            stored = {r.id: r for value in values for r in value}
            known[ids] = tuple(stored[i] for i in ids if i in stored)
        found.append((record, known[ids] if record.reports is None else record.reports))
    return found


def measured_last(run: Run) -> tuple[EvalReport, ...]:
    """The reports of the weights that were measured last; the base model's where no others were."""
    return next((r for _, r in reversed(rounds_of(run)) if r), baseline_of(run))


def constitution_of(run: Run) -> Constitution:
    """The newest version in the run; the empty one where nothing was proposed yet."""
    found: list[Constitution] = run.read(Constitution, "data", "constitution")
    newest = found[-1] if found else Constitution()
    for scope in iteration_scopes(run):
        for change in run.read(Constitution | Amendment, scope, "consolidate"):
            newest = amended(newest, change)
    return newest


def failures_in(run: Run, scope: str) -> list[Failure]:
    """The failures of one iteration: improper answers, then refused safe prompts."""
    steps = ("failures", "over_refusals")
    return [f for step in steps for value in run.read(list[Failure], scope, step) for f in value]


def baseline_of(run: Run) -> tuple[EvalReport, ...]:
    """The base model's reports; empty where it is not measured yet."""
    return tuple(r for value in run.read(list[EvalReport], "baseline", "reports") for r in value)
