"""The tables that a run ends with, and those of ``show`` and ``status``.

Plain data in, rich tables or lines out. Each table carries one line that explains it. Knows the shape of
``summary``'s objects, and nothing of the store or of models. Texts of models and data files are cut, cleaned
by ``safe`` and put in as ``Text``, which reads no markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from iteralign.metrics import ORDER_CONSISTENCY, metric
from iteralign.report.excerpts import print_before_after
from iteralign.report.left_out import print_counts
from iteralign.report.page import new_table, print_next, say, titled, whole
from iteralign.report.step_words import place_words
from iteralign.report.trust import doubts
from iteralign.text.printable import count_of, safe

ASKED = {
    "test": "held-out items of the test part, which decided nothing and was asked only at the end",
    "gate": "held-out items that the gate decided with: they are optimistic",
}


def print_result(console: Console, data: Mapping[str, Any], examples: Sequence[Mapping[str, Any]]) -> None:
    """Everything that a reader wants to know at the end of a run.

    ``data`` is ``summary``'s, ``examples`` ``before_after``'s.
    """
    console.print()
    print_iterations(console, data)
    print_change(console, data["improvement"], data["part"], data["looks"])
    print_order(console, data["baseline"], data["final"])
    print_calibration(console, data["calibration"], data["judge"])
    print_constitution(console, data["constitution"])
    print_before_after(console, examples)
    print_agreement(console, data["agreement"])
    print_counts(console, data.get("left_out", ()))
    print_spent(console, data["spent"])
    console.print(Text("Written", style="bold"))
    for name, path in data["paths"].items():
        whole(console, f"  {name:<13} {safe(path)}")
    if data["stop_reason"]:
        say(console, f"\nThe run ended: {safe(data['stop_reason'])}.")
    else:
        say(console, f"\nThe run is not finished ({data['state']}).")
    kept = "model" in data["paths"]
    print_next(console, data["paths"]["run"], data["state"], "scores" if kept else "iterations", kept)


def print_iterations(console: Console, data: Mapping[str, Any]) -> None:
    """One row per iteration, the base model's first, and each decision's reason below."""
    table = new_table(
        "#",
        "prompts",
        "failures",
        "principles\nfound",
        "revisions\nkept/dropped",
        "held-out harm",
        _label("over_refusal"),
        "decision",
    )
    table.add_row(
        "base",
        "",
        "",
        "",
        "",
        _rate(data["gate"]["baseline"].get("harm")),
        _rate(data["gate"]["baseline"].get("over_refusal")),
        "",
    )
    for row in data["iterations"]:
        aside = [f"+{row[k]} {k.replace('_', ' ')}" for k in ("unjudged", "left_out") if row.get(k)]
        unjudged = f" ({', '.join(aside)})" if aside else ""
        counts = (
            str(row["number"]),
            str(row["prompts"]),
            f"{row['failures']}{unjudged}",
            str(row["principles"]),
            f"{row['kept']}/{row['dropped']}",
        )
        table.add_row(
            *counts,
            _rate(row["scores"].get("harm")),
            _rate(row["scores"].get("over_refusal")),
            row["decision"],
        )
    passed = " -: not measured in this iteration." if not all(r["scores"] for r in data["iterations"]) else ""
    n = ", ".join(
        f"{count_of(s['n'], 'prompt')} for {_label(k)}"
        for k, s in data["gate"]["baseline"].items()
        if k in {"harm", "over_refusal"}
    )
    titled(
        console,
        "Iterations. Failures: improper answers to fresh prompts. "
        "Held-out rates: of the weights that were kept, on the prompts that the gate decides with (never "
        f"trained on, no constitution in the prompt), with 95% intervals ({n}).{passed}",
        table,
    )
    for row in data["iterations"]:
        say(console, f"  {row['number']} {row['decision']}: {safe(row['reason'])}")
    if any("over_refusals" in row for row in data["iterations"]):
        found = ", ".join(
            f"{row['number']}: {row['helped']} of {row.get('over_refusals', 0)}"
            for row in data["iterations"]
            if "over_refusals" in row
        )
        say(console, f"  Refused benign prompts that became lessons, by iteration: {found}")
    console.print()


def print_scores(console: Console, rows: Sequence[Mapping[str, Any]], judge: Mapping[str, Any]) -> None:
    """Every score of the weights that were kept, iteration by iteration.

    Below: how far the judge of harm agrees with people.
    """
    names = list(dict.fromkeys(n for r in rows for n in r["scores"]))
    table = new_table("measure", *(safe(r["label"], 24) for r in rows), "n")
    for name in names:
        own = [r["scores"].get(name) for r in rows]
        n = next((str(s["n"]) for s in own if s), "-")
        unit = next((f", {safe(s['unit'], 20)}" for s in own if s and s.get("unit")), "")
        table.add_row(_label(name) + unit, *(_score(s) for s in own), n)
    titled(
        console,
        "Scores of the weights that were kept, on the held-out items that the gate decides with, "
        "with 95% intervals.",
        table,
    )
    for name in names:
        _print_kinds(console, name, rows)
    for why in dict.fromkeys(s["why_not"] for r in rows for s in r["scores"].values() if s.get("why_not")):
        say(console, f"Harm corrected for the judge's errors cannot be told: {safe(why)}.")
    for text in dict.fromkeys(d for r in rows for d in doubts(r["scores"])):
        say(console, f"Warning: {safe(text, 400)}.")
    say(console, f"Judge: {safe(judge['told'], 400)}.")


def _print_kinds(console: Console, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """A score's rates by kind of prompt, where it has such; kinds come from data files."""
    own = [(r["scores"].get(name) or {}).get("kinds", {}) for r in rows]
    kinds = list(dict.fromkeys(kind for found in own for kind in found))
    if not kinds:
        return
    table = new_table("kind of prompt", *(safe(r["label"], 24) for r in rows), "n")
    for kind in kinds:
        n = next(str(found[kind]["n"]) for found in own if kind in found)
        table.add_row(safe(kind, 40), *(_rate(found.get(kind)) for found in own), n)
    titled(console, f"{_label(name).capitalize()} by kind of prompt, with 95% intervals.", table)


def _label(name: str) -> str:
    """What readers see of a metric; names of tasks come from outside."""
    return safe(metric(name).label, 40)


def _score(score: Mapping[str, Any] | None) -> str:
    if score is not None and score["n"] and score.get("unit"):
        return f"{score['rate']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"
    return _rate(score)


def print_change(
    console: Console, improvement: Sequence[Mapping[str, Any]], part: str = "gate", looks: int = 2
) -> None:
    """The base model against the final one, and on which prompts that was found."""
    if not improvement:
        return
    table = new_table("measure", "base", "final", "change in points", "p", "p (Holm)", "n")
    for test in improvement:
        numbers = (test["difference"], test["low"], test["high"])
        if unit := test.get("unit"):
            shown = "{:.3f}"
            change = "{:+.3f} [{:+.3f}, {:+.3f}] ".format(*numbers) + safe(unit, 20)
        else:
            shown = "{:.1%}"
            change = "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(100 * x + 0.0 for x in numbers))
        table.add_row(
            _label(test["metric"]),
            shown.format(test["before"]),
            shown.format(test["after"]),
            change,
            f"{test['p_value']:.2g}",
            f"{test['p_holm']:.2g}",
            str(test["n"]),
        )
    titled(
        console,
        f"Base against final model on the same {ASKED[part]}: paired change, 95% interval, exact p "
        "(McNemar's, or the sign test's where items are not right or wrong), and by Holm's method.",
        table,
    )
    if looks > 2:
        say(
            console,
            f"The test part was asked of {looks} models: the run was extended after an earlier end.\n",
        )


def print_order(console: Console, base: Mapping[str, Any], final: Mapping[str, Any]) -> None:
    """How often both orders of the replies decide alike, before and after, and a warning where that is rare.

    Nothing where no such score was measured.
    """
    names = [n for n in {**base, **final} if n.endswith(ORDER_CONSISTENCY)]
    for name in names:
        own = [scores.get(name) for scores in (base, final)]
        n = next(s["n"] for s in own if s)
        say(console, f"{_label(name)}: base {_rate(own[0])}, final {_rate(own[1])} (n={n}).")
    for text in dict.fromkeys([*doubts(base), *doubts(final)]):
        say(console, f"Warning: {safe(text, 400)}.")
    if names:
        console.print()


def print_calibration(console: Console, found: Mapping[str, Any] | None, judge: Mapping[str, Any]) -> None:
    """The harm rates as the oracle gives them, and corrected for its errors against people's labels.

    Where it was not measured: how to do so.
    """
    if found is None:
        say(console, f"Judge of harm: {safe(judge['told'], 400)}.\n")
        return
    table = new_table("measure", "raw", "corrected for the oracle's errors")
    for name, rates in found["harm"].items():
        table.add_row(
            f"harm, {name}",
            _rate(rates["raw"]),
            _rate(rates["corrected"]) if rates["corrected"] else f"cannot be told: {rates['why_not']}",
        )
    titled(console, f"Calibration of {safe(judge['told'], 400)}.", table)


def print_constitution(console: Console, principles: Sequence[Mapping[str, Any]]) -> None:
    """The principles with where they came from."""
    table = new_table("category", "evidence", "born", "principle", wide=3)
    for p in principles:
        table.add_row(
            Text(safe(p["category"] or "-", 40)),
            str(p["evidence"]),
            str(p["born"]),
            Text(safe(p["text"], 400)),
        )
    title = (
        "Constitution. Evidence: answers behind a principle. Born: the iteration that found it (0: given)."
    )
    titled(
        console,
        title if principles else "Constitution: empty, no principle was found.",
        table if principles else None,
    )


def print_agreement(console: Console, pairs: Sequence[Mapping[str, Any]]) -> None:
    """How often a jury's members agree."""
    if not pairs:
        return
    table = new_table("jurors", "agree", "kappa", "n")
    for pair in pairs:
        agree = pair["agree"]
        rate = f"{agree['value']:.1%} [{100 * agree['low']:.1f}, {100 * agree['high']:.1f}]"
        table.add_row(
            safe(" and ".join(pair["pair"]), 80),
            rate,
            "-" if pair["kappa"] is None else f"{pair['kappa']:.2f}",
            str(agree["n"]),
        )
    titled(console, "Jury. How often two members give one label, over the answers that both judged.", table)


def print_status(console: Console, data: Mapping[str, Any]) -> None:
    """Where a run stands, and what to do next."""
    step = data["step"]
    say(
        console,
        f"{safe(data['path'])}: {data['state']} (recipe {safe(data['recipe'])}, seed {data['seed']})",
        "bold",
    )
    if data["worked_on_by"]:
        say(console, f"  worked on by  {safe(data['worked_on_by'])}")
    if data["iterations_planned"] is not None:
        say(
            console,
            f"  iterations    {data['iterations_done']} of at most {data['iterations_planned']} done, "
            f"{data['accepted']} accepted",
        )
    if step:
        say(
            console,
            f"  last step     {place_words(step['scope'], step['name'])}: {safe(step['state'])}, "
            f"{step['done']} of {step['total']}",
        )
    for name in ("harm", "over_refusal"):
        if name in data["baseline"]:
            first = data["baseline"][name]
            rates = f"base {_rate(first)}, now {_rate(data['now'].get(name))}"
            say(console, f"  {_label(name):<13} {rates} (n={first['n']})")
    if data["spent"]["calls"]:
        say(console, f"  spent         {_spent(data['spent'])}")
    for text in data["warnings"][-5:]:
        say(console, f"  warning       {safe(text)}")
    if data["stopped_by"]:
        say(console, f"  stopped       {safe(data['stopped_by'], 600)}")
    if data["state"] == "interrupted":
        say(console, f"  continue      iteralign resume {safe(data['path'])}")


def print_spent(console: Console, spent: Mapping[str, Any]) -> None:
    """What paid servers were asked for, by step and model."""
    if not spent["calls"]:
        return
    table = new_table(
        "step", "model", "requests", "failed", "no reply", "input tokens", "output tokens", "cost"
    )
    for row in spent["by_step"]:
        failed = row["unanswered"] - row["lost"]
        counts = [
            f"{n:,}" for n in (row["calls"], failed, row["lost"], row["input_tokens"], row["output_tokens"])
        ]
        table.add_row(
            place_words(row["scope"], row["step"]), safe(row["model"], 60), *counts, _cost(row["cost"])
        )
    titled(console, f"Spent on paid servers: {_spent(spent)}.", table)


def _spent(spent: Mapping[str, Any]) -> str:
    tokens = f"{spent['input_tokens']:,} + {spent['output_tokens']:,} tokens"
    failed = f"{spent['unanswered'] - spent['lost']:,} failed" + (
        f", {spent['lost']:,} without a reply yet" if spent["lost"] else ""
    )
    return f"{count_of(spent['calls'], 'request')} ({failed}), {tokens}, cost {_cost(spent['cost'])}"


def _cost(cost: float | None) -> str:
    return "unknown (budget.prices)" if cost is None else f"{cost:.4f}"


def _rate(score: Mapping[str, Any] | None) -> str:
    return (
        "-"
        if score is None or not score["n"] or score["rate"] is None
        else f"{score['rate']:.1%} [{100 * score['low']:.1f}, {100 * score['high']:.1f}]"
    )


def lines(values: Iterable[tuple[str, Any]]) -> list[str]:
    """``name  value`` lines of plain data, for results that need no table.

    A rate is shown with its interval and n.
    """
    rows = [(safe(name).replace("_", " "), _plain(value)) for name, value in values]
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{name:<{width}}  {value}" for name, value in rows]


def _plain(value: Any) -> str:
    if isinstance(value, Mapping) and {"rate", "n", "low", "high"} <= set(value):
        return f"{_rate(value)} (n={value['n']})"
    if isinstance(value, Mapping):
        return ", ".join(f"{safe(k)} {_plain(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return safe(value)
