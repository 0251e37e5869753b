"""The command line: all commands in the order of their use.

It parses, calls and prints; what is done stands in other files. Heavy modules are imported when a command
runs, so that ``iteralign --help`` is quick.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Annotated, TextIO

import typer

import iteralign
from iteralign.cli import evaluate as cli_evaluate
from iteralign.cli import run as cli_run
from iteralign.cli import self_align as cli_self_align
from iteralign.cli import show as cli_show
from iteralign.cli import stages as cli_stages
from iteralign.cli.options import BROKEN_PIPE, Commands, silence_stdout
from iteralign.cli.signals import heed_sigterm

app = typer.Typer(
    name="iteralign",
    cls=Commands,
    help=(
        "Align language models with almost no human labels: find weaknesses by red teaming, derive "
        "principles from them, have the model revise its answers under the principles, train it on the "
        "revisions, keep or roll back, repeat."
    ),
    epilog="Start with `iteralign run`: it needs no GPU, no key and no download. Exit codes: docs/cli.md.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"iteralign {iteralign.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """What concerns all commands."""


_FIRST: tuple[Callable[..., None], ...] = (
    cli_run.run,
    cli_run.resume,
    cli_evaluate.evaluate,
    cli_show.status,
    cli_show.show,
    cli_show.export,
)
_STAGES: tuple[Callable[..., None], ...] = (
    cli_stages.red_team,
    cli_stages.judge,
    cli_stages.propose,
    cli_stages.reflect,
    cli_stages.finetune,
)
for _command in (*_FIRST, *_STAGES):
    app.command()(_command)
app.add_typer(cli_self_align.app, name="self-align")
app.add_typer(cli_show.recipe_app, name="recipe")
app.add_typer(cli_stages.oracle_app, name="oracle")


def _tell_log() -> None:
    """Warnings of parts that know no run go the way of all warnings."""
    import logging

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            from iteralign.text.printable import safe

            print(f"warning: {safe(record.getMessage())}", file=sys.stderr)

    ours = logging.getLogger("iteralign")
    ours.addHandler(Handler())
    ours.propagate = False


def main() -> None:
    """The entry point: a terminal that cannot show a character shows its code; warnings are one line each."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    warnings.showwarning = _warn
    _tell_log()
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
    heed_sigterm()
    try:
        app()
    except (SystemExit, BrokenPipeError) as end:
        if (isinstance(end, SystemExit) and end.code != 1) or not _reader_went_away(end):
            raise
        silence_stdout()
        raise SystemExit(BROKEN_PIPE) from None


def _reader_went_away(error: BaseException | None) -> bool:
    """Whether it was raised over a closed pipe: the libraries that print end with 1 there."""
    while error is not None:
        if isinstance(error, BrokenPipeError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    from iteralign.text.printable import safe

    print(f"warning: {safe(message)}", file=sys.stderr)
