"""What in a YAML file of lm-eval would run as Python, and lm-eval's templates without a way to it.

lm-eval imports the modules that ``!function`` names, loads metrics that it does not know as scripts, and
renders templates with all of Python within reach. Reads files; runs nothing of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from iteralign.errors import DataError, RecipeError
from iteralign.evals.lm_harness_files import NAMED, reached
from iteralign.foreign.errors import short

_REMEDY = (
    "such a file runs Python of whoever wrote it. If you have read it and trust it: evaluation.lm_eval_code: "
    "true in the recipe, or `iteralign evaluate --trust-task-code`"
)


def must_hold_no_code(file: Path, task: str) -> None:
    """Check that a task's file, and all that lm-eval would read with it, runs no Python.

    Raises ``RecipeError`` naming file, line and remedy; ``DataError`` where a file cannot be read.
    """
    named = {p.resolve(): p for p in (file, *_same_name(file, task))}
    for path in [p for start in named.values() for p in reached(start)]:
        for line, why in _code(path):
            raise RecipeError(f"{path}, line {line}: {why}: {_REMEDY}")


def _same_name(file: Path, task: str) -> Iterator[Path]:
    """Other files of the folder that define the task: lm-eval may take one of them."""
    for path in sorted(file.parent.rglob("*.y*ml")):
        found = NAMED.findall(path.read_text("utf-8", "replace")) if path.is_file() else []
        if task in found:
            yield path


def _code(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file that would run as Python, each with what it is."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as YAML ({short(str(error))})") from error
    waiting = [root]
    seen = set[int]()
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        line = node.start_mark.line + 1
        if node.tag.startswith("!"):
            yield line, f"{short(f'{node.tag} {_plain(node)}')!a} names a function"
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                waiting += (key, value)
                line = value.start_mark.line + 1
                if _plain(key) == "metric" and not node.tag.startswith("!") and _unknown(_plain(value)):
                    yield (
                        line,
                        f"lm-eval has no metric {short(_plain(value))!a} and would load it as a script",
                    )
                if _plain(key) == "hf_evaluate" and _plain(value).lower() in ("true", "yes", "on"):
                    yield line, "hf_evaluate loads a metric as a script"


def _plain(node: yaml.Node) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _unknown(metric: str) -> bool:
    import lm_eval.api.metrics  # noqa: F401  (it fills the registry)
    from lm_eval.api.registry import metric_registry

    return bool(metric) and metric not in metric_registry


@contextmanager
def sandboxed(wanted: bool) -> Iterator[None]:
    """While it lasts, lm-eval's templates reach what they are given and nothing of Python."""
    if not wanted:
        yield
        return
    from jinja2 import BaseLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from lm_eval import utils

    before: Any = utils.env
    utils.env = ImmutableSandboxedEnvironment(
        loader=BaseLoader(), undefined=StrictUndefined, keep_trailing_newline=True
    )
    utils.env.filters.update(before.filters)
    try:
        yield
    finally:
        utils.env = before
