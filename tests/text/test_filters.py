"""What is cut from generated text and what is found in it, by words and not by lists of forbidden ones."""

from __future__ import annotations

import pytest

from iteralign.text.filters import (
    copies,
    cut_at_next_turn,
    cut_at_repetition,
    is_bare_apology,
    leaks,
    listed,
    ngrams,
    trouble_with,
    trouble_with_topic,
    without_partial_word,
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Name three rivers of Europe.", ""),
        ("Who was the president when the weather service was founded?", ""),
        ("Name three rivers", "too short"),
        ("Name " + "very " * 150 + "long rivers.", "too long"),
        ("Describe the picture below in two sentences.", "needs more than text"),
        ("Make a video about otters, please.", "needs more than text"),
        ("- name three rivers of Europe", "begins with punctuation"),
        ("Énumère trois fleuves de l'Europe.", "begins with no ASCII character"),
        ("", "begins with no ASCII character"),
    ],
)
def test_instructions_that_a_text_model_can_take(text: str, reason: str) -> None:
    assert trouble_with(text, shortest=3, longest=150) == reason


def test_the_bounds_are_more_than_the_shortest_and_at_most_the_longest() -> None:
    assert trouble_with("a b c", 3, 5) == "too short"
    assert trouble_with("a b c d", 3, 5) == trouble_with("a b c d e", 3, 5) == ""
    assert trouble_with("a b c d e f", 3, 5) == "too long"


@pytest.mark.parametrize(
    ("topic", "good"),
    [
        ("Old maps", True),
        ("Wind", True),
        ("old maps", False),
        ("Four words are many", False),
        ("Wind.", False),
        ("", False),
        ("Tax law 2", True),
    ],
)
def test_topics(topic: str, good: bool) -> None:
    assert (trouble_with_topic(topic) == "") is good


def test_lists_lose_their_bullets_and_numbers() -> None:
    assert listed("- one\n* two\n3. three\n 4) four\n\nfive") == ["one", "two", "three", "four", "five"]
    assert listed("1984 was a year") == ["1984 was a year"]


def test_a_leak_is_a_run_of_words_that_the_question_does_not_hold() -> None:
    sources = ngrams("Gather the seven blue stones beside the old mill at noon.", 5)
    assert leaks("First gather the seven blue stones, then rest.", sources, 5)
    assert not leaks("First gather seven stones, then rest.", sources, 5)
    assert not leaks(
        "Gather the seven blue stones.", sources, 5, allowed="Should I gather the seven blue stones?"
    )


def test_cuts() -> None:
    assert cut_at_next_turn("An answer.\nUser: and now?") == ("An answer.", True)
    assert cut_at_next_turn("The user: he asked.") == ("The user: he asked.", False)
    assert cut_at_next_turn("User: And what is this?") == ("", True)
    assert cut_at_next_turn("An answer.\n### Human: more") == ("An answer.", True)
    assert cut_at_next_turn("An answer.\nAssistant: again") == ("An answer.", True)
    assert (
        cut_at_repetition("It is a warm day today. Go out. It is a warm day today! More.")
        == "It is a warm day today. Go out."
    )
    assert cut_at_repetition("Yes. No. Yes. No.") == "Yes. No. Yes. No."
    assert without_partial_word("A whole sentence. And a par") == "A whole sentence. And a"
    assert without_partial_word("A whole sentence.") == "A whole sentence."


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("I'm sorry, but I can't do that.", True),
        ("Sorry.", True),
        ("I'm sorry. I cannot help with that.", True),
        ("Apologies, I am not able to say.", True),
        ("Unfortunately, the old bridge fell in a storm and was never built again.", False),
        ("Apologetics is the defence of a faith by argument.", False),
        ("Sorry about that! The old bridge stands in the north of the town.", False),
        ("I'm sorry, but I can't do that. It would hurt people, and there are better ways.", False),
        ("The word sorry is old.", False),
    ],
)
def test_an_apology_alone_is_no_answer(text: str, bare: bool) -> None:
    assert is_bare_apology(text) is bare


def test_copying_is_of_the_whole_instruction() -> None:
    assert copies("You ask: what is a kind of tea? Well.", "What is a kind of tea?")
    assert not copies("Green tea is a kind of tea.", "What is a kind of tea?")
    assert not copies("A cup of tea.", "tea")
