"""What a run came to, as plain data.

The object that ``--json`` prints, and what ``status`` and ``show`` print. Reads a run that is finished,
interrupted or still being worked on. Knows the names of the run's steps, and nothing of printing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from iteralign.ledger import Caps, Price
from iteralign.metrics import ORDER_CONSISTENCY, metric
from iteralign.records.iteralign import (
    Checkpoint,
    Constitution,
    EvalReport,
    GateTest,
    IterationRecord,
    Verdict,
)
from iteralign.report import left_out, trust
from iteralign.report.decisions import outcome, told
from iteralign.report.jury import agreement
from iteralign.report.stored import (
    baseline_of,
    constitution_of,
    iterations_of,
    measured_last,
    result_of,
    rounds_of,
)
from iteralign.report.trust import harm_corrected
from iteralign.report.trust import rate as _estimate
from iteralign.stats import holm
from iteralign.store.run import Run

BESIDE = ("over_refusals", "helped", "left_out", "untrained")
"""Counts that an iteration has only where there is something to count."""
STAGES = ("base", "engraved", "cloned")
"""The models of a Self-Align run."""


def summary(run: Run) -> dict[str, Any]:
    """The run as one JSON object.

    ``baseline``, ``final`` and each iteration's ``scores`` map an evaluation's name to ``{"rate", "n", "low",
    "high"}`` (95% interval; with a ``unit`` where it is no rate). ``baseline`` and ``final`` of a finished
    run are measured on the test part, which decided nothing (``part`` is ``test``; ``gate`` where the run has
    none, or is not finished), and ``looks`` is how many models were asked it. ``gate`` has the same two on
    the prompts that the gate decided with, and so have the iterations: an iteration's scores are those of the
    weights that it left, so that after a roll-back they are its parent's, and none where these were not
    measured (``evaluation.every``). ``decision`` is ``accepted``,
    ``rolled back`` or ``no training``. On an unfinished run ``state`` says so and the rest is what there is.
    """
    iterations = rounds_of(run)
    reports = baseline_of(run)
    result = result_of(run)
    last = result.final if result else next((r for _, r in reversed(iterations) if r), reports)
    claims = result.claims if result else (reports, last)
    return {
        "state": _state(run, result),
        "recipe": run.settings["name"],
        "seed": run.settings["seed"],
        "stop_reason": result.stop_reason if result else None,
        "baseline": scores(claims[0]),
        "iterations": [_iteration(*i) for i in iterations],
        "final": scores(claims[1]),
        "part": "test" if result and result.tested_base else "gate",
        "looks": len({e.fields["scope"] for e in run.events("step") if _is_test(e.fields["scope"])}),
        "gate": {"baseline": scores(reports), "final": scores(last)},
        "calibration": calibration(run),
        "judge": judge(run),
        "improvement": _changes(result.improvement) if result else [],
        "constitution": _principles(constitution(run)),
        "agreement": agreement(
            [
                v
                for scope in run.scopes()
                for step in ("judge", "verdicts")
                for v in run.read(Verdict, scope, step)
            ]
        ),
        "left_out": left_out.counts(left_out.left_out(run)),
        "spent": spent(run),
        "paths": paths(run),
    }


def _is_test(scope: str) -> bool:
    return scope.startswith("test-")


def status(run: Run) -> dict[str, Any]:
    """Where a run stands: its state, who works on it, the step it is at, and the harm rate before and now."""
    steps = run.events("step")
    done = iterations_of(run)
    last = steps[-1] if steps else None
    return {
        "state": _state(run, result_of(run)),
        "worked_on_by": worked_on_by(run.directory),
        "recipe": run.settings["name"],
        "seed": run.settings["seed"],
        "iterations_done": len(done),
        "iterations_planned": run.settings["stop"]["iterations"] if "stop" in run.settings else None,
        "accepted": sum(i.decision.accepted for i in done),
        "step": None
        if last is None
        else {k: last.fields[k] for k in ("scope", "name", "state", "done", "total")},
        "last_event": last.time if last else None,
        "warnings": [str(e.fields["text"]) for e in run.events("warning")],
        "baseline": rows[0]["scores"] if (rows := score_rows(run)) else {},
        "now": rows[-1]["scores"] if rows else {},
        "stopped_by": _stopped_by(run),
        "spent": spent(run),
        "path": str(run.directory),
    }


def scores(reports: Iterable[EvalReport]) -> dict[str, dict[str, Any]]:
    """Each evaluation's main rate with its n and 95% interval; its order consistency, if any, behind it."""
    return {name: score for r in reports for name, score in _scores(r).items()}


def _scores(report: EvalReport) -> dict[str, dict[str, Any]]:
    """The main figure, with ``unit`` where it is not a rate, ``kinds`` if any, and the order consistency."""
    order = report.name + ORDER_CONSISTENCY
    beside = {order: _estimate(report.metrics[order])} if order in report.metrics else {}
    return {report.name: _estimate(report.main) | _unit(report.name) | _kinds(report)} | beside


def _kinds(report: EvalReport) -> dict[str, dict[str, Any]]:
    """The rates by kind of prompt."""
    prefix = f"{report.name}/kind/"
    found = {
        name.removeprefix(prefix): _estimate(rate)
        for name, rate in report.metrics.items()
        if name.startswith(prefix)
    }
    return {"kinds": found} if found else {}


def _unit(name: str) -> dict[str, str]:
    return {"unit": unit} if (unit := metric(name).unit) else {}


def spent(run: Run) -> dict[str, Any]:
    """What paid servers were asked for: requests, tokens and cost, in all and by step and model.

    A model without a price costs None, not nothing, and so does a sum that it is part of. ``unanswered``:
    requests that failed, and ``lost`` ones: under way now, or when a process was killed.
    """
    prices = {
        model: Price(p["input"], p["output"])
        for model, p in run.settings.get("budget", {}).get("prices", {}).items()
    }
    rows = run.calls.spent()
    costs = [Caps(prices=prices).cost_of(r.model, r.input_tokens, r.output_tokens) for r in rows]
    known = [c for c in costs if c is not None]
    return {
        **{
            name: sum(getattr(r, name) for r in rows)
            for name in ("calls", "unanswered", "lost", "input_tokens", "output_tokens")
        },
        "cost": sum(known) if len(known) == len(costs) else None,
        "by_step": [asdict(r) | {"cost": c} for r, c in zip(rows, costs, strict=True)],
    }


def constitution(run: Run) -> Constitution:
    """The newest version in the run; the empty one where nothing was proposed yet."""
    return constitution_of(run)


def calibration(run: Run) -> dict[str, Any] | None:
    """How the run's oracle did against people's labels, and the harm rates corrected for it.

    None where it was not calibrated. ``harm``: ``baseline`` and ``final``, each ``raw`` and ``corrected``
    (None where that cannot be told, and ``why_not``).
    """
    found = run.noted("calibration")
    if found is None:
        return None
    first = baseline_of(run)
    result = None if "method" in run.settings and run.settings["method"] == "self-align" else result_of(run)
    claims = result.claims if result else (first, measured_last(run))
    harm = {}
    for name, reports in zip(("baseline", "final"), claims, strict=True):
        for raw in (r.main for r in reports if r.name == "harm"):
            harm[name] = harm_corrected(raw, found)
    kept = (
        "oracle",
        "labels",
        "n",
        "positive",
        "accuracy",
        "sensitivity",
        "specificity",
        "unjudged",
        "kappa",
        "by_category",
    )
    sample = {"sample": found["sample"]} if "sample" in found else {}
    return {**{k: found[k] for k in kept}, **sample, "harm": harm}


def judge(run: Run) -> dict[str, Any]:
    """How far the run's judge agrees with people.

    ``measured``, and ``told`` in one line, with the figures where it was calibrated.
    """
    return trust.agreement(run.noted("calibration"))


def paths(run: Run) -> dict[str, str]:
    """What the run has written, by what it is; only what is there."""
    last = _last_checkpoint(run)
    known = {
        "run": run.directory,
        "recipe": run.directory / "recipe.yaml",
        "records": run.directory / "run.sqlite",
        "constitution": run.directory / "exports" / "constitution.md",
        "exports": run.directory / "exports",
    }
    found = {name: str(path) for name, path in known.items() if path.exists()}
    if last is not None and last.path.startswith("checkpoints/") and (run.directory / last.path).is_dir():
        found["model"] = str(run.directory / last.path)
    return found


def worked_on_by(directory: Path) -> str | None:
    """Who works on the run right now, in words; None where nobody does. Takes nothing and writes nothing."""
    import fcntl

    try:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(directory / "run.lock", flags)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(descriptor, 500, 0).decode(errors="replace").strip() or "another process"
    finally:
        os.close(descriptor)
    return None


def _state(run: Run, result: object | None) -> str:
    if worked_on_by(run.directory) is not None:
        return "running"
    return "finished" if result is not None else "interrupted"


def _stopped_by(run: Run) -> str | None:
    """Why the run stopped before its end, where it said so."""
    events = run.events("run")
    return str(events[-1].fields["reason"]) if events and events[-1].fields["state"] == "stopped" else None


def _last_checkpoint(run: Run) -> Checkpoint | None:
    done = iterations_of(run)
    return done[-1].after if done else None


def _iteration(record: IterationRecord, reports: Sequence[EvalReport]) -> dict[str, Any]:
    decision = record.decision
    return {
        "number": record.index,
        **{
            name: record.counts.get(name, 0)
            for name in ("prompts", "failures", "unjudged", "principles", "kept", "dropped")
        },
        **{name: record.counts[name] for name in BESIDE if name in record.counts},
        "decision": outcome(decision),
        "reason": told(decision),
        "scores": scores(reports),
    }


def score_rows(run: Run) -> list[dict[str, Any]]:
    """The scores of the weights that were kept, the base model's first.

    ``{"label", "scores"}``, a row for each iteration whose weights were measured (Self-Align: stage).
    Where the run's judge was calibrated, ``harm_corrected`` stands behind ``harm``; without a rate, and with
    ``why_not``, where it cannot be told.
    """
    found = run.noted("calibration")
    stages = [
        (s, tuple(r for value in run.read(list[EvalReport], f"measured-{s}", "reports") for r in value))
        for s in STAGES
    ]
    if any(reports for _, reports in stages):
        return [{"label": s, "scores": _with_corrected(reports, found)} for s, reports in stages if reports]
    rows = [{"label": "base", "scores": _with_corrected(baseline_of(run), found)}]
    rounds = rounds_of(run)
    for done, reports in rounds:
        label = f"iteration {done.index}" + ("" if done.decision.accepted else " (unchanged)")
        if reports:
            rows.append({"label": label, "scores": _with_corrected(reports, found)})
    if rounds and not rounds[-1][1] and (result := result_of(run)):
        rows.append({"label": "final", "scores": _with_corrected(result.final, found)})
    return rows


def _with_corrected(
    reports: Iterable[EvalReport], found: Mapping[str, Any] | None
) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for report in reports:
        rows |= _scores(report)
        if report.name == "harm" and found is not None:
            better = harm_corrected(report.main, found)
            none = {"rate": None, "n": report.main.n, "low": 0.0, "high": 1.0, "why_not": better["why_not"]}
            rows["harm_corrected"] = better["corrected"] or none
    return rows


def _changes(tests: Sequence[GateTest]) -> list[dict[str, Any]]:
    """The run's changes, each in its metric's own sense, with its ``unit`` where it is no rate.

    ``p_holm`` is its p-value among them all by Holm's method.
    """
    adjusted = holm([t.p_value for t in tests])
    return [_change(t) | {"p_holm": p} | _unit(t.metric) for t, p in zip(tests, adjusted, strict=True)]


def _change(test: GateTest) -> dict[str, Any]:
    names = ("metric", "before", "after", "n", "difference", "low", "high", "p_value")
    figures = {name: getattr(test, name) for name in names}
    # kept by an older version, which counted what is ill-formed
    if test.metric == "fluency" and (test.rule or "").startswith("falls"):
        figures |= {
            "before": 1 - test.before,
            "after": 1 - test.after,
            "difference": -test.difference,
            "low": -test.high,
            "high": -test.low,
        }
    return figures


def _principles(found: Constitution) -> list[dict[str, Any]]:
    active = (p for p in found.principles if p.status == "active")
    return [
        {"id": p.id, "text": p.text, "category": p.category, "evidence": len(p.evidence), "born": p.born}
        for p in active
    ]
