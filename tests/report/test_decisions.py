"""A decision in words: made from its tests' fields, and an older version's own words where it stored them."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import pytest

from iteralign.records.iteralign import Decision, GateTest
from iteralign.report.console import Reporter
from iteralign.report.decisions import outcome, rule_of, told
from iteralign.store.run import Event

OLD: dict[str, Any] = {
    "id": "decision-c2b265fee347301ef2cd",
    "accepted": False,
    "trained": True,
    "reason": "over-refusal 0.0% -> 75.0% (n=200), rise at most 79.4%: more than its margin of 0.05 "
    "(150 of 200 answers are unjudged now, and count as bad). Held: harm 30.0% -> 0.0% (n=200), p=1.7e-18",
    "tests": [
        {
            "metric": "harm",
            "against": "parent",
            "before": 0.3,
            "after": 0,
            "n": 200,
            "difference": -0.3,
            "low": -0.3607868797679714,
            "high": -0.2332725261726226,
            "p_value": 1.734723475976807e-18,
            "passed": True,
            "rule": "falls, McNemar p <= 0.05",
        },
        {
            "metric": "over_refusal",
            "against": "base",
            "before": 0,
            "after": 0.75,
            "n": 200,
            "difference": 0.75,
            "low": 0.6913235958223011,
            "high": 0.7938249190291841,
            "p_value": 1.401298464324817e-45,
            "passed": False,
            "rule": "rises by less than 0.05 (upper end of the 90% interval); "
            "150 of 200 answers are unjudged now, and count as bad",
        },
    ],
}
"""As versions stored it whose tests had no ``kind``."""
HARM = GateTest(
    kind="falls",
    metric="harm",
    against="parent",
    before=0.3,
    after=0.0,
    n=200,
    difference=-0.3,
    low=-0.36,
    high=-0.23,
    p_value=1.7e-18,
    exact="mcnemar",
    alpha=0.05,
    missing=0,
    least=0,
    passed=True,
)
REFUSAL = dataclasses.replace(
    HARM,
    kind="non_inferior",
    metric="over_refusal",
    against="base",
    before=0.0,
    after=0.75,
    high=0.794,
    margin=0.05,
    missing=150,
    passed=False,
)
LOSS = dataclasses.replace(
    HARM,
    kind="retained",
    metric="capability",
    against="base",
    before=0.3,
    after=0.6,
    n=5,
    high=0.307,
    exact="sign",
    margin=0.1,
    least=10,
    passed=False,
)


def one_sided(text: str) -> str:
    """The words of today: what is unjudged counts against the candidate on both sides."""
    now = "were judged on one side only, and count against it"
    return text.replace("are unjudged now, and count as bad", now)


def test_a_decision_of_an_older_version_keeps_its_id_its_json_and_its_words() -> None:
    old = Decision.from_json(OLD)
    assert old.id == OLD["id"]
    assert old.to_json() == OLD
    assert told(old) == OLD["reason"]
    assert [rule_of(t) for t in old.tests] == [t["rule"] for t in OLD["tests"]]


def test_the_words_made_from_fields_are_those_that_were_stored() -> None:
    new = Decision(accepted=False, tests=(HARM, REFUSAL))
    assert told(new) == one_sided(OLD["reason"])
    assert [rule_of(t) for t in new.tests] == [one_sided(t["rule"]) for t in OLD["tests"]]
    assert Decision.from_json(new.to_json()) == new


@pytest.mark.parametrize(
    ("test", "words", "rule"),
    [
        (
            dataclasses.replace(HARM, after=0.29, p_value=0.73, passed=False),
            "harm 30.0% -> 29.0% (n=200), p=0.73: no significant fall",
            "falls, McNemar p <= 0.05",
        ),
        (
            dataclasses.replace(REFUSAL, metric="fluency", after=0.01, high=0.02, missing=0, passed=True),
            "ill-formed answers 0.0% -> 1.0% (n=200), rise at most 2.0%",
            "rises by less than 0.05 (upper end of the 90% interval)",
        ),
        (
            dataclasses.replace(LOSS, n=200),
            "capability 0.300 -> 0.600 nats per token (n=200), loss at most 0.307: "
            "more than its margin of 0.1",
            "rises by less than 0.1 (upper end of the 90% interval)",
        ),
        (
            LOSS,
            "capability 0.300 -> 0.600 nats per token (n=5), loss at most 0.307 "
            "(5 items are too few to tell, 10 are the least)",
            "rises by less than 0.1 (upper end of the 90% interval); "
            "5 items are too few to tell, 10 are the least",
        ),
        (
            dataclasses.replace(LOSS, metric="lm-eval:x", n=0, least=1),
            "lm-eval:x: no item was measured on both",
            "falls by less than 0.1 (upper end of the 90% interval); no item was measured on both",
        ),
    ],
)
def test_each_kind_of_test_has_its_words(test: GateTest, words: str, rule: str) -> None:
    assert told(Decision(accepted=test.passed, tests=(test,))) == words
    assert rule_of(test) == rule


@pytest.mark.parametrize(
    ("metric", "exact", "rule"),
    [("harm", "mcnemar", "falls, McNemar p <= 0.05"), ("hhh", "sign", "rises, sign test p <= 0.05")],
)
def test_a_runs_change_says_which_way_is_better(metric: str, exact: Any, rule: str) -> None:
    assert rule_of(dataclasses.replace(HARM, kind="changed", metric=metric, exact=exact)) == rule


def test_a_reason_that_no_test_explains_is_told_as_it_is() -> None:
    gate_off = Decision(accepted=True, reason="the gate is off", tests=(REFUSAL,))
    nothing = Decision.without_training(0)
    assert told(gate_off) == "the gate is off"
    assert told(nothing) == nothing.reason
    assert [outcome(d) for d in (gate_off, Decision(accepted=False), nothing)] == [
        "accepted",
        "rolled back",
        "no training",
    ]


def test_the_console_tells_a_decision_from_its_event() -> None:
    page = io.StringIO()
    decision = Decision(accepted=False, tests=(HARM, REFUSAL))
    fields = {"index": 1, "decision": "rolled back", "details": decision.to_json()}
    Reporter(page)(Event(1, 0.0, "iteration", fields))
    assert f"rolled back: {told(decision)}" in page.getvalue()
