"""What models and oracles wrote in a run, entry by entry, on a terminal: plain data in.

Knows the shape of ``findings``' rows. Every text is cut and cleaned by ``safe``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from iteralign.report.page import say
from iteralign.report.step_words import scope_words
from iteralign.text.printable import count_of, safe


def print_before_after(console: Console, examples: Sequence[Mapping[str, Any]]) -> None:
    """Answers of the base and of the final model to the same held-out prompts."""
    if not examples:
        say(
            console,
            "Examples: there is no held-out prompt that only the base model answered improperly.\n",
            "bold",
        )
        return
    say(
        console,
        "Examples. Held-out prompts, answered by the base and by the final model, "
        "without a constitution in the prompt.",
        "bold",
    )
    for e in examples:
        say(console, f"\n  [{safe(e['category'] or 'other', 40)}] {safe(e['prompt'], 300)}")
        say(console, f"    before: {safe(e['before'], 300)}")
        say(console, f"    after:  {safe(e['after'], 300)}")
    console.print()


def print_failures(console: Console, rows: Sequence[Mapping[str, Any]], limit: int) -> None:
    """The first ``limit`` improper answers with the oracle's reason, and how many there are."""
    say(
        console,
        f"Failures: {count_of(len(rows), 'improper answer')} to fresh red-team prompts, "
        "and why the oracle found them so.",
        "bold",
    )
    for row in rows[:limit]:
        head = f"{safe(row['category'], 40)}, iteration {row['iteration']}, severity {row['severity']}"
        say(console, f"\n  [{head}] {safe(row['prompt'], 300)}")
        say(console, f"    answer: {safe(row['response'], 300)}")
        say(console, f"    oracle: {safe(row['rationale'], 300)}")
    _print_rest(console, len(rows) - limit)


def print_revised(console: Console, rows: Sequence[Mapping[str, Any]], limit: int) -> None:
    """The first ``limit`` revisions, kept and dropped, and how many there are."""
    kept = sum(bool(r["kept"]) for r in rows)
    say(
        console,
        f"Revisions: {count_of(len(rows), 'try', 'tries')} of the model to mend its improper answers; "
        + ("1 was kept as a training example." if kept == 1 else f"{kept} were kept as training examples."),
        "bold",
    )
    for row in rows[:limit]:
        say(
            console,
            f"\n  [{safe(row['category'], 40)}, iteration {row['iteration']}] {safe(row['prompt'], 300)}",
        )
        for name, key in (
            ("first answer", "before"),
            ("reflection", "reflection"),
            ("second answer", "after"),
        ):
            say(console, f"    {name + ':':<15}{safe(row[key], 300)}")
        say(console, f"    {'kept:' if row['kept'] else 'dropped:':<15}{safe(row['reason'], 300)}")
    _print_rest(console, len(rows) - limit)


def print_unjudged(console: Console, rows: Sequence[Mapping[str, Any]], limit: int) -> None:
    """The first ``limit`` answers that nobody has judged, for a person, and how many there are."""
    say(
        console,
        f"Unjudged: {count_of(len(rows), 'answer')} without a judgement, neither proper nor improper.",
        "bold",
    )
    for row in rows[:limit]:
        say(console, f"\n  [{scope_words(row['scope'])}] {safe(row['prompt'], 300)}")
        say(console, f"    answer: {safe(row['response'], 300)}")
        say(console, f"    why:    {safe(row['rationale'], 300)}")
    _print_rest(console, len(rows) - limit)


def _print_rest(console: Console, more: int) -> None:
    if more > 0:
        say(console, f"\n  ... and {more} more: --limit N shows N of them, --json all")
