"""What is cut from generated text, and what is found in it: turns that the model began for others, repeated
clauses, copied n-grams.

Works on words, not on lists of forbidden words. Knows nothing of rules, records or models.
"""

from __future__ import annotations

import re
from typing import Final

from iteralign.text.words import words

_TURN: Final = re.compile(
    r"(?:^|\n)[\s#*]*(?:User|Human|Assistant|Question|Request|Type)\s*\**:", re.IGNORECASE
)
_CLAUSE: Final = re.compile(r"[^.!?;\n]+[.!?;\n]*\s*")
_APOLOGY: Final = re.compile(
    r"(?:i'?m|i am|we are|we're|my)?\s*(?:very |so |truly |deeply |sincere "
    r")?(?:sorry|apolog(?:y|ies|i[sz]e))\b|i apologi[sz]e\b",
    re.IGNORECASE,
)
_DECLINES: Final = re.compile(
    r"\b(?:can(?:no|'?)t|could not|couldn't|unable|not able|won't|will not|must decline|have to decline|no "
    r"answer)\b",
    re.IGNORECASE,
)
_SENTENCE: Final = re.compile(r"[^.!?]+[.!?]*")

_UNSEEN = (
    "image picture photo photograph graph chart diagram map file draw sketch plot video audio screenshot"
)
MODALITIES: Final = frozenset(w + ending for w in re.findall(r"\w+", _UNSEEN) for ending in ("", "s"))
"""What a text model can neither see nor make: an instruction with one of these words needs more than text."""
SHORTEST_CLAUSE: Final = 4
"""Words: a shorter clause may stand twice in a text."""


def ngrams(text: str, n: int) -> set[tuple[str, ...]]:
    """All runs of ``n`` words of a text."""
    found = words(text)
    return {tuple(found[i : i + n]) for i in range(len(found) - n + 1)}


def leaks(text: str, sources: set[tuple[str, ...]], n: int, allowed: str = "") -> bool:
    """Whether the text repeats a run of ``n`` words of the sources.

    A run that stands in ``allowed`` (the question, say) does not count.
    """
    return bool((ngrams(text, n) & sources) - ngrams(allowed, n))


def cut_at_next_turn(text: str) -> tuple[str, bool]:
    """The text up to where the model goes on with somebody else's turn, and whether it did."""
    found = _TURN.search(text)
    return (text[: found.start()].rstrip(), True) if found else (text.rstrip(), False)


def cut_at_repetition(text: str) -> str:
    """The text up to the first clause of four words or more that stood in it before."""
    seen: set[tuple[str, ...]] = set()
    for clause in _CLAUSE.finditer(text):
        key = tuple(words(clause[0]))
        if len(key) >= SHORTEST_CLAUSE and key in seen:
            return text[: clause.start()].rstrip()
        seen.add(key)
    return text.rstrip()


def without_partial_word(text: str) -> str:
    """The text without its last word, unless a sentence ends there.

    A text that was cut at a length limit can be trusted so far.
    """
    text = text.rstrip()
    return text if not text or text[-1] in ".!?\"')" else text[: -len(text.split()[-1])].rstrip()


def is_bare_apology(text: str) -> bool:
    """Whether a text is an apology and nothing more.

    It begins with one, and at most one further sentence says only that it cannot help.
    """
    sentences = [x.strip() for x in _SENTENCE.findall(text.strip()) if words(x)]
    if not sentences or len(sentences) > 2 or _APOLOGY.match(sentences[0]) is None:
        return False
    return all(_DECLINES.search(x) is not None and len(words(x)) <= 12 for x in sentences[1:])


def copies(answer: str, instruction: str) -> bool:
    """Whether the whole instruction (of four words or more) stands in the answer."""
    wanted = words(instruction)
    said = words(answer)
    n = len(wanted)
    return n >= SHORTEST_CLAUSE and any(said[i : i + n] == wanted for i in range(len(said) - n + 1))


def trouble_with(instruction: str, shortest: int, longest: int) -> str:
    """Why a text is no good instruction for a text model; empty where it is one.

    More than ``shortest`` and at most ``longest`` words.
    """
    found = words(instruction)
    if not instruction or not instruction[0].isascii():
        return "begins with no ASCII character"
    if not instruction[0].isalnum():
        return "begins with punctuation"
    if len(found) <= shortest:
        return "too short"
    if len(found) > longest:
        return "too long"
    if not MODALITIES.isdisjoint(found):
        return "needs more than text"
    return ""


def trouble_with_topic(topic: str) -> str:
    """Why a text is no good topic; empty where it is one.

    A topic has at most three words, is capitalised and does not end in punctuation.
    """
    if not topic or not topic[0].isupper():
        return "topic not capitalised"
    if len(topic.split()) > 3:
        return "topic of more than three words"
    if not topic[-1].isalnum():
        return "topic ends in punctuation"
    return ""


def listed(text: str) -> list[str]:
    """The entries of a list, one a line, without their bullets or numbers."""
    lines = (re.sub(r"^\s*(?:[-*]|\d{1,3}[.)])\s*", "", line).strip() for line in text.splitlines())
    return [line for line in lines if line]
