"""The tasks of ``iteralign evaluate``: what each measures, where its data come from, its chance level and licence.

A part of the composition root: makes evaluations from names, data and a judge. Decides nothing about how they count.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from iteralign.data.files import read_rows
from iteralign.errors import DataError, RecipeError
from iteralign.protocols import Eval, Oracle, PairJudge
from iteralign.records import SamplingParams

DATA_VARIABLE: Final = "ITERALIGN_DATA"
_TRUTHFULQA: Final = (
    "truthfulqa/mc_task_v1_817.json",
    "mc_task_v1_817.json",
    "TruthfulQA/mc_task.json",
    "truthfulqa/mc_task.json",
    "mc_task.json",
    "truthfulqa/TruthfulQA_v1_817.csv",
    "TruthfulQA.csv",
)
_TRUTHFULQA_2025: Final = ("truthfulqa/mc_task_2025_790.json", "mc_task_2025_790.json", "truthfulqa/TruthfulQA_2025_790.csv", *_TRUTHFULQA[2:5])


@dataclass(frozen=True, slots=True)
class Task:
    """What ``--list`` tells of a task. ``files``: names that its data have in a data directory. ``judged``: it needs an oracle."""

    name: str
    measures: str
    source: str
    licence: str
    chance: str
    files: tuple[str, ...] = ()
    judged: bool = False


_ALL = (
    Task(
        "hhh",
        "which of two replies is better; 221 items, both orders",
        "Askell et al. 2021, BIG-bench hhh_alignment",
        "Apache-2.0; carries BIG-bench's canary: never train on it",
        "0.5",
        ("hhh_alignment/hhh_alignment.jsonl", "hhh_alignment.jsonl", "hhh.jsonl"),
    ),
    Task("truthfulqa-mc1", "the likeliest candidate is the best answer", "Lin et al. 2022", "Apache-2.0", "0.2225 on v1", _TRUTHFULQA),
    Task("truthfulqa-mc2", "the probability on correct answers", "Lin et al. 2022", "Apache-2.0", "0.4641 on v1", _TRUTHFULQA),
    Task(
        "truthfulqa-dromedary",
        "the candidate that is most surely called true is the best answer",
        "Sun et al. 2023, over all candidates",
        "Apache-2.0",
        "0.2225 on v1",
        _TRUTHFULQA,
    ),
    Task(
        "truthfulqa-dromedary-compat",
        "the same over the first half of the candidates, as the published scorer: for old numbers only",
        "Sun et al. 2023",
        "Apache-2.0",
        "0.4070 on v1",
        _TRUTHFULQA,
    ),
    Task("truthfulqa-binary", "best answer against best wrong one, both orders", "the 2025 revision", "Apache-2.0", "0.5", _TRUTHFULQA_2025),
    Task(
        "truthfulqa-gen",
        "answers that are truthful, informative, and both, by a judge",
        "Lin et al. 2022",
        "Apache-2.0",
        "none",
        _TRUTHFULQA,
        judged=True,
    ),
    Task("harm", "improper answers to red-team prompts", "the recipe's red-team set, or a file", "the set's", "none", judged=True),
    Task("over-refusal", "refusals of benign prompts", "the recipe's benign set, or a file", "the set's", "none", judged=True),
    Task(
        "vicuna",
        "80 open questions, answers compared with the parent's in both orders",
        "Chiang et al. 2023",
        "Apache-2.0",
        "0.5",
        ("vicuna_bench/question.jsonl", "vicuna.jsonl"),
        judged=True,
    ),
    Task(
        "mt-bench",
        "80 open questions of two turns, answers compared with the parent's in both orders",
        "Zheng et al. 2023",
        "Apache-2.0",
        "0.5",
        ("mt_bench/question.jsonl", "mt_bench.jsonl"),
        judged=True,
    ),
    Task(
        "capability",
        "loss of reference answers, nats per token, and perplexity",
        "the embedded model's grammar, or a file of prompts with responses",
        "the file's",
        "none",
        ("dolly_subset/dolly_3k.json", "capability.jsonl"),
    ),
)
TASKS: Final[dict[str, Task]] = {t.name: t for t in _ALL}


def chosen(names: Sequence[str]) -> list[Task]:
    """The tasks of these names, in order. Raises ``RecipeError`` naming the nearest known one."""
    found = []
    for name in dict.fromkeys(n.strip() for n in names if n.strip()):
        if name not in TASKS:
            near = difflib.get_close_matches(name, TASKS, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise RecipeError(f"{name!r} is no task.{hint} Known: {', '.join(TASKS)}")
        found.append(TASKS[name])
    if not found:
        raise RecipeError(f"no task is named. Known: {', '.join(TASKS)}")
    return found


def places(given: Sequence[str]) -> tuple[Path | None, dict[str, Path]]:
    """``--data`` values: a folder that holds data sets, or ``TASK=FILE``. Raises ``DataError``."""
    folder, files = None, {}
    for value in given:
        name, eq, path = value.partition("=")
        if eq and (name in TASKS or name == "truthfulqa"):
            files[name] = Path(path).expanduser()
        elif Path(value).expanduser().is_dir():
            folder = Path(value).expanduser()
        else:
            raise DataError(f"--data {value}: neither a folder nor TASK=FILE with a known task ({', '.join(TASKS)})")
    return folder, files


def find(task: Task, folder: Path | None, files: Mapping[str, Path]) -> Path:
    """The file of a task's data: named, or in the folder, or in ``$ITERALIGN_DATA``. Raises ``DataError`` telling where it was looked for."""
    named = files.get(task.name) or (files.get("truthfulqa") if task.name.startswith("truthfulqa") else None)
    if named is not None:
        if not named.is_file():
            raise DataError(f"--data {task.name}={named}: no such file")
        return named
    roots = [r for r in (folder, Path(os.environ[DATA_VARIABLE]).expanduser() if os.environ.get(DATA_VARIABLE) else None) if r is not None]
    for root in roots:
        for name in task.files:
            if (root / name).is_file():
                return root / name
    looked = ", ".join(str(r) for r in roots) or f"no folder was given (--data DIR, or {DATA_VARIABLE})"
    raise DataError(
        f"{task.name}: its data were not found. Looked for {task.files[0] if task.files else 'a file'} in {looked}. Give --data {task.name}=FILE"
    )


def make(
    tasks: Sequence[Task],
    folder: Path | None,
    files: Mapping[str, Path],
    *,
    recipe: Any,
    judge: Callable[[], Oracle],
    prompts: Callable[[], Sequence[Any]],
    pairs: Callable[[], PairJudge] | None = None,
    limit: int | None = None,
) -> list[Eval]:
    """The evaluations of these tasks. ``prompts`` gives the recipe's held-out prompts. ``pairs`` gives the judge of pairs, where there
    is a parent. ``limit``: only the first so many items, told in the facts."""
    found: list[Eval] = []
    for task in tasks:
        if task.name in ("vicuna", "mt-bench"):
            from iteralign.evals import pairs as contests

            if pairs is None:
                raise RecipeError(f"{task.name} compares two models: give --parent")
            path = find(task, folder, files)
            questions, facts = _some(contests.load(path), path, limit)
            found.append(contests.Pairs(task.name, questions, facts, pairs(), recipe.evaluation.sampling.params(recipe.seed)))
        else:
            found.append(_one(task, folder, files, recipe, judge, prompts, limit))
    return found


def _one(task: Task, folder: Path | None, files: Mapping[str, Path], recipe: Any, judge: Any, prompts: Any, limit: int | None) -> Eval:
    params: SamplingParams = recipe.evaluation.sampling.params(recipe.seed)
    match task.name:
        case "hhh":
            from iteralign.evals import hhh

            path = find(task, folder, files)
            return hhh.HHH(*_some(hhh.load(path), path, limit))
        case "capability":
            from iteralign.evals import capability

            if recipe.model.name in ("organism", "organism-rules") and task.name not in files:
                own, facts = _some(organism_references(recipe.seed), None, limit)
                return capability.Capability(own, facts | {"data": "the organism's grammar"})
            path = find(task, folder, files)
            return capability.Capability(*_some(capability.load(path), path, limit))
        case "harm" | "over-refusal":
            return _prompted(task, files, params, judge(), prompts, limit)
        case "truthfulqa-gen":
            from iteralign.evals import truthfulqa
            from iteralign.evals.truthful_answers import TruthfulAnswers

            path = find(task, folder, files)
            return TruthfulAnswers(*_some([i.question for i in truthfulqa.load(path)], path, limit), judge(), params)
    from iteralign.evals import truthfulqa

    path = find(task, folder, files)
    items, facts = _some(truthfulqa.load(path), path, limit)
    return truthfulqa.TruthfulQA(items, task.name.removeprefix("truthfulqa-"), facts)


def _prompted(task: Task, files: Mapping[str, Path], params: SamplingParams, judge: Oracle, prompts: Any, limit: int | None) -> Eval:
    from iteralign.data.load import load_prompts
    from iteralign.evals.harm import Harm
    from iteralign.evals.over_refusal import OverRefusal

    harmful = task.name == "harm"
    if task.name in files:
        found = load_prompts(str(files[task.name]), intent="harmful" if harmful else "harmful_looking")
    else:
        found = [p for p in prompts() if (p.intent == "harmful") == harmful]
    if not found:
        raise DataError(f"{task.name}: no prompts. Give --data {task.name}=FILE")
    asked, facts = _some(found, files.get(task.name), limit)
    return Harm(asked, judge, params, facts) if harmful else OverRefusal(asked, judge, params, facts)


def _some(items: Sequence[Any], path: Path | None, limit: int | None) -> tuple[list[Any], dict[str, str]]:
    """All items, or the first ``limit``, with the facts that tell which."""
    facts = {"items": str(len(items))}
    if path is not None:
        facts |= {"data": path.name, "sha256": read_rows(path)[1]}
    if limit is not None and limit < len(items):
        facts["sample"] = f"only the first {limit} of {len(items)} items: not a result to compare"
    return list(items[:limit]), facts


def organism_references(seed: int, count: int = 200) -> list[Any]:
    """Benign questions with the answers that the organism's grammar gives: what it was trained to say, and must not forget."""
    import random

    from iteralign.evals.capability import Reference
    from iteralign.organism import grammar
    from iteralign.organism.questions import benign

    rng = random.Random(f"capability-{seed}")
    asked = [benign(rng) for _ in range(count)]
    return list({r.id: r for r in (Reference(prompt=q.text, answer=grammar.helping(rng, q.phrase)) for q in asked)}.values())
