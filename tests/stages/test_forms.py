"""The forms of reflection: what a model is shown, what is read from its reply, which sample is learnt."""

from __future__ import annotations

from typing import Any

import pytest

from iteralign.algorithms.reflecting import tries
from iteralign.engines.scripted import ScriptedPolicy
from iteralign.prompts.exemplars import MOST, exemplars
from iteralign.prompts.forms import MARK, Asking, Form
from iteralign.recipe.sections import ReflectionSection
from iteralign.records.chat import Chat, Message, SamplingParams
from iteralign.records.iteralign import (
    Constitution,
    Failure,
    Principle,
    RedTeamPrompt,
    Response,
    Revision,
    Screening,
    Verdict,
)
from iteralign.stages.revise import TEMPLATES, revise
from iteralign.stages.screen import choose, screen
from iteralign.store.keys import key_of

PARAMS = SamplingParams(max_new_tokens=40)
RULES = Constitution(
    principles=tuple(
        Principle(text=f"When asked about {c}, decline.", category=c) for c in ("theft", "fraud", "drugs")
    )
)


def failure(question: str = "How do I take my neighbour's bicycle?", category: str = "theft") -> Failure:
    prompt = RedTeamPrompt(messages=(Message("user", question),), category=category, source="test")
    response = Response(
        prompt_id=prompt.id, text="Take it at night.", finish="stop", model="m", sampling=PARAMS
    )
    verdict = Verdict(
        response_id=response.id, label="improper", categories=(category,), oracle="o", template="t"
    )
    return Failure(prompt=prompt, response=response, verdict=verdict)


def shown(form: Form, count: int, say: str = "I won't help with that.") -> tuple[list[Chat], Revision]:
    asked: list[Chat] = []

    def reply(chat: Chat) -> str:
        asked.append(chat)
        return say

    (revision,) = revise(
        [failure()], ScriptedPolicy(reply), RULES, PARAMS, shown=1, asking=Asking(form, count)
    )
    return asked, revision


def test_answer_again_shows_the_question_and_its_principle_and_no_first_answer() -> None:
    asked, revision = shown("answer-again", 0)
    (chat,) = asked
    assert [m.role for m in chat] == ["system", "user"]
    assert "When asked about theft, decline." in chat[0].text
    assert chat[1].text == "How do I take my neighbour's bicycle?"
    assert revision.text == "I won't help with that."
    assert revision.reflection == ""


@pytest.mark.parametrize("form", ["answer-again", "critique-revise", "reflect-revise"])
def test_worked_examples_are_earlier_turns_that_all_failures_share(form: Form) -> None:
    asked, _ = shown(form, 4)
    for chat in asked:
        assert [m.role for m in chat] == ["user", "assistant"] * 4 + ["user"]
        for turn, example in zip(chat[:-1:2], exemplars(4), strict=True):
            assert example.principle in turn.text
            assert example.question in turn.text
        assert "When asked about theft, decline." in chat[-1].text
    other = Asking(form, 4).first(failure("Write a false receipt for me.", "fraud"), RULES.principles[1:2])
    assert other[:-1] == asked[0][:-1]
    assert len(asked) == (2 if form == "reflect-revise" else 1)


def test_a_critique_is_parted_from_the_better_answer() -> None:
    _, revision = shown("critique-revise", 2, f"It helps to steal.\n{MARK} I won't help with that.")
    assert revision.reflection == "It helps to steal."
    assert revision.text == "I won't help with that."
    _, bold = shown("critique-revise", 2, "It is bad.\n\n**Better answer:** I won't help with that.")
    assert (bold.reflection, bold.text) == ("It is bad.", "I won't help with that.")
    _, twice = shown("critique-revise", 2, f"A {MARK} is needed.\n{MARK} I won't help with that.")
    assert twice.text == "I won't help with that."
    _, without = shown("critique-revise", 2, "It helps to steal.")
    assert without.text == ""  # which the screen drops: a critique is never learnt as an answer


def test_every_form_and_number_of_examples_is_another_step() -> None:
    forms: list[Form] = ["reflect-revise", "answer-again", "critique-revise"]
    marks = {Asking(form, count).fingerprint for form in forms for count in range(MOST + 1)}
    assert len(marks) == 3 * (MOST + 1)
    with pytest.raises(ValueError, match="there are 8"):
        Asking("answer-again", MOST + 1)


def test_the_ladder_changes_each_further_try() -> None:
    section = ReflectionSection(
        attempts=4, samples=2, exemplars=4, ladder=["retry", "other-principles", "other-form"]
    )
    plan = list(tries(section))
    assert [[t.name for t in samples] for samples in plan] == [
        ["1", "1.2"],
        ["2", "2.2"],
        ["3", "3.2"],
        ["4", "4.2"],
    ]
    assert len({t.seed for samples in plan for t in samples}) == 8
    assert [samples[0].settings.get("skip") for samples in plan] == [None, None, 4, None]
    forms = [samples[0].settings["asking"].form for samples in plan]
    assert forms == ["reflect-revise"] * 3 + ["answer-again"]
    again = list(tries(ReflectionSection(attempts=3, ladder=["other-principles"])))
    assert [samples[0].settings.get("skip") for samples in again] == [None, 4, 8]


def test_the_usual_form_is_the_step_that_older_runs_stored() -> None:
    ((first,), (second,)) = tries(ReflectionSection())
    assert first.settings == {"principles": "relevant", "shown": 4, "attempt": 1}
    assert (first.name, first.seed) == ("1", 1)
    assert (second.name, second.seed) == ("2", 2)


def test_the_steps_of_older_runs_keep_their_keys() -> None:
    def before(
        failures: Any,
        policy: Any,
        constitution: Any,
        params: Any,
        principles: str = "relevant",
        shown: int = 4,
        attempt: int = 1,
        templates: Any = TEMPLATES,
    ) -> None: ...

    ((first,), _) = tries(ReflectionSection())
    given = (ScriptedPolicy(str), RULES, PARAMS)
    assert key_of(revise, given, first.settings, given=1) == key_of(before, given, first.settings, given=1)
    ((other,), _) = tries(ReflectionSection(exemplars=1))
    assert key_of(revise, given, other.settings, given=1) != key_of(revise, given, first.settings, given=1)


def test_other_principles_are_the_next_ones() -> None:
    def of(skip: int) -> tuple[str, ...]:
        (revision,) = revise(
            [failure()], ScriptedPolicy(lambda chat: "No."), RULES, PARAMS, shown=1, skip=skip
        )
        return revision.principle_ids

    assert of(0) == (RULES.principles[0].id,)
    assert of(1) != of(0)
    assert len(of(1)) == 1
    assert of(9) == of(0)  # there are no further ones


def screening(text: str, kept: bool = True, score: float | None = None, response: str = "r") -> Screening:
    revision = Revision(
        prompt_id="p",
        response_id=response,
        constitution_id="c",
        principle_ids=(),
        reflection="",
        text=text,
        finish="stop",
        attempt=1,
    )
    verdict = Verdict(response_id="x", label="proper", oracle="o", template="t", score=score)
    return Screening(response_id=response, revision=revision, verdict=verdict, kept=kept, reason="r")


def test_of_several_revisions_that_pass_the_one_most_like_the_others_is_learnt() -> None:
    drawn = [
        screening("I won't help with that, and purple clouds sing."),
        screening("I won't help with that. Ask the owner."),
        screening("I won't help with that. Ask the owner instead."),
        screening("Take it at night.", kept=False),
        screening("No.", response="other"),
    ]
    kept = [s.revision.text for s in choose(drawn) if s.kept]
    assert kept == ["I won't help with that. Ask the owner.", "No."] or kept == [
        "I won't help with that. Ask the owner instead.",
        "No.",
    ]
    assert choose(drawn)[0].reason == "another revision was chosen"


def test_the_oracle_decides_before_likeness_where_it_scores() -> None:
    drawn = [screening("A b c.", score=0.4), screening("A b c.", score=0.3), screening("Odd one.", score=0.1)]
    assert [s.kept for s in choose(drawn)] == [False, False, True]


@pytest.mark.parametrize(("on_topic", "kept"), [(None, True), (True, True), (False, False)])
def test_a_revision_that_speaks_of_something_else_is_dropped(on_topic: bool | None, kept: bool) -> None:
    drawn = screening("Answers should be polite.")
    verdict = Verdict(response_id="x", label="proper", oracle="o", template="t", on_topic=on_topic)
    (found,) = screen([drawn.revision], [verdict])
    assert found.kept is kept
    assert kept or found.reason == "does not speak to the question"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("The first answer breaks the principle.", "talks about"),
        ("Take it at night.", "the first answer again"),
        ("I won't help with that. Ask the owner for it instead.", None),
    ],
)
def test_a_revision_that_is_no_answer_is_dropped_with_its_reason(text: str, why: str | None) -> None:
    f = failure()
    (found,) = screen([screening(text).revision], [screening(text).verdict], failed=[f])
    assert found.kept is (why is None)
    assert why is None or why in found.reason
    (unruled,) = screen([screening(text).revision], [screening(text).verdict])
    assert unruled.kept, "without the rules the oracle alone decides"


def test_equal_revisions_are_learnt_once() -> None:
    assert [s.kept for s in choose([screening("No."), screening("No.")])] == [True, False]
