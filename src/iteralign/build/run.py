"""Starting a run of either method, and going on with one.

The top of the composition root: it composes a method's parts, hands them to the algorithm, and records how
the run begins and ends. Decides nothing about a method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, overload

from iteralign.algorithms.iteralign import iteralign
from iteralign.algorithms.self_align import self_align
from iteralign.build import iteralign as iteralign_parts
from iteralign.build import judges
from iteralign.build import self_align as self_align_parts
from iteralign.build.began import note_libraries
from iteralign.build.data import first_constitution
from iteralign.build.evals import tasks
from iteralign.build.forecast import must_be_able_to_pass, warnings_before
from iteralign.build.installed import must_be_installed
from iteralign.build.models import built_in_template, fetch, must_be_whole
from iteralign.build.oracle import must_be_allowed
from iteralign.errors import IterAlignError, StoreError
from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.load import AnyRecipe, kept, recipe_of, shared
from iteralign.recipe.self_align import SelfAlignRecipe
from iteralign.records.iteralign import RunResult
from iteralign.records.self_align import SelfAlignResult
from iteralign.report.evaluation import EVALUATION
from iteralign.report.products import write
from iteralign.report.stored import result_of
from iteralign.store.network import network_of
from iteralign.store.run import Event, Run
from iteralign.store.schema import flat, nested

Listener = Callable[[Event], None]

OLDER = (
    "this run was begun by an older version: its prompts are kept, and its steps are made anew; "
    "replies of paid servers come from the run's ledger where it has one"
)
PRODUCTS = ("records", "constitution", "examples", "preferences", "figure")
"""What a run of IterAlign leaves in ``exports/``."""


@overload
def start(recipe: Recipe, out: Path, listen: Listener | None = ...) -> RunResult: ...
@overload
def start(recipe: SelfAlignRecipe, out: Path, listen: Listener | None = ...) -> SelfAlignResult: ...
def start(recipe: AnyRecipe, out: Path, listen: Listener | None = None) -> RunResult | SelfAlignResult:
    """Run a recipe into the directory ``out``; a directory that holds the same run is resumed.

    The libraries are there, tasks are named, their data found, the gate is one that can pass, and models are
    fetched before the directory is made, so that a corrected recipe may take it. Raises ``IterAlignError``.
    """
    must_be_installed(recipe, training=True)
    must_be_allowed(recipe)
    tasks(shared(recipe))
    if not (out / "run.sqlite").exists():
        must_be_whole(recipe)
        judges.must_be_whole(shared(recipe))
    if isinstance(recipe, Recipe) and not (out / "run.sqlite").exists():
        if recipe.constitution:
            first_constitution(recipe.constitution)
        must_be_able_to_pass(recipe)
    said: list[str | None] = []
    if not (out / "run.sqlite").exists():
        fetch(recipe)
        judges.fetch(shared(recipe))
        said = [*warnings_before(recipe, out), built_in_template(recipe)]
    settings = recipe.model_dump(mode="json")
    with Run.create(out, settings, recipe.to_yaml(), complete=partial(_completed, settings)) as run:
        return carry_on(run, listen, [text for text in said if text is not None])


def must_be_resumable(recipe: AnyRecipe, directory: Path) -> None:
    """Check that the run in a directory is one of this recipe. Raises ``RunMismatch`` and ``StoreError``."""
    settings = recipe.model_dump(mode="json")
    with Run.open(directory, readonly=True) as run:
        Run.same(run, settings, partial(_completed, settings))


def resume(
    directory: Path, changes: Mapping[str, Any] | None = None, listen: Listener | None = None
) -> RunResult | SelfAlignResult:
    """Continue a run where it stopped.

    ``changes`` may only extend it (``stop.*``), raise its budget, or reach servers in another way. Raises
    ``IterAlignError``.
    """
    with Run.open(directory, changes=changes) as run:
        return carry_on(run, listen)


def carry_on(
    run: Run, listen: Listener | None = None, said: Sequence[str] = ()
) -> RunResult | SelfAlignResult:
    """Take the run from wherever it stands to its end. ``said``: warnings that come first.

    Raises ``StoreError`` for the directory of an evaluation.
    """
    if run.noted(EVALUATION) is not None:
        raise StoreError(
            f"{run.directory} holds an evaluation, and no run to go on with: give the same command "
            "`iteralign evaluate` again, and what is measured is taken from there"
        )
    recipe = kept(run.settings, run.directory)
    if run.has_older_keys:
        if (finished := _finished(run)) is not None:
            return finished
        run.event("warning", text=OLDER)
    must_be_installed(recipe, training=True)
    must_be_allowed(recipe)
    if isinstance(recipe, SelfAlignRecipe):
        with watched(run, listen, said):
            aligned = self_align(run, recipe, self_align_parts.parts(run, recipe))
        run.event("run", state="finished", reason="all stages are done")
        return aligned
    with watched(run, listen, said):
        result = iteralign(run, recipe, iteralign_parts.parts(run, recipe))
    for product in PRODUCTS:
        write(run, product)
    run.event("run", state="finished", reason=result.stop_reason)
    return result


_LATER: Final = (".min_lessons", "model.thoughts", "oracle.intent", "screen.rules", ".keep_adapter")
"""Keys whose default changed what a run does, so that a run without them goes on without."""


def _completed(wanted: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a run, with the defaults of keys that it was begun without.

    A run without one of ``_LATER`` goes on as it did: another value now does not count as a difference. Nor
    does ``keep_adapter: auto``, whose decision is noted with the run.
    """
    found = flat(recipe_of(settings).model_dump(mode="json"))
    known = flat(settings)
    found |= {k: v for k, v in flat(wanted).items() if k.endswith(_LATER) and k not in known}
    found |= {k: v for k, v in flat(wanted).items() if k.endswith(".keep_adapter") and v == "auto"}
    return nested(found)


def _finished(run: Run) -> RunResult | SelfAlignResult | None:
    """The result of a run that is finished and was not extended since."""
    ended = [e.seq for e in run.events("run") if e.fields["state"] == "finished"]
    changed = [e.seq for e in run.events("settings")]
    if not ended or (changed and changed[-1] > ended[-1]):
        return None
    found: RunResult | SelfAlignResult | None = result_of(run)
    return found


@contextmanager
def watched(run: Run, listen: Listener | None, said: Sequence[str] = ()) -> Iterator[None]:
    """Record how a run begins, and why it stops before its end; ``listen`` hears all events."""
    if listen is not None:
        run.listen(listen)
    run.event("run", state="started")
    note_libraries(run)
    for text in said:
        run.event("warning", text=text)
    _warn_of_a_network(run)
    try:
        yield
    except KeyboardInterrupt:
        run.event("run", state="interrupted")
        raise
    except IterAlignError as error:
        run.event("run", state="stopped", reason=str(error))
        raise


def _warn_of_a_network(run: Run) -> None:
    """Say once where the run's lock may not hold."""
    kind = network_of(run.directory)
    if kind is None or any(e.fields.get("about") == "network" for e in run.events("warning")):
        return
    text = (
        f"{run.directory} lies on a network file system ({kind}): its lock keeps other processes of this "
        "machine out, and those of other machines only where the server passes locks on. Let one machine at "
        "a time work on it; a local disk is faster, too"
    )
    run.event("warning", text=text, about="network")
