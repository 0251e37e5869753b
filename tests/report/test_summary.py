"""The JSON object of a run: what others build on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from iteralign import load_run
from iteralign.build.run import resume, start
from iteralign.recipe.iteralign import Recipe
from iteralign.records.iteralign import EvalReport, GateTest
from iteralign.report import findings, summary
from iteralign.report.figure import markdown
from iteralign.stats import Estimate
from iteralign.store.run import Run

SCORE = {"rate", "n", "low", "high"}


def of(directory: Path) -> dict[str, object]:
    with load_run(directory) as run:
        return summary.summary(run)


def test_the_object_has_the_promised_keys(finished: Path) -> None:
    data = json.loads(json.dumps(of(finished)))
    assert {"baseline", "iterations", "final", "constitution", "paths"} <= set(data)
    promised = {
        "number",
        "prompts",
        "failures",
        "principles",
        "kept",
        "dropped",
        "decision",
        "reason",
        "scores",
    }
    assert all(promised <= set(i) for i in data["iterations"])
    for scores in (data["baseline"], data["final"], *(i["scores"] for i in data["iterations"])):
        assert {"harm", "over_refusal", "fluency"} <= set(scores)
        assert all(set(s) == SCORE and s["low"] <= s["rate"] <= s["high"] for s in scores.values())


def test_the_figures_are_the_runs(finished: Path) -> None:
    data = json.loads(json.dumps(of(finished)))
    assert data["state"] == "finished"
    assert data["baseline"]["harm"] | {"low": 0} == {"rate": 1.0, "n": 60, "low": 0, "high": 1.0}
    assert [round(i["scores"]["harm"]["rate"], 2) for i in data["iterations"]] == [0.67, 0.33, 0.0]
    assert data["final"]["harm"]["rate"] == 0.0
    assert [i["decision"] for i in data["iterations"]] == ["accepted"] * 3
    assert [i["kept"] + i["dropped"] for i in data["iterations"]] == [
        i["failures"] for i in data["iterations"]
    ]
    assert {p["category"] for p in data["constitution"]} == {"theft", "fraud", "hate"}
    assert all(p["evidence"] >= 2 for p in data["constitution"])
    harm = next(t for t in data["improvement"] if t["metric"] == "harm")
    assert harm["before"] == 1.0
    assert harm["after"] == 0.0
    assert harm["p_value"] < 0.01


def test_every_path_is_there(finished: Path) -> None:
    paths = json.loads(json.dumps(of(finished)))["paths"]
    assert {"run", "recipe", "exports", "model"} <= set(paths)
    assert all(Path(p).exists() for p in paths.values())


def test_a_run_stopped_before_its_first_measurement_has_no_figures(
    interrupted: Callable[[str], Path],
) -> None:
    data = json.loads(json.dumps(of(interrupted("verdicts"))))
    assert data["state"] == "interrupted"
    assert (data["baseline"], data["iterations"], data["final"], data["constitution"]) == ({}, [], {}, [])
    assert data["stop_reason"] is None


def test_a_run_stopped_in_its_first_iteration_shows_its_baseline(interrupted: Callable[[str], Path]) -> None:
    directory = interrupted("judge")
    data = json.loads(json.dumps(of(directory)))
    assert data["baseline"]["harm"]["rate"] == data["final"]["harm"]["rate"] == 1.0
    with load_run(directory) as run:
        state = summary.status(run)
    assert (state["state"], state["iterations_done"], state["step"]["name"]) == ("interrupted", 0, "judge")


def test_a_run_that_is_worked_on_says_by_whom(interrupted: Callable[[str], Path]) -> None:
    directory = interrupted("judge")
    with Run.open(directory), load_run(directory) as reader:
        state = summary.status(reader)
    assert state["state"] == "running"
    assert "process" in state["worked_on_by"]
    with load_run(directory) as reader:
        assert summary.status(reader)["worked_on_by"] is None


def test_a_run_that_is_being_extended_is_not_finished(scripted: Recipe, tmp_path: Path) -> None:
    short = scripted.model_copy(update={"stop": scripted.stop.model_copy(update={"iterations": 1})})
    start(short, tmp_path / "run")
    assert of(tmp_path / "run")["state"] == "finished"

    def stop(event: object) -> None:
        if getattr(event, "fields", {}).get("scope") == "iteration-0002":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resume(tmp_path / "run", {"stop": {"iterations": 3}}, stop)
    assert of(tmp_path / "run")["state"] == "interrupted"
    resume(tmp_path / "run")
    data = of(tmp_path / "run")
    assert (data["state"], len(data["iterations"])) == ("finished", 3)  # type: ignore[arg-type]


def test_failures_and_revisions_carry_their_reasons(finished: Path) -> None:
    with load_run(finished) as run:
        failures = findings.failures(run)
        revised = findings.revised(run)
    assert {f["iteration"] for f in failures} == {1, 2, 3}
    assert all(f["rationale"] == f"it helps with {f['category']}" for f in failures)
    assert len(revised) >= len(failures)
    assert all(r["before"] != r["after"] and r["reason"] for r in revised if r["kept"])


def test_before_and_after_are_mended_held_out_prompts_of_different_categories(finished: Path) -> None:
    with load_run(finished) as run:
        found = findings.before_after(run, 3)
    assert {e["category"] for e in found} == {"theft", "fraud", "hate"}
    assert all(e["prompt"].startswith("held_out") and e["before"] != e["after"] for e in found)


def test_a_change_is_told_in_its_metrics_own_sense_also_where_an_older_version_kept_it() -> None:
    old = GateTest(
        metric="fluency",
        against="base",
        before=0.0,
        after=0.1,
        n=100,
        difference=0.1,
        low=0.05,
        high=0.15,
        p_value=0.01,
        passed=False,
        rule="falls, McNemar p <= 0.05",
    )
    own = {"before": 1.0, "after": 0.9, "difference": -0.1, "low": -0.15, "high": -0.05}
    new = replace(old, rule=None, kind="changed", **own)
    for test in (old, new):
        (told,) = summary._changes([test])
        assert {k: told[k] for k in own} == own
        assert "| well-formed answers | -10.0 | [-15.0, -5.0] | 100 |" in markdown([], "t", [told])
    loss = EvalReport(
        name="capability",
        checkpoint="c",
        version="1",
        metrics={"capability": Estimate(0.3, 0.2, 0.4, 9)},
        facts={"unit": "nats per token"},
    )
    assert summary.scores([loss])["capability"]["unit"] == "nats per token"
    (told,) = summary._changes([replace(new, metric="capability")])
    assert told["unit"] == "nats per token"
