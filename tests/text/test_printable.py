"""Hostile text on its way to a terminal, a record or a file."""

from __future__ import annotations

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from iteralign.text.printable import one_line, readable_json, safe, spelled

ANY = st.text(alphabet=st.characters(codec=None, exclude_categories=()))


@given(ANY)
def test_safe_text_is_one_printable_line(text: str) -> None:
    line = safe(text)
    assert line.isprintable()
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in line)
    assert len(safe(text, 10)) <= 10


def test_safe_text_keeps_what_people_write_and_spells_what_is_hidden() -> None:
    assert safe("Grüße,  日本語\n and [brackets] 🙂") == "Grüße, 日本語 and [brackets] 🙂"
    assert safe("a\x1b[31m\u202eb\u00ad\U000e0041") == "a\\x1b[31m\\u202eb\\xad\\U000e0041"


@given(ANY)
def test_one_line_is_printable_and_stays_as_it_is_the_second_time(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert len(line) <= 300
    assert one_line(line) == line


def test_one_line_leaves_no_code_where_a_character_was_hidden() -> None:
    assert one_line("a\x1b\u202e b\n c") == "a b c"
    assert one_line("abcdefgh", 6) == "abc..."
    assert one_line("a" * 400, None) == "a" * 400


def test_spelled_text_keeps_its_spaces_and_shows_line_ends() -> None:
    assert spelled("a  b\nc\u2028") == "a  b\\nc\\u2028"


@given(st.lists(ANY))
def test_readable_json_says_the_same_without_what_a_terminal_obeys(texts: list[str]) -> None:
    shown = readable_json(json.dumps(texts, ensure_ascii=False))
    assert json.loads(shown) == texts
    assert shown.isprintable()
