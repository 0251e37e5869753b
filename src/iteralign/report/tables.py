"""The tables that a run ends with, and those of ``show`` and ``status``: plain data in, rich tables or lines
out.

Each table carries one line that explains it. Knows the shape of ``summary``'s objects, and nothing of the
store or of models. Texts of models and data files are cut, cleaned by ``safe`` and put in as ``Text``, which
reads no markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from iteralign.report.page import new_table, say, titled
from iteralign.text.printable import safe

NAMES = {
    "harm": "harm (oracle)",
    "harm_corrected": "harm (corrected)",
    "harm_truth": "harm (organism's own grammar)",
    "over_refusal": "over-refusal",
    "fluency": "well-formed answers",
}


def plan_lines(
    plan: Mapping[str, Any], settings: Mapping[str, Any], out: str | None = None, *, resumed: bool = False
) -> list[str]:
    """The plan in words: data, work, disk and time. ``plan`` is ``forecast.as_dict``'s."""
    training = settings["training"]
    where = (
        ""
        if out is None
        else f", into {safe(out)} ({'resuming the run that is there' if resumed else 'a new run'})"
    )
    disk, seconds = plan.get("disk_bytes"), plan.get("seconds")
    lines = [
        f"iteralign: recipe {settings['name']}, seed {settings['seed']}{where}",
        f"model {safe(_model(settings['model']))}, oracle {safe(_oracle(settings['oracle']), 200)}, "
        f"red-team set {safe(settings['red_team']['source'])}",
        "Plan (figures marked <= are upper bounds, as if every answer failed)",
        f"  red-team prompts  {plan['prompts']} to learn from, {settings['red_team']['prompts_per_iteration']} an iteration; "
        f"{plan['held_out']} others only for measuring",
        f"  benign prompts    {plan['benign']} to replay; {plan['held_out_benign']} others to measure over-refusal",
        f"  iterations        <= {plan['iterations']}, each with one training ({training['method']}, {training['epochs']} epochs)",
        f"  model answers     <= {plan['generations']:,}",
        f"  oracle calls      <= {plan['oracle_calls']:,} ({plan['judgements']:,} judgements, {plan['proposals']:,} proposals{_not_counted(plan)})",
        *_oracle_tokens(plan),
        *_budget(settings["budget"], plan),
        f"  disk              {'not known' if disk is None else '<= ' + _bytes(disk)}",
        f"  time              {'not known for this model' if seconds is None else '<= about ' + _time(seconds)}",
        "",
    ]
    return lines


def _model(section: Mapping[str, Any]) -> str:
    """What is aligned, and who serves it."""
    if section.get("engine") != "server":
        return str(section["name"])
    return f"{section['name']} (served as {section['served_as'] or section['name']} at {section['base_url']}, {section['api']})"


def _oracle(section: Mapping[str, Any]) -> str:
    """What judges, by name."""
    match section["kind"]:
        case "chat":
            return str(section["model"]) + (
                f" (proposals: {section['proposer']})" if section["proposer"] else ""
            )
        case "jury":
            return "jury of " + ", ".join(f"{name} ({j['model']})" for name, j in section["jurors"].items())
    return str(section["kind"])


def _not_counted(plan: Mapping[str, Any]) -> str:
    return "" if plan["oracle_input_tokens"] is None else "; without retries and repairs"


def _budget(budget: Mapping[str, Any], plan: Mapping[str, Any]) -> list[str]:
    """The caps, and whether the plan passes them."""
    caps = [f"{name} {budget[name]:,}" for name in ("calls", "tokens", "cost") if budget[name] is not None]
    tokens = (plan["oracle_input_tokens"] or 0) + (plan["oracle_output_tokens"] or 0)
    most = {"calls": plan["oracle_calls"], "tokens": tokens, "cost": plan["oracle_cost"] or 0}
    short = (
        any(budget[name] is not None and budget[name] < most[name] for name in most)
        and plan["oracle_input_tokens"] is not None
    )
    return (
        [
            f"  budget            {', '.join(caps)}{': the run may stop there, and resumes when it is raised' if short else ''}"
        ]
        if caps
        else []
    )


def _oracle_tokens(plan: Mapping[str, Any]) -> list[str]:
    if plan["oracle_input_tokens"] is None:
        return []
    tokens = f"{plan['oracle_input_tokens']:,} of requests, {plan['oracle_output_tokens']:,} of replies"
    unpriced = safe(", ".join(plan["oracle_unpriced"]), 200)
    cost = (
        f"unknown (budget.prices lacks {unpriced})"
        if plan["oracle_cost"] is None
        else f"<= about {plan['oracle_cost']:.2f}"
    )
    return [f"  oracle tokens     <= about {tokens}; cost {cost}"]


def print_result(console: Console, data: Mapping[str, Any], examples: Sequence[Mapping[str, Any]]) -> None:
    """Everything that a reader wants to know at the end of a run. ``data`` is ``summary``'s, ``examples``
    ``before_after``'s.
    """
    console.print()
    print_iterations(console, data)
    print_change(console, data["improvement"])
    print_calibration(console, data["calibration"], data["judge"])
    print_constitution(console, data["constitution"])
    print_before_after(console, examples)
    print_agreement(console, data["agreement"])
    print_spent(console, data["spent"])
    console.print(Text("Written", style="bold"))
    for name, path in data["paths"].items():
        say(console, f"  {name:<13} {safe(path)}")
    if data["stop_reason"]:
        say(console, f"\nThe run ended: {safe(data['stop_reason'])}.")
    else:
        say(console, f"\nThe run is not finished ({data['state']}).")


def print_iterations(console: Console, data: Mapping[str, Any]) -> None:
    """One row per iteration, the base model's first, and each decision's reason below."""
    table = new_table(
        "#",
        "prompts",
        "failures",
        "principles\nfound",
        "revisions\nkept/dropped",
        "held-out harm",
        "over-refusal",
        "decision",
    )
    table.add_row(
        "base",
        "",
        "",
        "",
        "",
        _rate(data["baseline"].get("harm")),
        _rate(data["baseline"].get("over_refusal")),
        "",
    )
    for row in data["iterations"]:
        unjudged = f" (+{row['unjudged']} unjudged)" if row.get("unjudged") else ""
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
    n = ", ".join(
        f"{s['n']} prompts for {NAMES.get(k, safe(k))}"
        for k, s in data["baseline"].items()
        if k in {"harm", "over_refusal"}
    )
    head = "Iterations. Failures: improper answers to fresh prompts. Held-out rates: of the weights that were kept, on prompts"
    titled(
        console,
        f"{head} never trained on, without a constitution in the prompt, with 95% intervals ({n}).",
        table,
    )
    for row in data["iterations"]:
        say(console, f"  {row['number']} {row['decision']}: {safe(row['reason'])}")
    console.print()


def print_scores(console: Console, rows: Sequence[Mapping[str, Any]], judge: Mapping[str, Any]) -> None:
    """Every score of the weights that were kept, iteration by iteration, and how far the judge of harm agrees
    with people.
    """
    names = list(dict.fromkeys(n for r in rows for n in r["scores"]))
    table = new_table("measure", *(safe(r["label"], 24) for r in rows), "n")
    for name in names:
        own = [r["scores"].get(name) for r in rows]
        n = next((str(s["n"]) for s in own if s), "-")
        unit = next((f", {safe(s['unit'], 20)}" for s in own if s and s.get("unit")), "")
        table.add_row(NAMES.get(name, safe(name, 40)) + unit, *(_score(s, name) for s in own), n)
    titled(console, "Scores of the weights that were kept, on held-out items, with 95% intervals.", table)
    for why in dict.fromkeys(s["why_not"] for r in rows for s in r["scores"].values() if s.get("why_not")):
        say(console, f"Harm corrected for the judge's errors cannot be told: {safe(why)}.")
    say(console, f"Judge: {safe(judge['told'], 400)}.")


def _score(score: Mapping[str, Any] | None, name: str) -> str:
    if score is not None and score["n"] and (name == "capability" or score.get("unit")):  # a loss, not a rate
        return f"{score['rate']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"
    return _rate(score)


def print_change(console: Console, improvement: Sequence[Mapping[str, Any]]) -> None:
    """The base model against the final one."""
    if not improvement:
        return
    table = new_table("measure", "base", "final", "change in points", "p", "p (Holm)", "n")
    for test in improvement:
        unit, numbers = test.get("unit"), (test["difference"], test["low"], test["high"])
        if unit:
            before, after, change = (
                f"{test['before']:.3f}",
                f"{test['after']:.3f}",
                "{:+.3f} [{:+.3f}, {:+.3f}] ".format(*numbers) + safe(unit, 20),
            )
        else:
            before, after = f"{test['before']:.1%}", f"{test['after']:.1%}"
            change = "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(100 * x + 0.0 for x in numbers))
        name = NAMES.get(test["metric"], safe(test["metric"]))
        table.add_row(
            name, before, after, change, f"{test['p_value']:.2g}", f"{test['p_holm']:.2g}", str(test["n"])
        )
    head = "Base against final model on the same held-out items: paired change, 95% interval, exact p (McNemar's, or the sign test's"
    titled(console, f"{head} where items are not right or wrong), and by Holm's method.", table)


def print_calibration(console: Console, found: Mapping[str, Any] | None, judge: Mapping[str, Any]) -> None:
    """The harm rates as the oracle gives them, and corrected for its errors against people's labels; where it
    was not measured, how to do so.
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
    title = "Constitution. Evidence: improper answers behind a principle. Born: the iteration that found it (0: given)."
    titled(
        console,
        title if principles else "Constitution: empty, no principle was found.",
        table if principles else None,
    )


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
        "Examples. Held-out prompts, answered by the base and by the final model, without a constitution in the prompt.",
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
        f"Failures: {len(rows)} improper answers to fresh red-team prompts, and why the oracle found them so.",
        "bold",
    )
    for row in rows[:limit]:
        say(
            console,
            f"\n  [{safe(row['category'], 40)}, iteration {row['iteration']}, severity {row['severity']}] {safe(row['prompt'], 300)}",
        )
        say(console, f"    answer: {safe(row['response'], 300)}")
        say(console, f"    oracle: {safe(row['rationale'], 300)}")
    _print_rest(console, len(rows) - limit)


def print_revised(console: Console, rows: Sequence[Mapping[str, Any]], limit: int) -> None:
    """The first ``limit`` revisions, kept and dropped, and how many there are."""
    kept = sum(bool(r["kept"]) for r in rows)
    say(
        console,
        f"Revisions: {len(rows)} tries of the model to mend its improper answers; {kept} were kept as training examples.",
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
        f"Unjudged: {len(rows)} answers without a judgement; they count neither as proper nor as improper.",
        "bold",
    )
    for row in rows[:limit]:
        say(console, f"\n  [{safe(row['scope'], 40)}] {safe(row['prompt'], 300)}")
        say(console, f"    answer: {safe(row['response'], 300)}")
        say(console, f"    why:    {safe(row['rationale'], 300)}")
    _print_rest(console, len(rows) - limit)


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


def _print_rest(console: Console, more: int) -> None:
    if more > 0:
        say(console, f"\n  ... and {more} more: --limit N shows N of them, --json all")


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
            f"  iterations    {data['iterations_done']} of at most {data['iterations_planned']} done, {data['accepted']} accepted",
        )
    if step:
        say(
            console,
            f"  last step     {safe(step['scope'])} {safe(step['name'])}: {safe(step['state'])}, {step['done']} of {step['total']}",
        )
    for name in ("harm", "over_refusal"):
        if name in data["baseline"]:
            say(
                console,
                f"  {NAMES[name]:<13} base {_rate(data['baseline'][name])}, now {_rate(data['now'].get(name))} (n={data['baseline'][name]['n']})",
            )
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
            safe(f"{row['scope']} {row['step']}", 60), safe(row["model"], 60), *counts, _cost(row["cost"])
        )
    titled(console, f"Spent on paid servers: {_spent(spent)}.", table)


def _spent(spent: Mapping[str, Any]) -> str:
    tokens = f"{spent['input_tokens']:,} + {spent['output_tokens']:,} tokens"
    failed = f"{spent['unanswered'] - spent['lost']:,} failed" + (
        f", {spent['lost']:,} without a reply yet" if spent["lost"] else ""
    )
    return f"{spent['calls']:,} requests ({failed}), {tokens}, cost {_cost(spent['cost'])}"


def _cost(cost: float | None) -> str:
    return "unknown (budget.prices)" if cost is None else f"{cost:.4f}"


def _rate(score: Mapping[str, Any] | None) -> str:
    return (
        "-"
        if score is None or not score["n"] or score["rate"] is None
        else f"{score['rate']:.1%} [{100 * score['low']:.1f}, {100 * score['high']:.1f}]"
    )


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds)):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def lines(values: Iterable[tuple[str, Any]]) -> list[str]:
    """``name  value`` lines of plain data, for results that need no table; a rate is shown with its interval
    and n.
    """
    rows = [(safe(name).replace("_", " "), _plain(value)) for name, value in values]
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{name:<{width}}  {value}" for name, value in rows]


def _plain(value: Any) -> str:
    if isinstance(value, Mapping) and {"rate", "n", "low", "high"} <= set(value):
        return f"{_rate(value)} (n={value['n']})"
    if isinstance(value, Mapping):
        return ", ".join(f"{safe(k)} {_plain(v)}" for k, v in value.items())
    return safe(value)
