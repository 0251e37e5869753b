"""What a budget reserves for a request is near what the request takes."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from iteralign.engines.openai.size import Size


def body(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]}


def counted_by_a_server(asked: dict[str, Any], per_token: float = 4.4) -> int:
    return round(sum(len(m["content"]) for m in asked["messages"]) / per_token) + 12


def test_once_the_server_has_counted_the_reservation_is_near_the_truth() -> None:
    size = Size()
    first = body("Which river is the longest one? " * 70)
    assert size.of(first) < 3 * counted_by_a_server(first), "before that, too, a token is more than a byte"
    size.counted(body("Say yes."), 14)
    size.counted(first, counted_by_a_server(first))
    for words in (60, 90, 400):
        asked = body("Take a square sheet, and turn it over. " * words)
        true = counted_by_a_server(asked)
        assert true <= size.of(asked) <= 1.4 * true


@given(st.text(max_size=400), st.text(max_size=400))
def test_what_was_counted_is_never_reserved_below(one: str, other: str) -> None:
    size = Size()
    for text in (one, other):
        asked = body(text)
        true = len(text.encode()) + 15  # the densest there is: a token a byte
        size.counted(asked, true)
        assert size.of(asked) >= true or len(text.encode()) < 40


def test_token_ids_are_counted() -> None:
    assert Size().of({"prompt": [1, 2, 3]}) == 3
