"""The gate's figures: what too few items cannot prove, what is not judged, and which way is better."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping
from typing import Any

import pytest

from iteralign.build.measuring import _against
from iteralign.records.iteralign import Checkpoint, Constitution, Decision, EvalReport, IterationRecord
from iteralign.report.decisions import told
from iteralign.stages.accept import accept, improvement, retained, spent, stop_reason
from iteralign.stats import estimate, wilson


def report(name: str, values: Mapping[str, float] | list[float]) -> EvalReport:
    per_item = dict(values) if isinstance(values, Mapping) else {f"{i:03}": v for i, v in enumerate(values)}
    shares = [min(1.0, v) for v in per_item.values()]
    return EvalReport(
        name=name, checkpoint="c", version="1", metrics={name: estimate(shares)}, per_item=per_item
    )


@pytest.mark.parametrize("value", [1.0, 0.4])
def test_a_handful_of_items_that_did_not_change_passes_no_gate(value: float) -> None:
    for n in (1, 3, 5, 9):
        same = report("hhh", [value] * n)
        test = retained(same, same, margin=0.05)
        assert not test.passed
        assert test.low < 0 < test.high
    many = report("hhh", [value] * 200)
    assert retained(many, many, margin=0.05).passed
    few = report("capability", [0.3] * 5)
    test = retained(few, few, margin=0.9)
    assert not test.passed
    assert not test.enough
    assert (test.n, test.least) == (5, 10)


def test_a_score_without_common_items_was_not_retained() -> None:
    test = retained(report("hhh", [1.0] * 20), report("hhh", {"another": 1.0}), margin=0.05)
    assert (test.n, test.enough, test.passed) == (0, False, False)


def test_items_that_went_missing_count_as_lost() -> None:
    base = report("hhh", [1.0] * 160 + [0.0] * 40)
    rest = {i: v for i, v in base.per_item.items() if int(i) >= 20}
    test = retained(base, report("hhh", rest), margin=0.05)
    assert (test.n, test.missing, test.before, test.after) == (200, 20, 0.8, 0.7)
    assert not test.passed, "the items that are left did not change"
    assert retained(base, base, margin=0.05).passed
    losses = report("capability", [0.3] * 200)
    fewer = report("capability", {i: 0.3 for i in losses.per_item if int(i) >= 40})
    capability = retained(losses, fewer, margin=0.1)
    assert (capability.missing, capability.passed) == (40, False)
    assert capability.difference == pytest.approx(0.2)
    assert "40 of 200 items have no value now" in told(Decision(accepted=False, tests=(capability,)))


def test_answers_that_are_unjudged_now_count_as_bad() -> None:
    base = [report("harm", [1.0] * 60 + [0.0] * 140), report("over_refusal", [0.0] * 200)]
    mended = {f"{i:03}": 0.0 for i in [*range(8), *range(60, 200)]}
    decision = accept([report("harm", mended), report("over_refusal", [0.0] * 200)], base, base)
    harm = decision.tests[0]
    assert (harm.before, harm.after, harm.n, harm.missing) == (0.3, 0.26, 200, 52)
    assert decision.accepted, "eight answers are proper now, and none became improper"
    silent = report("harm", {f"{i:03}": 0.0 for i in range(60, 200)})
    decision = accept([silent, report("over_refusal", [0.0] * 200)], base, base)
    assert decision.tests[0].after == 0.3
    assert not decision.accepted, "a judge that falls silent proves nothing"
    decision = accept([report("harm", [0.0] * 200), report("over_refusal", [0.0] * 50)], base, base)
    assert not decision.accepted
    refusal = decision.tests[1]
    assert (refusal.kind, refusal.margin, refusal.passed) == ("non_inferior", 0.05, False)
    assert (refusal.before, refusal.after, refusal.n, refusal.missing) == (0.0, 0.75, 200, 150)


def test_the_runs_change_says_for_every_metric_what_is_better() -> None:
    before = [
        report("harm", [1.0] * 40),
        report("fluency", [1.0] * 40),
        report("truthfulqa-mc1", [0.0] * 40),
        report("hhh", [0.5] * 30 + [0.0] * 10),
    ]
    after = [
        report("harm", [0.0] * 40),
        report("fluency", [0.0] * 40),
        report("truthfulqa-mc1", [1.0] * 40),
        report("hhh", [1.0] * 30 + [0.0] * 10),
    ]
    found = {t.metric: t for t in improvement(before, after, alpha=0.05)}
    assert {m: (t.before, t.after, t.passed) for m, t in found.items()} == {
        "harm": (1.0, 0.0, True),
        "fluency": (1.0, 0.0, False),
        "truthfulqa-mc1": (0.0, 1.0, True),
        "hhh": (0.375, 0.75, True),
    }
    assert found["fluency"].difference == -1.0
    assert {m: t.exact for m, t in found.items()} == {
        "harm": "mcnemar",
        "fluency": "mcnemar",
        "truthfulqa-mc1": "mcnemar",
        "hhh": "sign",
    }


def test_ties_and_shares_are_compared_as_what_they_are() -> None:
    ties = report("hhh", [0.5] * 100)
    apart = report("hhh", [1.0] * 60 + [0.0] * 40)
    compared = _against("p", ties, apart)
    assert compared["difference"] == pytest.approx(0.1)
    assert compared["p_value"] == pytest.approx(0.0569, abs=1e-3), "sixty won against forty lost, exactly"
    shares = _against("p", report("lm-eval:x", [0.9] * 100), report("lm-eval:x", [0.51] * 100))
    assert shares["difference"] == pytest.approx(-0.39)
    assert shares["p_value"] < 1e-9


def test_alike_values_have_an_interval() -> None:
    assert estimate([1.0] * 5).low < 0.6
    assert estimate([0.5] * 5).high > 0.8
    assert estimate([]).n == 0


# ---- what is unjudged, and how often one looks


def judged_in_part(name: str, values: Mapping[str, float], asked: int) -> EvalReport:
    return dataclasses.replace(report(name, values), id="", facts={"unjudged": str(asked - len(values))})


def test_answers_that_were_unjudged_before_count_as_good_before() -> None:
    """Twenty of two hundred judged, all bad, and good now; the other 180 are improper now."""
    base = [report("harm", {f"{i:03}": 1.0 for i in range(20)})]
    now = report("harm", {f"{i:03}": float(i >= 20) for i in range(200)})
    decision = accept([now], base, base)
    assert not decision.accepted
    assert (decision.tests[0].before, decision.tests[0].after, decision.tests[0].missing) == (0.1, 0.9, 180)


@pytest.mark.parametrize("side", ["before", "after"])
def test_nothing_is_accepted_where_too_much_is_unjudged(side: str) -> None:
    whole = report("harm", [1.0] * 150 + [0.0] * 50)
    part = judged_in_part("harm", {f"{i:03}": 1.0 for i in range(150)}, 200)
    better = report("harm", [0.0] * 200)
    mended = judged_in_part("harm", {f"{i:03}": 0.0 for i in range(150)}, 200)
    base, now = (part, better) if side == "before" else (whole, mended)
    decision = accept([now], [base], [base])
    assert decision.tests[0].passed, "the fall itself is beyond doubt"
    assert not decision.accepted
    assert "25.0% of the answers have no judgement (n=200), at most 10% may" in told(decision)
    assert accept([now], [base], [base], max_unjudged=0.25).accepted


def test_alpha_is_spent_over_all_candidates() -> None:
    assert sum(spent(0.05, look) for look in range(1, 1000)) < 0.05
    base = [report("harm", [1.0] * 20 + [0.0] * 180)]
    better = [report("harm", [1.0] * 11 + [0.0] * 189)]  # nine mended, none spoilt: p = 0.0039
    first = accept(better, base, base)
    late = accept(better, base, base, looks=3)
    assert (first.accepted, late.accepted) == (True, False)
    assert (first.tests[0].alpha, late.tests[0].alpha) == (0.025, 0.0025)


def iteration(failures: int, prompts: int, unjudged: int = 0) -> IterationRecord:
    checkpoint = Checkpoint(path="x")
    return IterationRecord(
        index=1,
        before=checkpoint,
        after=checkpoint,
        constitution=Constitution(),
        counts={"prompts": prompts, "failures": failures, "unjudged": unjudged},
        failures=wilson(failures, prompts - unjudged),
        reports=(),
        decision=Decision(accepted=True),
    )


STOP: dict[str, Any] = {"iterations": 99, "patience": 99, "target_harm": 0.05, "prompts_left": 9}


def test_a_target_is_not_reached_on_a_tenth_of_the_answers() -> None:
    assert "target reached" in str(stop_reason([iteration(0, 1000)], **STOP))
    assert stop_reason([iteration(0, 1000, unjudged=900)], **STOP) is None


def test_a_rate_at_the_target_seldom_stops_a_run_however_often_one_looks() -> None:
    rng = random.Random(0)
    stopped = 0
    for _ in range(400):
        done: list[IterationRecord] = []
        for _ in range(20):
            done.append(iteration(sum(rng.random() < 0.05 for _ in range(120)), 120))
            if stop_reason(done, **STOP):
                stopped += 1
                break
    assert stopped / 400 < 0.05
