"""Evaluation results for readers: a table on the terminal.

Plain data in. Knows nothing of models or of how a task counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from iteralign.report.page import new_table, print_table, whole
from iteralign.text.printable import count_of, safe

LEFT_OUT = "trained_on"
"""The fact that says how many prompts were left out since the model was trained on them."""


def print_evaluation(console: Console, done: Sequence[Mapping[str, Any]], out: str) -> None:
    """One row for each metric of each task; what a task's data and prompt were stands below."""
    against = any("parent" in task for task in done)
    more = ("parent", "change [95% interval]", "p") if against else ()
    table = new_table("task", "value [95% interval]", "n", "chance", *more)
    for task in done:
        for name, metric in task["metrics"].items():
            main = name == next(iter(task["metrics"]))
            shown = safe(task["task"], 60) if main else "  " + safe(name.partition("/")[2] or name, 58)
            change = (_change(task) if main else ("", "", "")) if against else ()
            chance = "" if task["chance"] is None or not main else f"{task['chance']:.4f}"
            table.add_row(Text(shown), _value(metric), str(metric["n"]), chance, *change)
    print_table(console, table)
    console.print()
    for task in done:
        facts = ", ".join(
            f"{k} {v[:12] if k == 'sha256' else v}" for k, v in task["facts"].items() if k != LEFT_OUT
        )
        whole(console, f"  {safe(task['task'])}: {safe(facts, 300)}; {task['seconds']:.1f} s")
    for task in done:
        if LEFT_OUT in task["facts"]:
            whole(console, f"  {safe(task['task'])}: {safe(task['facts'][LEFT_OUT], 300)}")
    for task in done:
        for line in _trust(task):
            whole(console, f"  {safe(line, 300)}")
    for text in dict.fromkeys(text for task in done for text in task["warnings"]):
        whole(console, f"warning: {safe(text, 300)}", "yellow")
    whole(console, f"Kept in {safe(out)}")


def _trust(task: Mapping[str, Any]) -> list[str]:
    """How far the judge of a task agrees with people, and the corrected rate."""
    if "judge_agreement" not in task:
        return []
    agreement = task["judge_agreement"]
    name = task["task"]
    judge = f"{name}, judge {task['facts'].get('judge', '')}"
    if agreement is None and "not_measured_for" in task:
        about = f"not measured for {task['not_measured_for']} (the labels tell of {task['labels_tell_of']})"
        return [f"{judge}: {about}"]
    if agreement is None:
        remedy = "--labels FILE, or iteralign oracle check"
        return [f"{judge}: agreement with people not measured ({remedy})"]
    kappa = "not defined" if agreement["kappa"] is None else f"{agreement['kappa']:.2f}"
    rates = ", ".join(
        f"{rate} {_value(agreement[rate])} (n={agreement[rate]['n']})"
        for rate in ("sensitivity", "specificity")
    )
    against = f"judge {agreement['oracle']} against {count_of(agreement['n'], 'label')} of people"
    lines = [f"{name}, {against}: {rates}, kappa {kappa}"]
    if "corrected" in task:
        better = task["corrected"]
        found = _value(better) if better else f"cannot be told: {task['why_not']}"
        lines.append(f"{name}, corrected for the judge's errors: {found}")
    return lines


def _value(metric: Mapping[str, Any]) -> str:
    return f"{metric['value']:.4f} [{metric['low']:.4f}, {metric['high']:.4f}]" if metric["n"] else "-"


def _change(task: Mapping[str, Any]) -> tuple[str, str, str]:
    if "parent" not in task or task.get("parent_value") is None:
        return "", "", ""
    before = f"{task['parent_value']:.4f}"
    if "difference" not in task:
        return before, "", ""
    p = f"{task['p_value']:.2g}" if "p_value" in task else ""
    return (
        before,
        f"{task['difference']:+.4f} [{task['difference_low']:+.4f}, {task['difference_high']:+.4f}]",
        p,
    )
