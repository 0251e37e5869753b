"""The tasks of ``iteralign evaluate`` by their names, and where the data of each are found.

A part of the composition root. Makes no evaluation: that is ``evaluations``' affair.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from iteralign.build.harness import HARNESS
from iteralign.data.columns import Columns, parse_columns
from iteralign.data.hub import hub_file
from iteralign.errors import DataError, RecipeError
from iteralign.evals.tasks import TASKS, Task

DATA_VARIABLE: Final = "ITERALIGN_DATA"
PROMPTED: Final = ("harm", "over-refusal")
"""Tasks whose data are prompts: a file, a known set's name, or a set on the hub."""
LABELS: Final = "labels"
"""What the columns of a file of labelled answers stand under, beside those of tasks."""
Source = str | Path
"""Where a task's data are: a path, ``hub:OWNER/NAME/FILE``, or for ``PROMPTED`` also a set's name."""


def known() -> list[Task]:
    """Return the tasks that are made here, in the order in which they are listed."""
    return list(TASKS.values())


def chosen(names: Sequence[str]) -> list[Task]:
    """Return the tasks of these names, in order. Raises ``RecipeError`` naming the nearest known one."""
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
    """Read ``--tasks`` and ``--data``: the tasks, the folder of data sets, and the data that are named.

    A task may name its data itself: ``TASK=FILE``, ``TASK=hub:OWNER/NAME/FILE``. Raises ``RecipeError`` and
    ``DataError``.
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
    """Read ``--data``: a folder that holds data sets, or ``TASK=FILE``, FILE also as ``hub:OWNER/NAME/FILE``.

    Raises ``DataError``.
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
            near = difflib.get_close_matches(name.lower(), TASKS, 1) if eq else []
            hint = f" Did you mean {near[0]}={path}?" if near else ""
            raise DataError(
                f"--data {value}: neither a folder nor TASK=FILE with a known task.{hint} "
                f"Known: {', '.join(TASKS)}"
            )
    return folder, files


def _source(name: str, where: str) -> Source:
    """Return a hub address, or a set's name where prompts are asked for, as it is; else a path."""
    return where if where.startswith("hub:") or name in PROMPTED else Path(where).expanduser()


def find(task: Task, folder: Path | None, files: Mapping[str, Source]) -> Path:
    """Return the file of a task's data: named, on the hub, in the folder, or in ``$ITERALIGN_DATA``.

    Raises ``DataError`` that says where it was looked for.
    """
    named = source_of(task, files)
    if isinstance(named, str):
        return hub_file(named.removeprefix("hub:"), task.files)
    if named is not None:
        if not named.is_file():
            raise DataError(f"--data {task.name}={named}: no such file")
        return named
    roots = [] if folder is None else [folder]
    if os.environ.get(DATA_VARIABLE):
        roots.append(Path(os.environ[DATA_VARIABLE]).expanduser())
    for root in roots:
        for name in task.files:
            if (root / name).is_file():
                return root / name
    looked = ", ".join(str(r) for r in roots) or f"no folder was given (--data DIR, or {DATA_VARIABLE})"
    wanted = task.files[0] if task.files else "a file"
    raise DataError(
        f"{task.name}: its data were not found. Looked for {wanted} in {looked}. "
        f"Give --data {task.name}=FILE, or --data {task.name}=hub:OWNER/NAME/FILE"
    )


def source_of(task: Task, files: Mapping[str, Source]) -> Source | None:
    """Return the data that are named for a task, for all of TruthfulQA's, or for both of HHH's."""
    return files.get(task.name) or files.get(_shared(task))


def columns_of(task: Task, columns: Mapping[str, Columns]) -> Columns | None:
    """Return how the fields of a task's file are called, in the same way."""
    return columns.get(task.name) or columns.get(_shared(task))


def _shared(task: Task) -> str:
    return next((s for s in ("truthfulqa", "hhh") if task.name.startswith(s)), "")


def columns_by_task(
    given: Sequence[str], names: Sequence[str], data: Sequence[str], *, labelled: bool = False
) -> dict[str, dict[str, str]]:
    """Read ``--columns [TASK:]NAME=FIELD,...`` of ``evaluate``; ``labels`` stands for the labelled answers.

    Without a task it is for every file that ``--tasks`` and ``--data`` name, and where they name none for the
    labels if there are some (``labelled``), else for the tasks. Raises ``DataError`` where nothing that is
    read would have these columns.
    """
    _, files = places([d for d in data if "=" in d])
    own = [n.partition("=")[0].strip() for n in names]
    named = [*files, *(n.partition("=")[0].strip() for n in names if "=" in n)]
    if not named:
        named = [LABELS] if labelled else [n for n in own if n in TASKS]
    found: dict[str, dict[str, str]] = {}
    for text in given:
        head, colon, rest = text.partition(":")
        whose = head.strip()
        prefixed = colon and (whose in TASKS or whose in (LABELS, "truthfulqa"))
        if colon and not prefixed and "=" not in whose:
            tasks = (LABELS, "truthfulqa", *TASKS)
            near = difflib.get_close_matches(whose.lower(), tasks, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise DataError(f"--columns {text}: {whose!r} is no task.{hint} Known: {', '.join(tasks)}")
        if not (prefixed or named):
            raise DataError(f"--columns {text}: for none of the tasks. Write --columns TASK:{text.strip()}")
        if whose == LABELS and prefixed and not labelled:
            raise DataError(f"--columns {text}: no --labels FILE is given, whose columns these would be")
        for name in [whose] if prefixed else named:
            found.setdefault(name, {}).update(parse_columns(rest if prefixed else text))
    return found
