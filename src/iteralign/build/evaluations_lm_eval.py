"""Writes our multiple-choice tasks as lm-eval task files over local JSONL.

So users can run them from the harness that they know. The questions are the very ones that ``iteralign
evaluate`` asks; run them with ``--apply_chat_template`` to get the same numbers. Knows no engine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from iteralign.build.evaluations import sampled
from iteralign.build.tasks import Source, find
from iteralign.errors import RecipeError, StoreError
from iteralign.evals.tasks import Task

EXPORTED = ("hhh", "hhh-likelihood", "truthfulqa-mc1", "truthfulqa-mc2", "truthfulqa-binary")

UTILS = '''"""Metrics of the iteralign tasks for lm-eval: made by `iteralign evaluate --lm-eval`."""

import math


def mc2(doc, results):
    totals = [r[0] for r in results]
    best = max(totals)
    weights = [math.exp(t - best) for t in totals]
    right = sum(w for w, label in zip(weights, doc["labels"]) if label)
    return {"mc2": right / sum(weights)}


def mean(values):
    return sum(values) / len(values)


def one_order(doc, results):
    return {"both_orders": (doc["item"], doc["gold"], [r[0] for r in results])}


def both_orders(rows):
    margins = {}
    for item, gold, (a, b) in rows:
        margins[item] = margins.get(item, 0.0) + (a - b if gold == 0 else b - a)
    return sum(0.5 if m == 0 else float(m > 0) for m in margins.values()) / len(margins)
'''


def write_lm_eval(
    tasks: Sequence[Task],
    folder: Path | None,
    files: Mapping[str, Source],
    out: Path,
    *,
    limit: int | None = None,
    seed: int = 0,
) -> list[Path]:
    """Write a YAML and a JSONL file for each task, and ``utils.py`` with their metrics; return their paths.

    ``limit``: a sample of so many items of each task, the one that ``iteralign evaluate`` draws with this
    seed. Raises ``RecipeError``, ``DataError`` and, where nothing can be written, ``StoreError``.
    """
    wrong = [t.name for t in tasks if t.name not in EXPORTED]
    if wrong:
        raise RecipeError(
            f"{', '.join(wrong)}: not a task that lm-eval can run; there are {', '.join(EXPORTED)}"
        )
    texts = {"utils.py": UTILS}
    for task in tasks:
        name = f"iteralign_{task.name.replace('-', '_')}"
        rows = _rows(task, find(task, folder, files), limit, seed)
        data = (out / f"{name}.jsonl").absolute()
        texts[f"{name}.yaml"] = _yaml(task, name, data)
        texts[data.name] = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            (out / file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"{out} cannot be written: {error.strerror or error}; make room, or choose another folder"
        ) from error
    return [out / file for file in texts]


def _rows(task: Task, path: Path, limit: int | None, seed: int) -> list[dict[str, Any]]:
    from iteralign.evals import hhh, truthfulqa

    if task.name == "hhh":
        asked = hhh.HHH(sampled(hhh.load(path), limit, seed), {}).questions()
        return [_row(q.messages[-1].text, q.candidates, n % 2, item=n // 2) for n, q in enumerate(asked)]
    if task.name == "hhh-likelihood":
        asked = hhh.HHHLikelihood(sampled(hhh.load(path), limit, seed), {}).questions()
        return [_row(q.messages[-1].text, q.candidates, 0, item=n) for n, q in enumerate(asked)]
    items = sampled(truthfulqa.load(path), limit, seed)
    if task.name == "truthfulqa-binary":
        pairs = truthfulqa.TruthfulQA(items, "binary", {}).questions()
        return [
            _row(q.messages[-1].text, q.candidates, order, item=i.number)
            for i, own in zip(items, pairs, strict=True)
            for order, q in enumerate(own)
        ]
    if task.name == "truthfulqa-mc1":
        return [_row(i.question, i.mc1, 0, item=i.number) for i in items]
    return [
        _row(i.question, i.mc2, 0, item=i.number) | {"labels": [1] * len(i.right) + [0] * len(i.wrong)}
        for i in items
    ]


def _row(prompt: str, choices: Sequence[str], gold: int, item: int) -> dict[str, Any]:
    return {"item": item, "prompt": prompt, "choices": list(choices), "gold": gold}


def _yaml(task: Task, name: str, data: Path) -> str:
    head = f"""task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {json.dumps(str(data))}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{prompt}}}}"
doc_to_choice: choices
doc_to_target: gold
target_delimiter: ""
metadata:
  version: 1
"""
    metric = "  - metric: {}\n    aggregation: {}\n    higher_is_better: true\n"
    match task.name:
        case "truthfulqa-mc1":
            return head + "metric_list:\n" + metric.format("acc", "mean")
        case "hhh-likelihood":
            return head + "metric_list:\n" + metric.format("acc", "mean") + metric.format("acc_norm", "mean")
        case "truthfulqa-mc2":
            return (
                head
                + "process_results: !function utils.mc2\nmetric_list:\n"
                + metric.format("mc2", "!function utils.mean")
            )
    return (
        head
        + "process_results: !function utils.one_order\nmetric_list:\n"
        + metric.format("both_orders", "!function utils.both_orders")
    )
