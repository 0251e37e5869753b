"""The commands ``run`` and ``resume``: parse, call, print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from iteralign.cli.options import (
    JsonOption,
    ModelOption,
    QuietOption,
    RecipeArgument,
    RedTeamOption,
    RunArgument,
    SeedOption,
    SetOption,
    emit,
    resolve,
    resumable,
    stdout_for_json,
)
from iteralign.cli.self_align import show_result

OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="The run directory. Default: runs/<recipe's name>-seed<N>."),
]
ExtendOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Extend the run (stop.iterations=5), raise budget.*, or reach a server in another way.",
    ),
]


def run(
    recipe: RecipeArgument = "embedded",
    out: OutOption = None,
    red_team: RedTeamOption = None,
    model: ModelOption = None,
    seed: SeedOption = None,
    sets: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Align a model as a recipe says.

    Without a recipe: the embedded model and oracle. A directory that holds the same run is resumed.
    """
    chosen = resolve(recipe, sets, model=model, red_team=red_team, seed=seed)
    directory = out or Path("runs") / f"{chosen.name}-seed{chosen.seed}"
    with resumable(directory), stdout_for_json(as_json):
        from iteralign.build import iteralign as build
        from iteralign.report.console import Reporter

        with Reporter(sys.stdout, quiet=quiet) as reporter:
            there = (directory / "run.sqlite").exists()
            reporter.plan(
                build.forecast(chosen), chosen.model_dump(mode="json"), str(directory), resumed=there
            )
            build.start(chosen, directory, reporter)
    _result(directory, as_json)


def resume(
    run: RunArgument, sets: ExtendOption = None, as_json: JsonOption = False, quiet: QuietOption = False
) -> None:
    """Continue a run where it stopped, or extend a finished one."""
    with resumable(run), stdout_for_json(as_json):
        from iteralign.api import load_run
        from iteralign.build import iteralign as build
        from iteralign.build import self_align as build_self_align
        from iteralign.recipe.iteralign import Recipe, changes
        from iteralign.recipe.self_align import SelfAlignRecipe
        from iteralign.report.console import Reporter

        with load_run(run) as stopped:
            self_align = stopped.settings.get("method") == "self-align"
            wanted = changes(
                stopped.settings,
                sets or (),
                f"the recipe of {run}",
                SelfAlignRecipe if self_align else Recipe,
            )

        with Reporter(sys.stdout, quiet=quiet) as reporter:
            if self_align:
                reporter.lines([])
                build_self_align.resume(run, wanted, reporter)
            else:
                build.resume(run, wanted, reporter)
    if self_align:
        show_result(run, as_json)
    else:
        _result(run, as_json)


def _result(directory: Path, as_json: bool) -> None:
    from iteralign.api import load_run
    from iteralign.report.console import console
    from iteralign.report.findings import before_after
    from iteralign.report.summary import summary
    from iteralign.report.tables import print_result

    with load_run(directory) as done:
        data = summary(done)
        if as_json:
            emit(data, as_json)
        else:
            print_result(console(sys.stdout), data, before_after(done))
