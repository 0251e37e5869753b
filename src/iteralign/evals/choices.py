"""Questions with candidate answers, and what a model's log-probabilities say of them: what every
multiple-choice evaluation shares.

Candidates are known by their place, never by their text. A tie shares the credit, so that a model that tells
nothing apart scores the chance level exactly. Knows neither tasks nor files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from iteralign.errors import EngineError, LeftOut, PromptTooLong, Unsupported
from iteralign.exchanges import by_halving, in_full, paced
from iteralign.protocols import Policy, Recorder, Scorer
from iteralign.records.base import Record
from iteralign.records.chat import Chat

LIMITS = (4_000, 2_000, 1_000, 500, 250)
"""Characters that a long field is cut to, in turn, where a question does not fit the model's context."""
CUT = " [...]"
CHUNK = 512
"""Questions that go to the engine at once, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Record):
    """A chat, and the answers that are scored after it.

    ``shortened``: characters that its long fields were cut to; 0 where none was.
    """

    _prefix: ClassVar[str] = "question-"

    messages: Chat
    candidates: tuple[str, ...]
    shortened: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores(Record):
    """A question's candidates in order: summed log-probabilities, nats, and how many tokens each has.

    ``reason``: why the question was left out; then there are none.
    """

    _prefix: ClassVar[str] = "scores-"
    _unless_none: ClassVar[tuple[str, ...]] = ("reason",)

    question_id: str
    totals: tuple[float, ...]
    tokens: tuple[int, ...]
    shortened: int = 0
    reason: str | None = None


@dataclass(frozen=True)
class Shorter:
    """Makes a question whose long fields are cut to so many characters. ``of``: whose questions they are; how
    a question is cut follows from the question.
    """

    of: str
    cut: Callable[[Question, int], Question]

    @property
    def fingerprint(self) -> str:
        """Whose questions it cuts."""
        return self.of


def score(
    policy: Policy, recorder: Recorder, questions: Sequence[Question], shorter: Shorter | None = None
) -> list[Scores]:
    """The scores of each question, in order, as a step of a run.

    ``shorter`` is asked where a question does not fit the model's context. One that cannot be asked at all is
    left out, with its reason: whoever counts leaves its item out. Raises ``Unsupported`` where the
    engine gives no log-probabilities, ``EngineError`` naming a question whose are no numbers.
    """
    chunk = paced(policy, _read, most=CHUNK, alike=True)
    return recorder.each("scores", Scores, _score, questions, policy, shorter, chunk=chunk)


def _read(question: Question) -> str:
    """All that is read for a question."""
    return "".join([*(m.text for m in question.messages), *question.candidates])


def credit(totals: Sequence[float], right: set[int]) -> float:
    """The share of the best candidates that are right: 1 or 0, and between them in a tie."""
    best = max(totals)
    tied = [i for i, t in enumerate(totals) if t == best]
    return sum(i in right for i in tied) / len(tied)


def mass(totals: Sequence[float], right: set[int]) -> float:
    """The share of the candidates' probability that lies on the right ones."""
    best = max(totals)
    weights = [math.exp(t - best) for t in totals]
    return sum(w for i, w in enumerate(weights) if i in right) / sum(weights)


def agree(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether both orders of a pair prefer the same one of the two.

    Each holds the scores of A and B; in ``second`` the two stand exchanged. A tie prefers neither.
    """
    return (first[0] - first[1]) * (second[1] - second[0]) > 0


def cut(text: str, limit: int) -> str:
    """The head of a text of more than ``limit`` characters, with a mark."""
    return text if not limit or len(text) <= limit else text[:limit].rstrip() + CUT


def _score(questions: Sequence[Question], policy: Policy, shorter: Shorter | None) -> list[Scores]:
    """All in one go; what does not fit the model is shortened, step by step."""
    if not isinstance(policy, Scorer):
        raise Unsupported(
            f"{type(policy).__name__} gives no log-probabilities: evaluate with model.engine = hf, or on a "
            "server that gives them"
        )

    def shortened(question: Question, error: LeftOut) -> Scores:
        if shorter is not None and isinstance(error, PromptTooLong):
            for limit in LIMITS:
                try:
                    return _scored(policy, [question], [shorter.cut(question, limit)])[0]
                except LeftOut as still:
                    error = still
        return Scores(question_id=question.id, totals=(), tokens=(), reason=in_full(error))

    return by_halving(lambda part: _scored(policy, part, part), questions, LeftOut, shortened)


def _scored(policy: Scorer, questions: Sequence[Question], asked: Sequence[Question]) -> list[Scores]:
    pairs = [(q.messages, c) for q in asked for c in q.candidates]
    found = iter(policy.logprobs([m for m, _ in pairs], [c for _, c in pairs]))
    results = []
    for original, q in zip(questions, asked, strict=True):
        own = [next(found) for _ in q.candidates]
        totals = tuple(s.total for s in own)
        if not all(map(math.isfinite, totals)):
            raise EngineError(
                f"question {original.id}: the log-probability {totals} of a candidate is no number"
            )
        results.append(
            Scores(
                question_id=original.id,
                totals=totals,
                tokens=tuple(len(s.logprobs) for s in own),
                shortened=q.shortened,
            )
        )
    return results
