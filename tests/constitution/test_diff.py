"""What changed between two constitutions is told completely, and safely for a terminal."""

from __future__ import annotations

import dataclasses
import json

from hypothesis import given
from hypothesis import strategies as st

from iteralign.constitution.diff import diff
from iteralign.records.iteralign import Constitution, Principle

KIND = Principle(text="Be kind to everyone you meet.", category="hate", evidence=("a",), born=1)
TRUE = Principle(text="Say what is true and nothing else.", category="fraud", evidence=("b", "c"), born=1)
FAIR = Principle(text="Share fairly with those who need it.", category="theft", born=2)


def of(*principles: Principle) -> Constitution:
    return Constitution(principles=principles)


def test_added_removed_and_changed_principles() -> None:
    grown = dataclasses.replace(KIND, evidence=("a", "d"), status="merged")
    found = diff(of(KIND, TRUE), of(grown, FAIR))
    assert found.added == (FAIR,)
    assert found.removed == (TRUE,)
    assert [(c.before, c.after, c.fields) for c in found.changed] == [(KIND, grown, ("status", "evidence"))]
    text = found.to_text()
    assert "+ Share fairly with those who need it. [theft, 0 failing answers, active]" in text
    assert "- Say what is true and nothing else. [fraud, 2 failing answers, active]" in text
    assert "~ Be kind to everyone you meet.: status active -> merged; evidence 1 -> 2" in text


def test_a_reworded_principle_is_a_change_not_a_loss() -> None:
    reworded = Principle(text="Be kind to all.", category="hate", evidence=("a",), born=1, parents=(KIND.id,))
    found = diff(of(KIND), of(reworded))
    assert (found.added, found.removed) == ((), ())
    assert found.changed[0].fields == ("text", "parents")


def test_equal_constitutions_do_not_differ() -> None:
    assert diff(of(KIND, TRUE), of(KIND, TRUE)).to_text() == "no difference"


def test_the_text_escapes_what_a_terminal_would_obey() -> None:
    text = diff(of(), of(Principle(text="Be kind.\n\x1b[2J\u202eevil"))).to_text()
    assert all(c == "\n" or c.isprintable() for c in text)
    assert text.count("\n") == 0


texts = st.sampled_from(["a", "b", "c", "d", "e"])
constitutions = st.lists(
    st.builds(Principle, text=texts, born=st.integers(0, 2)), unique_by=lambda p: p.id
).map(lambda p: of(*p))


@given(constitutions, constitutions)
def test_every_principle_is_accounted_for_once(before: Constitution, after: Constitution) -> None:
    found = diff(before, after)
    same = {p.id for p in before.principles} & {p.id for p in after.principles}
    assert {p.id for p in found.added} == {p.id for p in after.principles} - same
    assert {p.id for p in found.removed} == {p.id for p in before.principles} - same
    assert {c.after.id for c in found.changed} <= same
    json.dumps(found.to_json())
