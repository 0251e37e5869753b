"""The split: nothing that training saw in other words is held out, the share is met, and the same seed gives
the same split.
"""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iteralign.data.seeds import red_team_set
from iteralign.data.split import linked_groups, split_prompts
from iteralign.errors import DataError
from iteralign.records.chat import Message
from iteralign.records.iteralign import RedTeamPrompt
from iteralign.text.similarity import near_duplicates, similarity


def prompt(text: str, topic: str | None = None, category: str | None = None) -> RedTeamPrompt:
    return RedTeamPrompt(messages=(Message("user", text),), source="s", topic=topic, category=category)


WORDS = [
    "open",
    "lock",
    "garden",
    "ladder",
    "paint",
    "neighbour",
    "letter",
    "bank",
    "river",
    "copper",
    "violin",
    "winter",
]
PROMPTS = st.lists(
    st.builds(
        prompt,
        st.lists(st.sampled_from(WORDS), min_size=2, max_size=6).map(" ".join),
        st.sampled_from([None, None, "t1", "t2", "t3"]),
        st.sampled_from([None, "a", "b"]),
    ),
    min_size=2,
    max_size=30,
    unique_by=lambda p: p.id,
)


@settings(max_examples=120, deadline=None)
@given(PROMPTS, st.floats(0.05, 0.95), st.integers(0, 5), st.sampled_from([0.6, 0.8]))
def test_no_topic_and_no_near_duplicate_crosses(
    prompts: list[RedTeamPrompt], share: float, seed: int, near: float
) -> None:
    if len(linked_groups(prompts, near)) < 2:
        with pytest.raises(DataError, match="cannot be split"):
            split_prompts(prompts, held_out=share, seed=seed, near=near)
        return
    divided = split_prompts(prompts, held_out=share, seed=seed, near=near)
    assert [p.id for p in divided] == [p.id for p in prompts]
    assert {p.split for p in divided} == {"train", "held_out"}
    train, held = ([p for p in divided if p.split == side] for side in ("train", "held_out"))
    assert not {(p.category, p.topic) for p in train if p.topic} & {
        (p.category, p.topic) for p in held if p.topic
    }
    assert similarity([p.text for p in held], [p.text for p in train]).max() < near + 1e-4
    assert divided == split_prompts(prompts, held_out=share, seed=seed, near=near)


@settings(max_examples=60, deadline=None)
@given(PROMPTS, st.floats(0.1, 0.9), st.integers(0, 3))
def test_the_share_is_as_close_as_a_group_allows(
    prompts: list[RedTeamPrompt], share: float, seed: int
) -> None:
    groups = linked_groups(prompts)
    if len(groups) < 2:
        return
    held = sum(p.split == "held_out" for p in split_prompts(prompts, held_out=share, seed=seed))
    assert abs(held - share * len(prompts)) <= 2 * max(len(g) for g in groups)


def test_a_topic_means_the_same_only_within_its_category() -> None:
    pairs = itertools.product(["a", "b"], ["t1", "t2"])
    prompts = [prompt(f"{c} {t} {w} {v}", t, c) for c, t in pairs for w, v in itertools.pairwise(WORDS)]
    for seed in range(4):
        held = [
            p for p in split_prompts(prompts, held_out=0.5, seed=seed, near=0.99) if p.split == "held_out"
        ]
        assert Counter(p.category for p in held) == {"a": 11, "b": 11}


def test_links_go_through_others() -> None:
    prompts = [
        prompt("paint the violin", "t1"),
        prompt("open the bank", "t1"),
        prompt("Open the bank!", "t2"),
        prompt("river winter copper", "t2"),
    ]
    assert linked_groups([*prompts, prompt("letter ladder lock")]) == [[0, 1, 2, 3], [4]]


def test_the_shipped_set_is_split_evenly_in_every_category() -> None:
    for seed in range(3):
        held = [p for p in split_prompts(red_team_set(), held_out=0.5, seed=seed) if p.split == "held_out"]
        counts = Counter(p.category for p in held)
        assert len(counts) == 12
        assert all(20 <= n <= 40 for n in counts.values())
    a, b = (split_prompts(red_team_set(), held_out=0.2, seed=s) for s in (0, 1))
    assert a != b
    assert len({p.category for p in a if p.split == "held_out"}) == 12


def test_all_and_none_can_be_held_out() -> None:
    prompts = [prompt("open the bank"), prompt("paint the violin")]
    assert {p.split for p in split_prompts(prompts, held_out=1.0, seed=0)} == {"held_out"}
    assert {p.split for p in split_prompts(prompts, held_out=0.0, seed=0)} == {"train"}
    assert split_prompts([], held_out=0.5, seed=0) == []


def test_what_cannot_be_done_is_said() -> None:
    with pytest.raises(DataError, match=r"held_out = 1\.5: must lie between 0 and 1"):
        split_prompts([prompt("a b")], held_out=1.5, seed=0)
    with pytest.raises(DataError, match="2 prompts cannot be split: topics and near-duplicates"):
        split_prompts([prompt("open the bank", "t"), prompt("paint the violin", "t")], held_out=0.5, seed=0)


def test_tiny_shares_hold_something_out_and_leave_something() -> None:
    prompts = [prompt(f"{a} {b}") for a, b in itertools.pairwise(WORDS)]
    assert sum(p.split == "held_out" for p in split_prompts(prompts, held_out=0.001, seed=0, near=0.99)) == 1
    assert sum(p.split == "train" for p in split_prompts(prompts, held_out=0.999, seed=0, near=0.99)) == 1


def test_near_duplicates_of_the_whole_chat_count() -> None:
    def chat(*turns: str) -> RedTeamPrompt:
        return RedTeamPrompt(messages=tuple(Message("user", t) for t in turns), source="s")

    prompts = [chat("paint the violin in the garden", "go on"), chat("open the bank by the river", "go on")]
    assert len(linked_groups(prompts)) == 2
    assert len(near_duplicates([p.text for p in prompts])) == 1
