"""Parts of work on workers that may be lost: in order, each once, and never without end."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iteralign.engines.ray.spread import LOSSES, Joined, Lost, cut, spread
from iteralign.errors import EngineError, Unavailable


class Team:
    """Workers that square numbers. ``ends``: for each ask, in order, whether its worker is lost."""

    def __init__(self, size: int, ends: Sequence[bool] = (), late: Sequence[int] = ()) -> None:
        self.names = list(range(size))
        self.ends, self.late = list(ends), list(late)
        self.asked: list[int] = []
        self.made = size
        self._at: dict[int, tuple[int, bool]] = {}

    def workers(self) -> list[int]:
        if not self.names:
            self.names.append(self.made)
            self.made += 1
        return list(self.names)

    def ask(self, worker: int, part: int) -> None:
        self.asked.append(part)
        self._at[worker] = part, self.ends.pop(0) if self.ends else False

    def next(self, busy: Sequence[int]) -> int | None:
        return busy[self.late.pop(0) % len(busy)] if self.late else busy[0]

    def result(self, worker: int) -> int:
        part, lost = self._at.pop(worker)
        if lost:
            raise Lost("its machine is gone")
        if part < 0:
            raise Unavailable("no such square")
        return part**2

    def lose(self, worker: int) -> None:
        self.names.remove(worker)


@given(
    st.lists(st.integers(0, 9)),
    st.integers(1, 4),
    st.lists(st.booleans(), max_size=2),
    st.lists(st.integers(0, 9)),
)
def test_results_are_in_order_whoever_is_lost_and_late(
    parts: list[int], size: int, ends: list[bool], late: list[int]
) -> None:
    said: list[str] = []
    team = Team(size, ends, late)
    assert spread(parts, team, said.append) == [n**2 for n in parts]
    lost = sum(ends[: len(team.asked)])
    assert len(said) == lost
    assert len(team.asked) == len(parts) + lost  # nothing else is done twice


def test_a_part_that_ends_its_workers_stops_the_run() -> None:
    with pytest.raises(EngineError, match=rf"{LOSSES} workers were lost over the same part.*then resume"):
        spread([1], Team(2, [True] * 9), print)


def test_an_error_of_the_work_is_raised_as_it_is() -> None:
    with pytest.raises(Unavailable, match="no such square"):
        spread([1, -1, 2], Team(2), print)


@given(st.lists(st.integers(0, 5)), st.integers(1, 5))
def test_equal_chats_stay_together_and_come_back_in_their_places(chats: list[int], most: int) -> None:
    parts = cut(chats, most)
    seen: dict[int, int] = {}
    for n, part in enumerate(parts):
        assert len(part) <= most or len({chats[i] for i in part}) == 1
        for i in part:
            assert seen.setdefault(chats[i], n) == n
    assert Joined[int](parts).whole([[chats[i] for i in p] for p in parts]) == chats
