"""Where the rules for "the same words" agree and where they differ: what each decided is stored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iteralign.text.words import ascii_words, comparable, lowered_runs, normalise, runs, words


@pytest.mark.parametrize(
    ("text", "normalised", "with_apostrophes", "in_runs", "in_ascii"),
    [
        ("  Hello,\n WORLD! ", "hello world", ["hello", "world"], ("hello", "world"), ["hello", "world"]),
        ("Don't", "dont", ["don't"], ("don", "t"), ["don", "t"]),
        ("Don\u2019t", "dont", ["don", "t"], ("don", "t"), ["don", "t"]),
        ("snake_case", "snake case", ["snake_case"], ("snake_case",), ["snake", "case"]),
        ("STRASSE, straße", "strasse strasse", ["strasse"] * 2, ("strasse",) * 2, ["strasse", "stra", "e"]),
        ("\uff28\uff49 \ufb01ve", "hi five", ["\uff48\uff49", "five"], ("\uff48\uff49", "five"), ["ve"]),
        ("\u0915\u093f", "\u0915\u093f", ["\u0915"], ("\u0915",), []),
        ("?!", "", [], (), []),
    ],
)
def test_each_rule(
    text: str, normalised: str, with_apostrophes: list[str], in_runs: tuple[str, ...], in_ascii: list[str]
) -> None:
    assert normalise(text) == normalised
    assert words(text) == with_apostrophes
    assert runs(text) == in_runs
    assert ascii_words(text) == in_ascii


def test_folding_breaks_a_greek_word_that_lowering_leaves_whole() -> None:
    assert lowered_runs("\u039c\u0390\u0391") == ("\u03bc\u0390\u03b1",)
    assert len(runs("\u039c\u0390\u0391")) == 2


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="_'")))
def test_in_plain_english_without_apostrophes_all_rules_are_one(text: str) -> None:
    expected = normalise(text).split()
    assert words(text) == ascii_words(text) == expected
    assert runs(text) == lowered_runs(text) == tuple(expected)


@given(st.text())
def test_texts_of_nothing_but_punctuation_are_told_apart(text: str) -> None:
    assert comparable(text) == (normalise(text) or text.strip())
    assert comparable(f"  {text}\n") == comparable(text)
