"""How the embedded oracle writes principles for a cluster of failures: one to three rules.

Improper answers call for refusing, refused safe questions for helping (``safe``). The category is inferred
from the questions, the facets and the example from their words; what the constitution already says is not
said again. Words taken from questions are plain, known and lower-case: a question cannot write its own rule.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from iteralign.oracles.embedded import safe
from iteralign.oracles.embedded.model import QuestionModel, is_function_word, without_lead
from iteralign.oracles.embedded.topics import TOPICS, Facet, Topic
from iteralign.records.iteralign import Constitution, Failure, Principle
from iteralign.text.similarity import distinctive_terms, similarity
from iteralign.text.words import normalise

MOST: Final = 3
TOO_ALIKE: Final = 0.7
MAX_WORDS: Final = 35
_LONGEST: Final = 8
_AKIN: Final = 0.3
"""Share of a category from which a case speaks for it."""
_FRAMES: Final = (
    "When someone asks for help with {topics}, such as how to {act}, decline and {instead}.",
    "Decline any request for {topics}, for example to {act}; say briefly whom it would hurt and {instead}.",
    "If a question aims at {topics}, such as a wish to {act}, refuse kindly and {instead}.",
    "Give no help with {topics}, even to someone who only wants to {act}; refuse and {instead}.",
)
_NARROW: Final = "Refuse requests to {act} or to {other}, for that is {general}; {instead}."
_PLAIN: Final = (
    "When someone asks for help with {topics}, decline, say briefly whom it would hurt, and {instead}."
)
_OTHERS: Final = {
    "my": "their", "mine": "theirs", "me": "them", "myself": "themselves", "i": "they", "we": "they",
    "our": "their", "us": "them",
    "your": "their", "you": "they", "im": "they are",
}  # fmt: skip
_LOOSE_ENDS_TEXT: Final = """
a an the and or of in on to with for at from that their by as so who which if but when not be is are
"""
_LOOSE_ENDS: Final = frozenset(_LOOSE_ENDS_TEXT.split())
_JOINTS_TEXT: Final = """
of in on to with for at from by into without against about through over under near during before after and or
as using
"""
_JOINTS: Final = frozenset(_JOINTS_TEXT.split())
_ENDS_TEXT: Final = """
how what where please because so who that which while although if when and
"""
_ENDS: Final = frozenset(_ENDS_TEXT.split())
_EVERYDAY: Final = (
    "How can I learn something new?",
    "What is the best way to cook rice?",
    "Tell me how to write a letter.",
    "Help me plan a trip.",
)


@dataclass(frozen=True, slots=True)
class _Case:
    """One failure as the proposer sees it.

    Its question, its response's id, the category shares, and what it wants where that is quotable.
    """

    text: str
    response_id: str
    shares: dict[str, float]
    act: str


def propose(
    model: QuestionModel, failures: Sequence[Failure], constitution: Constitution, seed: int
) -> list[Principle]:
    """One to three principles for a cluster, best first.

    Fewer or none where the constitution already covers it.
    """
    refused = [f for f in failures if f.over_refusal]
    cases = [_case(model, f) for f in failures if not f.over_refusal]
    found: list[Principle] = safe.propose(refused, constitution)[:MOST]
    for category, members in _categories(cases):
        said = [
            p
            for p in (*constitution.principles, *found)
            if p.status == "active" and p.category in (category, None)
        ]
        for text, evidence in _drafts(
            category, members, [p.text for p in said], random.Random(f"{seed} {category} {len(said)}")
        ):
            known = [p.text for p in (*said, *found)]
            if not known or float(similarity([text], known).max()) < TOO_ALIKE:
                found.append(Principle(text=text, category=category, evidence=tuple(evidence)))
            if len(found) == MOST:
                return found
    return found


def _case(model: QuestionModel, failure: Failure) -> _Case:
    text = failure.prompt.text
    return _Case(text, failure.response.id, model.category_shares(text), _act(model, text))


def _categories(cases: Sequence[_Case]) -> list[tuple[str, list[_Case]]]:
    """The category with most of the evidence, with all cases, and others with their own.

    Another category counts where a third of the cases, and two at least, are mostly about it.
    """
    if not cases:
        return []
    totals = {c: sum(case.shares[c] for case in cases) for c in cases[0].shares}
    ranked = sorted(totals, key=lambda c: (-totals[c], c))
    found = [(ranked[0], list(cases))]
    for category in ranked[1:3]:
        members = [case for case in cases if max(case.shares, key=lambda c: case.shares[c]) == category]
        if len(members) >= max(2, len(cases) / 3):
            found.append((category, members))
    return found


def _drafts(
    category: str, cases: Sequence[_Case], said: Sequence[str], rng: random.Random
) -> list[tuple[str, list[str]]]:
    """Texts with their evidence.

    One per facet that the cases show and the constitution does not name, then a narrower one.
    """
    topic = TOPICS[category]
    spoken = " ".join(said).lower()
    support = [(facet, [c for c in cases if facet.signs.search(c.text)]) for facet in topic.facets]
    fresh = [(f, m) for f, m in support if m and not any(name in spoken for name in f.names)]
    fresh.sort(key=lambda pair: -len(pair[1]))
    acts = _acts([c for c in cases if c.shares[category] >= _AKIN], said)
    drafts: list[tuple[str, list[str]]] = []
    for facet, members in fresh[:2]:
        own = [a for a in acts if facet.signs.search(a)] or acts
        drafts.append((_wording(topic, facet, own, rng), _evidence(members, cases, category)))
        acts = [a for a in acts if not own or a != own[0]]
    if not fresh and len(acts) >= 2:
        text = _NARROW.format(act=acts[0], other=acts[1], general=topic.general[0], instead=topic.instead)
        drafts.append((text, _evidence([], cases, category)))
    elif not any(f for f, m in support if m) and not said:
        drafts.append((_wording(topic, None, acts, rng), _evidence([], cases, category)))
    return drafts


def _evidence(members: Sequence[_Case], cases: Sequence[_Case], category: str) -> list[str]:
    """Response ids of the cases that show the facet, then of those that show the category.

    Every principle names the category, too.
    """
    akin = [c for c in cases if c.shares[category] >= _AKIN]
    return list(dict.fromkeys(c.response_id for c in (*members, *(akin or cases))))


def _wording(topic: Topic, facet: Facet | None, acts: Sequence[str], rng: random.Random) -> str:
    names = [*topic.general[:1], *(facet.names if facet else topic.general[1:])]
    listed = f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]
    frames = rng.sample(_FRAMES, len(_FRAMES)) if acts else []
    texts = [f.format(topics=listed, act=acts[0], instead=topic.instead) for f in frames]
    return next(
        (t for t in texts if len(t.split()) <= MAX_WORDS), _PLAIN.format(topics=listed, instead=topic.instead)
    )


def _acts(cases: Sequence[_Case], said: Sequence[str]) -> list[str]:
    """What the questions want, the most typical of the cluster first.

    None that the constitution already quotes.
    """
    candidates = list(dict.fromkeys(c.act for c in cases if c.act))
    spoken = " ".join(said).lower()
    candidates = [a for a in candidates if a not in spoken]
    if not candidates:
        return []
    texts = [c.text for c in cases]
    terms = set(" ".join(distinctive_terms(texts, [*_EVERYDAY, *said], top=8)).split())
    alike = similarity(candidates, texts).mean(axis=1)
    scores = {a: float(alike[i]) + 0.1 * len(terms & set(a.split())) for i, a in enumerate(candidates)}
    return sorted(candidates, key=lambda a: (-scores[a], a))


def _act(model: QuestionModel, text: str) -> str:
    """What a question wants to do, as words that may stand in a rule; empty where it cannot be quoted."""
    plain = re.sub(r"(?<=\w)['\u2019]s\b", "", text)
    rest = without_lead(plain)
    names = [w for w in plain.split()[2:] if w[:1].isupper() and not re.match(r"I\b", w)]
    if rest == normalise(plain) or names:
        return ""
    words = [_OTHERS.get(w, w) for w in rest.split()]
    end = next((i for i, w in enumerate(words) if i > 1 and w in _ENDS), len(words))
    if end > _LONGEST:  # back to before the word that joins the cut part on
        end = next((i for i in range(_LONGEST, 1, -1) if words[i] in _JOINTS), 0)
    words = words[:end]
    while words and words[-1] in _LOOSE_ENDS:
        words.pop()
    if (
        len([w for w in words if not is_function_word(w)]) < 2
        or is_function_word(words[0])
        or words[0].endswith("ing")
    ):
        return ""
    if not all(w in model.known_words or w in _OTHERS.values() for w in words):
        return ""
    act = " ".join(words)
    return act if model.harm(act) >= model.doubt[1] else ""
