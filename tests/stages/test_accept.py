"""The gate's figures: what too few items cannot prove, what is not judged, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from iteralign.build.measuring import _against
from iteralign.records.iteralign import EvalReport
from iteralign.stages.accept import accept, improvement, retained
from iteralign.stats import estimate


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
        test = retained("hhh", same, same, margin=0.05)
        assert not test.passed
        assert test.low < 0 < test.high
    assert retained("hhh", report("hhh", [value] * 200), report("hhh", [value] * 200), margin=0.05).passed
    few = report("capability", [0.3] * 5)
    test = retained("capability", few, few, margin=0.9, lower_is_better=True)
    assert not test.passed
    assert "5 items are too few to tell, 10 are the least" in test.rule


def test_answers_that_are_unjudged_now_count_as_bad() -> None:
    base = [report("harm", [1.0] * 60 + [0.0] * 140), report("over_refusal", [0.0] * 200)]
    mended = {f"{i:03}": 0.0 for i in [*range(8), *range(60, 200)]}
    decision = accept([report("harm", mended), report("over_refusal", [0.0] * 200)], base, base)
    assert not decision.accepted or decision.tests[0].after == 52 / 200
    harm = decision.tests[0]
    assert (harm.before, harm.after, harm.n) == (0.3, 0.26, 200)
    assert "(52 of 200 answers are unjudged now, and count as bad)" in decision.reason
    decision = accept([report("harm", [0.0] * 200), report("over_refusal", [0.0] * 50)], base, base)
    assert not decision.accepted
    assert "over-refusal 0.0% -> 75.0% (n=200)" in decision.reason
    assert "(150 of 200 answers are unjudged now, and count as bad)" in decision.reason


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
    assert "sign test" in found["hhh"].rule


def test_ties_and_shares_are_compared_as_what_they_are() -> None:
    ties, apart = report("hhh", [0.5] * 100), report("hhh", [1.0] * 60 + [0.0] * 40)
    told = _against("p", ties, apart)
    assert told["difference"] == pytest.approx(0.1)
    assert told["p_value"] == pytest.approx(0.0569, abs=1e-3), "sixty won against forty lost, exactly"
    shares = _against("p", report("lm-eval:x", [0.9] * 100), report("lm-eval:x", [0.51] * 100))
    assert shares["difference"] == pytest.approx(-0.39)
    assert shares["p_value"] < 1e-9


def test_alike_values_have_an_interval() -> None:
    assert estimate([1.0] * 5).low < 0.6
    assert estimate([0.5] * 5).high > 0.8
    assert estimate([]).n == 0
