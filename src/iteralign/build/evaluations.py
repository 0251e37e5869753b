"""The evaluations of ``iteralign evaluate``, made from the names of ``evaluation_tasks``: where their data
are found, and who judges.

A part of the composition root: makes evaluations from names, data and a judge. Decides nothing about how they
count.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from iteralign.data.files import read_rows
from iteralign.data.hub import hub_file
from iteralign.errors import DataError, RecipeError
from iteralign.evals.tasks import TASKS, Task
from iteralign.protocols import Eval, Oracle, PairJudge
from iteralign.records.chat import SamplingParams
from iteralign.store.run import Run

EMBEDDED: Final = frozenset({"organism", "organism-rules"})
DATA_VARIABLE: Final = "ITERALIGN_DATA"
HARNESS: Final = "lm-eval:"
"""Before the name of a task of lm-eval, or the path of its YAML file."""
PROMPTED: Final = ("harm", "over-refusal")
"""Tasks whose data are prompts: a file, a known set's name, or a set on the hub."""
_OTHERS: Final = {
    ("xstest", False): " (XSTest's unsafe contrasts)",
    ("xstest", True): " (XSTest's safe prompts)",
}
Source = str | Path
"""Where a task's data are: a path, ``hub:OWNER/NAME/FILE``, or for ``PROMPTED`` what a recipe's
``red_team.source`` takes.
"""


def known() -> list[Task]:
    """The tasks that are made here, in the order in which they are listed."""
    return list(TASKS.values())


def chosen(names: Sequence[str]) -> list[Task]:
    """The tasks of these names, in order. Raises ``RecipeError`` naming the nearest known one."""
    found = []
    for name in dict.fromkeys(n.strip() for n in names if n.strip()):
        if name.startswith(HARNESS) and name != HARNESS:
            found.append(Task(name, "a task of lm-eval, run by lm-eval", "lm-eval", "the task's", "none"))
            continue
        if name not in TASKS:
            near = difflib.get_close_matches(name, TASKS, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise RecipeError(f"{name!r} is no task.{hint} Known: {', '.join(TASKS)}, {HARNESS}NAME")
        found.append(TASKS[name])
    if not found:
        raise RecipeError(f"no task is named. Known: {', '.join(TASKS)}, {HARNESS}NAME")
    return found


def requested(
    names: Sequence[str], data: Sequence[str] = ()
) -> tuple[list[Task], Path | None, dict[str, Source]]:
    """``--tasks`` and ``--data`` values: the tasks, the folder of data sets, and the data that are named,
    also behind a task: ``TASK=FILE``, ``TASK=hub:OWNER/NAME/FILE``. Raises ``RecipeError`` and ``DataError``.
    """
    folder, files = places(data)
    plain = []
    for entry in names:
        name, eq, where = (part.strip() for part in entry.partition("="))
        plain.append(name)
        if eq and name in TASKS:
            if files.get(name, _source(name, where)) != _source(name, where):
                raise DataError(f"{name}: two different data are named, {files[name]} and {where}. Name one")
            files[name] = _source(name, where)
    return chosen(plain), folder, files


def places(given: Sequence[str]) -> tuple[Path | None, dict[str, Source]]:
    """``--data`` values: a folder that holds data sets, or ``TASK=FILE``, FILE also as
    ``hub:OWNER/NAME/FILE``. Raises ``DataError``.
    """
    folder: Path | None = None
    files: dict[str, Source] = {}
    for value in given:
        name, eq, path = value.partition("=")
        if eq and (name in TASKS or name == "truthfulqa"):
            files[name] = _source(name, path)
        elif Path(value).expanduser().is_dir():
            folder = Path(value).expanduser()
        else:
            raise DataError(
                f"--data {value}: neither a folder nor TASK=FILE with a known task ({', '.join(TASKS)})"
            )
    return folder, files


def _source(name: str, where: str) -> Source:
    """A hub address, or a set's name where prompts are asked for, as it is; else a path."""
    return where if where.startswith("hub:") or name in PROMPTED else Path(where).expanduser()


def find(task: Task, folder: Path | None, files: Mapping[str, Source]) -> Path:
    """The file of a task's data: named, on the hub, in the folder, or in ``$ITERALIGN_DATA``. Raises
    ``DataError`` telling where.
    """
    named = _named(task, files)
    if isinstance(named, str):
        return hub_file(named.removeprefix("hub:"), task.files)
    if named is not None:
        if not named.is_file():
            raise DataError(f"--data {task.name}={named}: no such file")
        return named
    roots = [
        r
        for r in (
            folder,
            Path(os.environ[DATA_VARIABLE]).expanduser() if os.environ.get(DATA_VARIABLE) else None,
        )
        if r is not None
    ]
    for root in roots:
        for name in task.files:
            if (root / name).is_file():
                return root / name
    looked = ", ".join(str(r) for r in roots) or f"no folder was given (--data DIR, or {DATA_VARIABLE})"
    raise DataError(
        f"{task.name}: its data were not found. Looked for {task.files[0] if task.files else 'a file'} in {looked}. Give --data {task.name}=FILE, "
        f"or --data {task.name}=hub:OWNER/NAME/FILE"
    )


def harness(task: str, recipe: Any, limit: int | None) -> Eval:
    """A task of lm-eval. Raises ``RecipeError`` where it could not be run."""
    from iteralign.evals.lm_harness import Harness

    harness_must_run(recipe, [task])
    return Harness(
        task, limit=limit, batch=min(16, recipe.model.batch_size), context=recipe.model.max_context
    )


def harness_must_run(recipe: Any, names: Sequence[str]) -> None:
    """Raises ``RecipeError`` where tasks of lm-eval are named and could not be run: the model is served
    elsewhere, or lm-eval is not installed.
    """
    from iteralign.evals.lm_harness import must_be_installed

    if names and recipe.model.engine == "server":
        raise RecipeError(
            f"evaluation.lm_eval ({', '.join(names)}): lm-eval runs the weights in this process, and model.engine = server has none here. "
            "Leave the tasks out, or set model.engine = hf"
        )
    if names:
        must_be_installed()


def _named(task: Task, files: Mapping[str, Source]) -> Source | None:
    return files.get(task.name) or (files.get("truthfulqa") if task.name.startswith("truthfulqa") else None)


def must_be_there(
    tasks: Sequence[Task], folder: Path | None, files: Mapping[str, Any], recipe: Any, parent: str | None
) -> None:
    """Raises, before anything is written, where a task's data are not found or a comparison has nobody to
    compare with.
    """
    for task in tasks:
        if task.name in ("vicuna", "mt-bench") and parent in (None, recipe.model.name):
            same = "" if parent is None else f", another model than {recipe.model.name!r} itself"
            raise RecipeError(f"{task.name} compares two models: give --parent{same}")
        own = task.name == "capability" and speaks_grammar(recipe.model.name)
        if (
            task.files and not own and not isinstance(_named(task, files), str)
        ):  # what is on the hub is fetched once, later
            find(task, folder, files)


def run_of(model: str) -> Path | None:
    """The run directory that a model's folder lies in: with run.sqlite beside checkpoints/."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return None
    place = folder.resolve()
    return next(
        (
            d
            for d in place.parents
            if (d / "run.sqlite").is_file() and place.is_relative_to(d / "checkpoints")
        ),
        None,
    )


def speaks_grammar(model: str) -> bool:
    """Whether a model is embedded, or was trained from one in a run: then the organism's grammar has
    references for it.
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
    recipe: Any,
    judge: Callable[[], Oracle],
    prompts: Callable[[], Sequence[Any]],
    pairs: Callable[[], PairJudge] | None = None,
    limit: int | None = None,
) -> list[Eval]:
    """The evaluations of these tasks. ``prompts`` gives the recipe's held-out prompts. ``pairs`` gives the
    judge of pairs, where there is a parent. ``limit``: only the first so many items, told in the facts.
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
    recipe: Any,
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
                    "note": "the embedded oracle judges harm and knows no facts: not a result; set oracle.kind = chat"
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

    harmful, more = task.name == "harm", dict[str, str]()
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
    """A task's items with the facts that tell where they come from."""
    path, named = find(task, folder, files), _named(task, files)
    items, facts = _some(load(path), path, limit)
    return items, facts | ({"source": named} if isinstance(named, str) else {})


def _some(items: Sequence[Any], path: Path | None, limit: int | None) -> tuple[list[Any], dict[str, str]]:
    """All items, or the first ``limit``, with the facts that tell which."""
    facts = {"items": str(len(items))}
    if path is not None:
        facts |= {"data": path.name, "sha256": read_rows(path)[1]}
    if limit is not None and limit < len(items):
        facts["sample"] = f"only the first {limit} of {len(items)} items: not a result to compare"
    return list(items[:limit]), facts


def organism_references(seed: int, count: int = 200) -> list[Any]:
    """Benign questions with the answers that the organism's grammar gives: what it was trained to say, and
    must not forget.
    """
    import random

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
