"""IterAlign (arXiv 2403.18341, Figure 1): find a model's weaknesses by red teaming, derive principles from
them, have the model revise its own answers under the principles, train it on the revisions, keep or roll
back, repeat.

The numbered steps are the paper's; consolidate, the oracle's check of revisions, and accept are ours, and a
faithful recipe switches them off. What a step takes from the recipe, and how it resumes, stands in ``steps``.
This file knows no engine, no oracle, no setting and no file.
"""

from __future__ import annotations

from iteralign.algorithms.loop import Loop
from iteralign.algorithms.state import Parts, State
from iteralign.algorithms.steps import Iteration
from iteralign.recipe.iteralign import Recipe
from iteralign.records.iteralign import RunResult
from iteralign.store.run import Run


def iteralign(run: Run, recipe: Recipe, parts: Parts) -> RunResult:
    """The whole method. Returns when the stop rule says so; the run then holds everything that the result is
    made of.
    """
    loop = Loop(run, recipe, parts)
    state = loop.start()
    while (reason := loop.stop_reason(state)) is None:
        state = iterate(Iteration(loop, state), state)
    return loop.result(state, reason)


def iterate(step: Iteration, state: State) -> State:
    """One iteration: the paper's five steps and our three."""
    model = state.checkpoint
    prompts = step.next_prompts()

    # 1. Red teaming: the model answers without a constitution.
    exchanges = step.red_team(model, prompts)

    # 2. Oracle evaluation: which answers are improper, given their prompts; which safe prompts are refused.
    verdicts = step.judge(exchanges)
    failures = [*step.failures(exchanges, verdicts), *step.over_refusals(model)]

    # 3. Constitution proposal, from clusters of failures; then one constitution without repeats.
    proposed = step.propose(failures, state.constitution)
    constitution = step.consolidate(state.constitution, proposed)

    # 4. Constitution-induced self-reflection; only revisions that the oracle passes become lessons.
    lessons = step.reflect(model, constitution, failures)
    if not lessons:
        return step.nothing_to_learn(verdicts, constitution)

    # 5. Supervised fine-tuning on the lessons, with replay; then accept, or roll back.
    examples = step.compose(lessons, exchanges, verdicts)
    candidate = step.finetune(model, examples)
    reports = step.evaluate(candidate)
    decision = step.accept(reports)
    return step.conclude(verdicts, constitution, lessons, examples, decision, candidate, reports)
