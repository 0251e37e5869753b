"""An engine fails as a whole: the items that it stumbles over are found, and cost no other its result."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iteralign.errors import Filtered, PromptTooLong
from iteralign.exchanges import by_halving


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
