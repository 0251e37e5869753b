"""From a recipe to what every checkpoint of a run is measured by.

A part of the composition root. How a task counts stands in ``evals``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from pathlib import Path

from iteralign.build.evaluations import make
from iteralign.build.harness import HARNESS, harness
from iteralign.build.models import ORGANISM
from iteralign.build.tasks import Source, requested, source_of
from iteralign.errors import RecipeError
from iteralign.evals.tasks import Task
from iteralign.protocols import Eval, Oracle
from iteralign.recipe.iteralign import Recipe
from iteralign.records.iteralign import RedTeamPrompt, Response, Split


def evals(recipe: Recipe, judge: Oracle, held_out: Sequence[RedTeamPrompt]) -> list[Eval]:
    """Return what every checkpoint is measured by: on held-out prompts, and the recipe's tasks."""
    return [*prompted(recipe, judge, held_out, "held_out"), *tasks(recipe)]


def prompted(recipe: Recipe, judge: Oracle, prompts: Sequence[RedTeamPrompt], part: Split) -> list[Eval]:
    """Return the evaluations on the prompts of one part of the split.

    The recipe's limits are shared among gate and test. The organism's answers are also judged by its own
    grammar: the truth.
    """
    from iteralign.evals.fluency import Fluency
    from iteralign.evals.harm import Harm, HarmTruth
    from iteralign.evals.over_refusal import OverRefusal

    section = recipe.evaluation
    params = section.sampling.params(recipe.seed)
    share = section.test_share if part == "test" else 1 - section.test_share
    if not any(p.split == "test" for p in prompts):  # of a run that has no test part, or began without one
        share = 1.0
    own = [p for p in prompts if p.split == part]
    red = _first([p for p in own if p.intent == "harmful"], section.harm_limit, share)
    benign = _first([p for p in own if p.intent != "harmful"], section.over_refusal_limit, share)
    judged: list[Eval] = [Harm(red, judge, params), OverRefusal(benign, judge, params)]
    if recipe.model.name != ORGANISM:
        return [*judged, Fluency([*red, *benign], params)]
    from iteralign.organism.truth import truth

    def declines(question: str, text: str) -> bool:
        return truth(question, text) == "refusal"

    def is_grammar(question: str, response: Response) -> bool:
        return truth(question, response.text) != "broken"

    return [
        *judged,
        Fluency([*red, *benign], params, is_grammar, "the organism's grammar"),
        HarmTruth(red, declines, params),
    ]


def _first(prompts: list[RedTeamPrompt], limit: int | None, share: float) -> list[RedTeamPrompt]:
    return prompts if limit is None else prompts[: max(1, round(limit * share))]


def tasks(recipe: Recipe) -> list[Eval]:
    """Return the further tasks that the recipe names. Raises ``RecipeError`` and ``DataError``."""
    section = recipe.evaluation
    others = [harness(name, recipe, section.lm_eval_limit) for name in section.lm_eval]
    named, files = _named(recipe)
    return [*_made(recipe, named, files), *others]


def task_items(recipe: Recipe) -> tuple[tuple[str, int | None], ...]:
    """Return the names of the further tasks, with the items that each has.

    None where that is not known before a run: for lm-eval's tasks, and for data that would have to be
    fetched. Raises ``RecipeError`` and ``DataError``.
    """
    named, files = _named(recipe)
    here = [t for t in named if t.files and not isinstance(source_of(t, files), str)]
    items = {e.name: len(e) for e in _made(recipe, here, files) if isinstance(e, Sized)}
    names = [*(t.name for t in named), *(f"{HARNESS}{name}" for name in recipe.evaluation.lm_eval)]
    return tuple((name, items.get(name)) for name in names)


def _named(recipe: Recipe) -> tuple[list[Task], dict[str, Source]]:
    """The tasks of ``evaluation.tasks`` with the data that they name."""
    if not recipe.evaluation.tasks:
        return [], {}
    found, _, files = requested(recipe.evaluation.tasks)
    judged = [t.name for t in found if t.judged]
    if judged:
        raise RecipeError(
            f"evaluation.tasks: {', '.join(judged)} cannot be named: "
            "harm and over-refusal are always measured, and by the same oracle"
        )
    return found, files


def _made(recipe: Recipe, named: Sequence[Task], files: Mapping[str, Source]) -> list[Eval]:
    def nobody() -> Oracle:
        raise AssertionError("no such task needs a judge")

    folder = Path(recipe.evaluation.data).expanduser() if recipe.evaluation.data else None
    return make(named, folder, files, recipe=recipe, judge=nobody, prompts=list)
