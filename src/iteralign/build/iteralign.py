"""From a recipe of IterAlign to the parts that its algorithm works with.

A part of the composition root. Decides nothing about the method.
"""

from __future__ import annotations

from iteralign.algorithms.state import Parts
from iteralign.build.began import began, first_recipe
from iteralign.build.data import stored_constitution, stored_prompts
from iteralign.build.evals import prompted, tasks
from iteralign.build.models import base_checkpoint, host_of, must_be_trainable, trainer
from iteralign.build.oracle import oracle_of
from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.load import shared
from iteralign.store.run import Run


def parts(run: Run, recipe: Recipe) -> Parts:
    """Compose everything that the algorithm works with. Raises ``IterAlignError``."""

    def warn(text: str) -> None:
        run.event("warning", text=text)

    prompts = stored_prompts(run, recipe)
    training = [p for p in prompts if p.split == "train"]
    must_be_trainable(recipe)
    judge = oracle_of(run, recipe, warn)
    return Parts(
        base=base_checkpoint(recipe, began(run)),
        host=host_of(run, recipe, warn),
        oracle=judge,
        trainer=trainer(recipe, run.locate, warn, shared(first_recipe(run)), began(run)),
        evals=[*prompted(recipe, judge, prompts, "held_out"), *tasks(recipe)],
        tests=prompted(recipe, judge, prompts, "test") if any(p.split == "test" for p in prompts) else [],
        red_team=[p for p in training if p.intent == "harmful"],
        benign=[p for p in training if p.intent != "harmful"],
        constitution=stored_constitution(run, recipe),
    )
