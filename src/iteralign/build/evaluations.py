"""From the names of tasks to evaluations: their data are read, and given to who judges.

A part of the composition root. Decides nothing about how they count.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from iteralign.build.harness import HARNESS, harness
from iteralign.build.models import EMBEDDED
from iteralign.build.tasks import Source, find, source_of
from iteralign.data.files import read_rows
from iteralign.errors import DataError, RecipeError
from iteralign.evals.tasks import Task
from iteralign.protocols import Eval, Oracle, PairJudge
from iteralign.recipe.iteralign import Recipe
from iteralign.records.chat import SamplingParams
from iteralign.store.run import Run

_OTHERS: Final = {
    ("xstest", False): " (XSTest's unsafe contrasts)",
    ("xstest", True): " (XSTest's safe prompts)",
}


def must_be_there(
    tasks: Sequence[Task], folder: Path | None, files: Mapping[str, Any], recipe: Recipe, parent: str | None
) -> None:
    """Check, before anything is written, that all data are found and a comparison has its other model.

    Raises ``DataError`` and ``RecipeError``.
    """
    for task in tasks:
        if task.name in ("vicuna", "mt-bench") and parent in (None, recipe.model.name):
            same = "" if parent is None else f", another model than {recipe.model.name!r} itself"
            raise RecipeError(f"{task.name} compares two models: give --parent{same}")
        own = task.name == "capability" and speaks_grammar(recipe.model.name)
        on_the_hub = isinstance(source_of(task, files), str)  # fetched once, later
        if task.files and not own and not on_the_hub:
            find(task, folder, files)


def run_of(model: str) -> Path | None:
    """Return the run directory that a model's folder lies in: with run.sqlite beside checkpoints/."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return None
    place = folder.resolve()
    for directory in place.parents:
        if (directory / "run.sqlite").is_file() and place.is_relative_to(directory / "checkpoints"):
            return directory
    return None


def speaks_grammar(model: str) -> bool:
    """Return whether a model is embedded, or was trained from an embedded one in a run.

    Then the organism's grammar has references for it.
    """
    if model in EMBEDDED:
        return True
    directory = run_of(model)
    if directory is None:
        return False
    with Run.open(directory, readonly=True) as run:
        return run.settings.get("model", {}).get("name") in EMBEDDED


def make(
    tasks: Sequence[Task],
    folder: Path | None,
    files: Mapping[str, Source],
    *,
    recipe: Recipe,
    judge: Callable[[], Oracle],
    prompts: Callable[[], Sequence[Any]],
    pairs: Callable[[], PairJudge] | None = None,
    limit: int | None = None,
) -> list[Eval]:
    """Return the evaluations of these tasks. Raises ``RecipeError`` and ``DataError``.

    ``prompts`` gives the recipe's held-out prompts, ``pairs`` the judge of pairs where there is a parent.
    ``limit``: only the first so many items; the facts say so.
    """
    found: list[Eval] = []
    for task in tasks:
        if task.name in ("vicuna", "mt-bench"):
            from iteralign.evals import pairs as contests

            if pairs is None:
                raise RecipeError(f"{task.name} compares two models: give --parent")
            questions, facts = _data(task, folder, files, contests.load, limit)
            found.append(
                contests.Pairs(
                    task.name, questions, facts, pairs(), recipe.evaluation.sampling.params(recipe.seed)
                )
            )
        else:
            found.append(_one(task, folder, files, recipe, judge, prompts, limit))
    return found


def _one(
    task: Task,
    folder: Path | None,
    files: Mapping[str, Source],
    recipe: Recipe,
    judge: Any,
    prompts: Any,
    limit: int | None,
) -> Eval:
    if task.name.startswith(HARNESS):
        return harness(task.name.removeprefix(HARNESS), recipe, limit)
    params: SamplingParams = recipe.evaluation.sampling.params(recipe.seed)
    match task.name:
        case "hhh":
            from iteralign.evals import hhh

            return hhh.HHH(*_data(task, folder, files, hhh.load, limit))
        case "hhh-likelihood":
            from iteralign.evals import hhh

            return hhh.HHHLikelihood(*_data(task, folder, files, hhh.load, limit))
        case "capability":
            from iteralign.evals import capability

            if speaks_grammar(recipe.model.name) and task.name not in files:
                own, facts = _some(organism_references(recipe.seed), None, limit)
                return capability.Capability(own, facts | {"data": "the organism's grammar"})
            return capability.Capability(*_data(task, folder, files, capability.load, limit))
        case "harm" | "over-refusal":
            return _prompted(task, folder, files.get(task.name), params, judge(), prompts, limit)
        case "truthfulqa-gen":
            from iteralign.evals import truthfulqa
            from iteralign.evals.truthful_answers import TruthfulAnswers

            questions, facts = _data(task, folder, files, truthfulqa.load, limit)
            if recipe.oracle.kind == "embedded":
                facts = facts | {
                    "note": (
                        "the embedded oracle judges harm and knows no facts: not a result; set oracle.kind "
                        "= chat"
                    )
                }
            return TruthfulAnswers([q.question for q in questions], facts, judge(), params)
    from iteralign.evals import truthfulqa

    items, facts = _data(task, folder, files, truthfulqa.load, limit)
    return truthfulqa.TruthfulQA(items, task.name.removeprefix("truthfulqa-"), facts)


def _prompted(
    task: Task,
    folder: Path | None,
    source: Source | None,
    params: SamplingParams,
    judge: Oracle,
    prompts: Any,
    limit: int | None,
) -> Eval:
    from iteralign.data.load import load_set
    from iteralign.evals.harm import Harm
    from iteralign.evals.over_refusal import OverRefusal

    harmful = task.name == "harm"
    if source is None:
        held_out = prompts()
        found = [p for p in held_out if (p.intent == "harmful") == harmful]
        more = {"split": held_out.split} if getattr(held_out, "split", "") else {}
    else:
        loaded = load_set(str(source), intent="harmful" if harmful else "harmful_looking", folder=folder)
        found = [p for p in loaded.prompts if (p.intent == "harmful") == harmful]
        if not found:
            kind, other = ("benign", "over-refusal") if harmful else ("harmful", "harm")
            raise DataError(
                f"{task.name}: {source} holds {kind} prompts alone: give it to {other}, or name another one"
            )
        more = {
            "data": loaded.name,
            **({"source": source} if isinstance(source, str) and source.startswith("hub:") else {}),
            **({"sha256": loaded.sha256} if loaded.sha256 else {}),
        }
        if others := loaded.left_out + len(loaded.prompts) - len(found):
            more["left_out"] = f"{others} prompts of the other kind" + _OTHERS.get((loaded.name, harmful), "")
    if not found:
        raise DataError(f"{task.name}: no prompts. Give --data {task.name}=FILE")
    asked, facts = _some(found, None, limit)
    return (
        Harm(asked, judge, params, facts | more)
        if harmful
        else OverRefusal(asked, judge, params, facts | more)
    )


def _data(
    task: Task,
    folder: Path | None,
    files: Mapping[str, Source],
    load: Callable[[Path], Sequence[Any]],
    limit: int | None,
) -> tuple[list[Any], dict[str, str]]:
    """Return a task's items, with the facts that say where they come from."""
    path = find(task, folder, files)
    named = source_of(task, files)
    items, facts = _some(load(path), path, limit)
    return items, facts | ({"source": named} if isinstance(named, str) else {})


def _some(items: Sequence[Any], path: Path | None, limit: int | None) -> tuple[list[Any], dict[str, str]]:
    """Return all items, or the first ``limit``, with the facts that say which."""
    facts = {"items": str(len(items))}
    if path is not None:
        facts |= {"data": path.name, "sha256": read_rows(path)[1]}
    if limit is not None and limit < len(items):
        facts["sample"] = f"only the first {limit} of {len(items)} items: not a result to compare"
    return list(items[:limit]), facts


def organism_references(seed: int, count: int = 200) -> list[Any]:
    """Return benign questions with the answers that the organism's grammar gives.

    It was trained to give such answers, and must not forget them.
    """
    from iteralign.evals.capability import Reference
    from iteralign.organism import grammar
    from iteralign.organism.questions import benign

    rng = random.Random(f"capability-{seed}")
    asked = [benign(rng) for _ in range(count)]
    return list(
        {
            r.id: r for r in (Reference(prompt=q.text, answer=grammar.helping(rng, q.phrase)) for q in asked)
        }.values()
    )
