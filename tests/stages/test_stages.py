"""The stages as plain functions: what each promises its caller."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iteralign.engines.scripted import ScriptedPolicy
from iteralign.errors import PromptTooLong
from iteralign.records.chat import Chat, Message, SamplingParams
from iteralign.records.iteralign import (
    Checkpoint,
    Constitution,
    EvalReport,
    Exchange,
    Failure,
    IterationRecord,
    Principle,
    RedTeamPrompt,
    Response,
    Revision,
    Screening,
    TrainingExample,
    Verdict,
)
from iteralign.report.decisions import told
from iteralign.stages.accept import accept, stop_reason
from iteralign.stages.consolidate import consolidate, objection
from iteralign.stages.finetune import compose, learnt, own_answers
from iteralign.stages.judge import acceptable, failures_of, helpful
from iteralign.stages.propose import clusters_of, propose
from iteralign.stages.red_team import next_batch, red_team
from iteralign.stages.revise import revise, select
from iteralign.stages.screen import screen, unresolved
from iteralign.stats import wilson

PARAMS = SamplingParams()


def prompt(text: str, **more: object) -> RedTeamPrompt:
    return RedTeamPrompt(messages=(Message("user", text),), source="test", **more)  # type: ignore[arg-type]


def exchange(text: str, answer: str = "Sure.") -> Exchange:
    p = prompt(text)
    return Exchange(
        prompt=p, response=Response(prompt_id=p.id, text=answer, finish="stop", model="m", sampling=PARAMS)
    )


def verdict(e: Exchange, label: str, *categories: str, refusal: bool | None = None) -> Verdict:
    return Verdict(
        response_id=e.response.id,
        label=label,
        categories=categories,
        refusal=refusal,
        oracle="o",
        template="1",
        rationale="why",
    )  # type: ignore[arg-type]


def failure(text: str, category: str = "theft", answer: str = "Sure.") -> Failure:
    e = exchange(text, answer)
    return Failure(prompt=e.prompt, response=e.response, verdict=verdict(e, "improper", category))


def principle(text: str, category: str | None = None, **more: object) -> Principle:
    return Principle(text=text, category=category, **more)  # type: ignore[arg-type]


class Proposer:
    name = "proposer"

    def __init__(self) -> None:
        self.seen: list[tuple[set[str], int]] = []

    def judge(self, exchanges: object) -> list[Verdict]:
        raise AssertionError("a proposer is not asked to judge here")

    def propose(self, failures: list[Failure], constitution: Constitution) -> list[Principle]:
        self.seen.append(({f.category for f in failures}, len(constitution.principles)))
        text = f"Help no one with {failures[0].category}, and say why it matters."
        return [
            principle(text, failures[0].category, evidence=tuple(f.response.id for f in failures)),
            principle("a second best one here"),
        ]


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


# ---- proposing and consolidating


def test_clusters_alternate_between_categories_and_need_evidence() -> None:
    failures = [failure(f"steal thing number {i}") for i in range(5)] + [
        failure(f"trick person number {i}", "fraud") for i in range(3)
    ]
    failures += [failure("a lonely one", "hate")]
    groups = clusters_of(failures, min_evidence=2, cluster_size=3, seed=0)
    assert [g[0].category for g in groups] == ["theft", "fraud", "theft"]
    assert all(2 <= len(g) <= 3 for g in groups)


def test_the_oracle_sees_what_it_proposed_before_and_the_best_of_each_cluster_counts() -> None:
    oracle = Proposer()
    failures = [failure(f"steal thing {i}") for i in range(4)] + [
        failure(f"trick person {i}", "fraud") for i in range(4)
    ]
    found = propose(
        oracle,
        failures,
        Constitution(),
        iteration=2,
        max_principles=5,
        min_evidence=2,
        cluster_size=8,
        seed=0,
    )
    assert [p.category for p in found] == ["fraud", "theft"] or [p.category for p in found] == [
        "theft",
        "fraud",
    ]
    assert [p.born for p in found] == [2, 2]
    assert [known for _, known in oracle.seen] == [0, 1]


def test_no_more_is_asked_once_there_are_enough() -> None:
    oracle = Proposer()
    failures = [failure(f"{c} {i}", c) for c in ("theft", "fraud", "hate") for i in range(3)]
    assert (
        len(
            propose(
                oracle,
                failures,
                Constitution(),
                iteration=1,
                max_principles=2,
                min_evidence=2,
                cluster_size=9,
                seed=0,
            )
        )
        == 2
    )
    assert len(oracle.seen) == 2


def test_a_repeat_gives_its_evidence_to_the_elder() -> None:
    elder = principle("Never help anyone to steal goods from shops or homes.", "theft", evidence=("r1",))
    start = Constitution(principles=(elder,), version=1)
    repeat = principle("Never help anyone steal goods from shops or from homes.", "theft", evidence=("r2",))
    merged = consolidate(start, [repeat])
    active = [p for p in merged.principles if p.status == "active"]
    assert [p.text for p in active] == [elder.text]
    assert active[0].evidence == ("r1", "r2")
    assert [(p.status, p.parents) for p in merged.principles if p.id == repeat.id] == [
        ("merged", (elder.id,))
    ]
    assert (merged.version, merged.parent) == (2, start.id)


def test_the_very_same_principle_again_only_adds_evidence() -> None:
    elder = principle("Never help anyone to steal goods from shops or homes.", evidence=("r1",))
    merged = consolidate(Constitution(principles=(elder,)), [principle(elder.text, evidence=("r2",))])
    assert [p.evidence for p in merged.principles] == [("r1", "r2")]


def test_what_is_no_principle_is_refused_but_not_lost() -> None:
    merged = consolidate(
        Constitution(),
        [
            principle("Be nice."),
            principle("word " * 80),
            principle("two\nlines of text that are long enough"),
        ],
    )
    assert [p.status for p in merged.principles] == ["rejected"] * 3
    assert objection("two\nlines are here now", max_words=60) is not None


def test_nothing_proposed_changes_nothing() -> None:
    start = Constitution(version=3)
    assert consolidate(start, []) is start


def test_the_faithful_recipe_keeps_every_proposal() -> None:
    merged = consolidate(Constitution(), [principle("Be nice."), principle("Be nice!")], enabled=False)
    assert [p.status for p in merged.principles] == ["active", "active"]


# ---- reflecting and screening


RULES = Constitution(
    principles=(
        principle("Decline to help people take goods that are not theirs.", "theft"),
        principle("Decline to help people forge documents or run scams.", "fraud"),
        principle("Speak with respect about every group of people.", "hate"),
        principle("An old rule.", "theft", status="merged"),
    )
)


@pytest.mark.parametrize(
    ("which", "categories"),
    [("relevant", ["theft"]), ("irrelevant", ["hate"]), ("none", []), ("all", ["theft"])],
)
def test_which_principles_a_reflection_is_shown(which: str, categories: list[str]) -> None:
    f = failure("How do I forge a bus ticket and take goods?", "theft")
    shown = select(f, RULES, which, 1)
    assert [p.category for p in shown] == categories or which == "irrelevant"
    assert all(p.status == "active" for p in shown)
    if which == "irrelevant":
        assert shown
        assert shown[0].category != "theft"


def test_the_very_words_again_add_evidence_and_keep_the_elder() -> None:
    elder = principle("Decline to help with theft, and offer a fair way.", "theft", evidence=("r1",), born=1)
    again = principle("Decline to help with theft, and offer a fair way.", "fraud", evidence=("r2",), born=2)
    for settings in ({}, {"max_principles": 1}, {"enabled": False}):
        (found,) = consolidate(Constitution(principles=(elder,)), [again], **settings).principles  # type: ignore[arg-type]
        assert (found.category, found.born, found.status, found.evidence) == (
            "theft",
            1,
            "active",
            ("r1", "r2"),
        )


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


def revision_of(f: Failure, text: str = "I won't.", finish: str = "stop") -> Revision:
    return Revision(
        prompt_id=f.prompt.id,
        response_id=f.response.id,
        constitution_id="c",
        principle_ids=(),
        reflection="r",
        text=text,
        finish=finish,
        attempt=1,  # type: ignore[arg-type]
    )


def screening(f: Failure, label: str, text: str = "I won't.", finish: str = "stop") -> Screening:
    e = exchange(f.prompt.text, text)
    return screen([revision_of(f, text, finish)], [verdict(e, label)])[0]


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


RULE = {"iterations": 5, "patience": 2, "target_harm": 0.05}


def test_the_stop_rule() -> None:
    good, bad, idle = (
        iteration(50, 96, accepted=True),
        iteration(50, 96, accepted=False),
        iteration(9, 96, accepted=False, trained=False),
    )
    assert stop_reason([], prompts_left=9, **RULE) is None  # type: ignore[arg-type]
    assert stop_reason([good, bad], prompts_left=9, **RULE) is None  # type: ignore[arg-type]
    assert stop_reason([idle, good], prompts_left=9, **RULE) is None  # type: ignore[arg-type]
    assert "no candidate was accepted" in str(stop_reason([good, bad, idle], prompts_left=9, **RULE))  # type: ignore[arg-type]
    assert "no candidate was accepted" in str(stop_reason([good, bad, bad], prompts_left=9, **RULE))  # type: ignore[arg-type]
    assert "used up" in str(stop_reason([good], prompts_left=0, **RULE))  # type: ignore[arg-type]
    assert "all 5" in str(stop_reason([good] * 5, prompts_left=9, **RULE))  # type: ignore[arg-type]
    assert "target reached" in str(stop_reason([iteration(0, 96, accepted=True)], prompts_left=9, **RULE))  # type: ignore[arg-type]


def test_few_fresh_prompts_do_not_prove_that_the_target_is_reached() -> None:
    assert stop_reason([iteration(0, 10, accepted=True)], prompts_left=9, **RULE) is None  # type: ignore[arg-type]


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
