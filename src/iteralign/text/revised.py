"""What shows that a revised answer is no answer to its question: talk about answers and principles, leftovers
of a form, the prompt again, a loop, another language, the first answer again.

Rules on the texts alone, each with its reason, and rather too few than too many: what they find is dropped.
Knows nothing of oracles, records and models; whether an answer is proper is not asked here.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from itertools import groupby
from typing import Final

from iteralign.text.filters import SHORTEST_CLAUSE
from iteralign.text.similarity import similarity
from iteralign.text.words import normalise, words

COPY: Final = 0.9
"""Cosine from which two answers are one (``text.similarity``)."""
_SHOWN: Final = 60
"""Characters of a text in a reason."""
_REPEATED: Final = 0.25
"""Share of an answer's words that may stand in clauses that it said before."""
_ALIKE: Final = 0.4
"""Share of an answer's runs of three words that may have stood in it before, whatever the clauses."""
_OFTEN: Final = 6
"""Times that a clause of two or three words stands in an answer before that counts as repetition."""
_STUTTER: Final = 5
"""Times that one word may follow itself."""
_FEW: Final = 8
"""Words: shorter answers have no loops, and their language is not told."""

_SHORTEST_PROMPT: Final = 3
"""Words: a shorter prompt may well be a sentence of its answer."""
_WHICH: Final = (
    r"(?:first|original|initial|previous|earlier|second|revised|rewritten|better|improved|final|new)"
)
_LEFT: Final = re.compile(
    r"(?:(?:the |an? |my |your )?(?:(?!short|quick|brief|long|simple)[\w-]+ ){0,2}(?:answer|response|reply"
    r"|question)|reflection|critique|revision|revised|principles?(?: \d+)?|rules?(?: \d+)?|assistant|user"
    r"|human|system)\s*\**\s*(?::|\n)",
    re.IGNORECASE,
)
"""A form's label, at the beginning."""
_LEFT_LATER: Final = re.compile(
    rf"^[\s>#*]*(?:reflection|critique|(?:the |a |my )?{_WHICH} (?:answer|response|reply)|principles?"
    r"(?: \d+)?)\s*\**\s*:",
    re.IGNORECASE | re.MULTILINE,
)
"""A label that stands in no other text, on a line of its own or before one."""
_JUDGED: Final = (
    r"(?:not |\w+ly |more |very |too )*(?:correct|incorrect|wrong|right|true|false|good|better|bad|harmful"
    r"|harmless|safe|unsafe|misleading|helpful|unhelpful|appropriate|inappropriate|proper|improper"
    r"|accurate|inaccurate|vague|honest|dishonest|based on|meant|written|given|in line)"
)
_OF_ANSWERS: Final = re.compile(
    rf"\b(?:the|my|your|this|that|an?|its)\s+{_WHICH}\s+(?:answer|response|reply)\b"
    r"|\b(?:a|an|the)\s+more\s+\w+\s+(?:answer|response|reply)\s+(?:is|would|could|might|should)\b"
    rf"|\b(?:the|this|your)\s+(?:answer|response|reply)\s+(?:is|was|seems(?: to be)?|would be)\s+{_JUDGED}\b"
    r"|\b(?:the|this|your)\s+answer\s+(?:does|do|did|should|must|needs?|ignores?|refuses?|declines|contains?"
    r"|tells?|helps?|goes|breaks|violates?|follows?|above|below|lacks|fails|emphasi[sz]es|highlights"
    r"|clearly)\b",
    re.IGNORECASE,
)
_OF_PRINCIPLES: Final = re.compile(
    r"\b(?:the|my|your|above|given|stated)\s+principles?\b(?!\s+(?:of (?!not)|behind|that|by which)\b)"
    r"|\bprinciple\s+\d",
    re.IGNORECASE,
)
_ETHICS: Final = re.compile(
    r"\b(?:ethic\w*|moral\w*|legal|guiding|scientific|basic|general)\b[^.!?]{0,20}\bprinciples?",
    re.IGNORECASE,
)
_CODE: Final = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_SENTENCE: Final = re.compile('[.!?:;\\n"\u201c\u201d]+')
_CLAUSE: Final = re.compile(r"[^.!?;:,\n]+")
_TRANSLATES: Final = re.compile(
    r"\b(?:translat\w*|language|alphabet|(?:in|into|from|say|write|speak) (?:\w+ ){0,3}?(?:english|german"
    r"|french|spanish|italian|portuguese|dutch|latin|greek|russian|chinese|mandarin|japanese|korean|arabic|hindi"
    r"|turkish|polish|hebrew|ukrainian|swedish|vietnamese|thai))\b",
    re.IGNORECASE,
)
_COMMON: Final = {
    "English": "the and of to is that it you for not with this are be can have your on or as how what do i",
    "German": "der das und ist nicht ich sie wir zu den mit von auf ein eine für wie dem sich auch kann wird",
    "French": "le les des et est ne pas je vous nous une dans pour que qui avec du au ce il elle sont être",
    "Spanish": "el los las y es que de en un una por para se lo su más pero del al usted puede cómo qué",
    "Italian": "il gli che di è non una sono del della nel come più anche lo da puoi questo si sei",
    "Portuguese": "o os e é não que de em um uma por para se da na mais você pode ao dos das são isso",
    "Dutch": "de het een en niet ik je dat te met voor zijn er aan kan hoe ook maar deze wordt",
}
_WORDS: Final = {language: frozenset(text.split()) for language, text in _COMMON.items()}


def flaw(question: str, first: str, revised: str) -> str | None:
    """Why a revised answer does not answer its question; None where nothing speaks against it.

    A few words, then, after a colon, what shows it. ``first``: the answer that was revised; empty where
    there is none to compare with.
    """
    text = revised.strip()
    return (
        _leftover(text)
        or _talk(question, text)
        or _prompt(question, text)
        or _loop(text)
        or _language(question, text)
        or _copy(first, text)
    )


def _leftover(text: str) -> str | None:
    bare = text.lstrip("#*>-\"' \n")
    found = _LEFT.match(bare) or _LEFT_LATER.search(text)
    return f"holds a leftover of the form: {_quoted(found[0])}" if found else None


def _talk(question: str, text: str) -> str | None:
    """Talk about answers or principles; where the question is about them, it may."""
    asked = set(words(question))
    about = (
        (_OF_ANSWERS, "an answer", {"answer", "answers", "reply", "replies", "response", "responses"}),
        (_OF_PRINCIPLES, "principles", {"principle", "principles"}),
    )
    for pattern, what, own in about:
        found = pattern.search(text)
        if found is not None and not asked & own and not (what == "principles" and _ETHICS.search(text)):
            return f"talks about {what}: {_quoted(found[0])}"
    return None


def _prompt(question: str, text: str) -> str | None:
    """The whole prompt, as a sentence of the answer; one of several sentences, at its beginning."""
    wanted = normalise(question)
    if len(wanted.split()) < _SHORTEST_PROMPT:
        return None
    one = not _SENTENCE.search(question.rstrip('.!?:;"\n '))
    again = (
        any(normalise(s) == wanted for s in _SENTENCE.split(text))
        if one
        else f"{normalise(text)} ".startswith(f"{wanted} ")
    )
    return f"repeats the prompt: {_quoted(question)}" if again else None


def _loop(text: str) -> str | None:
    text = _CODE.sub(" ", text)
    found = words(text)
    run = max(((len(list(g)), w) for w, g in groupby(found)), default=(0, ""))
    if run[0] >= _STUTTER:
        return f"repeats itself: {run[0]} times {_quoted(run[1])}"
    if len(found) < _FEW:
        return None
    clauses = [tuple(words(c)) for c in _CLAUSE.findall(text)]
    counts = Counter(
        {
            c: n
            for c, n in Counter(clauses).items()
            if len(c) >= SHORTEST_CLAUSE or (len(c) > 1 and n >= _OFTEN)
        }
    )
    again = sum((n - 1) * len(c) for c, n in counts.items())
    if again > _REPEATED * len(found):
        clause, times = counts.most_common(1)[0]
        return f"repeats itself: {times} times {_quoted(' '.join(clause))}"
    runs = Counter(zip(found, found[1:], found[2:], strict=False))
    if sum(n - 1 for n in runs.values()) > _ALIKE * sum(runs.values()):
        most, times = runs.most_common(1)[0]
        return f"repeats itself: {times} times {_quoted(' '.join(most))}"
    return None


def _language(question: str, text: str) -> str | None:
    """Another script than the question's, or the common words of another language."""
    if _TRANSLATES.search(question):
        return None
    asked = _scripts(question)
    said = _scripts(text)
    if asked and said.total() >= 3 * _FEW:
        script = asked.most_common(1)[0][0]
        other = said.most_common(1)[0][0]
        if other != script and said[script] < said.total() / 2:
            return f"is in another script than the question: {other.capitalize()}"
    mine = _spoken(question)
    other = _spoken(text) if len(words(text)) >= _FEW else ""
    if mine and other and mine != other:
        return f"is in another language than the question: {other}"
    return None


def _scripts(text: str) -> Counter[str]:
    """How many letters of each script a text has, by the first word of their Unicode names."""
    return Counter(unicodedata.name(c, "UNKNOWN").partition(" ")[0] for c in text if c.isalpha())


def _spoken(text: str) -> str:
    """The language whose common words a text has; empty where that is not clear."""
    found = words(text)
    hits = {language: sum(w in common for w in found) for language, common in _WORDS.items()}
    (best, most), (_, next_most) = sorted(hits.items(), key=lambda pair: -pair[1])[:2]
    distinct = len(_WORDS[best].intersection(found))
    return best if distinct > 1 and most >= 0.12 * len(found) and most >= 2 * next_most else ""


def _copy(first: str, text: str) -> str | None:
    if not first.strip() or not text:
        return None
    alike = float(similarity([text], [first])[0, 0])
    return f"is the first answer again: likeness {alike:.2f}" if alike >= COPY else None


def _quoted(text: str) -> str:
    line = " ".join(text.split())
    return f"'{line[:_SHOWN]}'"
