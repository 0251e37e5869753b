"""Each stage alone, over JSONL files, and ``oracle check``: parse, call, print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from iteralign.cli.options import (
    AllowOption,
    ColumnsOption,
    JsonOption,
    ModelOption,
    OutFolder,
    RecipeOption,
    RedTeamOption,
    SeedOption,
    SetOption,
    alone,
    emit,
    named_columns,
    overrides,
    stdout_for_json,
)

oracle_app = typer.Typer(help="The oracle.", no_args_is_help=True, rich_markup_mode=None)

OutFile = Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write.", show_default=False)]
JudgedFile = Annotated[
    Path,
    typer.Argument(
        metavar="JUDGED",
        help="What `iteralign judge` wrote, or answers with people's labels.",
        show_default=False,
    ),
]


def red_team(
    out: OutFile,
    recipe: RecipeOption = "embedded",
    prompts: RedTeamOption = None,
    columns: ColumnsOption = None,
    model: ModelOption = None,
    seed: SeedOption = None,
    sets: SetOption = None,
    allow_hosts: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stage 1: put red-team prompts to a model."""
    from iteralign.build.standalone import stage_red_team
    from iteralign.recipe.load import load_recipe

    chosen = load_recipe(recipe, overrides(sets, model=model, red_team=prompts, seed=seed, columns=columns))
    alone(stage_red_team, chosen, out, as_json=as_json)


def judge(
    responses: Annotated[
        Path,
        typer.Argument(
            metavar="RESPONSES",
            help="What `iteralign red-team` wrote, or rows with a prompt and a response.",
            show_default=False,
        ),
    ],
    out: OutFile,
    columns: ColumnsOption = None,
    recipe: RecipeOption = "embedded",
    sets: SetOption = None,
    allow_hosts: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stage 2: have the oracle judge the answers."""
    from iteralign.build.standalone import stage_judge
    from iteralign.recipe.load import load_recipe

    chosen = load_recipe(recipe, overrides(sets))
    alone(stage_judge, chosen, responses, out, as_json=as_json, columns=columns)


def propose(
    judged: JudgedFile,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Where to write the constitution: .json, .yaml or .md.",
            show_default=False,
        ),
    ],
    constitution: Annotated[
        Path | None, typer.Option("--constitution", metavar="FILE", help="A constitution to extend.")
    ] = None,
    columns: ColumnsOption = None,
    recipe: RecipeOption = "embedded",
    seed: SeedOption = None,
    sets: SetOption = None,
    allow_hosts: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stage 3: have the oracle propose principles.

    It sees the improper answers and the prompts that led to them; the result is one constitution without
    repeats.
    """
    from iteralign.build.standalone import stage_propose
    from iteralign.recipe.load import load_recipe

    chosen = load_recipe(recipe, overrides(sets, seed=seed))
    alone(stage_propose, chosen, judged, constitution, out, as_json=as_json, columns=columns)


def reflect(
    judged: JudgedFile,
    constitution: Annotated[
        Path,
        typer.Option("--constitution", metavar="FILE", help="Markdown, YAML or JSON.", show_default=False),
    ],
    out: OutFile,
    columns: ColumnsOption = None,
    recipe: RecipeOption = "embedded",
    model: ModelOption = None,
    seed: SeedOption = None,
    sets: SetOption = None,
    allow_hosts: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stage 4: have the model revise its answers.

    It reflects on its improper answers under a constitution and answers again; the oracle checks the
    revisions.
    """
    from iteralign.build.standalone import stage_reflect
    from iteralign.recipe.load import load_recipe

    chosen = load_recipe(recipe, overrides(sets, model=model, seed=seed))
    alone(stage_reflect, chosen, judged, constitution, out, as_json=as_json, columns=columns)


def finetune(
    examples: Annotated[
        Path,
        typer.Argument(
            metavar="EXAMPLES",
            help="What `iteralign reflect` wrote, or rows: messages, or prompt and completion.",
            show_default=False,
        ),
    ],
    out: OutFolder,
    columns: ColumnsOption = None,
    recipe: RecipeOption = "embedded",
    model: ModelOption = None,
    seed: SeedOption = None,
    sets: SetOption = None,
    allow_hosts: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stage 5: fine-tune the model on revisions.

    The loss is on the answers only.
    """
    from iteralign.build.standalone import stage_finetune
    from iteralign.recipe.load import load_recipe

    chosen = load_recipe(recipe, overrides(sets, model=model, seed=seed))
    alone(stage_finetune, chosen, examples, out, as_json=as_json, columns=columns)


LimitOption = Annotated[
    int | None,
    typer.Option("--limit", min=1, metavar="N", help="A seeded sample of N answers, from all categories."),
]


@oracle_app.command("check")
def oracle_check(
    recipe: RecipeOption = "embedded",
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="FILE",
            help="Judged answers with labels to compare with. Default: the shipped ones.",
        ),
    ] = None,
    limit: LimitOption = None,
    columns: ColumnsOption = None,
    sets: SetOption = None,
    allow_hosts: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the oracle against known labels.

    Accuracy, sensitivity and specificity, each with its n and 95% interval.
    """
    from iteralign.recipe.load import load_recipe

    chosen = load_recipe(recipe, overrides(sets))
    with stdout_for_json(as_json):
        from iteralign.build.calibration import check_oracle
        from iteralign.report.check import summary_lines
        from iteralign.text.printable import safe

        done = check_oracle(chosen, labels, limit, named_columns(columns))
    if as_json:
        emit(done, as_json)
    for subject, figures in {} if as_json else done.items():
        typer.echo("\n".join(map(safe, [f"{subject}:", *summary_lines(figures), ""])))


@oracle_app.command("calibrate")
def oracle_calibrate(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="A run directory: its oracle is measured.", show_default=False),
    ],
    labels: Annotated[
        Path,
        typer.Option(
            "--labels",
            metavar="FILE",
            help="Answers that people have labelled: JSONL, JSON or CSV.",
            show_default=False,
        ),
    ],
    limit: LimitOption = None,
    columns: ColumnsOption = None,
    allow_hosts: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a run's oracle against people's labels and keep the result.

    The run's harm rates are then given raw and corrected for the oracle's errors.
    """
    with stdout_for_json(as_json):
        from iteralign.api import load_run
        from iteralign.build.calibration import calibrate
        from iteralign.report import console, summary, tables
        from iteralign.report.check import summary_lines
        from iteralign.text.printable import safe

        done = calibrate(run, labels, limit, named_columns(columns))
        with load_run(run) as found:
            told = summary.calibration(found)
            judge = summary.judge(found)
    if as_json:
        emit(told, as_json)
        return
    typer.echo("\n".join(map(safe, [*summary_lines(done), ""])))
    tables.print_calibration(console.console(sys.stdout), told, judge)
