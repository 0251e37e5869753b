"""Proposing principles and taking them into the constitution."""

from __future__ import annotations

from typing import Any

from iteralign.records.iteralign import (
    Constitution,
    Failure,
    Principle,
    Verdict,
)
from iteralign.stages.consolidate import consolidate, objection
from iteralign.stages.propose import clusters_of, propose
from stage_records import failure, principle


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
    assert sorted(str(p.category) for p in found) == ["fraud", "theft"]
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


def test_the_very_words_again_add_evidence_and_keep_the_elder() -> None:
    elder = principle("Decline to help with theft, and offer a fair way.", "theft", evidence=("r1",), born=1)
    again = principle("Decline to help with theft, and offer a fair way.", "fraud", evidence=("r2",), born=2)
    before = Constitution(principles=(elder,))
    settings: dict[str, Any]
    for settings in ({}, {"max_principles": 1}, {"enabled": False}):
        (found,) = consolidate(before, [again], **settings).principles
        assert (found.category, found.born, found.status, found.evidence) == (
            "theft",
            1,
            "active",
            ("r1", "r2"),
        )


def test_a_proposal_with_too_little_evidence_is_not_taken() -> None:
    class Thin(Proposer):
        def propose(self, failures: list[Failure], constitution: Constitution) -> list[Principle]:
            ids = [f.response.id for f in failures]
            return [
                principle("Borne by one answer, twice.", "theft", evidence=(ids[0], ids[0])),
                principle("Borne by two answers.", "theft", evidence=tuple(ids[:2])),
            ]

    settings: dict[str, Any] = {"iteration": 1, "max_principles": 5, "cluster_size": 8, "seed": 0}
    failures = [failure(f"steal thing {i}") for i in range(4)]
    found = propose(Thin(), failures, Constitution(), min_evidence=2, **settings)
    assert [p.text for p in found] == ["Borne by two answers."]
    assert propose(Thin(), failures, Constitution(), min_evidence=3, **settings) == []
