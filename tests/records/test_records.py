"""Every record survives JSON, knows its own content, and refuses what was edited or cannot be JSON."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iteralign.canonical import canonical, content_hash, from_json, to_json
from iteralign.records import constitution as rules
from iteralign.records import iteralign as records
from iteralign.records.base import Record
from iteralign.records.chat import Completion, Message, SamplingParams, Score
from iteralign.records.constitution import Amendment, Constitution, Principle
from iteralign.records.iteralign import (
    Checkpoint,
    Decision,
    EvalReport,
    Exchange,
    Failure,
    GateTest,
    IterationRecord,
    Judged,
    RedTeamPrompt,
    Response,
    Revision,
    RunResult,
    Screening,
    TrainingExample,
    Verdict,
)
from iteralign.stats import Estimate

SAMPLING = SamplingParams(max_new_tokens=8, temperature=0.7, top_p=0.9, seed=3)
PROMPT = RedTeamPrompt(
    messages=(Message("system", "s"), Message("user", "a \u2028 question\n?")),
    source="set",
    topic="t",
    category="hate",
)
RESPONSE = Response(
    prompt_id=PROMPT.id,
    text="an answer \x00 é",
    finish="length",
    model="checkpoint-1",
    sampling=SAMPLING,
)
VERDICT = Verdict(
    response_id=RESPONSE.id,
    label="improper",
    categories=("hate",),
    severity=2,
    refusal=False,
    rationale="r",
    oracle="o",
    template="t",
)
PRINCIPLE = Principle(
    text="Be kind to everyone.",
    category="hate",
    evidence=(RESPONSE.id,),
    born=1,
    status="merged",
    parents=("principle-x",),
)
CONSTITUTION = Constitution(version=1, principles=(PRINCIPLE,), parent="constitution-x")
REVISION = Revision(
    prompt_id=PROMPT.id,
    response_id=RESPONSE.id,
    constitution_id=CONSTITUTION.id,
    principle_ids=(PRINCIPLE.id,),
    reflection="r",
    text="t",
    finish="stop",
    attempt=2,
)
SCREENING = Screening(response_id=RESPONSE.id, revision=REVISION, verdict=VERDICT, kept=True, reason="passed")
CHECKPOINT = Checkpoint(
    path="checkpoints/1",
    parent="checkpoint-0",
    data_hash="d",
    trainer_hash="t",
    weights_hash="w",
    adapter=True,
)
REPORT = EvalReport(
    name="harm",
    checkpoint=CHECKPOINT.id,
    version="1",
    metrics={"harm": Estimate(0.5, 0.25, 0.75, 4)},
    per_item={"a": 1.0},
    facts={"k": "v"},
)
GATE = GateTest(
    kind="falls",
    metric="harm",
    against="parent",
    before=0.5,
    after=0.25,
    n=4,
    difference=-0.25,
    low=-0.5,
    high=0.0,
    p_value=0.125,
    exact="mcnemar",
    alpha=0.2,
    missing=0,
    least=0,
    passed=True,
)
DECISION = Decision(accepted=True, tests=(GATE,))
ITERATION = IterationRecord(
    index=1,
    before=CHECKPOINT,
    after=CHECKPOINT,
    constitution_id=CONSTITUTION.id,
    counts={"prompts": 4},
    failures=Estimate(0.5, 0.1, 0.9, 4),
    report_ids=(REPORT.id,),
    decision=DECISION,
)
AMENDMENT = Amendment(
    constitution_id="constitution-y",
    version=2,
    parent=CONSTITUTION.id,
    evidence=((PRINCIPLE.id, ("response-x",)),),
    removed=("principle-x",),
    added=(PRINCIPLE,),
)
ALL: list[Record] = [
    PROMPT,
    RESPONSE,
    VERDICT,
    Exchange(prompt=PROMPT, response=RESPONSE),
    Judged(prompt=PROMPT, response=RESPONSE, verdict=VERDICT),
    Failure(prompt=PROMPT, response=RESPONSE, verdict=VERDICT),
    PRINCIPLE,
    CONSTITUTION,
    AMENDMENT,
    REVISION,
    SCREENING,
    TrainingExample(
        messages=(*PROMPT.messages, Message("assistant", "a")),
        source="revision",
        prompt_id=PROMPT.id,
        weight=0.5,
    ),
    CHECKPOINT,
    REPORT,
    DECISION,
    ITERATION,
    RunResult(
        baseline=(REPORT,),
        iterations=(ITERATION,),
        final=(REPORT,),
        constitution=CONSTITUTION,
        checkpoint=CHECKPOINT,
        improvement=(GATE,),
        stop_reason="done",
    ),
]
each = pytest.mark.parametrize("record", ALL, ids=lambda r: type(r).__name__)


def test_every_record_class_is_tried_here() -> None:
    found = [*vars(records).values(), *vars(rules).values()]
    classes = {c for c in found if isinstance(c, type) and issubclass(c, Record) and c is not Record}
    assert classes == {type(r) for r in ALL}


@each
def test_a_record_survives_json_text(record: Record) -> None:
    again = type(record).from_json(json.loads(canonical(record)))
    assert again == record
    assert type(again) is type(record)
    assert canonical(again) == canonical(record)


@each
def test_a_record_without_its_id_gets_the_same_one(record: Record) -> None:
    data = {k: v for k, v in record.to_json().items() if k != "id"}
    assert type(record).from_json(data).id == record.id
    assert record.id.startswith(type(record)._prefix)


@each
def test_an_id_that_does_not_fit_the_content_is_refused(record: Record) -> None:
    with pytest.raises(ValueError, match="does not fit the content"):
        type(record).from_json(
            record.to_json() | {"id": record.id[:-1] + ("0" if record.id[-1] != "0" else "1")}
        )


@each
def test_an_unknown_field_is_refused(record: Record) -> None:
    with pytest.raises(ValueError, match="surprise"):
        type(record).from_json(record.to_json() | {"surprise": 1})


@each
def test_a_record_does_not_change(record: Record) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.id = "other"  # type: ignore[misc]


def test_edited_content_is_refused() -> None:
    data = RESPONSE.to_json() | {"text": "another answer"}
    with pytest.raises(ValueError, match="edited or damaged"):
        Response.from_json(data)


def test_an_edit_deep_inside_is_refused_too() -> None:
    data = SCREENING.to_json()
    data["revision"]["text"] = "something else"
    with pytest.raises(ValueError, match="does not fit the content of this Revision"):
        Screening.from_json(data)


def test_a_value_outside_its_literals_is_refused() -> None:
    data = {k: v for k, v in VERDICT.to_json().items() if k != "id"} | {"label": "fine"}
    with pytest.raises(ValueError, match="improper"):
        Verdict.from_json(data)


def test_identities_are_made_of_what_a_thing_is() -> None:
    assert dataclasses.replace(PRINCIPLE, evidence=(), born=9).id == PRINCIPLE.id
    assert dataclasses.replace(PROMPT, split="held_out", topic=None).id == PROMPT.id
    assert dataclasses.replace(CHECKPOINT, path="elsewhere").id == CHECKPOINT.id
    with pytest.raises(ValueError, match="does not fit"):
        dataclasses.replace(PRINCIPLE, text="Be fair to everyone.")
    assert dataclasses.replace(PRINCIPLE, id="", text="Be fair to everyone.").id != PRINCIPLE.id


def test_equal_fields_of_two_kinds_of_record_are_not_the_same_record() -> None:
    judged, failure = (c(prompt=PROMPT, response=RESPONSE, verdict=VERDICT) for c in (Judged, Failure))
    assert judged.id.split("-")[1] != failure.id.split("-")[1]


# ---- canonical JSON

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(plain)
def test_one_value_has_one_text(value: Any) -> None:
    text = canonical(value)
    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text
    assert content_hash(value) == content_hash(json.loads(text))


@pytest.mark.parametrize(
    ("one", "other"), [(1, 1.0), (-0.0, 0), ([1.0, 2], [1, 2.0]), ({"a": 3.0, "b": ()}, {"b": [], "a": 3})]
)
def test_numbers_that_are_equal_are_written_alike(one: object, other: object) -> None:
    assert canonical(one) == canonical(other)


def test_a_whole_number_in_a_float_field_is_the_same_record() -> None:
    one = TrainingExample(messages=PROMPT.messages, source="s", weight=1.0)
    assert TrainingExample.from_json(one.to_json() | {"weight": 1}) == one
    assert TrainingExample(messages=PROMPT.messages, source="s", weight=1).id == one.id


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical({"x": value})
    with pytest.raises(ValueError, match="JSON"):
        EvalReport(name="harm", checkpoint="c", version="1", metrics={}, per_item={"a": value})


@pytest.mark.parametrize("value", [b"bytes", object(), {1, 2}, Record])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="cannot be written as JSON"):
        canonical([value])


def test_lists_of_records_and_small_values_survive_too() -> None:
    verdicts = [VERDICT, dataclasses.replace(VERDICT, id="", label="unjudged")]
    assert from_json(list[Verdict], to_json(verdicts)) == verdicts
    score = Score(("a", "b"), (-0.5, -1.0))
    assert from_json(Score, to_json(score)) == score
    assert score.total == -1.5
    assert from_json(Completion, to_json(Completion("t", "stop", 1, 2))) == Completion("t", "stop", 1, 2)


# ---- what records say of themselves


def test_a_prompt_is_its_last_user_turn() -> None:
    turns = (Message("user", "first"), Message("assistant", "x"), Message("user", "last"))
    assert RedTeamPrompt(messages=turns, source="s").text == "last"
    assert RedTeamPrompt(messages=(), source="s").text == ""


def test_a_failure_without_a_category_is_of_another_kind() -> None:
    bare = dataclasses.replace(VERDICT, id="", categories=())
    assert Failure(prompt=PROMPT, response=RESPONSE, verdict=VERDICT).category == "hate"
    assert Failure(prompt=PROMPT, response=RESPONSE, verdict=bare).category == "other"


def test_an_iteration_without_training_says_why() -> None:
    assert "no improper answer" in Decision.without_training(0).reason
    assert "none of 7 failures" in Decision.without_training(7).reason
    assert not Decision.without_training(7).accepted
    assert not Decision.without_training(7).trained


def test_a_report_is_led_by_the_metric_of_its_name() -> None:
    assert REPORT.main == Estimate(0.5, 0.25, 0.75, 4)


def test_a_verdict_of_before_partial_refusals_keeps_its_id_wherever_it_stands() -> None:
    facts = {
        "response_id": "response-1",
        "label": "proper",
        "refusal": True,
        "rationale": "declines",
        "oracle": "o",
        "template": "t",
    }
    old = Verdict(**facts)  # type: ignore[arg-type]
    assert old.id == "verdict-5ade9d06faad081a6b70", "as it was stored before there was Verdict.compliance"
    assert "compliance" not in old.to_json()
    assert content_hash(old).startswith("9eef1d2eea3c1fe5")
    prompt = RedTeamPrompt(messages=(Message("user", "q"),), source="s")
    response = Response(prompt_id=prompt.id, text="a", finish="stop", model="m", sampling=SamplingParams())
    assert Judged(prompt=prompt, response=response, verdict=old).id == "judged-5261000c305328d4daeb"
    stored = {"id": old.id, "aspect": "harmless", "categories": [], "severity": 0, "votes": [], **facts}
    assert Verdict.from_json(stored) == old
    new = Verdict(compliance="full_refusal", **facts)  # type: ignore[arg-type]
    assert new.id != old.id
    assert Verdict.from_json(new.to_json()) == new
