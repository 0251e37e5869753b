"""Nothing stale survives: a stored result that was lost and came out otherwise changes everything that was
made of it, whichever step it belongs to.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from iteralign.algorithms import steps
from iteralign.build.run import resume, start
from iteralign.errors import CheckpointCorrupt
from iteralign.recipe.iteralign import Recipe
from iteralign.records.base import Record
from iteralign.records.chat import Message
from iteralign.records.constitution import Amendment, Constitution, Principle
from iteralign.stages.consolidate import amend
from iteralign.store.run import Run
from iteralign.store.steps import Scope

CHANGES: dict[str, Any] = {
    "RedTeamPrompt": lambda r: {"source": r.source + "-2"},
    "Response": lambda r: {"text": r.text + " Again."},
    "Verdict": lambda r: {"rationale": "otherwise"},
    "Failure": lambda r: {"verdict": changed(r.verdict)},
    "Principle": lambda r: {"text": r.text + " Always."},
    "Constitution": lambda r: {"principles": tuple(map(changed, r.principles))},
    "Revision": lambda r: {"text": r.text + " Again."},
    "Screening": lambda r: {"reason": "otherwise"},
    "TrainingExample": lambda r: {"messages": (*r.messages[:-1], Message("assistant", "Otherwise."))},
    "EvalReport": lambda r: {"facts": {**r.facts, "note": "otherwise"}},
    "Decision": lambda r: {"accepted": not r.accepted},
    "IterationRecord": lambda r: {"counts": {**r.counts, "more": 1}},
    "RunResult": lambda r: {"stop_reason": "otherwise"},
}


def changed(value: Any) -> Any:
    """The value as a world would give it in which this one step comes out otherwise."""
    if isinstance(value, list):
        return [changed(v) for v in value]
    if isinstance(value, dict):  # what cannot be learnt, and why
        return value | {"another": "otherwise: one example more"}
    assert isinstance(value, Record), f"say how a {type(value).__name__} can differ"
    return dataclasses.replace(value, id="", **CHANGES[type(value).__name__](value))


def amended_otherwise(
    constitution: Constitution,
    proposals: Sequence[Principle],
    *,
    enabled: bool = True,
    threshold: float = 0.75,
    max_principles: int = 40,
    max_words: int = 60,
) -> Amendment | Constitution:
    """``amend``, of other proposals in one iteration: an amendment names what comes of it."""
    proposed = [changed(p) if p.born == int(os.environ["AMENDED"]) else p for p in proposals]
    return amend(
        constitution,
        proposed,
        enabled=enabled,
        threshold=threshold,
        max_principles=max_principles,
        max_words=max_words,
    )


def otherwise(patch: pytest.MonkeyPatch, scope: str, step: str) -> None:
    """From now on, what this step computes comes out otherwise."""
    if step == "consolidate" and scope > "iteration-0001":
        patch.setenv("AMENDED", str(int(scope.removeprefix("iteration-"))))
        patch.setattr(steps, "amend", amended_otherwise)
        return
    encode = Scope._encode

    def encoded(self: Scope, kind: Any, name: str, values: Mapping[str, Any]) -> dict[str, str]:
        if (self.name, name) == (scope, step):
            values = {item: changed(value) for item, value in values.items()}
        return encode(self, kind, name, values)

    patch.setattr(Scope, "_encode", encoded)


def steps_of(directory: Path) -> list[tuple[str, str]]:
    query = "SELECT DISTINCT scope, name FROM steps WHERE scope <> 'checkpoints'"
    with sqlite3.connect(directory / "run.sqlite") as db:
        return sorted(db.execute(query))


def lose(directory: Path, scope: str, step: str) -> None:
    """As docs/store.md says of a damaged value: delete its rows, and resume."""
    with sqlite3.connect(directory / "run.sqlite") as db:
        assert db.execute("DELETE FROM steps WHERE scope = ? AND name = ?", (scope, step)).rowcount


def resume_to_its_end(directory: Path) -> None:
    """As a user does: weights that were discarded and are needed again come back with the next resume."""
    for _ in range(4):
        try:
            resume(directory)
        except CheckpointCorrupt:
            continue
        return
    raise AssertionError("the run does not end")


def stale_after(lost: tuple[str, str], finished: Path, tmp_path: Path, recipe: Recipe) -> str:
    """What is wrong with a run that lost this step's result and got another one; empty where nothing is."""
    scope, step = lost
    resumed = tmp_path / "resumed"
    shutil.copytree(finished, resumed)
    lose(resumed, scope, step)
    with pytest.MonkeyPatch.context() as patch:
        otherwise(patch, scope, step)
        resume_to_its_end(resumed)
        start(recipe, tmp_path / "fresh")
    digests = [digest(d) for d in (finished, resumed, tmp_path / "fresh")]
    shutil.rmtree(resumed)
    shutil.rmtree(tmp_path / "fresh")
    if digests[1] != digests[2]:
        return f"something made of {scope}/{step} is stale"
    return f"{scope}/{step} has no part in the run" if digests[0] == digests[2] else ""


def digest(directory: Path) -> str:
    with Run.open(directory, readonly=True) as run:
        return run.digest()


@pytest.mark.parametrize("step", ["benign/responses", "iteration-0001/propose", "iteration-0002/screen"])
def test_a_lost_result_that_comes_out_otherwise_changes_all_that_was_made_of_it(
    step: str, scripted: Recipe, finished: Path, tmp_path: Path
) -> None:
    scope, _, name = step.partition("/")
    assert stale_after((scope, name), finished, tmp_path, scripted) == ""


@pytest.mark.slow
def test_so_it_is_for_every_step(scripted: Recipe, finished: Path, tmp_path: Path) -> None:
    all_steps = steps_of(finished)
    assert {name for _, name in all_steps} >= {
        "prompts",
        "responses",
        "verdicts",
        "red_team",
        "examples",
        "accept",
    }
    assert [w for s in all_steps if (w := stale_after(s, finished, tmp_path, scripted))] == []
