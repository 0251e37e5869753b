"""The commands that read: ``status``, ``show``, ``export`` and ``recipe``: parse, call, print."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from iteralign.cli.options import (
    ColumnsOption,
    JsonOption,
    ModelOption,
    RecipeArgument,
    RedTeamOption,
    RunArgument,
    SeedOption,
    SetOption,
    emit,
    overrides,
)
from iteralign.cli.run import show_plan
from iteralign.errors import RecipeError

recipe_app = typer.Typer(
    help="The shipped recipes, and checks of your own.", no_args_is_help=True, rich_markup_mode=None
)


class Part(StrEnum):
    """What ``show`` shows."""

    constitution = "constitution"
    failures = "failures"
    examples = "examples"
    iterations = "iterations"
    unjudged = "unjudged"
    left_out = "left-out"
    scores = "scores"
    instructions = "instructions"
    rules = "rules"
    answers = "answers"
    extended = "extended"


class Product(StrEnum):
    """What ``export`` exports."""

    constitution = "constitution"
    examples = "examples"
    preferences = "preferences"
    figure = "figure"
    model = "model"
    records = "records"


class Format(StrEnum):
    """How ``export constitution`` writes."""

    markdown = "markdown"
    yaml = "yaml"
    json = "json"


_PARTS, _PRODUCTS = (", ".join(kind) for kind in (Part, Product))
LimitOption = Annotated[
    int | None,
    typer.Option(
        "--limit",
        metavar="N",
        min=1,
        help="At most so many entries. Default: 20 on a terminal page, all as JSON.",
    ),
]
PAGE = 20


def status(run: RunArgument, as_json: JsonOption = False) -> None:
    """Where a run stands, also while it works."""
    from iteralign.api import load_run
    from iteralign.report import console, evaluation, summary, tables

    with load_run(run) as found:
        measured = evaluation.is_evaluation(found)
        data = evaluation.status(found) if measured else summary.status(found)
    if as_json:
        emit(data, as_json)
    else:
        (evaluation if measured else tables).print_status(console.console(sys.stdout), data)


def show(
    run: RunArgument,
    part: Annotated[
        Part,
        typer.Argument(
            metavar="WHAT",
            help=f"One of {_PARTS}.",
            show_default=False,
        ),
    ],
    limit: LimitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look into a run.

    Its constitution, the failures it found, the revisions it tried, its iterations, the answers without a
    judgement, the items that were left out, or its scores. Of a Self-Align run: its scores, its instructions
    with what was dropped, its rules with their use, its answers with thoughts, its extended answers, or the
    items that were left out. Of an evaluation's directory: its scores.
    """
    from iteralign.api import load_run
    from iteralign.report import console, evaluation, excerpts, findings, left_out, summary, tables

    page = console.console(sys.stdout)
    with load_run(run) as found:
        if part is Part.scores and evaluation.is_evaluation(found):
            _show_evaluation(page, evaluation.results(found), found, as_json)
            return
        evaluation.must_be_a_run(found, part.value, Part.scores.value)
        must_have(part, found.settings.get("method", "iteralign"))
        match part:
            case Part.instructions | Part.rules | Part.answers | Part.extended:
                _show_self_align(page, found, part, limit, as_json)
            case Part.failures:
                rows = findings.failures(found)
                emit({"failures": rows[:limit]}, as_json) if as_json else excerpts.print_failures(
                    page, rows, limit or PAGE
                )
            case Part.examples:
                rows = findings.revised(found)
                emit({"examples": rows[:limit]}, as_json) if as_json else excerpts.print_revised(
                    page, rows, limit or PAGE
                )
            case Part.unjudged:
                rows = findings.unjudged(found)
                emit({"unjudged": rows[:limit]}, as_json) if as_json else excerpts.print_unjudged(
                    page, rows, limit or PAGE
                )
            case Part.left_out:
                rows = left_out.left_out(found)
                emit({"left_out": rows[:limit]}, as_json) if as_json else left_out.print_rows(
                    page, rows, limit or PAGE
                )
            case Part.scores:
                rows = summary.score_rows(found)
                judge = summary.judge(found)
                emit({"scores": rows, "judge": judge}, as_json) if as_json else tables.print_scores(
                    page, rows, judge
                )
            case Part.constitution | Part.iterations:
                data = summary.summary(found)
                if as_json:
                    emit({part.value: data[part.value]}, as_json)
                elif part is Part.iterations:
                    tables.print_iterations(page, data)
                    tables.print_calibration(page, data["calibration"], data["judge"])
                else:
                    tables.print_constitution(page, data["constitution"])


def _show_evaluation(page: Any, done: list[dict[str, Any]], run: Any, as_json: bool) -> None:
    from iteralign.report.scores import print_evaluation

    if as_json:
        emit({"scores": done}, as_json)
    else:
        print_evaluation(page, done, str(run.directory))


def must_have(part: Part, method: str) -> None:
    """Raises ``RecipeError`` where a run of the method has no such part."""
    both = {Part.scores, Part.left_out}
    own = {Part.instructions, Part.rules, Part.answers, Part.extended, *both}
    parts = [p for p in Part if (p in own if method == "self-align" else p in both or p not in own)]
    if part not in parts:
        raise RecipeError(
            f"{part.value}: a run of the method {method} has no such part. It has: {', '.join(parts)}"
        )


def _show_self_align(page: Any, run: Any, part: Part, limit: int | None, as_json: bool) -> None:
    from iteralign.report import self_align

    data = self_align.summary(run)
    match part:
        case Part.rules:
            emit({"rules": data["aligned"]}, as_json) if as_json else self_align.print_rules(
                page, data["aligned"]
            )
        case Part.instructions:
            rows = list(self_align.instructions(run).values())[: limit if as_json else limit or PAGE]
            if as_json:
                emit(
                    {
                        "counts": data["instructions"],
                        "dropped": data["dropped"],
                        "topics": data["topics"],
                        "instructions": rows,
                    },
                    as_json,
                )
            else:
                self_align.print_stage(page, data | {"aligned": None, "cloned": None})
                self_align.print_texts(page, rows)
        case _:
            stage = "clone" if part is Part.extended else "align"
            answers = self_align.answers(run, stage, limit=limit if as_json else limit or PAGE)
            emit({part.value: answers}, as_json) if as_json else self_align.print_answers(page, answers)


def export(
    run: RunArgument,
    product: Annotated[
        Product,
        typer.Argument(
            metavar="WHAT",
            help="constitution, examples, preferences, figure, model, records.",
            show_default=False,
        ),
    ],
    format: Annotated[  # noqa: A002  (the option's name)
        Format, typer.Option("--format", help="Of the constitution.")
    ] = Format.markdown,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="PATH", help="A file, or for model and records a folder. Default: in the run."
        ),
    ] = None,
    base: Annotated[
        bool,
        typer.Option("--base", help="Of the model: the base model that the run began with."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write what a run made.

    Its constitution, its training examples or preference pairs (JSONL as TRL reads it), a figure of its
    scores (SVG, with tables as Markdown and LaTeX), its model, or all its records. Where no candidate was
    accepted there is no model but the base: that ends with exit code 4, and --base exports the base.
    """
    from iteralign.api import load_run
    from iteralign.build.models import located
    from iteralign.report.evaluation import must_be_a_run
    from iteralign.report.products import write

    with load_run(run) as found:
        if product is not Product.records:
            must_be_a_run(
                found, product.value, f"{Product.records.value} (and `iteralign show {run} scores`)"
            )
        where = located(found.locate)
        emit(write(found, product.value, form=format.value, out=out, locate=where, base=base), as_json)


@recipe_app.command("list")
def recipe_list(as_json: JsonOption = False) -> None:
    """The shipped recipes, each with what it is for."""
    from iteralign.recipe.load import headlines

    emit(headlines() | headlines("self-align"), as_json)


@recipe_app.command("show")
def recipe_show(
    recipe: RecipeArgument = "embedded",
    model: ModelOption = None,
    red_team: RedTeamOption = None,
    columns: ColumnsOption = None,
    seed: SeedOption = None,
    sets: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """A recipe with every default and override filled in, as YAML."""
    from iteralign.recipe.load import kind_of, load_recipe

    given = overrides(sets, model=model, red_team=red_team, seed=seed, columns=columns)
    found = load_recipe(recipe, given, kind=kind_of(recipe))
    if as_json:
        emit(found.model_dump(mode="json"), as_json)
    else:
        print(found.to_yaml(), end="")


@recipe_app.command("check")
def recipe_check(
    recipe: RecipeArgument = "embedded",
    model: ModelOption = None,
    red_team: RedTeamOption = None,
    seed: SeedOption = None,
    sets: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a recipe, read its data, and say what a run of it would take. Nothing is started or written."""
    from iteralign.recipe.load import kind_of, load_recipe

    given = overrides(sets, model=model, red_team=red_team, seed=seed)
    show_plan(load_recipe(recipe, given, kind=kind_of(recipe)), as_json)
