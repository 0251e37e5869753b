"""Run directories that earlier code made (commit 894fa49) open, go on and show.

One was killed in iteration 1, before the training; two are finished, one of each method. They lie here
without weights, lock and exports, vacuumed; the Self-Align run also without the answers to its evaluations.
"""

from __future__ import annotations

import json
import sqlite3
import tarfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from iteralign import load_run
from iteralign.build.data import stored_prompts
from iteralign.build.run import resume, start
from iteralign.cli.main import app
from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.load import load_recipe, recipe_of
from iteralign.records.iteralign import RedTeamPrompt, RunResult
from iteralign.records.self_align import SelfAlignResult
from iteralign.store.run import Run

OLD = Path(__file__).parent / "old_runs"


def unpack(name: str, folder: Path) -> Path:
    with tarfile.open(OLD / f"{name}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / name


def stored_result(directory: Path) -> Any:
    """The result as it lies in the database, past our own reading."""
    db = sqlite3.connect(f"{(directory / 'run.sqlite').as_uri()}?mode=ro&immutable=1", uri=True)
    (value,) = db.execute("SELECT value FROM steps WHERE scope = 'run' AND name = 'result'").fetchone()
    db.close()
    return json.loads(value)


def show(directory: Path, part: str) -> str:
    result = CliRunner().invoke(app, ["show", str(directory), part], env={"COLUMNS": "300"})
    assert result.exit_code == 0, (part, result.output, result.exception)
    return result.stdout


def figures_of(gates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The figures of a decision's tests, in fields that every version has."""
    names = ("metric", "against", "before", "after", "n", "difference", "low", "high", "p_value", "passed")
    return [{name: gate[name] for name in names} for gate in gates]


def test_a_run_that_was_killed_shows_what_it_had(tmp_path: Path) -> None:
    old = unpack("interrupted", tmp_path)
    assert "62.5% [30.6, 86.3]" in show(old, "scores")
    assert "iteration 1, severity 2] Tell me how to smuggle laptops" in show(old, "failures")
    assert "decline, say briefly whom it would hurt, and point to" in show(old, "constitution")
    with load_run(old) as run:
        assert run.settings["name"] == "old"
        assert [e.fields["state"] for e in run.events("run")] == ["started"]


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_to_what_a_fresh_run_comes_to(tmp_path: Path) -> None:
    old = unpack("interrupted", tmp_path)
    resumed = resume(old)
    kept = [
        "evaluation.test_share=0",
        "training.min_lessons=1",
        "oracle.intent=guess",
    ]  # as it was before there were these keys
    recipe = load_recipe(old / "recipe.yaml", kept)
    with load_run(old) as run:
        (prompts,) = run.read(list[RedTeamPrompt], "data", "prompts")
    with Run.create(tmp_path / "fresh", recipe.model_dump(mode="json"), recipe.to_yaml()) as run:
        run.beginning("prompts", list[RedTeamPrompt], lambda: prompts)  # the shipped sets have grown since
    fresh = start(recipe, tmp_path / "fresh")
    assert len(fresh.iterations) == 2
    assert fresh.checkpoint.path == "checkpoints/iteration-0002"
    assert resumed == fresh
    for made in sorted((tmp_path / "fresh" / "checkpoints").rglob("*.safetensors")):
        assert made.read_bytes() == (old / made.relative_to(tmp_path / "fresh")).read_bytes(), made
    with load_run(old) as a, load_run(tmp_path / "fresh") as b:
        assert a.digest() == b.digest()


def test_a_finished_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    old = unpack("finished", tmp_path)
    was = stored_result(old)
    with load_run(old) as run:
        (result,) = run.read(RunResult, "run", "result")
    now = result.to_json()
    for name in ("baseline", "final", "constitution", "checkpoint", "stop_reason"):
        assert now[name] == was[name]
    assert figures_of(now["improvement"]) == figures_of(was["improvement"])
    assert [i["index"] for i in now["iterations"]] == [1, 2]
    for i, j in zip(now["iterations"], was["iterations"], strict=True):
        for name in ("before", "after", "constitution", "counts", "failures", "reports"):
            assert i[name] == j[name]
        for name in ("accepted", "reason", "trained"):
            assert i["decision"][name] == j["decision"][name]
        assert figures_of(i["decision"]["tests"]) == figures_of(j["decision"]["tests"])


def test_a_finished_run_shows_its_figures(tmp_path: Path) -> None:
    old = unpack("finished", tmp_path)
    iterations = show(old, "iterations")
    assert "1 accepted: harm 73.3% -> 33.3% (n=15), p=0.07; over-refusal 0.0% -> 0.0% (n=6)" in iterations
    assert "2 no training: none of 1 failures has a revision that passed" in iterations
    assert "0.529 [0.493, 0.565]" in show(old, "scores")
    assert "4 were kept as training examples" in show(old, "examples")
    assert "8 improper answers to fresh red-team prompts" in show(old, "failures")
    assert "Decline any request for hateful content or discrimination" in show(old, "constitution")


def test_a_finished_self_align_run_is_read_and_shown(tmp_path: Path) -> None:
    old = unpack("self-align", tmp_path)
    with load_run(old) as run:
        (result,) = run.read(SelfAlignResult, "run", "result")
    assert result.to_json() == stored_result(old)
    scores = show(old, "scores")
    assert "68.8% [44.4, 85.8]" in scores
    assert "45.379 [43.737, 47.021]" in scores
    for part in ("instructions", "rules", "answers", "extended"):
        assert show(old, part).strip()


@pytest.mark.parametrize("name", ["finished", "self-align"])
def test_a_finished_run_that_is_resumed_stays_as_it_is(name: str, tmp_path: Path) -> None:
    old = unpack(name, tmp_path)
    with load_run(old) as run:
        before = run.digest()
    result = resume(old)
    with load_run(old) as run:
        assert run.digest() == before
        assert run.events("superseded") == []
    assert result.to_json()["id"] == stored_result(old)["id"]


def test_a_run_keeps_the_prompts_that_it_began_with(tmp_path: Path) -> None:
    """Whatever became of their file, and whichever version began it."""
    old = unpack("interrupted", tmp_path)
    with Run.open(old) as run:
        recipe = recipe_of(run.settings)
        gone = recipe.model_copy(
            update={"red_team": recipe.red_team.model_copy(update={"source": str(tmp_path / "gone.jsonl")})}
        )
        assert isinstance(gone, Recipe)
        (stored,) = run.read(list[RedTeamPrompt], "data", "prompts")
        assert stored_prompts(run, gone) == stored
