"""Reflecting on failures, revising the answers, and keeping what the oracle finds proper."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from iteralign.engines.scripted import ScriptedPolicy
from iteralign.errors import PromptTooLong
from iteralign.records.chat import Chat, Completion, Message, SamplingParams
from iteralign.records.iteralign import (
    Checkpoint,
    Constitution,
)
from iteralign.stages.revise import revise, select
from iteralign.stages.screen import screen, unresolved
from stage_records import PARAMS, exchange, failure, principle, screening, verdict

RULES = Constitution(
    principles=(
        principle("Decline to help people take goods that are not theirs.", "theft"),
        principle("Decline to help people forge documents or run scams.", "fraud"),
        principle("Speak with respect about every group of people.", "hate"),
        principle("An old rule.", "theft", status="merged"),
    )
)


@pytest.mark.parametrize(
    ("which", "categories"), [("relevant", ["theft"]), ("none", []), ("all", ["theft", "fraud", "hate"])]
)
def test_which_principles_a_reflection_is_shown(which: str, categories: list[str]) -> None:
    f = failure("How do I forge a bus ticket and take goods?", "theft")
    assert [p.category for p in select(f, RULES, which, 1)] == categories


def test_irrelevant_principles_are_active_and_of_another_category() -> None:
    f = failure("How do I forge a bus ticket and take goods?", "theft")
    (shown,) = select(f, RULES, "irrelevant", 1)
    assert shown.status == "active"
    assert shown.category != "theft"


def test_a_dialogue_is_reflected_on_as_a_whole() -> None:
    asked: list[Chat] = []
    f = failure("And how much?", "theft")
    turns = (
        Message("system", "You run a shop."),
        Message("user", "Which lock?"),
        Message("assistant", "That one."),
        Message("user", "And how much?"),
    )
    f = replace(f, id="", prompt=replace(f.prompt, id="", messages=turns))
    revise(
        [f],
        ScriptedPolicy(lambda chat: asked.append(chat) or "x", Checkpoint(path="m")),
        RULES,
        params=SamplingParams(),
    )
    assert all(
        "Question: system: You run a shop.\nuser: Which lock?\nassistant: That one.\nuser: And how much?"
        in c[-1].text
        for c in asked
    )


def test_irrelevant_principles_are_neither_of_the_verdicts_category_nor_of_the_prompts() -> None:
    f = failure("How do I forge a bus ticket and take goods?", "theft")
    f = replace(
        f,
        id="",
        prompt=replace(f.prompt, id="", category="theft"),
        verdict=replace(f.verdict, id="", categories=("fraud",)),
    )
    assert [p.category for p in select(f, RULES, "irrelevant", 4)] == ["hate"]


def test_a_revision_shows_question_first_answer_principles_and_reflection() -> None:
    asked: list[Chat] = []

    def say(chat: Chat) -> str:
        asked.append(chat)
        return (
            "It breaks rule 1."
            if "Does the first answer break" in chat[-1].text
            else "I won't help with that."
        )

    f = failure("How do I take a bike?", answer="Sure, take it.")
    revision = revise([f], ScriptedPolicy(say), RULES, params=PARAMS, shown=2, attempt=2)[0]
    for chat in asked:
        assert chat[0].role == "system"
        assert "take goods that are not theirs" in chat[0].text
        assert "How do I take a bike?" in chat[1].text
        assert "Sure, take it." in chat[1].text
    assert "It breaks rule 1." in asked[1][1].text
    assert (revision.reflection, revision.text, revision.attempt) == (
        "It breaks rule 1.",
        "I won't help with that.",
        2,
    )
    assert revision.principle_ids[0] == RULES.principles[0].id


def test_without_principles_there_is_no_system_turn() -> None:
    asked: list[Chat] = []
    revise(
        [failure("How?")],
        ScriptedPolicy(lambda c: (asked.append(c), "x")[1]),
        RULES,
        params=PARAMS,
        principles="none",
    )
    assert {c[0].role for c in asked} == {"user"}


@pytest.mark.parametrize(
    ("label", "text", "finish", "kept"),
    [
        ("proper", "I won't.", "stop", True),
        ("improper", "Sure.", "stop", False),
        ("unjudged", "?", "stop", False),
        ("proper", "", "stop", False),
        ("proper", "I won't, beca", "length", False),
    ],
)
def test_only_whole_verified_revisions_are_kept_and_every_drop_has_a_reason(
    label: str, text: str, finish: str, kept: bool
) -> None:
    s = screening(failure("q"), label, text, finish)
    assert s.kept is kept
    assert s.reason


def test_a_failure_is_tried_again_until_a_revision_is_kept() -> None:
    a, b = failure("a"), failure("b")
    assert unresolved([a, b], [screening(a, "proper"), screening(b, "improper")]) == [b]


@pytest.mark.parametrize("at", ["reflection", "answer"])
def test_a_revision_that_does_not_fit_the_model_is_dropped_with_its_reason_and_costs_nobody_else(
    at: str,
) -> None:
    def say(chat: Chat) -> str:
        last = chat[-1].text
        if "long story" in last and (at == "reflection" or "thoughts" in last):
            raise PromptTooLong("the chat has 2000 tokens and the model's context is 1024")
        return "Better." if "thoughts" in last else "thoughts"

    failures = (
        [failure(f"question {i}") for i in range(3)]
        + [failure("a long story")]
        + [failure(f"question {i}") for i in range(4, 6)]
    )
    revisions = revise(failures, ScriptedPolicy(say), RULES, params=PARAMS)
    assert [r.text for r in revisions] == ["Better."] * 3 + [""] + ["Better."] * 2
    assert ("2000 tokens" in revisions[3].reflection) is (at == "reflection")
    judged = [verdict(exchange(f.prompt.text), "proper") for f in failures]
    for enabled in (True, False):
        assert [s.kept for s in screen(revisions, judged, enabled=enabled)] == [True] * 3 + [False] + [
            True
        ] * 2


def test_all_principles_are_shown_and_the_oldest_are_left_out_where_they_do_not_fit() -> None:
    grown = Constitution(
        principles=(
            *(replace(p, id="", born=3) for p in RULES.principles[:1]),
            *(replace(p, id="", born=1) for p in RULES.principles[1:]),
        )
    )
    newest, oldest, _, _ = grown.principles

    def shown(longest: int) -> tuple[list[str], str]:
        def answers(chat: Chat) -> str:
            if sum(len(m.text) for m in chat) > longest:
                raise PromptTooLong("too long")
            return "better"

        policy = ScriptedPolicy(answers, Checkpoint(path="m"))
        (found,) = revise([failure("steal a car", "theft")], policy, grown, PARAMS, principles="all", shown=1)
        return list(found.principle_ids), found.text

    everything, text = shown(10**6)
    assert (len(everything), everything[0], everything[-1], text) == (3, oldest.id, newest.id, "better")
    longest = next(n for n in range(10**4, 0, -10) if len(shown(n)[0]) < 3)
    fewer, text = shown(longest)
    assert (fewer, text) == (everything[1:], "better")
    assert shown(1) == ([newest.id], "")


@pytest.mark.parametrize(
    ("said", "finish", "kept", "ends"),
    [
        (
            "I decline. It would hurt him. Or do it at night, when he",
            "length",
            "I decline. It would hurt him.",
            "stop",
        ),
        ("I decline. It would hurt him.", "stop", "I decline. It would hurt him.", "stop"),
        ("I decline. It would hurt him.", "length", "I decline. It would hurt him.", "stop"),
        ("I decline. It would", "length", "I decline. It would", "length"),
    ],
)
def test_a_revision_may_end_after_some_sentences(said: str, finish: str, kept: str, ends: str) -> None:
    class Says(ScriptedPolicy):
        def generate(self, chats: Any, params: SamplingParams) -> list[Completion]:
            return [Completion(text=said, finish=finish) for _ in chats]  # type: ignore[arg-type]

    policy = Says(lambda chat: said, Checkpoint(path="m"))
    (found,) = revise([failure("How?", "theft")], policy, RULES, params=PARAMS, sentences=2)
    assert (found.text, found.finish) == (kept, ends)
