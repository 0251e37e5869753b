"""Tasks of lm-eval, run by lm-eval on a recipe's model: made, and checked before any work.

A part of the composition root.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from iteralign.errors import RecipeError
from iteralign.protocols import Eval
from iteralign.recipe.iteralign import Recipe

HARNESS: Final = "lm-eval:"
"""Before the name of a task of lm-eval, or the path of its YAML file."""


def harness(task: str, recipe: Recipe, limit: int | None) -> Eval:
    """Return a task of lm-eval as an evaluation. Raises ``RecipeError`` where it could not be run."""
    from iteralign.evals.lm_harness import Harness

    harness_must_run(recipe, [task])
    return Harness(
        task,
        limit=limit,
        batch=min(16, recipe.model.batch_size),
        context=recipe.model.max_context,
        code=recipe.evaluation.lm_eval_code,
    )


def harness_must_run(recipe: Recipe, names: Sequence[str]) -> None:
    """Check that the named tasks of lm-eval could be run.

    Raises ``RecipeError`` where another process serves the model, or lm-eval is not installed.
    """
    from iteralign.evals.lm_harness import must_be_installed

    if names and recipe.model.engine != "hf":
        raise RecipeError(
            f"evaluation.lm_eval ({', '.join(names)}): lm-eval runs the weights in this process, and "
            f"model.engine = {recipe.model.engine} has none here. Leave the tasks out, or set "
            "model.engine = hf"
        )
    if names:
        must_be_installed()
