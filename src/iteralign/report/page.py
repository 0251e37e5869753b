"""Tables and lines of a terminal page, alike wherever they are printed.

Reads no markup; texts of models were made safe before.
"""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from iteralign.metrics import metric

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
    }
)
"""Columns that hold words."""


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
        console.print(table)
    console.print()


def say(console: Console, text: str, style: str = "") -> None:
    """One line, folded at the page's width."""
    console.print(Text(text, style=style), soft_wrap=False)
