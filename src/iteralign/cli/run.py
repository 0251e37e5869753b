"""The commands ``run`` and ``resume``, and what runs of both methods print: parse, call, print."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from iteralign.cli.options import (
    AllowOption,
    ColumnsOption,
    JsonOption,
    ModelOption,
    OutOption,
    QuietOption,
    RecipeArgument,
    RedTeamOption,
    RunArgument,
    SeedOption,
    SetOption,
    emit,
    heard,
    overrides,
    resumable,
    stdout_for_json,
)
from iteralign.errors import RecipeError

if TYPE_CHECKING:
    from iteralign.recipe.load import AnyRecipe

ExtendOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Extend the run (stop.iterations=5), raise budget.*, or reach a server in another way.",
        callback=heard,
    ),
]


DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run", "--plan", help="Only tell what the run would take; nothing is started or written."
    ),
]
HardwareOption = Annotated[
    str | None,
    typer.Option(
        "--hardware",
        metavar="NAME[xN]",
        help="With --plan: on what, instead of the device here; h200, h100, a100, l40s, 4090, l4 or cpu.",
    ),
]


def run(
    recipe: RecipeArgument = "embedded",
    out: OutOption = None,
    red_team: RedTeamOption = None,
    columns: ColumnsOption = None,
    model: ModelOption = None,
    seed: SeedOption = None,
    sets: SetOption = None,
    allow_hosts: AllowOption = None,
    dry_run: DryRunOption = False,
    hardware: HardwareOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Align a model as a recipe says.

    Without a recipe: the embedded model and oracle. A directory that holds the same run is resumed.
    """
    from iteralign.recipe.load import load_recipe

    chosen = load_recipe(recipe, overrides(sets, model=model, red_team=red_team, seed=seed, columns=columns))
    must_be_planned(hardware, planned=dry_run)
    if dry_run:
        show_plan(chosen, as_json, hardware, out=out or default_directory(chosen))
        return
    start_run(chosen, out, as_json, quiet)


def must_be_planned(hardware: str | None, *, planned: bool) -> None:
    """Check that hardware is named for a plan alone. Raises ``RecipeError``."""
    if hardware is not None and not planned:
        raise RecipeError("--hardware only goes with --plan: a run takes the hardware that is there")


def default_directory(recipe: AnyRecipe) -> Path:
    """Where a run goes that names no directory: the same command given again resumes it."""
    return Path("runs") / f"{recipe.name}-seed{recipe.seed}"


def start_run(recipe: AnyRecipe, out: Path | None, as_json: bool, quiet: bool) -> None:
    """Show the plan of a run of either method, run it, and print what it came to."""
    directory = out or default_directory(recipe)
    with resumable(directory), stdout_for_json(as_json):
        from iteralign.build.forecast import forecast, free_bytes
        from iteralign.build.installed import must_be_installed
        from iteralign.build.models import must_be_whole
        from iteralign.build.run import must_be_resumable, start
        from iteralign.report.console import Reporter

        must_be_installed(recipe, training=True)
        with Reporter(sys.stdout, quiet=quiet) as reporter:
            there = (directory / "run.sqlite").exists()
            if there:
                must_be_resumable(recipe, directory)
            else:
                must_be_whole(recipe)
            plan = forecast(recipe) | {"disk_free": free_bytes(directory)}
            if recipe.method == "self-align":
                reporter.lines(plan_lines(recipe, plan, str(directory)))
            else:
                reporter.plan(plan, recipe.model_dump(mode="json"), str(directory), resumed=there)
            start(recipe, directory, reporter)
    show_result(directory, as_json)


def resume(
    run: RunArgument,
    sets: ExtendOption = None,
    allow_hosts: AllowOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Continue a run where it stopped, or extend a finished one."""
    with resumable(run), stdout_for_json(as_json):
        from iteralign.api import load_run
        from iteralign.build.run import resume as go_on
        from iteralign.recipe.load import changes
        from iteralign.report.console import Reporter

        with load_run(run) as stopped:
            settings = stopped.settings
        wanted = changes(settings, sets or (), f"the recipe of {run}")
        with Reporter(sys.stdout, quiet=quiet) as reporter:
            if settings.get("method") == "self-align":
                reporter.lines([])  # the steps bear their stages' numbers
            go_on(run, wanted, reporter)
    show_result(run, as_json)


def plan_lines(recipe: AnyRecipe, plan: Mapping[str, Any], out: str | None = None) -> list[str]:
    """Return a plan of either method in words."""
    from iteralign.report import forecast_self_align
    from iteralign.report import plan as loop_plan

    settings = recipe.model_dump(mode="json")
    if recipe.method == "self-align":
        return forecast_self_align.plan_lines(plan, settings, out)
    return loop_plan.plan_lines(plan, settings, out)


def show_plan(recipe: AnyRecipe, as_json: bool, hardware: str | None = None, out: Path | None = None) -> None:
    """Print what a run of either method would take. Nothing is started or written.

    Raises ``EngineError`` where the model's folder is not whole, ``RecipeError`` after the plan where no
    candidate could pass the gate.
    """
    from iteralign.build.forecast import forecast, must_be_able_to_pass
    from iteralign.build.models import must_be_whole
    from iteralign.report.console import Reporter

    must_be_whole(recipe, planned=True)
    plan = forecast(recipe, hardware)
    if as_json:
        emit({"recipe": recipe.name, "plan": plan}, as_json)
    else:
        with Reporter(sys.stdout) as reporter:
            reporter.lines(plan_lines(recipe, plan, None if out is None else str(out)))
            if "chat_template" in plan:
                reporter.lines([plan["chat_template"], ""])
    if recipe.method != "self-align":
        must_be_able_to_pass(recipe)


def show_result(directory: Path, as_json: bool) -> None:
    """Print what a run of either method came to."""
    from iteralign.api import load_run
    from iteralign.report.console import console

    with load_run(directory) as done:
        if done.settings.get("method") == "self-align":
            from iteralign.report import self_align

            data = self_align.summary(done)
            if not as_json:
                self_align.print_result(console(sys.stdout), data)
        else:
            from iteralign.report import findings, summary, tables

            data = summary.summary(done)
            if not as_json:
                tables.print_result(console(sys.stdout), data, findings.before_after(done))
    if as_json:
        emit(data, as_json)
