"""A directory that holds an evaluation and no run: where it stands, and what it has measured.

Plain data in and out. Knows nothing of how anything is measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from iteralign.errors import StoreError
from iteralign.report.page import say
from iteralign.report.step_words import place_words
from iteralign.report.summary import spent, worked_on_by
from iteralign.store.run import Run
from iteralign.text.printable import safe

EVALUATION = "evaluation"
"""The note that a directory holds an evaluation, which no algorithm goes on with: its models and results."""
AGAIN = "give the same command `iteralign evaluate` again: what is measured is taken from there"


def is_evaluation(run: Run) -> bool:
    """Whether the directory holds an evaluation."""
    return run.noted(EVALUATION) is not None


def results(run: Run) -> list[dict[str, Any]]:
    """What the evaluation measured, one object per task. Raises ``StoreError`` where it has not ended."""
    found: list[dict[str, Any]] | None = (run.noted(EVALUATION) or {}).get("results")
    if found is None:
        raise StoreError(f"{run.directory}: the evaluation has not ended, so that it has no results: {AGAIN}")
    return found


def must_be_a_run(run: Run, wanted: str, having: str) -> None:
    """Raises ``StoreError`` where the directory holds an evaluation, which has no ``wanted``."""
    if is_evaluation(run):
        raise StoreError(
            f"{wanted}: {run.directory} holds an evaluation of {run.noted(EVALUATION)['model']!r}, "  # type: ignore[index]
            f"and no run. It has: {having}"
        )


def status(run: Run) -> dict[str, Any]:
    """Where an evaluation stands."""
    steps = run.events("step")
    note = run.noted(EVALUATION) or {}
    worker = worked_on_by(run.directory)
    ended = note.get("results") is not None
    return {
        "state": "running" if worker else "finished" if ended else "interrupted",
        "evaluation_of": note["model"],
        "worked_on_by": worker,
        "recipe": run.settings["name"],
        "seed": run.settings["seed"],
        "tasks": [task["task"] for task in note["results"]] if ended else None,
        "step": {k: steps[-1].fields[k] for k in ("scope", "name", "state", "done", "total")}
        if steps
        else None,
        "last_event": steps[-1].time if steps else None,
        "warnings": [str(e.fields["text"]) for e in run.events("warning")],
        "spent": spent(run),
        "path": str(run.directory),
    }


def print_status(console: Console, data: Mapping[str, Any]) -> None:
    """Where an evaluation stands, and what to do next."""
    path = safe(data["path"])
    who = f"evaluation of {safe(data['evaluation_of'])}, {data['state']}"
    say(console, f"{path}: {who} (recipe {safe(data['recipe'])}, seed {data['seed']})", "bold")
    if data["worked_on_by"]:
        say(console, f"  worked on by  {safe(data['worked_on_by'])}")
    if data["step"]:
        step = data["step"]
        place = place_words(step["scope"], step["name"])
        say(console, f"  last step     {place}: {safe(step['state'])}, {step['done']} of {step['total']}")
    if data["tasks"]:
        say(console, f"  measured      {safe(', '.join(data['tasks']), 200)}")
    for text in data["warnings"][-5:]:
        say(console, f"  warning       {safe(text)}")
    if data["state"] == "interrupted":
        say(console, f"  to go on      {AGAIN}")
    elif data["tasks"]:
        say(console, f"  results       iteralign show {path} scores")
