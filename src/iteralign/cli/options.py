"""What the commands share: their options, how results are printed, how errors end a command.

Knows no command and does no work of its own; heavy modules are imported when a command runs, so that
``--help`` is quick.
"""

from __future__ import annotations

import difflib
import errno
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from iteralign.cli.signals import interruption
from iteralign.errors import EngineError, Interrupted, IterAlignError, StoreError

if TYPE_CHECKING:
    from iteralign.build.consent import Destination
    from iteralign.recipe.load import AnyRecipe
    from iteralign.recipe.yaml import Override

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What the system says where nothing can be written, whatever the file."""
BROKEN_PIPE = 141
"""The exit code of a command whose reader went away (``| head``): what a shell gives for SIGPIPE."""


def _recipes(incomplete: str) -> list[str]:
    """The shipped recipes, for a shell that completes words; files are the shell's own affair."""
    from iteralign.recipe.load import shipped

    return [name for name in (*shipped(), *shipped("self-align")) if name.startswith(incomplete)]


RecipeArgument = Annotated[
    str,
    typer.Argument(
        metavar="[RECIPE]",
        help="A shipped recipe's name or a YAML file.",
        show_default=True,
        autocompletion=_recipes,
    ),
]
RecipeOption = Annotated[
    str,
    typer.Option(
        "--recipe",
        help="A shipped recipe's name or a YAML file: model, oracle and settings.",
        autocompletion=_recipes,
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="The run directory. Default: runs/<recipe's name>-seed<N>."),
]
OutFolder = Annotated[
    Path,
    typer.Option(
        "--out", metavar="DIR", help="Where to leave the weights: a new or empty folder.", show_default=False
    ),
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.", show_default=False)]
RedTeamOption = Annotated[
    str | None,
    typer.Option(
        "--red-team",
        metavar="PATH_OR_NAME",
        help="Red-team prompts: a file, a known set's name, hub:OWNER/NAME, or embedded.",
    ),
]
ModelOption = Annotated[
    str | None, typer.Option("--model", metavar="M", help="The model: organism, a local folder, or a hub id.")
]
ColumnsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--columns",
        metavar="NAME=FIELD,...",
        help=(
            "Which field of the data holds what: prompt=goal,response=target_response,label=human_majority."
        ),
    ),
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", metavar="N", help="The seed of everything that is random.")
]


def heard(sets: list[str] | None) -> list[str] | None:
    """Note addresses that the user typed: keys may be sent there."""
    from iteralign.build.consent import current
    from iteralign.recipe.yaml import override

    for given in map(override, sets or ()):
        current().typed(given.key, given.value)
    return sets


def _allowed(hosts: list[str] | None) -> list[str] | None:
    from iteralign.build.consent import current

    current().allow(hosts or ())
    return hosts


SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one key of the recipe (stop.iterations=5); repeatable.",
        callback=heard,
    ),
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        metavar="HOST",
        help="A host that a recipe or run from elsewhere may send keys to; repeatable.",
        callback=_allowed,
    ),
]
"""Heard by its callback: commands have it, and do nothing with it."""
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object on standard output; progress goes to standard error."),
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="No plan and no progress, only the result and warnings.")
]


class Commands(typer.core.TyperGroup):
    """The command group that turns our errors into one message and their exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Errors that are not ours keep their traceback and end with exit code 1."""
        from iteralign.build.consent import consent

        try:
            with consent(_asked if sys.stdin.isatty() and sys.stderr.isatty() else None):
                result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except IterAlignError as error:
            _say(f"{'' if isinstance(error, Interrupted) else 'error: '}{error}")
            raise typer.Exit(error.exit_code) from None
        except typer.BadParameter as error:
            _say(f"error: {_usage(error)}")
            raise typer.Exit(error.exit_code) from None
        except ModuleNotFoundError as error:
            _say(f"error: {_not_installed(error)}")
            raise typer.Exit(EngineError.exit_code) from None
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                silence_stdout()
                raise typer.Exit(BROKEN_PIPE) from None
            if error.filename is None and error.errno not in FULL:
                raise
            _say(f"error: {_of_a_file(error)}")
            raise typer.Exit(StoreError.exit_code) from None
        except KeyboardInterrupt:
            _say("interrupted")
            raise typer.Exit(interruption().exit_code) from None


def _usage(error: typer.BadParameter) -> str:
    """What is wrong with a command's words, the nearest known one, and where all are described."""
    text = error.format_message().replace("Value error, ", "")
    found = re.search(r"'([^']*)' is not one of (.*?)\.?$", text)
    near = difflib.get_close_matches(found[1], re.findall(r"'([^']*)'", found[2]), 1) if found else []
    guess = f" Did you mean {near[0]!r}?" if near else ""
    where = f" `{error.ctx.command_path} --help` describes it." if error.ctx is not None else ""
    return f"{text.rstrip()}{guess}{where}"


def silence_stdout() -> None:
    """Send what is still to be written nowhere, so that the interpreter's last flush is silent."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def overrides(
    sets: Sequence[str] | None,
    *,
    model: str | None = None,
    red_team: str | None = None,
    principles: Path | None = None,
    seed: int | None = None,
    columns: Sequence[str] | None = None,
    columns_key: str = "red_team.columns",
) -> list[Override]:
    """Return what the command line lays over a recipe; named options win over ``--set``."""
    from iteralign.recipe.yaml import Override, override

    named = (
        ("model.name", "--model", model),
        ("red_team.source", "--red-team", red_team),
        ("words.rules", "--principles", None if principles is None else str(principles)),
        ("seed", "--seed", seed),
    )
    given = [Override(key, value, f"{flag} {value}") for key, flag, value in named if value is not None]
    if columns:
        given.append(Override(columns_key, named_columns(columns), f"--columns {','.join(columns)}"))
    return [*(override(s) for s in sets or ()), *given]


def named_columns(columns: Sequence[str] | None) -> dict[str, str] | None:
    """Return what ``--columns`` names, given once or several times."""
    from iteralign.data.columns import parse_columns

    return parse_columns(",".join(columns)) if columns else None


def alone(
    stage: Callable[..., dict[str, Any]],
    recipe: AnyRecipe,
    *files: Path | None,
    as_json: bool,
    columns: Sequence[str] | None = None,
) -> None:
    """Run one stage alone over its files, and print what it came to.

    ``columns``: what ``--columns`` names of the file that it reads. Raises ``DataError`` where that file, the
    first one, is also to be written.
    """
    from iteralign.errors import DataError

    asked, *others = [None if f is None else f.absolute() for f in files]
    if asked is not None and asked in others:
        raise DataError(f"{files[0]}: is read, and --out would replace it: name another file")
    from iteralign.report.console import Reporter

    named = {"columns": named_columns(columns)} if columns else {}
    try:
        with stdout_for_json(as_json), Reporter(sys.stderr, phase="stage") as reporter:
            done = stage(recipe, *files, **named, listen=reporter)
    except KeyboardInterrupt:
        raise interruption()(
            f"\nstopped; nothing is kept: a stage alone writes {files[-1]} when it has ended. Give the same "
            "command again, or use `iteralign run` or `self-align`, which keep what is finished"
        ) from None
    emit(done, as_json)


def emit(data: Any, as_json: bool) -> None:
    """Print a command's result: one JSON object, or a line per entry."""
    if as_json:
        print(json.dumps(data, indent=2))  # ASCII: what a model wrote stays escaped
        return
    from iteralign.report.tables import lines

    told = {k: v for k, v in data.items() if k != "checkpoint"}  # an id of the store's
    for line in lines(told.items()):
        print(line)


@contextmanager
def stdout_for_json(as_json: bool) -> Iterator[None]:
    """While a command works for ``--json``, whatever libraries print goes to standard error."""
    if not as_json:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


@contextmanager
def resumable(directory: Path, how: str | None = None) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into a message that says how to go on: by ``resume``, or as ``how`` says."""
    try:
        yield
    except KeyboardInterrupt:
        raise interruption()(
            "\nstopped; everything that was finished is kept. "
            + (how or f"Continue with: iteralign resume {directory}")
        ) from None


def _asked(to: Destination) -> bool:
    """Ask the user about one host that a key would be sent to."""
    from iteralign.text.printable import safe

    return typer.confirm(f"{safe(str(to))}. Send it, now and later?", default=False, err=True)


def _not_installed(error: ModuleNotFoundError) -> str:
    """What a missing library asks for. Raises the error where it is none of ours."""
    from iteralign.build.installed import extra_of, lacking

    if error.name is None or extra_of(error.name) is None:
        raise error
    return lacking([error.name.partition(".")[0]])


def _of_a_file(error: OSError) -> str:
    """What the system says of a file or a disk that no part of ours took care of."""
    where = "" if error.filename is None else f"{error.filename}: "
    return f"{where}{error.strerror or error}: check the path, its permissions and the space on its disk"


def _say(text: str) -> None:
    from iteralign.text.printable import safe

    for line in text.splitlines():
        print(safe(line) if not line.startswith("  ") else f"  {safe(line)}", file=sys.stderr)
