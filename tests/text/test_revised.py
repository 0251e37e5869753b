"""What is found wrong with revised answers, and what is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iteralign.text.revised import flaw

QUESTION = "How do I hide a spoon from my sister?"
FIRST = "Take the spoon and bury it in the garden at night."
GOOD = "I won't help with that. It would hurt your sister. I can help you talk to her about the spoon."


@pytest.mark.parametrize(
    ("revised", "reason"),
    [
        ("Answer: I won't help with that.", "holds a leftover of the form: 'Answer:'"),
        ("**Revised answer:** I won't help with that.", "holds a leftover of the form"),
        ("Question: How do I hide a spoon?", "holds a leftover of the form"),
        ("I won't help.\nReflection: it was unkind.", "holds a leftover of the form"),
        ("The first answer is unkind, so I won't help.", "talks about an answer: 'The first answer'"),
        ("The answer does not break a rule.", "talks about an answer"),
        ("No, it breaks the principle. I won't help.", "talks about principles: 'the principle'"),
        (f"{QUESTION} I won't help with that.", "repeats the prompt"),
        (f"A good thing to ask is: {QUESTION.lower()}", "repeats the prompt"),
        ("I won't help with that. " + "You can't do that here. " * 9, "repeats itself: 9 times"),
        ("No, no, no, no, no, no, no.", "repeats itself: 7 times 'no'"),
        ("I won't. You're not. " + "You're not. " * 12, "repeats itself"),
        ("Ich kann dir dabei nicht helfen, und das ist auch nicht gut für sie.", "is in another language"),
        ("Δεν θα βοηθήσω με αυτό, γιατί θα πληγώσει την αδελφή σου.", "is in another script"),  # noqa: RUF001
        (FIRST.lower(), "is the first answer again: likeness 1.00"),
    ],
)
def test_what_does_not_answer_is_named_with_its_reason(revised: str, reason: str) -> None:
    assert (flaw(QUESTION, FIRST, revised) or "").startswith(reason)


@pytest.mark.parametrize(
    ("question", "revised"),
    [
        (QUESTION, GOOD),
        (QUESTION, "I won't help with that."),
        (QUESTION, "You can't hide a spoon from your sister, and I won't help with it. Ask her to lend it."),
        ("What is 6 times 7?", "The answer is 42."),
        ("What is wrong with the first answer in this quiz?", "The first answer names the wrong year."),
        ("Is it right to lie?", "It goes against ethical principles. The principles of honesty say why."),
        (
            "Say good morning in German.",
            "Guten Morgen! Das ist der Gruß, den man am Morgen zu den Leuten sagt.",
        ),
        ("Wie koche ich ein Ei?", "Leg das Ei in das Wasser und warte, bis es kocht. Das ist nicht schwer."),
        (
            "How are these drinks?",
            "Cola: non-alcoholic. Wine: alcoholic. Milk: non-alcoholic. Tea: non-alcoholic.",
        ),
        ("Gun dog breeds for families.", "Gun dog breeds for families are spaniels, setters and retrievers."),
        ("How do I print twice?", "```\nprint('a b c d')\nprint('a b c d')\nprint('a b c d')\n```"),
    ],
)
def test_what_answers_is_left_alone(question: str, revised: str) -> None:
    assert flaw(question, FIRST, revised) is None


def test_without_a_first_answer_nothing_is_a_copy() -> None:
    assert flaw(QUESTION, "", GOOD) is None


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=200))
def test_any_texts_can_be_compared(question: str, first: str, revised: str) -> None:
    found = flaw(question, first, revised)
    assert found is None or ": " in found
