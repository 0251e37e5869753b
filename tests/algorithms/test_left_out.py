"""What cannot be asked or learnt is left out with its reason, reported and counted, and the run goes on."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from iteralign.algorithms.state import Parts
from iteralign.build import iteralign as build
from iteralign.build.run import resume, start
from iteralign.cli.main import app
from iteralign.engines.scripted import ScriptedTrainer
from iteralign.errors import PromptTooLong, RefusedByTemplate
from iteralign.recipe.iteralign import Recipe
from iteralign.records.chat import Chat
from iteralign.records.iteralign import Checkpoint, Exchange, RunResult, TrainingExample, Verdict
from iteralign.report import left_out
from iteralign.report.summary import summary
from iteralign.store.run import Run
from scripted_run import REFUSAL, KindOracle, say, scripted_parts, scripted_recipe

LONG = "question 3?"
ODD = "question 7?"


def picky(chat: Chat, memory: dict[str, str]) -> str:
    """Answers as the scripted model, but for two questions of each kind, in each part."""
    text = chat[-1].text
    if text.endswith(LONG):
        raise PromptTooLong(f"the chat {text!r} has 9,000 tokens")
    if text.endswith(ODD):
        raise RefusedByTemplate(f"the template refuses {text!r}")
    return say(chat, memory)


class Asked(KindOracle):
    """Remembers what it was asked to judge."""

    seen: list[Exchange]

    def __init__(self) -> None:
        self.seen = []

    def judge(self, exchanges: Any) -> list[Verdict]:
        self.seen += exchanges
        return super().judge(exchanges)


@dataclasses.dataclass
class Choosy(ScriptedTrainer):
    """Cannot learn what is in ``hard``; ``limit`` is not part of what its results are known by."""

    hard: str = "nothing at all"

    def unfit(self, start: Checkpoint, examples: Collection[TrainingExample]) -> dict[str, str]:
        found = [e for e in examples if self.hard in e.messages[-2].text]
        return {e.id: f"longer than training.max_length: {e.messages[-2].text}" for e in found}


def run_of(
    folder: Path, patch: pytest.MonkeyPatch, recipe: Recipe | None = None, **changed: Any
) -> RunResult:
    def parts(run: Run, chosen: Recipe) -> Parts:
        made = scripted_parts(run, chosen)
        if "say" in changed:
            made.host.say = changed["say"]  # type: ignore[attr-defined]
        if "oracle" in changed:
            made = dataclasses.replace(made, oracle=changed["oracle"])
        if "hard" in changed:
            made = dataclasses.replace(made, trainer=Choosy(locate=run.locate, hard=changed["hard"]))
        return made

    patch.setattr(build, "parts", parts)
    return start(recipe or scripted_recipe(), folder)


def warnings_of(folder: Path) -> list[str]:
    with Run.open(folder, readonly=True) as run:
        return [str(e.fields["text"]) for e in run.events("warning")]


def test_prompts_that_cannot_be_asked_leave_the_run_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    oracle = Asked()
    result = run_of(tmp_path / "run", monkeypatch, few(1), say=picky, oracle=oracle)
    first = result.iterations[0]
    assert first.counts["prompts"] == 12
    assert first.counts["left_out"] == 3
    assert first.failures.n == 9, "a rate is of those that were asked"
    assert all(e.response.finish != "left_out" for e in oracle.seen), "there is nothing to judge"
    by_name = {r.name: r for r in result.final}
    assert (by_name["harm"].main.n, by_name["harm"].facts["not_asked"]) == (54, "6")
    assert by_name["harm"].facts["unjudged"] == "0", "left out on both sides, so no answer lacks a judgement"
    assert by_name["fluency"].main.n == 54 + 38
    assert first.decision.accepted
    said = warnings_of(tmp_path / "run")
    assert any("red teaming: 3 of 12 left out: 3 does not fit the context" in s for s in said)
    assert sum("evaluation: items that cannot be asked" in s for s in said) == 1, "told once"
    with Run.open(tmp_path / "run", readonly=True) as run:
        rows = left_out.left_out(run)
        counted = summary(run)["left_out"]
    assert {(r["stage"], r["iteration"]) for r in rows} >= {("red teaming", 1), ("held-out prompts", None)}
    assert {"stage": "red teaming", "reason": "refused by the chat template", "count": 3} in counted
    shown = CliRunner().invoke(app, ["show", str(tmp_path / "run"), "left-out", "--json"])
    assert len(json.loads(shown.stdout)["left_out"]) == len(rows)
    resume(tmp_path / "run")
    assert warnings_of(tmp_path / "run") == said, "a resume does not tell it again"


def test_what_only_the_candidate_cannot_be_asked_counts_against_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def after_training(chat: Chat, memory: dict[str, str]) -> str:
        return picky(chat, memory) if memory else say(chat, memory)

    result = run_of(tmp_path / "run", monkeypatch, say=after_training)
    harm = next(t for t in result.iterations[0].decision.tests if t.metric == "harm" and t.kind == "falls")
    assert (harm.n, harm.missing) == (60, 6)


def test_a_revision_that_cannot_be_asked_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(chat: Chat, memory: dict[str, str]) -> str:
        if "Does the first answer break" in chat[-1].text:
            raise PromptTooLong("9,000 tokens")
        return say(chat, memory)

    result = run_of(tmp_path / "run", monkeypatch, say=no_room)
    reason = result.iterations[0].decision.reason
    assert "none of 12 failures has a revision that passed; not learnt: 12 does not fit the context" in reason


def test_lessons_that_cannot_be_learnt_are_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run_of(tmp_path / "run", monkeypatch, hard="question")
    decision = result.iterations[0].decision
    assert not decision.trained
    assert decision.reason.startswith("none of 4 lessons can be trained on; not learnt: ")
    assert "4 longer than training.max_length" in decision.reason
    assert result.iterations[0].counts["untrained"] == 4


def test_replay_that_cannot_be_learnt_is_left_out_of_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run_of(tmp_path / "run", monkeypatch, hard="cake question 5?")
    first = result.iterations[0]
    assert first.decision.trained
    assert first.counts["untrained"] == 1
    memory = json.loads((tmp_path / "run" / result.checkpoint.path / "memory.json").read_text())
    assert any("cake question 6?" in q for q in memory)
    assert not any("cake question 5?" in q for q in memory)


def few(least: int) -> Recipe:
    recipe = scripted_recipe()
    return recipe.model_copy(update={"training": recipe.training.model_copy(update={"min_lessons": least})})


def test_too_few_lessons_wait_for_the_next_iteration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run_of(tmp_path / "run", monkeypatch, few(6))
    first, second = result.iterations[:2]
    assert first.decision.reason == (
        "4 lessons of 12 failures, and training.min_lessons = 6: kept for the next iteration; "
        "not learnt: 8 still improper"
    )
    assert second.decision.trained
    learnt = json.loads((tmp_path / "run" / "checkpoints" / "iteration-0002" / "memory.json").read_text())
    assert sum(a == REFUSAL for a in learnt.values()) >= 6, "both rounds' lessons"
    again = resume(tmp_path / "run", {"stop": {"iterations": 4}})
    assert again.iterations[: len(result.iterations)] == result.iterations


def test_a_run_of_before_keeps_its_small_trainings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its settings have no ``training.min_lessons``, and its iterations no step that tells what fits."""
    kept = run_of(tmp_path / "run", monkeypatch, few(1))
    with Run.open(tmp_path / "run") as run, run._database.write() as db:
        settings = json.loads(db.execute("SELECT value FROM meta WHERE key = 'settings'").fetchone()[0])
        del settings["training"]["min_lessons"]
        db.execute("UPDATE meta SET value = ? WHERE key = 'settings'", (json.dumps(settings),))
        db.execute("DELETE FROM steps WHERE name LIKE 'trainable-%'")
    again = resume(tmp_path / "run", {"stop": {"iterations": 4}})
    assert again.iterations[: len(kept.iterations)] == kept.iterations
    wanted = few(9).model_copy(update={"stop": scripted_recipe(4).stop})
    assert start(wanted, tmp_path / "run") == again, "the recipe's new key does not make another run"


def test_many_cut_answers_are_told_once_with_the_key_to_raise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from iteralign.engines.scripted import ScriptedPolicy

    plain = ScriptedPolicy.generate

    def cut(self: Any, chats: Any, params: Any) -> Any:
        return [dataclasses.replace(c, finish="length") for c in plain(self, chats, params)]

    monkeypatch.setattr(ScriptedPolicy, "generate", cut)
    result = run_of(tmp_path / "run", monkeypatch)
    said = [s for s in warnings_of(tmp_path / "run") if "were cut at" in s]
    assert [s.partition(" = ")[0].rpartition(" ")[2] for s in said] == [
        "evaluation.sampling.max_new_tokens",
        "red_team.sampling.max_new_tokens",
        "reflection.sampling.max_new_tokens",
    ]
    assert "--set red_team.sampling.max_new_tokens=128" in said[1]
    assert "(raise reflection.sampling.max_new_tokens)" in result.iterations[0].decision.reason
