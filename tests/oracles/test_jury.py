"""The jury: majorities, ties and abstentions, what it records, and how often its members agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from iteralign.data.labels import exchange
from iteralign.oracles.jury import Jury
from iteralign.records.iteralign import Constitution, Exchange, Failure, Principle, Verdict
from iteralign.report.jury import agreement


class Juror:
    def __init__(self, name: str, labels: str, **facts: Any) -> None:
        self.name, self._labels, self._facts = name, labels, facts

    def judge(self, exchanges: Sequence[Exchange]) -> list[Verdict]:
        full = {"i": "improper", "p": "proper", "u": "unjudged"}
        facts = {"rationale": f"{self.name} says so", **self._facts}
        return [
            Verdict(
                response_id=e.response.id, label=full[k], oracle=self.name, template=f"t{self.name}", **facts
            )  # type: ignore[arg-type]
            for e, k in zip(exchanges, self._labels, strict=True)
        ]

    def propose(self, failures: Sequence[Failure], constitution: Constitution) -> list[Principle]:
        return [Principle(text=f"{self.name} proposes this rule.")]


def items(n: int) -> list[Exchange]:
    return [exchange(f"question {i}", "Sure.", "t") for i in range(n)]


def test_the_majority_decides_a_tie_is_unjudged_and_abstentions_do_not_count() -> None:
    jury = Jury([Juror("a", "iippuu"), Juror("b", "iipuiu"), Juror("c", "ipiiuu"), Juror("d", "ippipu")])
    labels = [v.label for v in jury.judge(items(6))]
    assert labels == ["improper", "unjudged", "proper", "improper", "unjudged", "unjudged"]


def test_every_verdict_records_who_voted_what_and_why_it_is_unjudged() -> None:
    tie, nobody, split = Jury([Juror("a", "iui"), Juror("b", "puu"), Juror("c", "uui")]).judge(items(3))
    assert tie.votes == (("a", "improper"), ("b", "proper"), ("c", "unjudged"))
    assert tie.rationale == "a tie (a: improper, b: proper, c: unjudged)"
    assert nobody.rationale.startswith("no juror gave a judgement")
    assert split.rationale == "2 of 3 (a: improper, b: unjudged, c: improper): a says so"
    assert split.oracle == "jury(a+b+c)"
    assert split.template == "ta+tb+tc"


def test_categories_need_half_of_the_winning_side_and_severity_is_its_lower_median() -> None:
    jurors = [
        Juror("a", "i", categories=("theft", "fraud"), severity=1, refusal=False),
        Juror("b", "i", categories=("theft",), severity=3, refusal=False),
        Juror("c", "i", categories=("theft", "hate"), severity=2, refusal=True),
        Juror("d", "p", categories=(), refusal=True),
    ]
    (verdict,) = Jury(jurors).judge(items(1))
    assert verdict.categories == ("theft",)
    assert (verdict.severity, verdict.refusal) == (2, False)
    (odd,) = Jury(
        [
            Juror("a", "i", categories=("x",)),
            Juror("b", "i", categories=("y",)),
            Juror("c", "i", categories=("z",)),
        ]
    ).judge(items(1))
    assert odd.categories == ("x", "y", "z"), "where nothing is named by half, nothing is lost"


@pytest.mark.parametrize(
    ("said", "compliance", "refusal"),
    [
        (("full_refusal", "full_refusal", "partial_refusal"), "full_refusal", True),
        (("partial_refusal", "partial_refusal", "full_refusal"), "partial_refusal", False),
        (("full_refusal", "partial_refusal", "compliance"), None, False),
        ((None, None, "compliance"), None, False),
        ((None, None, None), None, None),
    ],
)
def test_refusals_are_told_apart_by_more_than_half(
    said: tuple[Any, ...], compliance: str | None, refusal: bool | None
) -> None:
    jurors = [
        Juror(n, "p", compliance=c, refusal=None if refusal is None else c == "full_refusal")
        for n, c in zip("abc", said, strict=True)
    ]
    (verdict,) = Jury(jurors).judge(items(1))
    assert (verdict.compliance, verdict.refusal) == (compliance, refusal)


def test_the_first_juror_proposes() -> None:
    assert (
        Jury([Juror("a", ""), Juror("b", "")]).propose([], Constitution())[0].text == "a proposes this rule."
    )


@pytest.mark.parametrize("names", [["a"], ["a", "a"], []])
def test_a_jury_of_one_is_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match="at least two jurors of different names"):
        Jury([Juror(n, "") for n in names])


def test_agreement_is_counted_per_pair_over_what_both_judged() -> None:
    verdicts = Jury([Juror("a", "iippi"), Juror("b", "iipiu"), Juror("c", "ppppp")]).judge(items(5))
    found = {tuple(p["pair"]): p for p in agreement(verdicts)}
    assert found["a", "b"]["agree"]["n"] == 4
    assert found["a", "b"]["agree"]["value"] == 0.75
    assert found["a", "b"]["kappa"] == pytest.approx(0.5)
    assert found["a", "c"]["agree"]["value"] == 0.4
    assert agreement(Juror("a", "ip").judge(items(2))) == []
