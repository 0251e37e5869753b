"""From the names of tasks to evaluations: their data are read, and given to who judges.

A part of the composition root. Decides nothing about how they count.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from iteralign.build.harness import HARNESS, harness
from iteralign.build.models import EMBEDDED
from iteralign.build.tasks import Source, columns_of, find, source_of
from iteralign.build.trained import Trained, asked_in, run_of
from iteralign.data.columns import Columns
from iteralign.data.files import read_rows
from iteralign.data.sample import stratified, told
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
    trained: Callable[[], Trained] = Trained,
) -> list[Eval]:
    """Return the evaluations of these tasks. Raises ``RecipeError`` and ``DataError``.

    ``prompts`` gives the recipe's held-out prompts, ``pairs`` the judge of pairs where there is a parent.
    ``limit``: a seeded sample of so many items; ``trained``: what no task asks of a model that answers in its
    own words. The facts of a report say both.
    """
    choice = _Choice(limit, recipe.seed, trained, recipe.evaluation.columns or {})
    found: list[Eval] = []
    for task in tasks:
        if task.name in ("vicuna", "mt-bench"):
            from iteralign.evals import pairs as contests

            if pairs is None:
                raise RecipeError(f"{task.name} compares two models: give --parent")
            questions, facts = _data(task, folder, files, contests.load, choice, lambda q: "\n".join(q.turns))
            found.append(
                contests.Pairs(
                    task.name, questions, facts, pairs(), recipe.evaluation.sampling.params(recipe.seed)
                )
            )
        else:
            found.append(_one(task, folder, files, recipe, judge, prompts, choice))
    return found


def _one(
    task: Task,
    folder: Path | None,
    files: Mapping[str, Source],
    recipe: Recipe,
    judge: Any,
    prompts: Any,
    choice: _Choice,
) -> Eval:
    if task.name.startswith(HARNESS):
        return harness(task.name.removeprefix(HARNESS), recipe, choice.limit)
    params: SamplingParams = recipe.evaluation.sampling.params(recipe.seed)
    match task.name:
        case "hhh":
            from iteralign.evals import hhh

            return hhh.HHH(*_data(task, folder, files, hhh.load, choice))
        case "hhh-likelihood":
            from iteralign.evals import hhh

            return hhh.HHHLikelihood(*_data(task, folder, files, hhh.load, choice))
        case "capability":
            from iteralign.evals import capability

            if speaks_grammar(recipe.model.name) and task.name not in files:
                own, facts = choice.some(organism_references(recipe.seed), None)
                return capability.Capability(own, facts | {"data": "the organism's grammar"})
            return capability.Capability(*_data(task, folder, files, capability.load, choice))
        case "harm" | "over-refusal":
            return _prompted(task, folder, files.get(task.name), params, judge(), prompts, choice)
        case "truthfulqa-gen":
            from iteralign.evals import truthfulqa
            from iteralign.evals.truthful_answers import TruthfulAnswers

            questions, facts = _data(task, folder, files, truthfulqa.load, choice, lambda q: q.question)
            if recipe.oracle.kind in ("embedded", "guard"):
                name = "the embedded oracle" if recipe.oracle.kind == "embedded" else "a guard model"
                facts = facts | {
                    "note": f"{name} judges harm and knows no facts: not a result; set oracle.kind = chat"
                }
            return TruthfulAnswers([q.question for q in questions], facts, judge(), params)
    from iteralign.evals import truthfulqa

    items, facts = _data(task, folder, files, truthfulqa.load, choice)
    return truthfulqa.TruthfulQA(items, task.name.removeprefix("truthfulqa-"), facts)


def _prompted(
    task: Task,
    folder: Path | None,
    source: Source | None,
    params: SamplingParams,
    judge: Oracle,
    prompts: Any,
    choice: _Choice,
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
        loaded = load_set(
            str(source),
            intent="harmful" if harmful else "harmful_looking",
            folder=folder,
            columns=choice.columns_of(task),
        )
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
        found, known = choice.unseen(task, found, lambda p: asked_in(p.messages))
        more |= known
    if not found:
        raise DataError(f"{task.name}: no prompts. Give --data {task.name}=FILE")
    asked, facts = choice.some(found, None)
    return (
        Harm(asked, judge, params, facts | more)
        if harmful
        else OverRefusal(asked, judge, params, facts | more)
    )


def _data(
    task: Task,
    folder: Path | None,
    files: Mapping[str, Source],
    load: Callable[[Path, Columns | None], Sequence[Any]],
    choice: _Choice,
    text: Callable[[Any], str] | None = None,
) -> tuple[list[Any], dict[str, str]]:
    """Return a task's items, with the facts that say where they come from.

    ``text`` gives what is asked where the model answers in its own words.
    """
    path = find(task, folder, files)
    named = source_of(task, files)
    loaded, known = choice.unseen(task, load(path, choice.columns_of(task)), text)
    items, facts = choice.some(loaded, path)
    return items, facts | known | ({"source": named} if isinstance(named, str) else {})


@dataclass(frozen=True, slots=True)
class _Choice:
    """Which of a task's items are asked, with the facts that say so."""

    limit: int | None
    seed: int
    trained: Callable[[], Trained]
    columns: Mapping[str, Columns]

    def columns_of(self, task: Task) -> Columns | None:
        """Return how the fields of a task's file are called, where that is named."""
        return columns_of(task, self.columns)

    def unseen(
        self, task: Task, items: Sequence[Any], text: Callable[[Any], str] | None
    ) -> tuple[list[Any], dict[str, str]]:
        """Return the items that no measured model was trained on.

        Raises ``DataError`` where none is left.
        """
        if text is None:
            return list(items), {}
        trained = self.trained()
        if not trained.runs:
            return list(items), {}
        known = trained.near([text(i) for i in items])
        kept = [i for i, leaked in zip(items, known, strict=True) if not leaked]
        fact = trained.told(sum(known), len(items))
        if not kept:
            raise DataError(f"{task.name}: {fact}, so that none is left to ask. Name other data")
        return kept, {"trained_on": fact}

    def some(self, items: Sequence[Any], path: Path | None) -> tuple[list[Any], dict[str, str]]:
        """Return all items, or a seeded sample that keeps the shares of their categories."""
        facts = {"items": str(len(items))}
        if path is not None:
            facts |= {"data": path.name, "sha256": read_rows(path)[1]}
        if sample := told(self.limit, len(items), self.seed):
            facts["sample"] = sample
        return sampled(items, self.limit, self.seed), facts


def sampled(items: Sequence[Any], limit: int | None, seed: int) -> list[Any]:
    """Return the seeded sample of a task's items, in their categories' shares; all without a limit."""
    return [items[i] for i in stratified([_stratum(i) for i in items], limit, seed)]


def _stratum(item: Any) -> str | None:
    return getattr(item, "category", None) or getattr(item, "subset", None)


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
