"""The command ``self-align``: the whole method, its plan, its ablation, and each stage alone.

Parse, call, print; what runs of both methods share stands in ``run``.
"""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from iteralign.cli.options import (
    AllowOption,
    ColumnsOption,
    Commands,
    JsonOption,
    ModelOption,
    OutFolder,
    OutOption,
    QuietOption,
    RunArgument,
    SeedOption,
    SetOption,
    alone,
    emit,
    overrides,
    resumable,
    stdout_for_json,
)
from iteralign.cli.run import HardwareOption, must_be_planned, show_plan, start_run

DEFAULT = "embedded-self-align"


class Stages(Commands):
    """The group whose first word may be a recipe: ``self-align RECIPE`` is ``self-align run RECIPE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Puts ``run`` before what is no command of the group."""
        if (
            len(args) > 1
            and args[0] not in self.commands
            and not Path(args[0]).exists()
            and not args[1].startswith("-")
        ):
            near = difflib.get_close_matches(args[0], self.commands, 1)
            if near:
                raise typer.BadParameter(
                    f"{args[0]!r} is no command and no recipe. Did you mean {near[0]!r}?", ctx
                )
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="self-align",
    cls=Stages,
    help=(
        "Self-Align: a base model writes prompts from few seeds, answers them under principles, learns "
        "that, and clones a verbose style. `iteralign self-align [RECIPE]` runs it all."
    ),
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

RecipeName = Annotated[
    str,
    typer.Argument(
        metavar="[RECIPE]", help="A shipped self-align recipe's name or a YAML file.", show_default=True
    ),
]
RecipeOption = Annotated[
    str,
    typer.Option(
        "--recipe", help="A shipped self-align recipe's name or a YAML file: model, words and settings."
    ),
]
PrinciplesOption = Annotated[
    Path | None,
    typer.Option(
        "--principles",
        metavar="FILE",
        help="Rules of your own, or a constitution that IterAlign discovered (YAML or JSON).",
    ),
]
OutFile = Annotated[
    Path, typer.Option("--out", metavar="FILE", help="Where to write (JSONL).", show_default=False)
]
Instructions = Annotated[
    Path,
    typer.Argument(
        metavar="INSTRUCTIONS",
        help="JSONL that `self-align instruct` wrote, or {text} rows.",
        show_default=False,
    ),
]
AnswersFile = Annotated[
    Path,
    typer.Argument(
        metavar="ANSWERS", help="JSONL that `self-align answer` or `extend` wrote.", show_default=False
    ),
]


@app.command()
def run(
    recipe: RecipeName = DEFAULT,
    out: OutOption = None,
    principles: PrinciplesOption = None,
    model: ModelOption = None,
    seed: SeedOption = None,
    sets: SetOption = None,
    allow_hosts: AllowOption = None,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan",
            "--dry-run",
            help="Only say what a run would take: calls, tokens, disk, hours. Nothing is started.",
        ),
    ] = False,
    hardware: HardwareOption = None,
    count_human_lines: Annotated[
        bool, typer.Option("--count-human-lines", help="Only say how many lines people wrote.")
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run the four stages as a recipe says.

    Without a recipe: the embedded model. A directory that holds the same run is resumed.
    """
    from iteralign.recipe.load import load_recipe
    from iteralign.recipe.self_align import SelfAlignRecipe

    given = overrides(sets, model=model, principles=principles, seed=seed)
    chosen = load_recipe(recipe, given, kind=SelfAlignRecipe)
    must_be_planned(hardware, planned=plan)
    if count_human_lines:
        from iteralign.build.self_align_words import read_words

        lines = dict(read_words(chosen, prompts=False).lines)
        emit({**lines, "total": sum(lines.values())}, as_json)
    elif plan:
        show_plan(chosen, as_json, hardware)
    else:
        start_run(chosen, out, as_json, quiet)


@app.command()
def ablate(
    run: RunArgument,
    rules: Annotated[
        list[str] | None,
        typer.Option(
            "--rule", metavar="NAME", help="Leave out this rule; repeatable. Default: each in turn."
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", metavar="N", min=1, help="Only so many instructions: a seeded sample of all types."
        ),
    ] = None,
    allow_hosts: AllowOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Answer a run's instructions again with each rule left out, and show what changes.

    RUN is a run directory; stages 1 and 2 are finished there first if they are not. The results are kept in
    it.
    """
    with resumable(run), stdout_for_json(as_json):
        from iteralign.build.self_align import ablate as answer_without
        from iteralign.report.console import Reporter

        with Reporter(sys.stdout, quiet=quiet) as reporter:
            rows = answer_without(run, rules or None, limit, reporter)
    if as_json:
        emit({"ablation": rows}, as_json)
        return
    from iteralign.report.console import console
    from iteralign.report.self_align import print_ablation

    print_ablation(console(sys.stdout), rows)


@app.command()
def instruct(
    out: OutFile,
    recipe: RecipeOption = DEFAULT,
    model: ModelOption = None,
    seed: SeedOption = None,
    sets: SetOption = None,
    allow_hosts: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stage 1 alone: write instructions from the recipe's seeds."""
    from iteralign.build.standalone_self_align import stage_instruct
    from iteralign.recipe.load import load_recipe
    from iteralign.recipe.self_align import SelfAlignRecipe

    chosen = load_recipe(recipe, overrides(sets, model=model, seed=seed), kind=SelfAlignRecipe)
    alone(stage_instruct, chosen, out, as_json=as_json)


@app.command()
def answer(
    instructions: Instructions,
    out: OutFile,
    columns: ColumnsOption = None,
    recipe: RecipeOption = DEFAULT,
    principles: PrinciplesOption = None,
    model: ModelOption = None,
    seed: SeedOption = None,
    sets: SetOption = None,
    allow_hosts: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stage 2 alone: answer instructions under the rules, and sift the answers."""
    from iteralign.build.standalone_self_align import stage_answer
    from iteralign.recipe.load import load_recipe
    from iteralign.recipe.self_align import SelfAlignRecipe

    given = overrides(sets, model=model, principles=principles, seed=seed)
    chosen = load_recipe(recipe, given, kind=SelfAlignRecipe)
    alone(stage_answer, chosen, instructions, out, as_json=as_json, columns=columns)


@app.command()
def engrave(
    answers: AnswersFile,
    out: OutFolder,
    columns: ColumnsOption = None,
    recipe: RecipeOption = DEFAULT,
    model: ModelOption = None,
    seed: SeedOption = None,
    sets: SetOption = None,
    allow_hosts: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stage 3 alone: train the recipe's model on answers, without rules and thoughts."""
    from iteralign.build.standalone_self_align import stage_engrave
    from iteralign.recipe.load import load_recipe
    from iteralign.recipe.self_align import SelfAlignRecipe

    chosen = load_recipe(recipe, overrides(sets, model=model, seed=seed), kind=SelfAlignRecipe)
    alone(stage_engrave, chosen, answers, out, as_json=as_json, columns=columns)


@app.command()
def extend(
    instructions: Instructions,
    out: OutFile,
    model: Annotated[
        str,
        typer.Option(
            "--model", metavar="M", help="The engraved model: a folder or a hub id.", show_default=False
        ),
    ],
    columns: ColumnsOption = None,
    recipe: RecipeOption = DEFAULT,
    seed: SeedOption = None,
    sets: SetOption = None,
    allow_hosts: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stage 4 alone, the teacher: answer instructions at length, and sift the answers.
    `clone` learns them.
    """
    from iteralign.build.standalone_self_align import stage_extend
    from iteralign.recipe.load import load_recipe
    from iteralign.recipe.self_align import SelfAlignRecipe

    chosen = load_recipe(recipe, overrides(sets, model=model, seed=seed), kind=SelfAlignRecipe)
    alone(stage_extend, chosen, instructions, out, as_json=as_json, columns=columns)


@app.command()
def clone(
    answers: AnswersFile,
    out: OutFolder,
    columns: ColumnsOption = None,
    recipe: RecipeOption = DEFAULT,
    model: ModelOption = None,
    seed: SeedOption = None,
    sets: SetOption = None,
    allow_hosts: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stage 4 alone, the student:
    train the recipe's model on extensive answers under random short prompts.
    """
    from iteralign.build.standalone_self_align import stage_clone
    from iteralign.recipe.load import load_recipe
    from iteralign.recipe.self_align import SelfAlignRecipe

    chosen = load_recipe(recipe, overrides(sets, model=model, seed=seed), kind=SelfAlignRecipe)
    alone(stage_clone, chosen, answers, out, as_json=as_json, columns=columns)
