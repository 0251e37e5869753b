"""The other side of the method: refused safe prompts are failures, and helping with them is the lesson."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from iteralign.records.chat import Message
from iteralign.records.iteralign import (
    OVER_REFUSAL,
    Constitution,
    Failure,
    Principle,
    TrainingExample,
)
from iteralign.stages.finetune import instead, learnt
from iteralign.stages.judge import over_refusals_of
from iteralign.stages.propose import propose
from iteralign.stages.revise import select
from iteralign.stages.screen import screen
from stage_records import exchange, failure, principle, revision_of, verdict


def refused(text: str) -> Failure:
    e = exchange(text, "I won't.")
    e = replace(e, id="", prompt=replace(e.prompt, id="", intent="harmful_looking"))
    return Failure(prompt=e.prompt, response=e.response, verdict=verdict(e, "proper", refusal=True))


def test_only_sure_refusals_of_safe_prompts_are_over_refusals() -> None:
    harmful = exchange("How do I steal a car?", "I won't.")
    safe = refused("How do I steal the show?")
    asked = replace(exchange("x"), prompt=safe.prompt, response=safe.response, id="")
    found = over_refusals_of(
        [harmful, asked, asked, asked],
        [
            verdict(harmful, "proper", refusal=True),
            verdict(asked, "proper", refusal=True),
            verdict(asked, "proper", refusal=None),
            verdict(asked, "improper", refusal=False),
        ],
    )
    assert found == [safe]
    assert (safe.over_refusal, safe.category) == (True, OVER_REFUSAL)
    assert not failure("How do I steal a car?").over_refusal


class Namer:
    """Proposes one principle a cluster, and remembers which clusters it saw."""

    name = "namer"

    def __init__(self) -> None:
        self.seen: list[set[str]] = []

    def judge(self, exchanges: object) -> list[object]:
        raise AssertionError

    def propose(self, failures: Sequence[Failure], constitution: Constitution) -> list[Principle]:
        self.seen.append({f.category for f in failures})
        proposal = principle(f"Rule {len(self.seen)} of conduct.", failures[0].category)
        return [replace(proposal, id="", evidence=tuple(f.response.id for f in failures))]


def test_principles_come_from_both_sides_and_neither_takes_the_others_place() -> None:
    failures = [failure(f"{c} {i}", c) for c in ("theft", "fraud", "hate") for i in range(4)]
    failures += [refused(f"Safe prompt number {i}") for i in range(3)]
    oracle = Namer()
    found = propose(
        oracle,  # type: ignore[arg-type]
        failures,
        Constitution(),
        iteration=2,
        max_principles=2,
        min_evidence=2,
        cluster_size=12,
        seed=0,
    )
    assert [p.category for p in found[2:]] == [OVER_REFUSAL]
    assert {p.born for p in found} == {2}
    assert len(found) == 3
    assert all(len(kinds) == 1 for kinds in oracle.seen)


RULES = Constitution(
    principles=(
        principle("Decline to help people take goods that are not theirs.", "theft"),
        principle("Decline to help people forge documents.", "fraud"),
        principle("Help with safe requests that only look harmful.", OVER_REFUSAL),
    )
)


def test_a_reflection_is_shown_the_principles_of_its_own_side() -> None:
    shown = select(refused("How do I steal the show?"), RULES, "relevant", 4)
    assert [p.category for p in shown] == [OVER_REFUSAL]
    shown = select(failure("How do I steal a car?"), RULES, "relevant", 4)
    assert [p.category for p in shown] == ["theft", "fraud"]


def test_a_refused_safe_prompt_sees_what_there_is_where_no_principle_is_on_its_side() -> None:
    rules = Constitution(principles=RULES.principles[:2])
    assert len(select(refused("How do I steal the show?"), rules, "relevant", 4)) == 2


@pytest.mark.parametrize(("refusal", "kept"), [(True, False), (None, False), (False, True)])
def test_a_revision_of_a_refused_safe_prompt_must_help(refusal: bool | None, kept: bool) -> None:
    f = refused("How do I steal the show?")
    e = exchange(f.prompt.text, "Smile.")
    (found,) = screen(
        [revision_of(f, "Smile.")], [verdict(e, "proper", refusal=refusal)], must_help={f.response.id}
    )
    assert found.kept is kept
    (harm,) = screen([revision_of(f, "Smile.")], [verdict(e, "proper", refusal=refusal)])
    assert harm.kept, "of an attack prompt a refusal is a good revision"
    (lesson,) = learnt([f], [harm])
    assert (lesson.source, lesson.prompt_id) == (OVER_REFUSAL, f.prompt.id)


def test_where_no_revision_helps_the_base_models_own_answer_is_the_lesson() -> None:
    mended, unmended = refused("How do I steal the show?"), refused("How do I kill time?")

    def own(f: Failure) -> TrainingExample:
        return TrainingExample(
            messages=(*f.prompt.messages, Message("assistant", "Gladly.")),
            source="benign",
            prompt_id=f.prompt.id,
        )

    lessons = instead([unmended, failure("How do I steal a car?")], [own(mended), own(unmended)])
    assert lessons == [own(unmended)]
