"""The run of IterAlign as a whole, bound to its recipe: the base model before the first iteration, when to
stop, and the result with its test part.

Every step goes through ``once`` or ``each`` of the store, as in ``steps``, which holds one iteration.
"""

from __future__ import annotations

from collections.abc import Sequence

from iteralign.algorithms.judges import Judges
from iteralign.algorithms.reflecting import APART
from iteralign.algorithms.state import Parts, State
from iteralign.algorithms.watch import Watch
from iteralign.exchanges import answer, dialogue_of, judged, paced, pair
from iteralign.recipe.iteralign import Recipe
from iteralign.records.chat import SamplingParams
from iteralign.records.iteralign import (
    Checkpoint,
    EvalReport,
    Exchange,
    RedTeamPrompt,
    Response,
    RunResult,
    TrainingExample,
    Verdict,
    claimed,
)
from iteralign.stages.accept import improvement, stop_reason
from iteralign.stages.finetune import own_answers
from iteralign.stages.judge import helpful
from iteralign.store.run import Run
from iteralign.store.steps import given

BENIGN = "answers to benign prompts"


class Loop:
    """The run as a whole: what comes before the first iteration and after the last one."""

    def __init__(self, run: Run, recipe: Recipe, parts: Parts) -> None:
        self.run = run
        self.recipe = recipe
        self.parts = parts
        self.judges = Judges(run, parts.oracle)
        self.watch = Watch(run, recipe.replay.cut == "sentence")

    def start(self) -> State:
        """The base model, measured, with its own helpful answers to benign prompts."""
        base = self.parts.base
        scope = self.run.scope("baseline")
        baseline = tuple(scope.once("reports", list[EvalReport], given, list(self.evaluate(base))))
        benign = self._benign_answers(base)
        return State(base, baseline, baseline, baseline, benign, self.parts.constitution)

    def stop_reason(self, state: State) -> str | None:
        """Why the loop ends now, or None."""
        return stop_reason(
            state.done,
            prompts_left=len(self.parts.red_team) - state.seen,
            max_unjudged=self.recipe.accept.max_unjudged,
            **self.recipe.stop.model_dump(),
        )

    def measure(self, checkpoint: Checkpoint) -> tuple[EvalReport, ...]:
        """``evaluate``, stored, so that the records may refer to its reports."""
        found = list(self.evaluate(checkpoint))
        return tuple(
            self.run.scope(f"evaluation-{checkpoint.id}").once("reports", list[EvalReport], given, found)
        )

    def evaluate(self, checkpoint: Checkpoint) -> tuple[EvalReport, ...]:
        """Every evaluation of one checkpoint on held-out prompts; nothing is answered or judged twice."""
        scope = self.run.scope(f"evaluation-{checkpoint.id}")
        with self.parts.host.serve(checkpoint) as policy:
            reports = tuple(e.run(policy, scope) for e in self.parts.evals)
        self._watched(scope.name, reports)
        return reports

    def _watched(self, scope: str, reports: tuple[EvalReport, ...]) -> None:
        key = "evaluation.sampling.max_new_tokens"
        most = self.recipe.evaluation.sampling.max_new_tokens
        self.watch.reports(scope, reports)
        found = self.run.read(Response, scope, "responses")
        self.watch.cut("answers to held-out prompts", found, key=key, most=most)

    def result(self, state: State, reason: str) -> RunResult:
        """What the run came to, stored. Only now is the test part asked, of the base and the final model.

        The final model is measured, also where ``evaluation.every`` passed it over.
        """
        final = state.reports or self.measure(state.checkpoint)
        tested = [self._tested(c) if self.parts.tests else None for c in (self.parts.base, state.checkpoint)]
        before = claimed(tested[0], state.baseline)
        after = claimed(tested[1], final)
        result = RunResult(
            baseline=state.baseline,
            iterations=state.done,
            final=final,
            constitution=state.constitution,
            checkpoint=state.checkpoint,
            improvement=improvement(before, after, alpha=self.recipe.accept.alpha),
            stop_reason=reason,
            tested_base=tested[0],
            tested_final=tested[1],
        )
        older: list[RunResult] = self.run.read(RunResult, "run", "result")
        result = next((o for o in older if o.by_ids() == result), result)
        kept: RunResult = self.run.scope("run").once("result", RunResult, given, result)
        return kept

    def _tested(self, checkpoint: Checkpoint) -> tuple[EvalReport, ...]:
        scope = self.run.scope(f"test-{checkpoint.id}")
        with self.parts.host.serve(checkpoint) as policy:
            reports = tuple(e.run(policy, scope) for e in self.parts.tests)
        self._watched(scope.name, reports)
        return reports

    def ask_benign(
        self, model: Checkpoint, prompts: Sequence[RedTeamPrompt]
    ) -> tuple[list[Exchange], list[Verdict]]:
        """Benign prompts of the training side with a model's answers and the oracle's verdicts on them."""
        sampling = self.recipe.red_team.sampling.params(self.recipe.seed)
        scope = "benign" if model == self.parts.base else f"benign-{model.id}"
        return self._asked_benign(model, prompts, sampling, scope, "red_team")

    def _asked_benign(
        self,
        model: Checkpoint,
        prompts: Sequence[RedTeamPrompt],
        sampling: SamplingParams,
        name: str,
        section: str,
    ) -> tuple[list[Exchange], list[Verdict]]:
        scope = self.run.scope(name)
        with self.parts.host.serve(model) as policy:
            chunk = paced(policy, dialogue_of, new=sampling.max_new_tokens)
            responses = scope.each("responses", Response, answer, prompts, policy, sampling, chunk=chunk)
        key = f"{section}.sampling.max_new_tokens"
        self.watch.answers(BENIGN, scope.name, responses, key=key, most=sampling.max_new_tokens)
        exchanges = pair(prompts, responses)
        verdicts = judged(scope, "verdicts", exchanges, self.parts.oracle, chunk=self.recipe.oracle.batch)
        return exchanges, verdicts

    def _benign_answers(self, base: Checkpoint) -> tuple[TrainingExample, ...]:
        """What is replayed so that learning to refuse does not spread to benign prompts."""
        section = self.recipe.replay
        if section.samples is None:
            return tuple(
                own_answers(helpful(*self.ask_benign(base, self.parts.benign)), "benign", section.cut)
            )
        found: list[TrainingExample] = []
        for n in range(section.samples):
            sampling = section.sampling.params(self.recipe.seed + APART * n)
            asked = self._asked_benign(base, self.parts.benign, sampling, f"replay-{n + 1}", "replay")
            found += own_answers(helpful(*asked), "benign", section.cut)
        return tuple(dict.fromkeys(found))
