"""The Python interface: ``align`` and ``self_align`` run recipes, ``evaluate`` measures a model, ``load_run``
opens what a run left.

Everything that the command line can do is done by these and by ``build``; nothing here prints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from iteralign.build import iteralign as build
from iteralign.recipe.iteralign import Recipe, load_recipe
from iteralign.recipe.self_align import SelfAlignRecipe, load_self_align
from iteralign.records.iteralign import RunResult
from iteralign.records.self_align import SelfAlignResult
from iteralign.store.run import Event, Run


def align(
    recipe: Recipe | str | Path = "embedded",
    out: str | Path = "runs/embedded",
    *,
    overrides: Sequence[str] = (),
    listen: Callable[[Event], None] | None = None,
) -> RunResult:
    """Align a model as the recipe says and return what came of it; everything is kept in the run directory
    ``out``.

    ``recipe``: a Recipe, a YAML file, or the name of a shipped one. ``overrides``: ``["stop.iterations=5",
    ...]``. A directory that already holds this run is resumed. Raises ``IterAlignError`` with a message for
    its user.
    """
    if isinstance(recipe, Recipe):
        if overrides:
            raise TypeError(
                "overrides go with a recipe's file or name; build the Recipe with the values instead"
            )
        return build.start(recipe, Path(out), listen)
    return build.start(load_recipe(recipe, overrides), Path(out), listen)


def self_align(
    recipe: SelfAlignRecipe | str | Path = "embedded-self-align",
    out: str | Path = "runs/embedded-self-align",
    *,
    overrides: Sequence[str] = (),
    listen: Callable[[Event], None] | None = None,
) -> SelfAlignResult:
    """Self-Align a model as the recipe says (arXiv 2305.03047) and return what came of it; everything is kept
    in the run directory ``out``.

    ``recipe``: a SelfAlignRecipe, a YAML file, or the name of a shipped one. A directory that already holds
    this run is resumed. Raises ``IterAlignError`` with a message for its user.
    """
    from iteralign.build import self_align as build_self_align

    if isinstance(recipe, SelfAlignRecipe):
        if overrides:
            raise TypeError(
                "overrides go with a recipe's file or name; build the SelfAlignRecipe with the values instead"
            )
        return build_self_align.start(recipe, Path(out), listen)
    return build_self_align.start(load_self_align(recipe, overrides), Path(out), listen)


def evaluate(
    model: str = "organism",
    tasks: Sequence[str] = ("harm", "over-refusal", "capability"),
    out: str | Path = "runs/evaluation",
    *,
    data: Sequence[str] = (),
    parent: str | None = None,
    recipe: Recipe | str | Path = "embedded",
    overrides: Sequence[str] = (),
    limit: int | None = None,
    labels: str | Path | None = None,
    listen: Callable[[Event], None] | None = None,
) -> list[dict[str, Any]]:
    """Measure a model on tasks and return one object for each, with value, 95% interval, n and what the data
    were; kept in the directory ``out``.

    ``data``: a folder that holds data sets, or ``TASK=FILE``. ``parent``: a model to compare with, item by
    item. ``recipe``: engine, oracle and held-out prompts. ``limit``: only the first so many items of each
    task. ``labels``: answers that people have labelled, to measure the judge with. Raises ``IterAlignError``.
    """
    from iteralign.build.measuring import evaluate as measure

    base = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, overrides)
    chosen = base.model_copy(update={"model": base.model.model_copy(update={"name": model})})
    return measure(
        chosen,
        tasks,
        Path(out),
        data=data,
        parent=parent,
        limit=limit,
        labels=None if labels is None else Path(labels),
        listen=listen,
    )


def load_run(directory: str | Path) -> Run:
    """Open a run directory for reading, also while another process works on it."""
    return Run.open(Path(directory), readonly=True)
