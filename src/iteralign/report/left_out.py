"""What a run left out, item by item and counted, as plain data and in words.

Reads a run that is finished or not. Knows the names of the run's steps.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from iteralign.errors import StoreError
from iteralign.exchanges import kind_of
from iteralign.foreign.errors import Unreadable
from iteralign.foreign.json import read_object
from iteralign.records.iteralign import RedTeamPrompt, Response, Revision
from iteralign.records.self_align import Aligned, Draft, SelfAlignResult
from iteralign.report.page import say
from iteralign.store.run import Run
from iteralign.text.printable import count_of, safe

_ID = re.compile(r"[a-z]+-[0-9a-f]{16,}")
"""An item that is known by its id alone: the reason says which chat it is."""
MARK = '"finish":"left_out"'
_LARGEST = 16 << 20
"""Bytes of a training's log, at most."""
_MOST = 10**6
"""Examples that a training left out, at most: more is no count."""
_STAGES = {
    "benign": "answers to benign prompts",
    "replay": "answers to be replayed",
    "evaluation": "held-out prompts",
    "test": "held-out prompts (test part)",
    "self": "writing instructions",
    "topics": "writing instructions",
    "topic": "writing instructions",
    "align": "answers under the rules",
    "ablate": "answers without a rule",
    "clone": "extensive answers",
}
_STEPS = {
    "red_team": "red teaming",
    "revise": "self-reflection",
    "scores": "questions of tasks",
    "trainable": "training",
}


def left_out(run: Run) -> list[dict[str, Any]]:
    """Each item that was left out: ``stage``, ``iteration`` (None outside of them), ``item``, ``reason``."""
    return [
        {"stage": _stage(scope, step), "iteration": _iteration(scope), "item": item, "reason": reason}
        for scope, step, item, reason in _found(run)
    ]


def counts(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """How many items were left out, by stage and reason."""
    found = Counter((str(r["stage"]), kind_of(str(r["reason"]))) for r in rows)
    return [{"stage": stage, "reason": reason, "count": n} for (stage, reason), n in found.items()]


def _found(run: Run) -> Iterator[tuple[str, str, str, str]]:
    """Scope, step, the item in its own words, and why it was left out."""
    answers = [x for kind in (Response, Revision) for x in run.holding(kind, MARK)]
    known = (
        [p for value in run.read(list[RedTeamPrompt], "data", "prompts") for p in value] if answers else []
    )
    prompts = {p.id: p.text for p in known}
    for scope, step, record in answers:
        yield scope, step, prompts.get(record.prompt_id, record.prompt_id), record.reason or ""
    for scope, step, scores in run.holding(dict[str, Any], '"reason":', stored_as="Scores"):
        yield scope, step, scores["question_id"], scores["reason"]
    for scope, step, draft in run.holding(Draft, MARK):
        yield scope, step, draft.task_id, draft.reason or ""
    aligned = run.holding(Aligned, MARK)
    for scope, step, answer in aligned:
        yield scope, step, answer.instruction_id, answer.reason
    for scope, step, why in run.holding(dict[str, str], "trainable-", in_name=True):
        for item, reason in why.items():
            yield scope, step, item, reason
    own = run.settings.get("method") == "self-align"
    for result in run.read(SelfAlignResult, "run", "result") if own else []:
        for model in result.models[1:]:
            log = run.directory / model.checkpoint.path / "training_log.json"
            for reason, n in _logged(log).items():
                yield from [("checkpoints", f"trainable-{model.stage}", model.stage, reason)] * n


def _logged(log: Path) -> dict[str, int]:
    """What a training's log says that it left out, by reason. Raises ``StoreError``."""
    if not log.is_file():
        return {}
    try:
        counts = read_object(log, _LARGEST).get("left_out", {})
        if isinstance(counts, dict) and all(isinstance(n, int) and n <= _MOST for n in counts.values()):
            return counts
        raise Unreadable("left_out must be an object of numbers")
    except (Unreadable, OSError) as error:
        raise StoreError(f"{log} is damaged: {error}") from error


def _stage(scope: str, step: str) -> str:
    head = step.split("-")[0]
    return _STEPS.get(head) or _STAGES.get(scope.split("-")[0], scope)


def _iteration(scope: str) -> int | None:
    return int(scope.removeprefix("iteration-")) if scope.startswith("iteration-") else None


def print_counts(console: Console, found: Sequence[Mapping[str, Any]]) -> None:
    """One line for each stage and reason; nothing where nothing was left out."""
    if not found:
        return
    say(console, "Left out of the run, and of every rate above (`iteralign show RUN left-out`):", "bold")
    for row in found:
        say(console, f"  {safe(row['stage'])}: {count_of(row['count'], 'item')}, {safe(row['reason'])}")
    console.print()


def print_rows(console: Console, rows: Sequence[Mapping[str, Any]], limit: int) -> None:
    """The first ``limit`` items with their reasons, and how many there are."""
    say(console, f"Left out: {count_of(len(rows), 'item')} that could not be asked or learnt.", "bold")
    for row in rows[:limit]:
        where = safe(row["stage"]) + (f", iteration {row['iteration']}" if row["iteration"] else "")
        item = "" if _ID.fullmatch(row["item"]) else f" {safe(row['item'], 300)}"
        say(console, f"\n  [{where}]{item}")
        say(console, f"    why: {safe(row['reason'], 400)}")
    if len(rows) > limit:
        say(console, f"\n  ... and {len(rows) - limit} more: --limit N shows N of them, --json all")
