"""The steps of IterAlign bound to one run: what each takes from the recipe, what its result depends on, where
it is stored.

``Loop`` is the run, ``Iteration`` one round of it. Every step goes through ``once`` or ``each`` of the store:
one that was finished before a crash returns its stored records, so that resuming is running again. What a
stage does stands in ``stages``, and the order of the steps in ``iteralign``; this file decides neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from iteralign.exchanges import answer, judged, pair
from iteralign.protocols import Eval, Oracle, PolicyHost, Trainer
from iteralign.recipe.iteralign import Recipe
from iteralign.records.base import ids
from iteralign.records.iteralign import (
    Checkpoint,
    Constitution,
    Decision,
    EvalReport,
    Exchange,
    Failure,
    IterationRecord,
    Principle,
    RedTeamPrompt,
    Response,
    Revision,
    RunResult,
    Screening,
    TrainingExample,
    Verdict,
)
from iteralign.stages.accept import accept, improvement, stop_reason
from iteralign.stages.consolidate import consolidate
from iteralign.stages.finetune import compose, learnt, own_answers
from iteralign.stages.judge import acceptable, failures_of, helpful
from iteralign.stages.propose import propose
from iteralign.stages.red_team import next_batch, red_team
from iteralign.stages.revise import TEMPLATES, revise
from iteralign.stages.screen import revised_exchanges, screen, unresolved
from iteralign.stats import wilson
from iteralign.store.run import Run


@dataclass(frozen=True, slots=True)
class Parts:
    """What the algorithm works with; ``build`` composes it. ``red_team`` and ``benign`` are the training
    split, in order of use; ``constitution`` is what the run starts from.
    """

    base: Checkpoint
    host: PolicyHost
    oracle: Oracle
    trainer: Trainer
    evals: Sequence[Eval]
    red_team: Sequence[RedTeamPrompt]
    benign: Sequence[RedTeamPrompt]
    constitution: Constitution = field(default_factory=Constitution)


@dataclass(frozen=True, slots=True)
class State:
    """Where the loop stands: the accepted weights with their reports, the constitution, and what was learnt
    so far.
    """

    checkpoint: Checkpoint
    baseline: tuple[EvalReport, ...]
    reports: tuple[EvalReport, ...]
    benign: tuple[TrainingExample, ...]
    constitution: Constitution = field(default_factory=Constitution)
    lessons: tuple[TrainingExample, ...] = ()
    seen: int = 0
    done: tuple[IterationRecord, ...] = ()


class Loop:
    """The run as a whole: what comes before the first iteration and after the last one."""

    def __init__(self, run: Run, recipe: Recipe, parts: Parts) -> None:
        self.run, self.recipe, self.parts = run, recipe, parts

    def start(self) -> State:
        """The base model, measured, with its own helpful answers to benign prompts."""
        base = self.parts.base
        baseline = self.run.scope("baseline").once(
            "reports", list[EvalReport], lambda: list(self.evaluate(base)), base.id
        )
        return State(
            base,
            tuple(baseline),
            tuple(baseline),
            benign=self._benign_answers(base),
            constitution=self.parts.constitution,
        )

    def stop_reason(self, state: State) -> str | None:
        """Why the loop ends now, or None."""
        return stop_reason(
            state.done, prompts_left=len(self.parts.red_team) - state.seen, **self.recipe.stop.model_dump()
        )

    def iteration(self, state: State) -> Iteration:
        """The next round."""
        return Iteration(self, state)

    def evaluate(self, checkpoint: Checkpoint) -> tuple[EvalReport, ...]:
        """Every evaluation of one checkpoint on held-out prompts; a checkpoint is never measured twice."""
        scope = self.run.scope(f"evaluation-{checkpoint.id}")
        with self.parts.host.serve(checkpoint) as policy:
            return tuple(e.run(policy, scope) for e in self.parts.evals)

    def result(self, state: State, reason: str) -> RunResult:
        """What the run came to, stored."""
        result = RunResult(
            baseline=state.baseline,
            iterations=state.done,
            final=state.reports,
            constitution=state.constitution,
            checkpoint=state.checkpoint,
            improvement=improvement(state.baseline, state.reports, alpha=self.recipe.accept.alpha),
            stop_reason=reason,
        )
        return self.run.scope("run").once("result", RunResult, lambda: result, result.id)

    def _benign_answers(self, base: Checkpoint) -> tuple[TrainingExample, ...]:
        """What is replayed so that learning to refuse does not spread to benign prompts."""
        scope, oracle, sampling = (
            self.run.scope("benign"),
            self.parts.oracle,
            self.recipe.red_team.sampling.params(self.recipe.seed),
        )
        with self.parts.host.serve(base) as policy:
            responses = scope.each(
                "responses", Response, self.parts.benign, partial(answer, policy, sampling), base.id, sampling
            )
        exchanges: list[Exchange] = pair(self.parts.benign, responses)
        verdicts = judged(scope, "verdicts", exchanges, oracle, chunk=self.recipe.oracle.batch)
        return tuple(own_answers(helpful(exchanges, verdicts), source="benign"))


class Iteration:
    """One round of the loop. Its methods are called in the order of ``iteralign.iterate``; it counts what
    they find.
    """

    def __init__(self, loop: Loop, state: State) -> None:
        self._loop, self._state = loop, state
        self._run, self._recipe, self._host, self._oracle = (
            loop.run,
            loop.recipe,
            loop.parts.host,
            loop.parts.oracle,
        )
        self._index = len(state.done) + 1
        self._scope = loop.run.scope(f"iteration-{self._index:04d}")
        self._counts: dict[str, int] = {}

    def next_prompts(self) -> list[RedTeamPrompt]:
        """The next prompts of the red-team set that no earlier round has used."""
        draw = partial(
            next_batch,
            self._loop.parts.red_team,
            self._state.seen,
            self._recipe.red_team.prompts_per_iteration,
        )
        return self._scope.once("prompts", list[RedTeamPrompt], draw, self._state.seen)

    def red_team(self, model: Checkpoint, prompts: Sequence[RedTeamPrompt]) -> list[Exchange]:
        """The prompts with the model's answers."""
        sampling = self._recipe.red_team.sampling.params(self._recipe.seed)
        with self._host.serve(model) as policy:
            ask = partial(red_team, policy, params=sampling, wrap=self._recipe.red_team.wrap)
            responses = self._scope.each("red_team", Response, prompts, ask, model.id, sampling)
        self._counts["prompts"] = len(prompts)
        return pair(prompts, responses)

    def judge(self, exchanges: Sequence[Exchange], step: str = "judge") -> list[Verdict]:
        """The oracle's verdicts, in order."""
        return judged(self._scope, step, exchanges, self._oracle, chunk=self._recipe.oracle.batch)

    def failures(self, exchanges: Sequence[Exchange], verdicts: Sequence[Verdict]) -> list[Failure]:
        """The improper answers."""
        failures = self._scope.once(
            "failures", list[Failure], lambda: failures_of(exchanges, verdicts), ids(verdicts)
        )
        self._counts |= {"failures": len(failures), "unjudged": sum(v.label == "unjudged" for v in verdicts)}
        return failures

    def propose(self, failures: Sequence[Failure], constitution: Constitution) -> list[Principle]:
        """What the oracle proposes from clusters of failures."""
        ask = partial(
            propose, self._oracle, failures, constitution, iteration=self._index, seed=self._recipe.seed
        )
        settings = self._recipe.propose.model_dump()
        return self._scope.once(
            "propose", list[Principle], partial(ask, **settings), ids(failures), constitution.id
        )

    def consolidate(self, constitution: Constitution, proposed: Sequence[Principle]) -> Constitution:
        """The constitution with those proposals that are valid and new."""
        merge = partial(consolidate, constitution, proposed, **self._recipe.consolidate.model_dump())
        evidence = [
            p.evidence for p in proposed
        ]  # no part of a principle's id: the same words may be found again from other answers
        merged: Constitution = self._scope.once(
            "consolidate", Constitution, merge, ids(proposed), evidence, constitution.id
        )
        self._counts["principles"] = sum(
            p.born == self._index and p.status == "active" for p in merged.principles
        )
        return merged

    def reflect(
        self, model: Checkpoint, constitution: Constitution, failures: Sequence[Failure]
    ) -> list[TrainingExample]:
        """Have the model revise, the oracle check, and the rejected ones tried again, at most
        ``reflection.attempts`` times.
        """
        reflection, tried = self._recipe.reflection, list[Screening]()
        shown = (reflection.principles, reflection.shown)
        for attempt in range(1, reflection.attempts + 1):
            pending = unresolved(failures, tried)
            sampling = reflection.sampling.params(self._recipe.seed + attempt)
            with self._host.serve(model) as policy:
                ask = partial(
                    revise,
                    policy,
                    constitution,
                    params=sampling,
                    principles=shown[0],
                    shown=shown[1],
                    attempt=attempt,
                )
                inputs = (constitution.id, model.id, sampling, *shown, TEMPLATES)
                revisions = self._scope.each(f"revise-{attempt}", Revision, pending, ask, *inputs)
            verdicts = self.judge(revised_exchanges(pending, revisions, sampling), step=f"screen-{attempt}")
            tried += screen(revisions, verdicts, enabled=self._recipe.screen.enabled)
        screened = self._scope.once("screen", list[Screening], lambda: tried, ids(tried))
        lessons = learnt(failures, screened)
        self._counts |= {"kept": len(lessons), "dropped": len(failures) - len(lessons), "examples": 0}
        return lessons

    def compose(
        self, lessons: Sequence[TrainingExample], exchanges: Sequence[Exchange], verdicts: Sequence[Verdict]
    ) -> list[TrainingExample]:
        """The lessons with replay: past lessons, the model's own acceptable answers, the base model's benign
        ones.
        """
        plain = (
            self._recipe.red_team.wrap == "plain"
        )  # an answer to a wrapped dialogue is none to its bare question
        own = own_answers(acceptable(exchanges, verdicts), source="acceptable") if plain else []
        mixed = partial(
            compose, lessons, past=self._state.lessons, own=own, benign_answers=self._state.benign
        )
        mix = partial(mixed, seed=f"{self._recipe.seed}-{self._index}", **self._recipe.replay.model_dump())
        examples = self._scope.once("examples", list[TrainingExample], mix, ids(lessons), ids(own))
        self._counts["examples"] = len(examples)
        return examples

    def finetune(self, model: Checkpoint, examples: Sequence[TrainingExample]) -> Checkpoint:
        """The candidate."""
        trainer = self._loop.parts.trainer
        return self._run.checkpoint(
            self._scope.name,
            partial(trainer.finetune, model, examples),
            ids(examples),
            model.id,
            trainer.fingerprint,
        )

    def evaluate(self, candidate: Checkpoint) -> tuple[EvalReport, ...]:
        """The candidate's reports on held-out prompts."""
        return self._loop.evaluate(candidate)

    def accept(self, reports: Sequence[EvalReport]) -> Decision:
        """Accept the candidate with these reports, or roll back."""
        weigh = partial(
            accept, reports, self._state.reports, self._state.baseline, **self._recipe.accept.model_dump()
        )
        return self._scope.once("accept", Decision, weigh, ids(reports), ids(self._state.reports))

    def nothing_to_learn(self, constitution: Constitution, failures: Sequence[Failure]) -> State:
        """The state after a round without lessons: the constitution may have grown, the weights stay."""
        decision = Decision.without_training(len(failures), self._counts["unjudged"])
        return self._concluded(constitution, self._state.checkpoint, self._state.reports, decision, ())

    def conclude(
        self,
        constitution: Constitution,
        candidate: Checkpoint,
        reports: tuple[EvalReport, ...],
        decision: Decision,
        lessons: Sequence[TrainingExample],
    ) -> State:
        """The state after an accepted candidate, or after a roll-back: then the candidate's weights and
        lessons are dropped.
        """
        if decision.accepted:
            return self._concluded(constitution, candidate, reports, decision, lessons)
        self._run.discard(candidate)
        return self._concluded(constitution, self._state.checkpoint, self._state.reports, decision, ())

    def _concluded(
        self,
        constitution: Constitution,
        model: Checkpoint,
        reports: tuple[EvalReport, ...],
        decision: Decision,
        lessons: Sequence[TrainingExample],
    ) -> State:
        judged = self._counts["prompts"] - self._counts["unjudged"]
        record = IterationRecord(
            index=self._index,
            before=self._state.checkpoint,
            after=model,
            constitution=constitution,
            counts=self._counts,
            failures=wilson(self._counts["failures"], judged),
            reports=reports,
            decision=decision,
        )
        done = (
            *self._state.done,
            self._scope.once("iteration", IterationRecord, partial(self._told, record), record.id),
        )
        accepted = list(dict.fromkeys(r.after for r in done if r.decision.accepted))
        for outdated in accepted[: -self._recipe.keep_checkpoints]:
            self._run.discard(outdated)
        return replace(
            self._state,
            checkpoint=model,
            reports=reports,
            constitution=constitution,
            lessons=(*self._state.lessons, *lessons),
            seen=self._state.seen + self._counts["prompts"],
            done=done,
        )

    def _told(self, record: IterationRecord) -> IterationRecord:
        """The record; its decision is told to whoever watches, once."""
        what = (
            "accepted"
            if record.decision.accepted
            else "rolled back"
            if record.decision.trained
            else "not trained"
        )
        self._run.event("iteration", index=record.index, decision=what, reason=record.decision.reason)
        return record
