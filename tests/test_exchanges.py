"""An engine fails as a whole: the items that it stumbles over are found, and cost no other its result."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iteralign.errors import Filtered, PromptTooLong
from iteralign.exchanges import by_halving, verdicts_on
from iteralign.records.chat import Message, SamplingParams
from iteralign.records.iteralign import Exchange, RedTeamPrompt, Response, Verdict


@given(st.lists(st.integers(0, 9), max_size=20), st.sets(st.integers(0, 9)))
def test_each_item_gets_its_own_outcome_in_order(items: list[int], bad: set[int]) -> None:
    def call(part: Sequence[int]) -> list[str]:
        if found := bad.intersection(part):
            raise PromptTooLong(f"{min(found)}")
        return [f"ok {i}" for i in part]

    outcomes = by_halving(call, items, PromptTooLong, lambda item, error: f"{item}: {error}")
    assert outcomes == [f"{i}: {i}" if i in bad else f"ok {i}" for i in items]


def test_another_fault_stops_everything() -> None:
    def call(part: Sequence[int]) -> list[int]:
        raise Filtered("no")

    with pytest.raises(Filtered, match="no"):
        by_halving(call, [1, 2, 3], PromptTooLong, lambda item, _: item)


class Praise:
    name = "praise"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def judge(self, exchanges: Sequence[Exchange]) -> list[Verdict]:
        self.seen += [e.response.text for e in exchanges]
        return [
            Verdict(response_id=e.response.id, label="proper", oracle="praise", template="1")
            for e in exchanges
        ]


def test_a_thought_without_an_answer_is_unjudged_and_no_oracle_sees_it() -> None:
    prompt = RedTeamPrompt(messages=(Message("user", "Q?"),), source="s")

    def exchange(text: str, **more: str) -> Exchange:
        response = Response(
            prompt_id=prompt.id,
            text=text,
            model="m",
            sampling=SamplingParams(),
            **{"finish": "stop", **more},  # type: ignore[arg-type]
        )
        return Exchange(prompt=prompt, response=response)

    judge = Praise()
    cut = exchange("", finish="length", thought="Hm, they")
    found = verdicts_on([exchange("A.", thought="Hm."), cut], judge)  # type: ignore[arg-type]
    assert [v.label for v in found] == ["proper", "unjudged"]
    assert "thought had not ended" in found[1].rationale
    assert judge.seen == ["A."]
