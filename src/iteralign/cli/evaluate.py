"""The command ``evaluate``: parse, call, print."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from iteralign.cli.options import (
    AllowOption,
    ColumnsOption,
    JsonOption,
    ModelOption,
    QuietOption,
    RecipeOption,
    SeedOption,
    SetOption,
    emit,
    overrides,
    resumable,
    stdout_for_json,
)

DEFAULT = "harm,over-refusal,capability"


def evaluate(
    model: ModelOption = None,
    tasks: Annotated[
        str,
        typer.Option(
            "--tasks", metavar="A,B,...", help="What to measure, also with its data: TASK=FILE. --list tells."
        ),
    ] = DEFAULT,
    parent: Annotated[
        str | None, typer.Option("--parent", metavar="P", help="A model to compare with, item by item.")
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help=(
                "A folder of data sets, TASK=FILE, or TASK=hub:OWNER/NAME/FILE; repeatable. Also: "
                "ITERALIGN_DATA."
            ),
        ),
    ] = None,
    columns: ColumnsOption = None,
    recipe: RecipeOption = "embedded",
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            min=1,
            metavar="N",
            help="A seeded sample of N items of each task, from all categories.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="The directory of the results. Default: runs/evaluate-<model>-seed<N>.",
        ),
    ] = None,
    listing: Annotated[
        bool,
        typer.Option("--list", help="Tell what each task measures, its source, chance level and licence."),
    ] = False,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels", metavar="FILE", help="Answers that people have labelled, to measure the judge with."
        ),
    ] = None,
    lm_eval: Annotated[
        Path | None,
        typer.Option(
            "--lm-eval",
            metavar="DIR",
            help="Write the tasks as lm-eval task files into this folder, and measure nothing.",
        ),
    ] = None,
    trust_task_code: Annotated[
        bool,
        typer.Option(
            "--trust-task-code",
            help="YAML files of lm-eval may run Python: only for files that you have read.",
        ),
    ] = False,
    seed: SeedOption = None,
    sets: SetOption = None,
    allow_hosts: AllowOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure a model: HHH, TruthfulQA, harm, over-refusal, capability.

    With --json one object per task, a line each. Given again, finished parts are taken from the directory.
    """
    if listing:
        _list(as_json)
        return
    from iteralign.recipe.load import load_recipe

    if lm_eval is not None:
        from iteralign.build.evaluations_lm_eval import write_lm_eval
        from iteralign.build.tasks import requested

        chosen = load_recipe(recipe, overrides(sets, model=model, seed=seed))
        wanted = requested(tasks.split(","), data or ())
        written = write_lm_eval(*wanted, lm_eval, limit=limit, seed=chosen.seed)
        names = ",".join(p.stem for p in written if p.suffix == ".yaml")
        use = f"lm_eval --include_path {lm_eval} --apply_chat_template --tasks {names}"
        emit({"files": [str(p) for p in written], "use": use}, as_json)
        return
    given = overrides(sets, model=model, seed=seed)
    if trust_task_code:
        from iteralign.recipe.yaml import override

        given.append(override("evaluation.lm_eval_code=true"))
    if columns:
        from iteralign.build.tasks import columns_by_task
        from iteralign.recipe.yaml import Override

        by_task = columns_by_task(columns, tasks.split(","), data or (), labelled=labels is not None)
        place = f"--columns {','.join(columns)}"
        given += [Override(f"evaluation.columns.{name}", own, place) for name, own in by_task.items()]
    chosen = load_recipe(recipe, given)
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", chosen.model.name).strip("-.")[-60:] or "model"
    directory = out or Path("runs") / f"evaluate-{slug}-seed{chosen.seed}"
    again = "Give the same command again: what is measured is taken from there"
    with resumable(directory, again), stdout_for_json(as_json):
        from iteralign.build.measuring import evaluate as measure
        from iteralign.report.console import Reporter

        with Reporter(sys.stdout, quiet=quiet, phase="evaluation") as reporter:
            done = measure(
                chosen,
                tasks.split(","),
                directory,
                data=data or (),
                parent=parent,
                limit=limit,
                labels=labels,
                listen=reporter,
            )
    if as_json:
        for task in done:
            print(json.dumps(task))
        return
    from iteralign.report.console import console
    from iteralign.report.scores import print_evaluation

    print_evaluation(console(sys.stdout), done, str(directory))


def _list(as_json: bool) -> None:
    from dataclasses import asdict

    from iteralign.build.harness import HARNESS
    from iteralign.build.tasks import known

    for task in known():
        if as_json:
            print(json.dumps(asdict(task)))
        else:
            judge = "; needs an oracle" if task.judged else ""
            typer.echo(
                f"{task.name}\n  {task.measures}{judge}\n  source {task.source}; licence {task.licence}; "
                f"chance {task.chance}"
            )
    if not as_json:
        typer.echo(
            f"{HARNESS}NAME\n  any task of lm-eval by its name, or the path of its YAML file (pip install "
            "'iteralign[eval]')"
        )
