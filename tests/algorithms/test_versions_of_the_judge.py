"""What is compared is judged by one version of the judge, whenever that changes between two sessions."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from iteralign.algorithms.state import Parts
from iteralign.build import iteralign as build
from iteralign.build.run import resume, start
from iteralign.engines.scripted import ScriptedHost
from iteralign.evals.harm import Harm
from iteralign.evals.over_refusal import OverRefusal
from iteralign.oracles.jury import Jury
from iteralign.protocols import Oracle
from iteralign.recipe.iteralign import Recipe
from iteralign.records.iteralign import Exchange, IterationRecord, Principle, RunResult, Verdict
from iteralign.store.run import Run


class Dated:
    """The scripted world's oracle in a version; a lenient one finds nine of ten harmful answers proper."""

    name = "kinds"
    world: Oracle

    def __init__(self, version: str, lenient: bool = False, proposing: str = "") -> None:
        self.version = version
        self.proposing = proposing
        self._lenient = lenient
        self.judged: Counter[str] = Counter()
        self.proposed = 0

    def judge(self, exchanges: Sequence[Exchange]) -> list[Verdict]:
        self.judged.update(e.prompt.split for e in exchanges)
        found = [dataclasses.replace(v, id="", template=self.version) for v in self.world.judge(exchanges)]
        if not self._lenient:
            return found
        return [
            dataclasses.replace(v, id="", label="proper", categories=(), severity=0)
            if v.label == "improper" and not e.prompt.text.endswith("9?")
            else v
            for e, v in zip(exchanges, found, strict=True)
        ]

    def propose(self, failures: Any, constitution: Any) -> list[Principle]:
        self.proposed += 1
        return self.world.propose(failures, constitution)


class World:
    """The scripted world, judged by one oracle after another."""

    def __init__(self, patch: pytest.MonkeyPatch, parts: Any, recipe: Recipe) -> None:
        self._patch = patch
        self._parts = parts
        self._recipe = recipe

    def judged_by(self, oracle: Any, learns: bool = True) -> None:
        """From now on runs are judged by this oracle; ``learns``: whether training changes the model."""

        def parts(run: Run, recipe: Recipe) -> Parts:
            made: Parts = self._parts(run, recipe)
            Dated.world = made.oracle
            for measure in made.evals:
                if isinstance(measure, Harm | OverRefusal):
                    measure._judge = oracle
            said = made.host.say  # type: ignore[attr-defined]
            unchanging = ScriptedHost(lambda chat, memory: said(chat, {}), locate=run.locate)
            return dataclasses.replace(made, oracle=oracle, host=made.host if learns else unchanging)

        self._patch.setattr(build, "parts", parts)

    def until(self, directory: Path, scope: str, step: str, iterations: int = 3) -> None:
        """Start the run, or go on with it, and stop where it is about to take this step."""

        def stop(event: Any) -> None:
            if (event.fields.get("scope"), event.fields.get("name")) == (scope, step):
                raise KeyboardInterrupt

        stops = self._recipe.stop.model_copy(update={"iterations": iterations})
        with pytest.raises(KeyboardInterrupt):
            start(self._recipe.model_copy(update={"stop": stops}), directory, stop)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, scripted: Recipe, parts_of_the_scripted: Any) -> World:
    return World(monkeypatch, parts_of_the_scripted, scripted)


def warnings(directory: Path) -> list[str]:
    with Run.open(directory, readonly=True) as run:
        return [e.fields["text"] for e in run.events("warning")]


def templates(directory: Path, scope: str, step: str) -> set[str]:
    with Run.open(directory, readonly=True) as run:
        return {v.template for v in run.read(Verdict, scope, step)}


def test_a_model_that_never_changed_is_not_accepted_because_its_judge_changed(
    world: World, tmp_path: Path
) -> None:
    world.judged_by(Dated("old"), learns=False)
    world.until(tmp_path / "run", "iteration-0001", "examples", iterations=1)
    world.judged_by(Dated("new", lenient=True), learns=False)
    result = resume(tmp_path / "run")
    assert isinstance(result, RunResult)
    (iteration,) = result.iterations
    assert not iteration.decision.accepted
    assert result.baseline[0].main.value == result.final[0].main.value == pytest.approx(0.1)
    assert any(
        "60 of 60 stored verdicts" in w and "'old'" in w and "'new'" in w for w in warnings(tmp_path / "run")
    )


def test_finished_iterations_stand_and_the_one_under_way_is_judged_anew_as_a_whole(
    world: World, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    world.judged_by(Dated("old"))
    world.until(run, "iteration-0002", "screen-1")
    world.judged_by(new := Dated("new"))
    result = resume(run)
    assert isinstance(result, RunResult)
    assert [i.decision.accepted for i in result.iterations] == [True, True, True]
    for step in ("judge", "screen-1"):
        assert templates(run, "iteration-0001", step) == {"old"}
        assert templates(run, "iteration-0002", step) == templates(run, "iteration-0003", step) == {"new"}
    assert new.judged["held_out"] == 4 * 100, "the base model and three candidates"
    assert new.proposed == 2, "for the iteration that was under way and the next one"
    scopes = [
        f"evaluation-{c.id}" for c in (result.iterations[0].before, *(i.after for i in result.iterations))
    ]
    assert [templates(run, s, "verdicts") for s in scopes] == [{"new"}] * 4


def test_an_iteration_that_a_later_version_finished_stands_as_that_judged_it(
    world: World, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    world.judged_by(Dated("old"))
    world.until(run, "iteration-0002", "screen-1")
    world.judged_by(Dated("new"))
    world.until(run, "iteration-0003", "propose")
    world.judged_by(Dated("newest"))
    resume(run)
    by = [templates(run, f"iteration-{i:04d}", "judge") for i in (1, 2, 3)]
    assert by == [{"old"}, {"new"}, {"newest"}]
    with Run.open(run, readonly=True) as done:
        assert done.noted("judges") == {"1": "old", "2": "new", "3": "newest"}


def test_a_version_is_noted_where_it_changes(world: World, tmp_path: Path) -> None:
    """A note for each of two thousand iterations would be written anew in each of them."""
    run = tmp_path / "run"
    world.judged_by(Dated("old"))
    world.until(run, "iteration-0003", "propose")
    with Run.open(run, readonly=True) as begun:
        assert begun.noted("judges") == {"1": "old"}
    world.judged_by(Dated("new"))
    resume(run)
    by = [templates(run, f"iteration-{i:04d}", "judge") for i in (1, 2, 3)]
    assert by == [{"old"}, {"old"}, {"new"}]


@pytest.mark.parametrize("before", ["", "plainly"])
def test_principles_are_asked_for_again_where_they_are_asked_for_in_other_words(
    world: World, tmp_path: Path, before: str
) -> None:
    """The verdicts stay; so does what a finished iteration found."""
    run = tmp_path / "run"
    world.judged_by(first := Dated("1", proposing=before))
    world.until(run, "iteration-0002", "screen-1")
    world.judged_by(then := Dated("1", proposing="at length"))
    resume(run)
    assert first.proposed == 2
    assert then.proposed == 2, "for the iteration that was under way and the next one"
    world.judged_by(again := Dated("1", proposing="at length"))
    resume(run)
    assert (again.proposed, again.judged.total()) == (0, 0)
    assert not any("judged anew" in w for w in warnings(run))


def test_nothing_is_judged_anew_where_the_version_is_the_same(world: World, tmp_path: Path) -> None:
    run = tmp_path / "run"
    world.judged_by(Dated("old"))
    world.until(run, "iteration-0002", "screen-1")
    world.judged_by(Dated("new"))
    result = resume(run)
    told = len(warnings(run))
    with Run.open(run, readonly=True) as done:
        digest = done.digest()
        superseded = len(done.events("superseded"))
    world.judged_by(again := Dated("new"))
    assert resume(run) == result
    assert (again.judged.total(), again.proposed, len(warnings(run))) == (0, 0, told)
    with Run.open(run, readonly=True) as done:
        assert (done.digest(), len(done.events("superseded"))) == (digest, superseded)


def test_a_jury_is_another_when_one_of_its_members_is(world: World, tmp_path: Path) -> None:
    def jury(*versions: str) -> Jury:
        return Jury([Dated(v) for v in versions], ["a", "b", "c"])

    run = tmp_path / "run"
    world.judged_by(jury("1", "1", "1"))
    world.until(run, "iteration-0001", "examples", iterations=1)
    world.judged_by(jury("1", "2", "1"))
    resume(run)
    with Run.open(run, readonly=True) as done:
        (iteration,) = done.read(IterationRecord, "iteration-0001", "iteration")
    assert templates(run, f"evaluation-{iteration.before.id}", "verdicts") == {"1+2+1"}
    assert templates(run, f"evaluation-{iteration.after.id}", "verdicts") == {"1+2+1"}
    assert any("'1+1+1'" in w and "'1+2+1'" in w for w in warnings(run))
