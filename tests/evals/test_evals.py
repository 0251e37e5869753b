"""Evaluations: what is counted, what is left out and said, and that answers are shared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from iteralign.engines.scripted import ScriptedPolicy
from iteralign.evals.fluency import Fluency, well_formed
from iteralign.evals.harm import Harm, HarmTruth
from iteralign.evals.over_refusal import OverRefusal
from iteralign.evals.truthful_answers import TruthfulAnswers
from iteralign.records.chat import Chat, Message, SamplingParams
from iteralign.records.iteralign import Exchange, RedTeamPrompt, Response, Verdict
from iteralign.stages.judge import helpful
from iteralign.stats import wilson
from memory import Memory

PARAMS = SamplingParams()
LOOKS: dict[str, Any] = {"intent": "harmful_looking"}


class WordJudge:
    """Improper where the answer says "sure", unjudged where it says "hm"; a refusal where it says "no"."""

    name = "words"

    def judge(self, exchanges: Sequence[Exchange]) -> list[Verdict]:
        found = []
        for e in exchanges:
            text = e.response.text
            label = "unjudged" if text == "hm" else "improper" if text == "sure" else "proper"
            refusal = None if text == "hm" else text == "no"
            found.append(
                Verdict(response_id=e.response.id, label=label, refusal=refusal, oracle="words", template="1")
            )  # type: ignore[arg-type]
        return found

    def propose(self, failures: Any, constitution: Any) -> list[Any]:
        raise AssertionError("an evaluation proposes nothing")


def prompts(*texts: str, **more: Any) -> list[RedTeamPrompt]:
    return [RedTeamPrompt(messages=(Message("user", t),), source="t", **more) for t in texts]


def echo(chat: Chat) -> str:
    return chat[-1].text.split(":")[0]


def test_harm_counts_improper_answers_and_says_how_many_were_not_judged() -> None:
    items = [
        *prompts("sure:1", "sure:2", "no:3", category="theft"),
        *prompts("no:4", "hm:5", category="fraud"),
    ]
    report = Harm(items, WordJudge(), PARAMS).run(ScriptedPolicy(echo), Memory())
    assert (report.main.value, report.main.n) == (0.5, 4)
    assert report.main.low < 0.5 < report.main.high
    assert report.metrics["harm/theft"].n == 3
    assert report.metrics["harm/fraud"].value == 0.0
    assert report.facts["unjudged"] == "1"
    assert items[4].id not in report.per_item


def test_the_truth_counts_whatever_does_not_decline() -> None:
    items = prompts("sure:1", "help:2", "no:3")
    report = HarmTruth(items, lambda question, answer: answer == "no", PARAMS).run(
        ScriptedPolicy(echo), Memory()
    )
    assert report.main.value == pytest.approx(2 / 3)


def test_over_refusal_tells_plain_from_harmful_looking_prompts() -> None:
    items = [
        *prompts("no:1", "fine:2", intent="harmful_looking"),
        *prompts("fine:3", "fine:4", "hm:5", intent="benign"),
    ]
    report = OverRefusal(items, WordJudge(), PARAMS).run(ScriptedPolicy(echo), Memory())
    assert (report.main.value, report.main.n) == (0.25, 4)
    assert report.metrics["over_refusal/harmful_looking"].value == 0.5
    assert report.metrics["over_refusal/benign"].value == 0.0
    assert report.facts["unjudged"] == "1"


def test_over_refusal_is_told_by_kind_of_prompt_where_there_are_enough() -> None:
    items = [
        *prompts(*(f"no:{i}" for i in range(3)), *(f"fine:{i}" for i in range(9)), topic="homonyms", **LOOKS),
        *prompts("no:20", "fine:21", topic="rare", **LOOKS),
        *prompts(*(f"fine:{i}" for i in range(30, 45)), topic="cooking", intent="benign"),
    ]
    report = OverRefusal(items, WordJudge(), PARAMS).run(ScriptedPolicy(echo), Memory())
    assert report.metrics["over_refusal/kind/homonyms"] == wilson(3, 12)
    assert [m for m in report.metrics if "/kind/" in m] == ["over_refusal/kind/homonyms"]


class ThreeWay(WordJudge):
    """Tells full from partial refusals: "no" and "partly"."""

    def judge(self, exchanges: Sequence[Exchange]) -> list[Verdict]:
        kinds = {"no": "full_refusal", "partly": "partial_refusal", "fine": "compliance"}
        return [
            replace(v, id="", compliance=kinds.get(e.response.text))
            for e, v in zip(exchanges, super().judge(exchanges), strict=True)
        ]  # type: ignore[arg-type]


def test_full_and_partial_refusals_are_told_apart_with_intervals() -> None:
    items = prompts("no:1", "partly:2", "partly:3", "fine:4", "hm:5", intent="harmful_looking")
    report = OverRefusal(items, ThreeWay(), PARAMS).run(ScriptedPolicy(echo), Memory())
    rates = {
        k: report.metrics[f"over_refusal/{k}"] for k in ("full_refusal", "partial_refusal", "compliance")
    }
    assert {k: (e.value, e.n) for k, e in rates.items()} == {
        "full_refusal": (0.25, 4),
        "partial_refusal": (0.5, 4),
        "compliance": (0.25, 4),
    }
    assert rates["partial_refusal"] == wilson(2, 4)
    assert report.main == rates["full_refusal"]
    old = OverRefusal(items, WordJudge(), PARAMS).run(ScriptedPolicy(echo), Memory())
    assert "over_refusal/full_refusal" not in old.metrics, (
        "a judge that does not tell them apart reports as before"
    )


def test_evaluations_share_their_answers() -> None:
    asked: list[Chat] = []

    def say(chat: Chat) -> str:
        asked.append(chat)
        return "no"

    memory, policy = Memory(), ScriptedPolicy(say)
    red, benign = prompts("a", "b"), prompts("c", intent="benign")
    Harm(red, WordJudge(), PARAMS).run(policy, memory)
    OverRefusal(benign, WordJudge(), PARAMS).run(policy, memory)
    Fluency([*red, *benign], PARAMS).run(policy, memory)
    assert len(asked) == 3


def response(text: str) -> Response:
    return Response(prompt_id="p", text=text, finish="stop", model="m", sampling=PARAMS)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("I can't help with that. Try asking a friend instead.", True),
        ("Yes.", True),
        ("", False),
        ("   ", False),
        ("!!! ... ---", False),
        ("go to the shop " * 8, False),
        ("a broken \x1b[31m answer", False),
        ("First, wash it.\n\nThen dry it.", True),
    ],
)
def test_the_general_form_check(text: str, good: bool) -> None:
    assert well_formed("q", response(text)) is good


def test_no_prompts_is_no_knowledge() -> None:
    report = Harm([], WordJudge(), PARAMS).run(ScriptedPolicy(echo), Memory())
    assert (report.main.n, report.main.low, report.main.high) == (0, 0.0, 1.0)


def test_an_answer_of_which_nobody_tells_whether_it_declines_is_not_taken_for_informative() -> None:
    class Torn(WordJudge):
        def judge(self, exchanges: Sequence[Exchange]) -> list[Verdict]:
            return [
                replace(v, id="", refusal=None if e.response.text == "torn" else v.refusal)
                for e, v in zip(exchanges, super().judge(exchanges), strict=True)
            ]

    report = TruthfulAnswers(["yes", "no", "torn", "hm"], {}, Torn(), PARAMS).run(
        ScriptedPolicy(echo), Memory()
    )
    assert (report.main.value, report.main.n) == (0.5, 2)
    assert (report.metrics["truthfulqa-gen/truthful"].n, report.metrics["truthfulqa-gen/informative"].n) == (
        3,
        2,
    )
    assert (report.facts["unjudged"], report.facts["refusal_not_assessed"]) == ("1", "1")


def test_partial_refusals_are_not_replayed() -> None:
    asked = prompts("a", "b", "c")
    kinds: list[Any] = [None, "partial_refusal", "compliance"]
    exchanges = [Exchange(prompt=p, response=replace(response(p.text), id="", prompt_id=p.id)) for p in asked]
    told = [
        Verdict(
            response_id=e.response.id, label="proper", refusal=False, compliance=k, oracle="o", template="1"
        )
        for e, k in zip(exchanges, kinds, strict=True)
    ]
    assert [e.prompt.text for e in helpful(exchanges, told)] == ["a", "c"]
