"""The plan of a run in words, before it starts: data, gate, work, disk and time.

Plain data in, lines out. Names that come from recipes are cleaned by ``safe``. Knows nothing of how the plan
is made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from iteralign.metrics import metric
from iteralign.report.gate import gate_lines
from iteralign.text.printable import count_of, safe

SHOWN = 5
"""Prompts of which the plan says where they stand and why they are left out."""


def plan_lines(
    plan: Mapping[str, Any], settings: Mapping[str, Any], out: str | None = None, *, resumed: bool = False
) -> list[str]:
    """The plan in words: data, gate, work, disk and time. ``plan`` is ``forecast.as_dict``'s."""
    training = settings["training"]
    where = (
        ""
        if out is None
        else f", into {safe(out)} ({'resuming the run that is there' if resumed else 'a new run'})"
    )
    proposals = count_of(plan["proposals"], "proposal")
    asked = f"{count_of(plan['judgements'], 'judgement')}, {proposals}{_not_counted(plan)}"
    lines = [
        f"iteralign: recipe {settings['name']}, seed {settings['seed']}{where}",
        f"model {safe(_model(settings['model']))}, oracle {safe(_oracle(settings['oracle']), 200)}, "
        f"red-team set {safe(settings['red_team']['source'])}",
        "Plan (figures marked <= are upper bounds, as if every answer failed)",
        f"  red-team prompts  {plan['prompts']} to learn from, "
        f"{settings['red_team']['prompts_per_iteration']} an iteration; "
        f"{plan['held_out']} more, only for measuring",
        f"  benign prompts    {plan['benign']} to replay; "
        f"{plan['held_out_benign']} more to measure {metric('over_refusal').label}",
        *_test_part(plan),
        *left_out_lines(plan.get("left_out", ())),
        *gate_lines(plan["gate"], enabled=settings["accept"]["enabled"]),
        f"  iterations        <= {plan['iterations']}, each with one training "
        f"({training['method']}, {count_of(training['epochs'], 'epoch')}) on at least "
        f"{count_of(training.get('min_lessons', 1), 'lesson')}",
        f"  model answers     <= {plan['generations']:,}",
        f"  oracle calls      <= {plan['oracle_calls']:,} ({asked})",
        *_oracle_tokens(plan),
        *_budget(settings["budget"], plan),
        f"  disk              {_disk(plan)}",
        *_memory(plan, settings),
        f"  time              {_time(plan)}",
        "",
    ]
    return lines


def _test_part(plan: Mapping[str, Any]) -> list[str]:
    """The prompts that claims rest on; nothing where the run has none."""
    tested = plan.get("tested")
    return (
        [f"  test part         {tested} more, asked only at the end: claims rest on them"] if tested else []
    )


def _model(section: Mapping[str, Any]) -> str:
    """What is aligned, and who serves it."""
    if section.get("engine") == "vllm":
        return f"{section['name']} (vLLM, in a process of its own)"
    if section.get("engine") == "ray":
        return f"{section['name']} (replicas of {section['ray']['engine']} on a Ray cluster)"
    if section.get("engine") != "server":
        return str(section["name"])
    served_as = section["served_as"] or section["name"]
    return f"{section['name']} (served as {served_as} at {section['base_url']}, {section['api']})"


def _oracle(section: Mapping[str, Any]) -> str:
    """What judges, by name."""
    match section["kind"]:
        case "chat":
            return str(section["model"]) + (
                f" (proposals: {section['proposer']})" if section["proposer"] else ""
            )
        case "guard" | "local" as kind:
            where = "in this process" if section["base_url"] is None else f"at {section['base_url']}"
            own = "embedded" if kind == "guard" else None
            proposer = section["proposer"] or own
            return f"{section['model']} ({kind}, {where}" + (f"; proposals: {proposer})" if proposer else ")")
        case "jury":
            return "jury of " + ", ".join(f"{name} ({j['model']})" for name, j in section["jurors"].items())
    return str(section["kind"])


def _not_counted(plan: Mapping[str, Any]) -> str:
    return "" if plan["oracle_input_tokens"] is None else "; without retries and repairs"


def _budget(budget: Mapping[str, Any], plan: Mapping[str, Any]) -> list[str]:
    """The caps, and whether the plan passes them."""
    caps = [f"{name} {budget[name]:,}" for name in ("calls", "tokens", "cost") if budget[name] is not None]
    if not caps:
        return []
    tokens = (plan["oracle_input_tokens"] or 0) + (plan["oracle_output_tokens"] or 0)
    most = {"calls": plan["oracle_calls"], "tokens": tokens, "cost": plan["oracle_cost"] or 0}
    short = (
        any(budget[name] is not None and budget[name] < most[name] for name in most)
        and plan["oracle_input_tokens"] is not None
    )
    warning = ": the run may stop there, and resumes when it is raised" if short else ""
    return [f"  budget            {', '.join(caps)}{warning}"]


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


def left_out_lines(left_out: Sequence[Mapping[str, str]]) -> list[str]:
    """The prompts that cannot be asked, with file and line; nothing where there are none."""
    if not left_out:
        return []
    cannot = f"{count_of(len(left_out), 'prompt')}, which the model cannot be asked"
    rest = len(left_out) - SHOWN
    return [
        f"  left out          {cannot}:",
        *(f"    {safe(m['where'], 200)}: {safe(m['why'], 300)}" for m in left_out[:SHOWN]),
        *([f"    ... and {rest} more (--json lists all)"] if rest > 0 else []),
    ]


def _disk(plan: Mapping[str, Any]) -> str:
    left = plan.get("disk_left_bytes")
    after = "" if left is None else f"; leaves <= {in_bytes(left)}"
    return disk_words(plan.get("disk_bytes"), plan.get("disk_free")) + after


def _memory(plan: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """What the run takes of the device and the host, and what to change where it does not fit."""
    memory = plan.get("memory")
    if memory is None:
        return []
    on = safe(plan["hardware"], 80)
    answering = f", answering {in_bytes(memory['answering'])}" if memory["answering"] else ""
    told = f"  memory            {on}: training ({settings['training']['method']}) "
    lines = [f"{told}<= about {in_bytes(memory['training'])}{answering}; host {in_bytes(memory['host'])}"]
    if plan["too_much"] is not None:
        return [*lines, f"    does NOT fit: {safe(plan['too_much'], 400)}"]
    if memory["answering"] > memory["device"]:
        lines.append("    answers fit in smaller batches: the engine makes them smaller when memory runs out")
    if re.search(r"x\d+$", plan["hardware"]):
        training = settings["training"].get("gpus") or 1
        works = (
            f"{training} of these devices train, one answers"
            if training > 1
            else "one of these devices works"
        )
        lines.append(f"    {works}; a served model answers on all of them")
    return lines


def _time(plan: Mapping[str, Any]) -> str:
    if (seconds := plan.get("seconds")) is not None:
        return f"<= about {time_words(seconds)}"
    if (seconds := plan.get("estimated_seconds")) is None:
        return "not known for this model"
    on = safe(plan["hardware"], 80)
    return (
        f"<= about {time_words(seconds)} on {on} beside the oracle's replies: an estimate from published "
        "bandwidth and arithmetic, not measured"
    )


def disk_words(needed: float | None, free: float | None) -> str:
    """The disk that a run may take, and what is free."""
    told = "not known" if needed is None else f"<= {in_bytes(needed)}"
    if free is None:
        return told
    short = ": too little if the run needs all of it" if needed is not None and free < needed else ""
    return f"{told} ({in_bytes(free)} free{short})"


def in_bytes(count: float) -> str:
    """``1.5 GB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def time_words(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds)):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
