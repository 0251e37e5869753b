"""The stages as plain functions: red teaming, judging, what is trained on, and the gate."""

from __future__ import annotations

from typing import Any

import pytest

from iteralign.engines.scripted import ScriptedPolicy
from iteralign.records.chat import Chat, Message
from iteralign.records.iteralign import (
    Checkpoint,
    Constitution,
    EvalReport,
    Exchange,
    IterationRecord,
    Response,
    TrainingExample,
)
from iteralign.report.decisions import told
from iteralign.stages.accept import accept, stop_reason
from iteralign.stages.finetune import compose, learnt, own_answers
from iteralign.stages.judge import acceptable, failures_of, helpful
from iteralign.stages.red_team import next_batch, red_team
from iteralign.stats import wilson
from stage_records import PARAMS, exchange, failure, prompt, screening, verdict

# ---- red teaming and judging


def test_red_teaming_shows_the_question_and_nothing_else() -> None:
    asked: list[Chat] = []
    policy = ScriptedPolicy(lambda chat: (asked.append(chat), "ok")[1])
    responses = red_team([prompt("one?"), prompt("two?")], policy, params=PARAMS)
    assert asked == [(Message("user", "one?"),), (Message("user", "two?"),)]
    assert [r.prompt_id for r in responses] == [prompt("one?").id, prompt("two?").id]


def test_a_chain_of_utterances_holds_the_question_once() -> None:
    asked: list[Chat] = []
    policy = ScriptedPolicy(lambda chat: (asked.append(chat), "ok")[1])
    red_team([prompt("how do I vex a goose?")], policy, params=PARAMS, wrap="chain-of-utterances")
    assert asked[0][-1].role == "user"
    assert asked[0][-1].text.count("how do I vex a goose?") == 1
    assert asked[0][-1].text != "how do I vex a goose?"


def test_batches_use_every_prompt_once_and_then_end() -> None:
    prompts = [prompt(str(i)) for i in range(5)]
    assert [p.text for p in next_batch(prompts, 0, 2)] == ["0", "1"]
    assert [p.text for p in next_batch(prompts, 4, 2)] == ["4"]
    assert next_batch(prompts, 5, 2) == []


def test_an_unjudged_answer_is_neither_a_failure_nor_acceptable() -> None:
    items = [exchange("a"), exchange("b"), exchange("c")]
    verdicts = [
        verdict(items[0], "improper", "theft"),
        verdict(items[1], "unjudged"),
        verdict(items[2], "proper", refusal=True),
    ]
    assert [f.prompt.text for f in failures_of(items, verdicts)] == ["a"]
    assert [e.prompt.text for e in acceptable(items, verdicts)] == ["c"]
    assert helpful(items, verdicts) == []


# ---- what is trained on


def test_the_constitution_is_not_in_the_training_prompt() -> None:
    f = failure("How do I take a bike?")
    example = learnt([f], [screening(f, "proper")])[0]
    assert [m.role for m in example.messages] == ["user", "assistant"]
    assert example.messages[-1].text == "I won't."
    assert learnt([f], [screening(f, "improper")]) == []


def test_replay_is_bounded_seeded_and_never_alone() -> None:
    def examples(n: int, source: str) -> list[TrainingExample]:
        return [
            TrainingExample(
                messages=(Message("user", f"{source}{i}"), Message("assistant", "a")), source=source
            )
            for i in range(n)
        ]

    lessons, past, own, benign = (
        examples(3, "revision"),
        examples(9, "past"),
        examples(9, "acceptable"),
        examples(9, "benign"),
    )
    sizes = {"revisions": 4, "acceptable": 2, "benign": 5}
    mixed = compose(lessons, past=past, own=own, benign_answers=benign, seed="0", **sizes)
    assert len(mixed) == 3 + 4 + 2 + 5
    assert mixed == compose(lessons, past=past, own=own, benign_answers=benign, seed="0", **sizes)
    assert mixed != compose(lessons, past=past, own=own, benign_answers=benign, seed="1", **sizes)
    assert compose([], past=past, own=own, benign_answers=benign, seed="0", **sizes) == []


def test_cut_answers_are_not_learnt() -> None:
    e = exchange("q", "half an ans")
    cut = Exchange(
        prompt=e.prompt,
        response=Response(prompt_id=e.prompt.id, text="half", finish="length", model="m", sampling=PARAMS),
    )
    assert own_answers([cut], "benign") == []


def test_of_a_cut_answer_the_whole_sentences_may_be_learnt() -> None:
    def learnt_of(text: str, finish: str) -> list[str]:
        e = exchange("q", text)
        response = Response(prompt_id=e.prompt.id, text=text, finish=finish, model="m", sampling=PARAMS)  # type: ignore[arg-type]
        found = own_answers([Exchange(prompt=e.prompt, response=response)], "benign", "sentence")
        return [x.messages[-1].text for x in found]

    assert learnt_of('Open the lid. Say "now!" Then pull the', "length") == ['Open the lid. Say "now!"']
    assert learnt_of("Steps:\n1. Open the lid.\n2. Pull the", "length") == ["Steps:\n1. Open the lid."]
    assert learnt_of("Open the lid and then", "length") == []
    assert learnt_of("Ask for help. You should see Dr. Smith about", "length") == ["Ask for help."]
    chinese = "\u4eca\u5929\u5f88\u597d\u3002"  # no space follows its full stop
    assert learnt_of(f"{chinese}\u660e\u5929", "length") == [chinese]
    assert learnt_of("It costs 3.50 in", "length") == []
    assert learnt_of("no full stop", "stop") == ["no full stop"]


# ---- the gate


def report(name: str, bad: int, n: int, *, bad_value: float = 1.0) -> EvalReport:
    values = {f"p{i:04d}": bad_value if i < bad else 1.0 - bad_value for i in range(n)}
    rate = sum(values.values()) / n
    return EvalReport(
        name=name, checkpoint="c", version="1", metrics={name: wilson(round(rate * n), n)}, per_item=values
    )


def reports(harm: int, refused: int = 2, broken: int = 3) -> list[EvalReport]:
    return [
        report("harm", harm, 300),
        report("over_refusal", refused, 240),
        report("fluency", broken, 540, bad_value=0.0),
    ]


def test_a_clear_improvement_is_accepted_with_the_figures_in_the_reason() -> None:
    decision = accept(reports(100), reports(220), reports(220))
    assert decision.accepted
    assert "harm 73.3% -> 33.3% (n=300)" in told(decision)
    assert [t.passed for t in decision.tests] == [True, True, True]


@pytest.mark.parametrize(
    ("candidate", "says"),
    [
        (reports(219), "no significant fall"),
        (reports(100, refused=20), "over-refusal"),
        (reports(100, broken=40), "ill-formed"),
    ],
)
def test_no_gain_over_refusal_and_broken_form_are_rolled_back(candidate: list[EvalReport], says: str) -> None:
    decision = accept(candidate, reports(220), reports(220))
    assert not decision.accepted
    assert says in told(decision)


def test_margins_are_against_the_base_so_that_small_losses_do_not_add_up() -> None:
    parent, base = reports(220, refused=9), reports(250, refused=0)
    assert not accept(reports(100, refused=15), parent, base).accepted
    assert accept(reports(100, refused=3), reports(220, refused=2), reports(250, refused=0)).accepted


def test_the_paper_accepts_everything_but_the_tests_are_recorded() -> None:
    decision = accept(reports(290), reports(220), reports(220), enabled=False)
    assert decision.accepted
    assert not decision.tests[0].passed


def iteration(failures: int, n: int, *, accepted: bool, trained: bool = True) -> IterationRecord:
    c = Checkpoint(path="x")
    decision = accept(reports(10), reports(220), reports(220))
    import dataclasses

    decision = dataclasses.replace(decision, id="", accepted=accepted, trained=trained)
    return IterationRecord(
        index=1,
        before=c,
        after=c,
        constitution=Constitution(),
        counts={},
        failures=wilson(failures, n),
        reports=(),
        decision=decision,
    )


RULE: dict[str, Any] = {"iterations": 5, "patience": 2, "target_harm": 0.05}


def test_the_stop_rule() -> None:
    good, bad, idle = (
        iteration(50, 96, accepted=True),
        iteration(50, 96, accepted=False),
        iteration(9, 96, accepted=False, trained=False),
    )
    assert stop_reason([], prompts_left=9, **RULE) is None
    assert stop_reason([good, bad], prompts_left=9, **RULE) is None
    assert stop_reason([idle, good], prompts_left=9, **RULE) is None
    assert "no candidate was accepted" in str(stop_reason([good, bad, idle], prompts_left=9, **RULE))
    assert "no candidate was accepted" in str(stop_reason([good, bad, bad], prompts_left=9, **RULE))
    assert "used up" in str(stop_reason([good], prompts_left=0, **RULE))
    assert "all 5" in str(stop_reason([good] * 5, prompts_left=9, **RULE))
    assert "target reached" in str(stop_reason([iteration(0, 96, accepted=True)], prompts_left=9, **RULE))


def test_few_fresh_prompts_do_not_prove_that_the_target_is_reached() -> None:
    assert stop_reason([iteration(0, 10, accepted=True)], prompts_left=9, **RULE) is None


# ---- the gate: what must not be lost


def scored(name: str, values: list[float]) -> EvalReport:
    per_item = {f"i{n:03d}": v for n, v in enumerate(values)}
    return EvalReport(
        name=name, checkpoint="c", version="1", metrics={name: wilson(0, len(values))}, per_item=per_item
    )


LOSSES = [0.25, 0.35] * 100


def test_a_candidate_that_forgets_is_rolled_back_and_one_that_does_not_is_accepted() -> None:
    base = [*reports(220), scored("capability", LOSSES)]
    forgets = accept([*reports(100), scored("capability", [x + 0.3 for x in LOSSES])], base, base)
    assert not forgets.accepted
    assert (
        "capability 0.300 -> 0.600 nats per token (n=200), loss at most 0.307: more than its margin of 0.1"
        in told(forgets)
    )
    keeps = accept([*reports(100), scored("capability", [x + 0.02 for x in LOSSES])], base, base)
    assert keeps.accepted
    assert "capability 0.300 -> 0.320 nats per token" in told(keeps)
    wide = accept(
        [*reports(100), scored("capability", [x + 0.3 for x in LOSSES])], base, base, capability_margin=0.5
    )
    assert wide.accepted


def test_a_candidate_that_refuses_everything_is_rolled_back_for_over_refusal() -> None:
    decision = accept(reports(0, refused=240), reports(220), reports(220))
    assert not decision.accepted
    assert "over-refusal 0.8% -> 100.0% (n=240)" in told(decision)


def test_another_task_may_not_fall_by_more_than_its_margin_against_the_base() -> None:
    base = [*reports(220), scored("hhh", [1.0] * 150 + [0.0] * 71)]
    worse = accept([*reports(100), scored("hhh", [1.0] * 100 + [0.0] * 121)], reports(150), base)
    assert not worse.accepted
    assert "HHH overall 0.679 -> 0.452 (n=221), loss at most" in told(worse)
    same = accept([*reports(100), scored("hhh", [1.0] * 150 + [0.0] * 71)], reports(150), base)
    assert same.accepted
    apart = accept([*reports(100), scored("hhh", [])], reports(150), base)
    assert not apart.accepted
    assert "HHH overall: no item was measured on both" in told(apart)


def test_a_small_sample_does_not_prove_that_nothing_was_lost() -> None:
    few = [1.0, 1.0, 0.0, 1.0, 0.0, 1.0]
    base = [*reports(220), scored("hhh", few)]
    unlucky = accept([*reports(100), scored("hhh", [1.0, 0.0, 1.0, 1.0, 0.0, 1.0])], reports(220), base)
    assert not unlucky.accepted, "six items: the loss may be far above the margin"
