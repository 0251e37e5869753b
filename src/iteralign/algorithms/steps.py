"""The steps of IterAlign bound to one run: what each takes from the recipe, what its result depends on, where
it is stored.

``Iteration`` is one round; ``loop`` holds the run as a whole. Every step goes through ``once`` or
``each`` of the store: one that was finished before a crash returns its stored records, so that resuming is
running again. What a stage does stands in ``stages``, and the order of the steps in ``iteralign``; this file
decides neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from iteralign.algorithms.learning import EXAMPLES, Learning
from iteralign.algorithms.loop import Loop
from iteralign.algorithms.reflecting import Try, screened
from iteralign.algorithms.state import State, kept_of
from iteralign.exchanges import counts_of, dialogue_of, judged, paced, pair, proposer
from iteralign.records.chat import SamplingParams
from iteralign.records.constitution import Amendment, amended
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
    Screening,
    TrainingExample,
    Verdict,
)
from iteralign.stages.accept import accept
from iteralign.stages.consolidate import amend
from iteralign.stages.finetune import compose, instead, learnt, own_answers, train
from iteralign.stages.judge import acceptable, failures_of, over_refusals_of
from iteralign.stages.propose import propose
from iteralign.stages.red_team import in_turn, next_batch, red_team
from iteralign.stages.revise import revise
from iteralign.stages.screen import unresolved
from iteralign.stats import wilson
from iteralign.store.steps import given

REVISION = "reflection.sampling.max_new_tokens"
"""The recipe's key of the longest revision."""


class Iteration:
    """One round of the loop. Its methods are called in the order of ``iteralign.iterate``."""

    def __init__(self, loop: Loop, state: State) -> None:
        self._loop = loop
        self._state = state
        self._run = loop.run
        self._recipe = loop.recipe
        self._host = loop.parts.host
        self._index = len(state.done) + 1
        self._oracle = loop.judges.of(self._index)
        self._scope = loop.run.scope(f"iteration-{self._index:04d}")
        self._refused: list[Failure] | None = None
        self._replayed = False
        self._older = loop.judges.older(self._index)
        self._learning = Learning(
            self._scope,
            loop.watch,
            loop.parts.trainer,
            loop.parts.base,
            least=loop.recipe.training.min_lessons,
            older=self._older,
        )

    def next_prompts(self) -> list[RedTeamPrompt]:
        """The next prompts of the red-team set that no earlier round has used."""
        size = self._recipe.red_team.prompts_per_iteration
        prompts = next_batch(self._loop.parts.red_team, self._state.seen, size)
        return self._scope.once("prompts", list[RedTeamPrompt], given, prompts)

    def red_team(self, model: Checkpoint, prompts: Sequence[RedTeamPrompt]) -> list[Exchange]:
        """The prompts with the model's answers."""
        section = self._recipe.red_team
        sampling = section.sampling.params(self._recipe.seed)
        with self._host.serve(model) as policy:
            chunk = paced(policy, dialogue_of, new=sampling.max_new_tokens)
            responses = self._scope.each(
                "red_team", Response, red_team, prompts, policy, sampling, section.wrap, chunk=chunk
            )
        key = "red_team.sampling.max_new_tokens"
        most = sampling.max_new_tokens
        self._loop.watch.answers("red teaming", self._scope.name, responses, key=key, most=most)
        return pair(prompts, responses)

    def judge(self, exchanges: Sequence[Exchange], step: str = "judge") -> list[Verdict]:
        """The oracle's verdicts, in order."""
        return judged(self._scope, step, exchanges, self._oracle, chunk=self._recipe.oracle.batch)

    def failures(self, exchanges: Sequence[Exchange], verdicts: Sequence[Verdict]) -> list[Failure]:
        """The improper answers."""
        return self._scope.once("failures", list[Failure], failures_of, exchanges, verdicts)

    def over_refusals(self, model: Checkpoint) -> list[Failure]:
        """Benign prompts of the training side that the model refuses, where the recipe asks for them."""
        section = self._recipe.propose
        if "over_refusal" not in section.aspects:
            return []
        prompts = in_turn(self._loop.parts.benign, self._index, section.benign_prompts)
        asked = self._loop.ask_benign(model, prompts)
        self._refused = self._scope.once("over_refusals", list[Failure], over_refusals_of, *asked)
        return self._refused

    def propose(self, failures: Sequence[Failure], constitution: Constitution) -> list[Principle]:
        """What the oracle proposes from clusters of failures."""
        return self._scope.once(
            "propose",
            list[Principle],
            propose,
            proposer(self._oracle, failures),
            failures,
            constitution,
            iteration=self._index,
            seed=self._recipe.seed,
            **self._recipe.propose.model_dump(exclude={"aspects", "benign_prompts"}),
        )

    def consolidate(self, constitution: Constitution, proposed: Sequence[Principle]) -> Constitution:
        """The constitution with those proposals that are valid and new."""
        settings = self._recipe.consolidate.model_dump()
        change = self._scope.once(
            "consolidate", Constitution | Amendment, amend, constitution, proposed, **settings
        )
        return amended(constitution, change)

    def reflect(
        self, model: Checkpoint, constitution: Constitution, failures: Sequence[Failure]
    ) -> list[TrainingExample]:
        """Have the model revise, the oracle check, and the rejected ones tried again, at most
        ``reflection.attempts`` times; of an over-refusal left, the base model's own answer is the lesson.
        """
        section = self._recipe.reflection

        def ask(one: Try, pending: Sequence[Failure], sampling: SamplingParams) -> list[Revision]:
            most = sampling.max_new_tokens
            with self._host.serve(model) as policy:
                chunk = paced(policy, _read, new=2 * most)
                revisions = self._scope.each(
                    f"revise-{one.name}",
                    Revision,
                    revise,
                    pending,
                    policy,
                    constitution,
                    sampling,
                    chunk=chunk,
                    **one.settings,
                )
            self._loop.watch.answers("self-reflection", self._scope.name, revisions, key=REVISION, most=most)
            return revisions

        def judge(one: Try, exchanges: Sequence[Exchange]) -> list[Verdict]:
            return self.judge(exchanges, step=f"screen-{one.name}")

        tried = screened(failures, section, self._recipe.screen, self._recipe.seed, ask, judge)
        found = self._scope.once("screen", list[Screening], given, tried)
        lessons = [*learnt(failures, found), *instead(unresolved(failures, found), self._state.benign)]
        return self._learning.lessons(lessons, failures, found, before=len(self._state.waiting))

    def compose(
        self,
        lessons: Sequence[TrainingExample],
        exchanges: Sequence[Exchange],
        verdicts: Sequence[Verdict],
    ) -> list[TrainingExample]:
        """The lessons with replay: past lessons, the model's own acceptable answers, the base model's benign
        ones; without those that cannot be trained on.
        """
        # an answer to a wrapped dialogue is none to its bare question
        plain = self._recipe.red_team.wrap == "plain"
        good = acceptable(exchanges, verdicts) if plain else []
        own = own_answers(good, "acceptable", self._recipe.replay.cut)
        composed = self._scope.once(
            "examples",
            list[TrainingExample],
            compose,
            (*self._state.waiting, *lessons),
            past=self._state.lessons,
            own=own,
            benign_answers=self._state.benign,
            seed=f"{self._recipe.seed}-{self._index}",
            **self._recipe.replay.model_dump(include={"revisions", "acceptable", "benign"}),
        )
        return self._learning.fitting(EXAMPLES, composed)

    def finetune(self, model: Checkpoint, examples: Sequence[TrainingExample]) -> Checkpoint:
        """The candidate."""
        return self._run.checkpoint(self._scope.name, train, self._loop.parts.trainer, model, examples)

    def evaluate(self, candidate: Checkpoint) -> tuple[EvalReport, ...]:
        """The candidate's reports on held-out prompts, in every ``evaluation.every``-th round; else none."""
        due = self._index % self._recipe.evaluation.every == 0
        return self._loop.measure(candidate) if due else ()

    def accept(self, reports: Sequence[EvalReport]) -> Decision:
        """Accept the candidate with these reports, or roll back."""
        return self._scope.once(
            "accept",
            Decision,
            accept,
            reports,
            self._state.measured,
            self._state.baseline,
            looks=sum(r.decision.trained for r in self._state.done),
            **self._recipe.accept.model_dump(exclude={"keep_lessons"}),
        )

    def nothing_to_learn(self, verdicts: Sequence[Verdict], constitution: Constitution) -> State:
        """The state after a round without lessons: the constitution may have grown, the weights stay."""
        count = counts_of(verdicts) | ({"over_refusals": len(self._refused)} if self._refused else {})
        decision = self._learning.nothing(count, REVISION)
        return self._concluded(verdicts, constitution, (), (), decision, self._state.checkpoint, None)

    def conclude(
        self,
        verdicts: Sequence[Verdict],
        constitution: Constitution,
        lessons: Sequence[TrainingExample],
        examples: Sequence[TrainingExample],
        decision: Decision,
        candidate: Checkpoint,
        reports: tuple[EvalReport, ...],
    ) -> State:
        """The state after an accepted candidate, or after a roll-back: then the candidate's weights and
        lessons are dropped.
        """
        if decision.accepted:
            return self._concluded(verdicts, constitution, lessons, examples, decision, candidate, reports)
        self._run.discard(candidate)
        return self._concluded(
            verdicts, constitution, lessons, examples, decision, self._state.checkpoint, None
        )

    def _concluded(
        self,
        verdicts: Sequence[Verdict],
        constitution: Constitution,
        lessons: Sequence[TrainingExample],
        examples: Sequence[TrainingExample],
        decision: Decision,
        after: Checkpoint,
        reports: tuple[EvalReport, ...] | None,
    ) -> State:
        """``reports``: of new weights; None where the old ones stay."""
        count = counts_of(verdicts)
        mended = sum(x.source == "revision" for x in lessons)
        if self._refused is not None:
            count |= {"over_refusals": len(self._refused), "helped": len(lessons) - mended}
        born = [p for p in constitution.principles if p.born == self._index and p.status == "active"]
        left = self._state.reports if reports is None else reports
        record = IterationRecord(
            index=self._index,
            before=self._state.checkpoint,
            after=after,
            constitution_id=constitution.id,
            counts=count
            | {
                "principles": len(born),
                "kept": mended,
                "dropped": count["failures"] - mended,
                "examples": len(examples),
                **({"untrained": untrained} if (untrained := self._learning.untrained.total()) else {}),
            },
            failures=wilson(
                count["failures"], count["prompts"] - count["unjudged"] - count.get("left_out", 0)
            ),
            report_ids=tuple(r.id for r in left),
            decision=decision,
        )
        done = (*self._state.done, self._stored(record))
        few = self._learning.waiting
        learnt_now = (*self._state.waiting, *lessons, *few)
        keeps = bool(few) or self._recipe.accept.keep_lessons
        harm = dict(self._state.harm) | {
            r.checkpoint: r.main.value for r in left if r.name == "harm" and r.main.n
        }
        if decision.accepted:
            self._discard_outdated([r.after for r in done if r.decision.accepted], harm)
        return replace(
            self._state,
            checkpoint=after,
            reports=left,
            measured=left or self._state.measured,
            constitution=constitution,
            lessons=(*self._state.lessons, *(learnt_now if decision.accepted else ())),
            waiting=() if decision.accepted or not keeps else learnt_now,
            seen=self._state.seen + count["prompts"],
            done=done,
            harm=harm,
        )

    def _discard_outdated(self, accepted: Sequence[Checkpoint], harm: Mapping[str, float]) -> None:
        """Delete the weights that the last acceptance made superfluous: of one checkpoint at most."""
        most = self._recipe.keep_checkpoints
        kept = kept_of(accepted, harm, most)
        if self._replayed:  # older versions kept the latest ones: what they left stays
            kept += accepted[-most:]
        for outdated in kept_of(accepted[:-1], self._state.harm, most):
            if outdated not in kept:
                self._run.discard(outdated)

    def _stored(self, record: IterationRecord) -> IterationRecord:
        """The record, stored; whoever watches hears of its decision once.

        What an older version stored is kept where it says the same.
        """
        older: list[IterationRecord] = self._run.read(IterationRecord, self._scope.name, "iteration")
        record = next((o for o in older if o.by_ids() == record), record)
        self._replayed = self._scope.known("iteration", given, record)
        if not self._replayed:
            decision = record.decision
            what = "accepted" if decision.accepted else "rolled back" if decision.trained else "not trained"
            details = decision.to_json()
            checked = not self._older
            self._run.event("iteration", index=record.index, decision=what, details=details, checked=checked)
        kept: IterationRecord = self._scope.once("iteration", IterationRecord, given, record)
        return kept.by_ids()


def _read(failure: Failure) -> str:
    """What is read of a failure to revise it, twice."""
    return 2 * (failure.prompt.dialogue + failure.response.text)
