"""Versions of a constitution as what they change: nothing is lost, nothing old is written again."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iteralign.canonical import canonical, content_hash
from iteralign.records.constitution import Amendment, Constitution, Principle, amended, amendment
from iteralign.stages.consolidate import amend, consolidate

TEXTS = st.sampled_from([f"{verb} every {noun} with care" for verb in ("Treat", "Read") for noun in "abcdef"])
PRINCIPLES = st.builds(
    Principle,
    text=TEXTS,
    category=st.sampled_from(["theft", None]),
    evidence=st.lists(st.sampled_from("uvwxyz"), max_size=3, unique=True).map(tuple),
    born=st.integers(1, 3),
)
ROUNDS = st.lists(st.lists(PRINCIPLES, max_size=4), min_size=1, max_size=6)


@settings(max_examples=150, deadline=None)
@given(ROUNDS, st.booleans(), st.integers(1, 6))
def test_the_changes_of_all_rounds_make_the_last_version(
    rounds: list[list[Principle]], enabled: bool, most: int
) -> None:
    whole = Constitution()
    built = Constitution()
    for proposals in rounds:
        change = amend(built, proposals, enabled=enabled, max_principles=most)
        whole = consolidate(whole, proposals, enabled=enabled, max_principles=most)
        built = amended(built, change)
        assert built == whole
        assert built.id == dataclasses.replace(built, id="").id, "the id is that of the content"
        assert isinstance(change, Amendment) or built.version <= 1


def test_an_id_is_the_hash_of_the_content_as_for_every_record() -> None:
    rules = Constitution(version=3, principles=(Principle(text="Be \u00e9ven kinder."),), parent="p")
    told = {"version": 3, "principles": rules.principles, "parent": "p"}
    assert rules.id == f"constitution-{content_hash('Constitution', told)[:20]}"


def test_an_amendment_holds_what_is_new_alone() -> None:
    old = Principle(text="Old words that stay as they are.", evidence=tuple(f"r{i}" for i in range(500)))
    before = Constitution(version=1, principles=(old,), parent=Constitution().id)
    more = [dataclasses.replace(old, evidence=("r7", "new")), Principle(text="New words for the next round.")]
    change = amend(before, more)
    assert isinstance(change, Amendment)
    assert change.evidence == ((old.id, ("new",)),)
    assert "Old words" not in canonical(change)
    assert len(canonical(change)) < 800


def test_a_change_of_another_version_is_refused() -> None:
    first = Constitution(version=1, principles=(Principle(text="Be kind to everyone."),))
    other = dataclasses.replace(first, id="", version=2)
    change = amend(first, [Principle(text="Be fair to everyone.")])
    with pytest.raises(ValueError, match=f"changes {first.id}, not {other.id}"):
        amended(other, change)


def test_a_principle_that_changed_otherwise_is_written_anew() -> None:
    kept = Principle(text="Be fair to everyone.")
    old = Principle(text="Be kind to everyone.")
    before = Constitution(version=1, principles=(kept, old))
    renamed = dataclasses.replace(old, category="hate")
    after = Constitution(version=2, principles=(kept, renamed), parent=before.id)
    change = amendment(before, after)
    assert isinstance(change, Amendment)
    assert (change.removed, change.added) == ((old.id,), (renamed,))
    assert amended(before, change) == after
