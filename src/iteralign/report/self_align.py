"""What a Self-Align run came to, as plain data and as tables.

The models before and after each training, the instructions, the answers that were kept, which rules they
apply, and how much of it people wrote. Reads a run that is finished or not. Texts of models go through
``safe``. Knows the names of the run's steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from iteralign.metrics import metric
from iteralign.records.iteralign import EvalReport
from iteralign.records.self_align import Aligned, Harvest, Instruction, SelfAlignResult, Tally
from iteralign.report import left_out
from iteralign.report.page import new_table, print_next, say, titled, whole
from iteralign.report.summary import STAGES, spent, status
from iteralign.stats import Estimate, bootstrap, paired
from iteralign.store.run import Run
from iteralign.text.printable import count_of, safe


def summary(run: Run) -> dict[str, Any]:
    """The run as one JSON object.

    ``models`` (stage -> evaluation -> value, n, 95% interval), ``changes`` (paired, one for each training and
    evaluation), ``instructions``, ``aligned`` and ``cloned`` (counts, with the usage of each rule),
    ``human_lines``, ``spent`` and ``paths``.
    """
    result = next(iter(run.read(SelfAlignResult, "run", "result")), None)
    reports = {stage: _reports(run, stage) for stage in STAGES}
    return {
        "state": status(run)["state"],
        "recipe": run.settings["name"],
        "seed": run.settings["seed"],
        "models": {
            stage: {r.name: _estimate(r.main) for r in found} for stage, found in reports.items() if found
        },
        "details": {
            stage: {n: _estimate(m) for r in found for n, m in r.metrics.items()}
            for stage, found in reports.items()
            if found
        },
        "changes": [
            *_changes("engraving", reports["base"], reports["engraved"]),
            *_changes("cloning (verbose tax)", reports["engraved"], reports["cloned"]),
        ],
        "instructions": result.instructions if result else _harvested(run)["kept"],
        "dropped": _harvested(run)["dropped"],
        "topics": {
            k: len(v)
            for found in run.read(dict[str, list[str]], "topics", "topics")
            for k, v in found.items()
        },
        "aligned": _with_rules(run, _tally(run, "align")),
        "cloned": _tally(run, "clone"),
        "helpfulness": {n: _estimate(m) for n, m in result.helpfulness.metrics.items()}
        | {"facts": result.helpfulness.facts}
        if result and result.helpfulness
        else None,
        "human_lines": result.human_lines if result else {},
        "left_out": left_out.counts(left_out.left_out(run)),
        "spent": spent(run),
        "paths": {
            "run": str(run.directory),
            **({"model": str(run.directory / result.checkpoint.path)} if result else {}),
            **({"engraved": str(run.directory / result.models[1].checkpoint.path)} if result else {}),
        },
    }


def answers(run: Run, stage: str = "align", limit: int | None = None) -> list[dict[str, Any]]:
    """The answers of stage ``align`` or ``clone``.

    Of each: instruction, thoughts, rules, answer, whether it was kept and why not.
    """
    texts = instructions(run)
    found: list[dict[str, Any]] = []
    for scope in (s for s in run.scopes() if s.startswith(f"{stage}-")):
        for a in run.read(Aligned, scope, "answers"):
            if limit is not None and len(found) >= limit:
                return found
            asked = texts.get(a.instruction_id, a.instruction_id)
            found.append(
                {
                    "instruction": asked,
                    "thoughts": a.thoughts,
                    "rules": list(a.rules),
                    "answer": a.text,
                    "kept": a.kept,
                    "reason": a.reason,
                }
            )
    return found


def instructions(run: Run) -> dict[str, str]:
    """The texts of all instructions by id."""
    given = {
        g["id"]: g["text"] for found in run.read(dict[str, Any], "data", "words") for g in found["given"]
    }
    return given | {i.id: i.text for i in _kept(run)}


def _kept(run: Run) -> list[Instruction]:
    """The instructions that stage 1 kept, less what its last round wrote beyond the number wanted."""
    found = [i for s in run.scopes() for h in run.read(Harvest, s, "kept") for i in h.kept]
    ordinary = [i for i in found if i.origin == "self-instruct"][: run.settings["self_instruct"]["prompts"]]
    return [*ordinary, *(i for i in found if i.origin != "self-instruct")]


def print_result(console: Console, data: Mapping[str, Any]) -> None:
    """Everything that a reader wants to know at the end of a run. ``data`` is ``summary``'s."""
    console.print()
    stages = [s for s in STAGES if s in data["models"]]
    table = new_table("", *(f"{s}" for s in stages), "n")
    for name, first in data["models"].get("base", {}).items():
        row = [_shown(name, data["models"][s].get(name)) for s in stages]
        table.add_row(safe(metric(name).heading), *row, str(first["n"]))
    titled(console, "Before and after, without rules in the prompt, each with its 95% interval.", table)
    print_changes(console, data["changes"])
    judged = data["helpfulness"]
    if judged:
        won = judged["helpfulness"]
        even = judged.get("helpfulness/length_controlled")
        controlled = "" if even is None else f"; at equal length {_share(even)}"
        say(
            console,
            f"Judged helpfulness, cloned against engraved (a tie one half): "
            f"{_share(won)} of {count_of(won['n'], 'question')}{controlled}.",
        )
    print_stage(console, data)
    print_human_lines(console, data["human_lines"])
    left_out.print_counts(console, data.get("left_out", ()))
    console.print(Text("Written", style="bold"))
    for name, path in data["paths"].items():
        whole(console, f"  {name:<13} {safe(path)}")
    if data["state"] != "finished":
        say(console, f"\nThe run is not finished ({data['state']}).")
    print_next(console, data["paths"]["run"], data["state"], "answers", "model" in data["paths"])


def print_changes(console: Console, changes: Sequence[Mapping[str, Any]]) -> None:
    """One row for each training and evaluation: the paired change on the items that both have."""
    table = new_table("", "evaluation", "before", "after", "change [95% interval]", "p", "n")
    for c in changes:
        p = "" if c["p_value"] is None else f"{c['p_value']:.2g}"
        change = f"{c['difference']:+.3f} [{c['low']:+.3f}, {c['high']:+.3f}]"
        name = safe(metric(c["evaluation"]).heading)
        table.add_row(c["training"], name, f"{c['before']:.3f}", f"{c['after']:.3f}", change, p, str(c["n"]))
    titled(
        console,
        "What each training changed: the same items before and after; "
        "McNemar's exact test where items are right or wrong.",
        table,
    )


def print_stage(console: Console, data: Mapping[str, Any]) -> None:
    """Instructions, answers kept and dropped, and the rules that they apply."""
    kinds = ", ".join(f"{n} {safe(k)}" for k, n in data["instructions"].items())
    say(console, f"Instructions: {kinds or 'none'}; dropped: {_reasons(data['dropped'])}.")
    for name, label in (("aligned", "Answers under the rules"), ("cloned", "Extensive answers")):
        found = data[name]
        if found:
            mean = found["words"] / found["kept"] if found["kept"] else 0.0
            say(
                console,
                f"{label}: {found['kept']} of {found['asked']} kept, {mean:.0f} words each; "
                f"dropped: {_reasons(found['dropped'])}.",
            )
    print_rules(console, data["aligned"])


def print_rules(console: Console, found: Mapping[str, Any] | None) -> None:
    """How often each rule is applied, and for which types of instruction most."""
    if not found:
        return
    usage = dict.fromkeys(found.get("rules", ()), 0) | found["usage"]
    table = new_table("rule", "answers that apply it", "share", "most for")
    for rule, count in sorted(usage.items(), key=lambda item: (-item[1], item[0])):
        types = sorted(
            ((n.get(rule, 0), t) for t, n in found["by_type"].items() if n.get(rule)), reverse=True
        )[:3]
        table.add_row(
            safe(rule),
            str(count),
            f"{count / max(1, found['kept']):.0%}",
            safe(", ".join(f"{t} ({n})" for n, t in types), 80),
        )
    console.print()
    titled(
        console, f"Rules named in the internal thoughts of {count_of(found['kept'], 'kept answer')}.", table
    )


def print_ablation(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """One row for each rule that was left out."""
    table = new_table(
        "without", "applied", "kept", "changed", "others changed", "follows with", "follows without"
    )
    for r in rows:
        table.add_row(
            safe(r["rule"]),
            str(r["applied"]),
            f"{r['kept']}/{r['asked']}",
            _share(r["changed"]),
            _share(r["changed_others"]),
            _share(r["follows_with"]),
            _share(r["follows_without"]),
        )
    titled(
        console,
        "Applied: answers that named the rule. Kept: answers without it that pass the filters. "
        "Changed: of the instructions where it was named, those whose answer is another without it, "
        "with the same random stream; others changed: of the rest. "
        "Follows: of the former, answers that follow the rule (where a truth can tell).",
        table,
    )


def _share(found: Mapping[str, Any] | None) -> str:
    return (
        "-"
        if found is None or not found["n"]
        else f"{found['value']:.0%} [{100 * found['low']:.0f}, {100 * found['high']:.0f}]"
    )


def print_texts(console: Console, texts: Sequence[str]) -> None:
    """One line each."""
    for text in texts:
        say(console, f"  {safe(text, 300)}")


def print_answers(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """Instruction, thoughts and answer; of a dropped one the reason."""
    for row in rows:
        say(console, safe(row["instruction"], 300), "bold")
        say(console, f"  thoughts  {safe(row['thoughts'], 300)}")
        say(console, f"  answer    {safe(row['answer'], 600)}")
        if not row["kept"]:
            say(console, f"  dropped   {safe(row['reason'])}")
        console.print()


def print_human_lines(console: Console, lines: Mapping[str, int]) -> None:
    """How much people wrote."""
    if lines:
        kinds = ", ".join(f"{n} {safe(k)}" for k, n in lines.items())
        say(console, f"Written by people: {count_of(sum(lines.values()), 'line')} ({kinds}).")
        console.print()


def _reasons(dropped: Mapping[str, int]) -> str:
    return (
        ", ".join(f"{n} {safe(reason)}" for reason, n in sorted(dropped.items(), key=lambda x: -x[1]))
        or "none"
    )


def _shown(name: str, value: Mapping[str, Any] | None) -> str:
    if value is None:
        return "-"
    if metric(name).unit:
        return f"{value['value']:.2f} [{value['low']:.2f}, {value['high']:.2f}]"
    return f"{value['value']:.1%} [{value['low']:.1%}, {value['high']:.1%}]"


def _estimate(found: Estimate) -> dict[str, Any]:
    return asdict(found)


def _reports(run: Run, stage: str) -> list[EvalReport]:
    return next(iter(run.read(list[EvalReport], f"measured-{stage}", "reports")), [])


def _tally(run: Run, stage: str) -> dict[str, Any] | None:
    found = next(iter(run.read(Tally, stage, "tally")), None)
    return None if found is None else {k: v for k, v in found.to_json().items() if k not in ("id", "digest")}


def _with_rules(run: Run, found: dict[str, Any] | None) -> dict[str, Any] | None:
    """A tally with the names of all rules, so that those which were never applied can be seen."""
    words: dict[str, Any] = next(iter(run.read(dict[str, Any], "data", "words")), {"rules": []})
    return None if found is None else found | {"rules": [name for name, _ in words["rules"]]}


def _harvested(run: Run) -> dict[str, dict[str, int]]:
    kept: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    for scope in run.scopes():
        for h in run.read(Harvest, scope, "kept"):
            dropped.update(h.dropped)
    kept.update(i.origin for i in _kept(run))
    for reasons in run.read(dict[str, int], "topics", "dropped"):
        dropped.update(reasons)
    return {"kept": dict(kept), "dropped": dict(dropped)}


def _changes(
    training: str, before: Sequence[EvalReport], after: Sequence[EvalReport]
) -> list[dict[str, Any]]:
    ends = {r.name: r for r in after}
    return [
        _change(training, r, ends[r.name])
        for r in before
        if r.name in ends and set(r.per_item) & set(ends[r.name].per_item)
    ]


def _change(training: str, before: EvalReport, after: EvalReport) -> dict[str, Any]:
    items = sorted(set(before.per_item) & set(after.per_item))
    was = [before.per_item[i] for i in items]
    now = [after.per_item[i] for i in items]
    told = {
        "training": training,
        "evaluation": before.name,
        "n": len(items),
        "before": sum(was) / len(was),
        "after": sum(now) / len(now),
    }
    if {*was, *now} <= {0.0, 1.0}:
        found = paired([x > 0.5 for x in was], [x > 0.5 for x in now])
        return told | {
            "difference": found.difference,
            "low": found.low,
            "high": found.high,
            "p_value": found.p_value,
        }
    mean = bootstrap([b - a for a, b in zip(was, now, strict=True)], lambda v: sum(v) / len(v), seed=0)
    return told | {"difference": mean.value, "low": mean.low, "high": mean.high, "p_value": None}
