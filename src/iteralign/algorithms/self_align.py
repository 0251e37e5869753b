"""Self-Align (arXiv 2305.03047, Figure 2): a base model writes its own prompts from a few seeds, answers them
under principles in its context, learns these answers without the principles, and clones a verbose style.

The numbered stages are the paper's; measuring before and after each training is ours. What a stage takes from
the recipe, and how it resumes, stands in ``self_align_steps``. This file knows no engine, no setting and no
file.
"""

from __future__ import annotations

from iteralign.algorithms.self_align_steps import Parts, Steps
from iteralign.recipe.self_align import SelfAlignRecipe
from iteralign.records.self_align import Instruction, SelfAlignResult
from iteralign.store.run import Run


def self_align(run: Run, recipe: SelfAlignRecipe, parts: Parts) -> SelfAlignResult:
    """The whole method. The run then holds everything that the result is made of."""
    steps = Steps(run, recipe, parts)
    base = steps.measure("base", parts.base)

    # 1. Topic-guided red-teaming self-instruct: instructions of all kinds, and hard ones by type and topic,
    # from few seeds.
    instructions = write_instructions(steps)

    # 2. Principle-driven self-alignment: rules and exemplars in context, internal thoughts, then the answer.
    answers = steps.align(instructions)

    # 3. Principle engraving: the base learns the answers, without rules, exemplars and thoughts.
    engraved = steps.measure("engraved", steps.engrave(answers))
    if not recipe.clone.enabled:
        return steps.result([base, engraved], instructions, answers)

    # 4. Verbose cloning: the engraved model answers at length, and the base learns that under short prompts.
    extensive = steps.answer_at_length(engraved.checkpoint, instructions)
    cloned = steps.measure("cloned", steps.clone(extensive))
    judged = steps.compare(engraved, cloned)
    return steps.result([base, engraved, cloned], instructions, answers, extensive, judged)


def write_instructions(steps: Steps) -> list[Instruction]:
    """Stage 1, or the instructions that were brought in its place."""
    if (given := steps.given()) is not None:
        return given
    known = steps.known()
    return [*steps.self_instruct(known), *steps.topic_guided(known)]
