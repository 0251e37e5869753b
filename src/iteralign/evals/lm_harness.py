"""Tasks of lm-eval, run by lm-eval itself on the weights that are being measured, and reported as every other
evaluation is.

What a task asks and how an item counts is lm-eval's; here its items are counted with intervals, and kept for
paired tests. Knows no engine: a policy that has the weights at hand gives them.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, ClassVar

from iteralign.errors import DataError, RecipeError, Unsupported
from iteralign.evals.lm_harness_code import must_hold_no_code, sandboxed
from iteralign.evals.lm_harness_files import NAMED, hashes
from iteralign.foreign.errors import short
from iteralign.protocols import Policy, Recorder, Weighty
from iteralign.records.iteralign import EvalReport
from iteralign.stats import estimate

PREFIX = "lm-eval:"
_FIRST = ("acc", "exact_match", "mc2")
"""Metrics that are taken for the main one before all others."""


def must_be_installed() -> str:
    """lm-eval's version. Raises ``RecipeError`` with the remedy where it is not installed."""
    try:
        return installed("lm_eval")
    except PackageNotFoundError as error:
        raise RecipeError(
            "tasks of lm-eval need lm-eval, which is not installed. Install it: pip install 'iteralign[eval]'"
        ) from error


class Harness:
    """``lm-eval:NAME``: one task or group of lm-eval, by its name or by the path of its YAML file.

    ``limit``: only the first so many items of each task. ``batch``: questions at once; ``context``: tokens,
    lower than the model's own. ``code``: a file may run Python. Raises ``RecipeError`` where lm-eval is not
    installed or knows no such task, and for a file that would run Python unasked; ``DataError`` for a file
    that names none.
    """

    def __init__(
        self,
        task: str,
        *,
        limit: int | None = None,
        batch: int = 16,
        context: int | None = None,
        code: bool = False,
    ) -> None:
        self._version = must_be_installed()
        self._limit = limit
        self._batch = batch
        self._context = context
        self._code = code
        self._file = Path(task).expanduser() if task.endswith((".yaml", ".yml")) else None
        self._task = task
        self._hash = ""
        self._files = dict[str, str]()
        if self._file is not None:
            self._task, self._hash = _named(self._file)
            if not code:
                must_hold_no_code(self._file, self._task)
            self._files = hashes(self._file)
        elif task not in (known := self._manager().all_tasks):
            near = difflib.get_close_matches(task, known, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise RecipeError(
                f"{PREFIX}{task}: lm-eval {self._version} has no such task.{hint} For one of your own give "
                "the path of its YAML file"
            )

    @property
    def name(self) -> str:
        """The task's name, with what runs it."""
        return PREFIX + self._task

    def run(self, policy: Policy, recorder: Recorder) -> EvalReport:
        """``per_item``: task and number of the item -> the main metric.

        Raises ``Unsupported`` where the weights are not at hand, ``DataError`` where lm-eval gives no value
        between 0 and 1 for each item.
        """
        if not isinstance(policy, Weighty):
            raise Unsupported(
                f"{self.name}: {type(policy).__name__} has no weights that lm-eval could run: take "
                "model.engine = hf"
            )
        report: EvalReport = recorder.once(self.name, EvalReport, _measured, policy, self)
        return report

    @property
    def fingerprint(self) -> list[object]:
        """What a report depends on beside the weights."""
        return [self._task, self._hash, self._files, self._limit, self._context, self._version]

    def _manager(self) -> Any:
        from lm_eval.tasks import TaskManager

        return (
            TaskManager()
            if self._file is None
            else TaskManager(include_path=str(self._file.parent), include_defaults=False)
        )

    def measured(self, policy: Policy) -> EvalReport:
        """The report, measured now."""
        import lm_eval
        from jinja2 import TemplateError

        assert isinstance(policy, Weighty)
        model = counting(*policy.weights(), batch_size=self._batch, max_length=self._context)
        try:
            with sandboxed(self._file is not None and not self._code):
                found = lm_eval.simple_evaluate(
                    model=model,
                    tasks=[self._task],
                    task_manager=self._manager(),
                    apply_chat_template=True,
                    log_samples=True,
                    bootstrap_iters=0,
                    limit=self._limit,
                )
        except (
            OSError,
            ValueError,
            KeyError,
            ImportError,
            ArithmeticError,  # of a template, which may raise whatever Python does
            TypeError,
            AttributeError,
            TemplateError,
        ) as error:  # its data are not there, or its file is not sound
            reason = short((str(error).strip() or type(error).__name__).splitlines()[0])
            raise DataError(
                f"{self.name}: lm-eval could not run it ({type(error).__name__}: {reason}). Check the "
                "task's file and data, and the connection if "
                "its data are on the hub"
            ) from error
        return self._report(policy.checkpoint.id, found, len(model.too_long))

    def _report(self, checkpoint: str, found: Mapping[str, Any], shortened: int) -> EvalReport:
        per_task = {
            task: items(task, rows, found.get("higher_is_better", {}).get(task, {}))
            for task, rows in found["samples"].items()
        }
        if not per_task:
            raise DataError(
                f"{self.name}: lm-eval logs no samples of it, so that nothing could be paired. Take another "
                "task"
            )
        main = {task: next(iter(metrics.items())) for task, metrics in per_task.items()}
        pooled = {
            f"{task}/{item}": value for task, (_, values) in main.items() for item, value in values.items()
        }
        metrics = {self.name: estimate(list(pooled.values()))}
        for task, by_metric in per_task.items():
            for metric, values in by_metric.items():
                alone = len(per_task) == 1
                if not (alone and metric == main[task][0]):
                    metrics[f"{self.name}/{metric if alone else f'{task}/{metric}'}"] = estimate(
                        list(values.values())
                    )
        facts = {
            "harness": f"lm-eval {self._version}",
            "metric": ", ".join(dict.fromkeys(metric for metric, _ in main.values())),
            "task_version": ", ".join(
                dict.fromkeys(str(found.get("versions", {}).get(t, "not told")) for t in per_task)
            ),
            "items": str(len(pooled)),
            "prompt": "in the model's chat format",
            "shortened": str(shortened),
        }
        if self._hash:
            facts["sha256"] = self._hash
        if self._files:
            facts["files"] = ", ".join(f"{name} {sha256[:12]}" for name, sha256 in self._files.items())
        if self._limit is not None:
            facts["sample"] = f"only the first {self._limit} items of each task: not a result to compare"
        return EvalReport(
            name=self.name, checkpoint=checkpoint, version="1", metrics=metrics, per_item=pooled, facts=facts
        )


def _measured(policy: Policy, harness: Harness) -> EvalReport:
    return harness.measured(policy)


def items(
    task: str, rows: Sequence[Mapping[str, Any]], higher: Mapping[str, Any]
) -> dict[str, dict[str, float]]:
    """Each metric's value for each item, the main one first.

    Those between 0 and 1 of which higher is known to be better. Of several filters the first counts.
    ``higher``: by metric, what lm-eval knows of its direction.

    Raises ``DataError`` where there is none.
    """
    filters = list(dict.fromkeys(str(r.get("filter", "none")) for r in rows))
    own = [r for r in rows if str(r.get("filter", "none")) == filters[0]] if rows else []
    told = list(dict.fromkeys(m for r in own for m in r.get("metrics", ())))
    shares = [m for m in told if all(_is_share(r.get(m)) for r in own)]
    usable = [m for m in shares if higher.get(m) is True]
    unknown = [m for m in shares if higher.get(m) is None]
    if unknown and not usable:
        raise DataError(
            f"{PREFIX}{task}: lm-eval does not know whether a higher {unknown[0]} is better. Say so in the "
            "task's YAML file, field "
            f"metric_list, beside metric: {unknown[0]}: higher_is_better: true (or false)"
        )
    if not usable:
        raise DataError(
            f"{PREFIX}{task}: none of its metrics ({', '.join(told) or 'none'}) is a number from 0 to 1 for "
            "each item, higher for better, "
            "so that there is no accuracy to compare. Take another task"
        )
    usable.sort(key=lambda m: _FIRST.index(m) if m in _FIRST else len(_FIRST))
    return {m: {str(r["doc_id"]): float(r[m]) for r in own} for m in usable}


def counting(weights: Any, tokenizer: Any, **settings: Any) -> Any:
    """lm-eval's model around these weights.

    It keeps in ``too_long`` the prompts that did not fit the context and were cut.
    """
    from lm_eval.models.huggingface import HFLM

    class Counting(HFLM):  # type: ignore[misc]
        too_long: ClassVar[set[Any]] = set()

        def _loglikelihood_tokens(self, requests: Any, *args: Any, **kwargs: Any) -> Any:
            self.too_long.update(
                tuple(asked)
                for _, asked, answer in requests
                if len(asked) + len(answer) > self.max_length + 1
            )
            return super()._loglikelihood_tokens(requests, *args, **kwargs)

        def tok_batch_encode(
            self, strings: Any, *args: Any, left_truncate_len: int | None = None, **kwargs: Any
        ) -> Any:
            if left_truncate_len:
                self.too_long.update(s for s in strings if len(self.tok_encode(s)) > left_truncate_len)
            return super().tok_batch_encode(strings, *args, left_truncate_len=left_truncate_len, **kwargs)

    return Counting(pretrained=weights, tokenizer=tokenizer, **settings)


def _is_share(value: Any) -> bool:
    """A number from 0 to 1, Python's or numpy's."""
    plain = value.item() if hasattr(value, "item") else value
    return isinstance(plain, bool | int | float) and 0 <= plain <= 1


def _named(file: Path) -> tuple[str, str]:
    """The task that a YAML file defines, and the hash of its text."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{PREFIX}{file}: cannot be read ({error})") from error
    found = NAMED.search(text)
    if found is None:
        raise DataError(
            f"{file}, field 'task': it is not there, so that the task has no name. Write a line task: NAME"
        )
    return found[1], hashlib.sha256(text.encode()).hexdigest()
