"""Pages of any width: no word and no number is ever cut, in no table and in no line."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.cells import cell_len

from iteralign import load_run
from iteralign.report import excerpts, findings, scores, summary, tables
from iteralign.report import self_align as aligned
from iteralign.report.console import Reporter, console
from iteralign.report.page import folded, new_table, print_table
from iteralign.store.run import Event
from iteralign.text.printable import count_of, kind_of_value

WIDTHS = (110, 80, 60, 40)
LOW = {"value": 0.1234, "low": 0.1111, "high": 0.2222, "n": 1234}
SHARE = {"value": 0.5, "low": 0.25, "high": 0.75, "n": 120}


def words_of(text: str) -> set[str]:
    """Headers, numbers and words, without the rules of tables."""
    return set(re.sub("[─━]+", " ", text).split())


def page_of(width: int, draw: object, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    page = io.StringIO()
    draw(console(page))  # type: ignore[operator]
    return page.getvalue()


def evaluation(page: object) -> None:
    tasks = [
        {
            "task": name,
            "metrics": {name: LOW, f"{name}/order_consistency": LOW},
            "chance": 0.5,
            "facts": {"items": "12", "sha256": "0123456789abcdef"},
            "seconds": 1.0,
            "warnings": [],
            "parent": "base",
            "parent_value": 0.1,
            "difference": 0.01,
            "difference_low": -0.02,
            "difference_high": 0.03,
            "p_value": 0.012,
        }
        for name in ("truthfulqa-dromedary-compat", "hhh")
    ]
    scores.print_evaluation(page, tasks, "runs/e")  # type: ignore[arg-type]


def ablation(page: object) -> None:
    row = {"rule": "candor", "applied": 120, "kept": 118, "asked": 120, "changed": SHARE}
    rest = {"changed_others": SHARE, "follows_with": SHARE, "follows_without": SHARE}
    aligned.print_ablation(page, [row | rest])  # type: ignore[arg-type]


def changes(page: object) -> None:
    numbers = {"before": 0.123, "after": 0.234, "difference": 0.111, "low": -0.01, "high": 0.2}
    row = {"training": "cloning (verbose tax)", "evaluation": "adherence", "p_value": 0.012, "n": 240}
    aligned.print_changes(page, [numbers | row])  # type: ignore[arg-type]


def spent(page: object) -> None:
    row = {"scope": "evaluation-checkpoint-0123456789abcdef0123", "step": "verdicts", "model": "gpt-4o-mini"}
    used = {"calls": 12345, "unanswered": 12, "lost": 1, "input_tokens": 1234567, "output_tokens": 765432}
    tables.print_spent(page, {**used, "cost": 12.5, "by_step": [row | used | {"cost": 12.5}]})  # type: ignore[arg-type]


def a_run(directory: Path) -> object:
    def draw(page: object) -> None:
        with load_run(directory) as run:
            data = summary.summary(run)
            tables.print_result(page, data, findings.before_after(run))  # type: ignore[arg-type]
            tables.print_scores(page, summary.score_rows(run), data["judge"])  # type: ignore[arg-type]
            tables.print_status(page, summary.status(run))  # type: ignore[arg-type]
            excerpts.print_failures(page, findings.failures(run), 2)  # type: ignore[arg-type]

    return draw


@pytest.mark.parametrize("draw", [evaluation, ablation, changes, spent])
def test_a_narrow_page_says_every_word_that_a_wide_one_says(
    draw: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = words_of(page_of(400, draw, monkeypatch))
    for width in WIDTHS:
        page = page_of(width, draw, monkeypatch)
        assert words_of(page) >= wide, width
        assert max(map(cell_len, page.splitlines())) <= max(width, max(map(len, wide)))


def test_a_runs_report_fits_a_page_of_eighty_columns(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = words_of(page_of(400, a_run(finished), monkeypatch))
    page = page_of(80, a_run(finished), monkeypatch)
    assert words_of(page) >= wide
    long = [line for line in page.splitlines() if cell_len(line) > 80]
    assert all(str(finished) in line for line in long), "a path is never cut"


def test_a_table_that_cannot_fit_is_given_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(page: object) -> None:
        table = new_table("#", "held-out harm", "decision", "and")
        table.add_row("1", "70.1% [62.9, 76.3]", "accepted", "")
        table.add_row("base", "", "nothing", "")
        print_table(page, table)  # type: ignore[arg-type]

    assert page_of(25, draw, monkeypatch).splitlines() == [
        "# 1",
        "  held-out harm  70.1%",
        "            [62.9, 76.3]",
        "  decision       accepted",
        "# base",
        "  decision       nothing",
    ]


def test_lines_are_folded_behind_their_label() -> None:
    assert folded("  gate     harm: n = 12, needs 4; finds", 24) == (
        "  gate     harm: n = 12,\n           needs 4;\n           finds"
    )
    assert folded("short", 80) == "short"


def test_progress_at_eighty_columns_cuts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    page = io.StringIO()
    with Reporter(page, phase="evaluation") as reporter:
        for n, state in enumerate(("started", "progress", "done")):
            place = {"scope": "evaluation-checkpoint-0123456789abcdef0123", "name": "scores", "state": state}
            count = {"done": (0, 40, 442)[n], "total": 442, "seconds": 60.0 * n}
            reporter(Event(n, 60.0 * n, "step", place | count))
    told = page.getvalue()
    assert "40 of 442, 10 min left" in " ".join(told.split())
    assert "checkpoint" not in told
    assert max(map(len, told.splitlines())) <= 40


def test_counts_and_kinds_in_words() -> None:
    assert [count_of(n, "try", "tries") for n in (0, 1, 2000)] == ["0 tries", "1 try", "2,000 tries"]
    assert [kind_of_value(v) for v in (None, True, 1, "x", [], {})] == [
        "nothing",
        "true or false",
        "a number",
        "a text",
        "a list",
        "an object",
    ]
