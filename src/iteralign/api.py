"""The Python interface: run recipes, measure a model, open what a run left.

Everything that the command line can do is done by these functions and by ``build``; nothing here prints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from iteralign.build.consent import consent
from iteralign.build.run import start
from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.load import Kind, kept, load_recipe
from iteralign.recipe.self_align import SelfAlignRecipe
from iteralign.recipe.yaml import Override, override
from iteralign.records.iteralign import RunResult
from iteralign.records.self_align import SelfAlignResult
from iteralign.store.run import Event, Run

Overrides = Sequence[str] | Mapping[str, Any]
"""Keys of a recipe with other values: ``["stop.iterations=5"]``, ``{"stop.iterations": 5}`` or
``{"stop": {"iterations": 5}}``."""


def align(
    recipe: Recipe | str | Path = "embedded",
    out: str | Path = "runs/embedded",
    *,
    overrides: Overrides = (),
    allow_hosts: Sequence[str] = (),
    listen: Callable[[Event], None] | None = None,
) -> RunResult:
    """Align a model as the recipe says (IterAlign, arXiv 2403.18341) and return what came of it.

    ``recipe``: a Recipe, a YAML file, or the name of a shipped one. ``overrides``:
    ``{"stop.iterations": 5}``, or ``["stop.iterations=5"]``. ``listen`` hears each event: its ``kind``
    (``step``, ``warning``, ``iteration``, ``run``), ``fields`` and ``time``. ``allow_hosts``: where the
    recipe may send keys, beside addresses of ``overrides`` and what was confirmed before. Everything is kept
    in the run directory ``out``; one that already holds this run is resumed. Raises ``IterAlignError`` with a
    message for its user.
    """
    with _given(allow_hosts, overrides):
        return start(_chosen(recipe, overrides, Recipe), Path(out), listen)


def self_align(
    recipe: SelfAlignRecipe | str | Path = "embedded-self-align",
    out: str | Path = "runs/embedded-self-align",
    *,
    overrides: Overrides = (),
    allow_hosts: Sequence[str] = (),
    listen: Callable[[Event], None] | None = None,
) -> SelfAlignResult:
    """Align a model as the recipe says (Self-Align, arXiv 2305.03047) and return what came of it.

    ``recipe``: a SelfAlignRecipe, a YAML file, or the name of a shipped one. ``overrides``, ``allow_hosts``
    and ``listen``: as ``align`` takes them. Everything is kept in the run directory ``out``; one that already
    holds this run is resumed. Raises ``IterAlignError`` with a message for its user.
    """
    with _given(allow_hosts, overrides):
        return start(_chosen(recipe, overrides, SelfAlignRecipe), Path(out), listen)


def _chosen(recipe: Kind | str | Path, overrides: Overrides, kind: type[Kind]) -> Kind:
    if isinstance(recipe, str | Path):
        return load_recipe(recipe, _listed(overrides), kind=kind)
    if overrides:
        raise TypeError(
            f"overrides go with a recipe's file or name; build the {kind.__name__} with the values instead"
        )
    return recipe


@contextmanager
def _given(hosts: Sequence[str], overrides: Overrides) -> Iterator[None]:
    """Within the block keys may go to these hosts, and to the addresses among the overrides."""
    with consent() as said:
        said.allow([hosts] if isinstance(hosts, str) else hosts)
        for o in map(_override, _listed(overrides)):
            said.typed(o.key, o.value)
        yield


def _override(given: str | Override) -> Override:
    return override(given) if isinstance(given, str) else given


def _listed(overrides: Overrides) -> list[str | Override]:
    if isinstance(overrides, str):
        return [overrides]
    return list(_flat(overrides)) if isinstance(overrides, Mapping) else list(overrides)


def _flat(overrides: Mapping[str, Any], section: str = "") -> Iterator[Override]:
    for name, value in overrides.items():
        key = f"{section}{name}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{key}.")
        else:
            yield Override(key, value, f"overrides[{key!r}]")


def evaluate(
    model: str = "organism",
    tasks: str | Sequence[str] = ("harm", "over-refusal", "capability"),
    out: str | Path = "runs/evaluation",
    *,
    data: str | Path | Sequence[str | Path] = (),
    parent: str | None = None,
    recipe: Recipe | str | Path = "embedded",
    overrides: Overrides = (),
    allow_hosts: Sequence[str] = (),
    limit: int | None = None,
    labels: str | Path | None = None,
    listen: Callable[[Event], None] | None = None,
) -> list[dict[str, Any]]:
    """Measure a model on tasks and return one object for each.

    An object holds the value with its 95% interval and n, and what the data were; all is kept in the
    directory ``out``. ``tasks``: a list, or one text as ``"hhh,harm"``. ``data``: a folder that holds data
    sets, ``TASK=FILE``, or a list of such. ``parent``: a model to compare with, item by item. ``recipe``:
    engine, oracle and held-out prompts. ``overrides``, ``allow_hosts`` and ``listen``: as ``align`` takes
    them. ``limit``: a seeded sample of so many items of each task. ``labels``: answers that people have
    labelled, to measure the judge with. Raises ``IterAlignError``.
    """
    from iteralign.build.measuring import evaluate as measure

    base = _chosen(recipe, overrides, Recipe)
    given = [data] if isinstance(data, str | Path) else data
    chosen = base.model_copy(update={"model": base.model.model_copy(update={"name": model})})
    with _given(allow_hosts, overrides):
        return measure(
            chosen,
            tasks.split(",") if isinstance(tasks, str) else tasks,
            Path(out),
            data=[str(d) for d in given],
            parent=parent,
            limit=limit,
            labels=None if labels is None else Path(labels),
            listen=listen,
        )


def load_run(directory: str | Path) -> Run:
    """Open a run directory for reading, also while another process works on it."""
    run = Run.open(Path(directory), readonly=True)
    with ExitStack() as undo:
        undo.callback(run.close)
        kept(run.settings, run.directory)
        undo.pop_all()  # it can be read: whoever asked for it closes it
    return run
