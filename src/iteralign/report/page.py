"""Tables and lines of a terminal page, alike wherever they are printed: no word and no number is ever cut.

A table that is too wide for the page even with its cells folded is printed row by row. Reads no markup; texts
of models were made safe before.
"""

from __future__ import annotations

import os
import re
import shlex
import textwrap

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from iteralign.metrics import metric
from iteralign.text.printable import spelled

LEFT = frozenset(
    {
        "",
        "category",
        "measure",
        "decision",
        "step",
        "model",
        "jurors",
        "held-out harm",
        metric("over_refusal").label,
        "evaluation",
        "rule",
        "most for",
        "task",
    }
)
"""Columns that hold words."""
GAP = 3
"""Cells between two columns."""
_LABEL = re.compile(r"\s*\S.*?\s{2,}(?=\S)")


def new_table(*columns: str, wide: int | None = None) -> Table:
    """A table without frame; numbers on the right.

    ``wide``: the column that takes what is left of the line.
    """
    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False)
    for index, name in enumerate(columns):
        numeric = index != wide and name not in LEFT
        table.add_column(
            name,
            justify="right" if numeric else "left",
            ratio=1 if index == wide else None,
            overflow="fold",
        )
    return table


def titled(console: Console, title: str, table: Table | None) -> None:
    """A table below the line that explains it."""
    say(console, title, "bold")
    if table is not None:
        print_table(console, table)
    console.print()


def print_table(console: Console, table: Table) -> None:
    """The table with its words whole: folded between words, or row by row where it does not fit even so."""
    cells = [[_plain(c) for c in [column.header, *column.cells]] for column in table.columns]
    least = [max(map(_longest_word, own)) for own in cells]
    most = [max(cell_len(line) for text in own for line in (text or " ").splitlines()) for own in cells]
    gaps = len(cells) - 1
    if sum(least) + GAP * gaps > console.width:
        table.padding = 0  # one cell between two columns is left
    room = console.width - gaps * (GAP if table.padding != (0, 0, 0, 0) else 1)
    if sum(least) > room:
        _print_rows(console, table, cells)
        return
    for column, width in zip(table.columns, _shared_out(room, least, most), strict=True):
        column.ratio = None
        column.width = width
    console.print(table)


def _shared_out(room: int, least: list[int], most: list[int]) -> list[int]:
    """A width for each column: what is left beyond the least goes to them in turn, while they can use it."""
    given = list(least)
    spare = room - sum(least)
    while spare and (wanting := [i for i, width in enumerate(given) if width < most[i]]):
        for index in wanting[:spare]:
            given[index] += 1
        spare -= len(wanting[:spare])
    return given


def _print_rows(console: Console, table: Table, cells: list[list[str]]) -> None:
    """Each row as a block: its first cell, and below it every other one behind its column's name."""
    names = [" ".join(own[0].split()) for own in cells]
    indent = max(map(cell_len, names)) + 4
    for row in zip(*(own[1:] for own in cells), strict=True):
        say(console, " ".join(f"{names[0]} {row[0]}".split()) or "-")
        for name, text in list(zip(names, row, strict=True))[1:]:
            if text:
                line = f"  {name:<{indent - 4}}  {' '.join(text.split())}"
                say(console, folded(line, console.width, indent))


def _plain(cell: object) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)


def _longest_word(text: str) -> int:
    return max(map(cell_len, text.split()), default=1)


def folded(line: str, width: int, indent: int | None = None) -> str:
    """A line folded between words; what follows stands below its beginning.

    Where the line begins with a label and two spaces or more, that is behind the label.
    """
    if cell_len(line) <= width:
        return line
    label = _LABEL.match(line)
    own = len(label[0]) if label is not None else len(line) - len(line.lstrip()) + 2
    below = min(own if indent is None else indent, width // 2)
    parts = textwrap.wrap(
        line,
        width,
        subsequent_indent=" " * below,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
        replace_whitespace=False,
    )
    return "\n".join(parts)


def print_next(console: Console, run: str, state: str, look: str, trained: bool) -> None:
    """The two commands that come next: look closer, and take the model; or go on with what was stopped.

    ``look``: what ``show`` shows next; ``trained``: whether there is a model beside the base.
    """
    where = shlex.quote(run)
    commands = [f"iteralign show {where} {look}", f"iteralign export {where} model"]
    if not trained:
        commands[1] += " --base"
    if state != "finished":
        commands = [f"iteralign status {where}", f"iteralign resume {where}"]
    say(console, "\nNext", "bold")
    for command in commands:
        console.print(Text(f"  {spelled(command)}"), soft_wrap=True)


def whole(console: Console, text: str, style: str = "") -> None:
    """One line, folded where somebody reads it on a page; whole in a file, where it is searched for."""
    fold = console.is_terminal or "COLUMNS" in os.environ
    console.print(Text(folded(text, console.width) if fold else text, style=style), soft_wrap=True)


def say(console: Console, text: str, style: str = "") -> None:
    """One line, folded at the page's width."""
    told = "\n".join(folded(x, console.width) if x.startswith(" ") else x for x in text.split("\n"))
    console.print(Text(told, style=style), soft_wrap=False)
