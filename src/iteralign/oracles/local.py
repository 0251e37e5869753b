"""A chat model in this process as judge and proposer, however small it is.

It is asked with the chat oracle's prompts. Its verdict is not written but scored: each way to begin the form
that is asked for has a probability, and the likeliest counts, so that a model that cannot keep to a form
judges all the same. What it proposes is read leniently. Knows no engine.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Protocol, get_args

from pydantic import Field

from iteralign.canonical import content_hash
from iteralign.errors import EngineError, PromptTooLong
from iteralign.exchanges import by_halving
from iteralign.oracles.chat.frame import Unusable, read
from iteralign.oracles.chat.oracle import ChatOracle
from iteralign.oracles.chat.replies import Judgement, Proposal
from iteralign.protocols import Generator, Oracle, Scorer
from iteralign.records.chat import Chat, Completion, SamplingParams
from iteralign.records.iteralign import Compliance, Constitution, Exchange, Failure, Principle, Verdict

LABELS = ("proper", "improper")
_MARK = re.compile(r"\bx[0-9a-f]{15}\b")
_ITEM = re.compile(r"^\s*(?:[-*\u2022]|\(?\d{1,3}[.):]|principle\s*\d*\s*:)?\s*", re.IGNORECASE)
_TEXTS = re.compile(r'"text"\s*:\s*"((?:[^"\\]|\\.)+)"')
_FEWEST = 4
_MOST = 60
"""Words of a line that may be a principle."""


class ScoringPolicy(Generator, Scorer, Protocol):
    """What answers chats, and scores answers that are given."""


class Scored(Judgement):
    """A judgement with the probability of ``improper``."""

    score: float = Field(ge=0, le=1)


class Forms:
    """A policy as a ``protocols.StructuredGenerator``: it fills in a judgement's form by scores.

    ``categories``: those of the form. ``threshold``: the probability of improper from which it is; None takes
    the likelier label.
    """

    def __init__(
        self, policy: ScoringPolicy, categories: Sequence[str], threshold: float | None = None
    ) -> None:
        self._policy = policy
        self._categories = list(categories)
        self._threshold = 0.5 if threshold is None else threshold

    def generate(self, chats: Sequence[Chat], params: SamplingParams) -> list[Completion]:
        """The policy's own answers."""
        return self._policy.generate(chats, params)

    def attempt(
        self, chats: Sequence[Chat], params: SamplingParams, schema: Mapping[str, Any] | None = None
    ) -> list[Completion | EngineError]:
        """One filled form or answer per chat, in order; ``PromptTooLong`` for a chat that does not fit."""

        def work(part: Sequence[Chat]) -> list[Completion]:
            if schema is not None and schema["title"] == Judgement.__name__:
                return [Completion(text, "stop") for text in self._judged(part)]
            found = self._policy.generate(part, params)
            return [
                replace(c, text=lenient(c.text, _mark(chat))) for c, chat in zip(found, part, strict=True)
            ]

        return list(by_halving(work, chats, (PromptTooLong,), lambda _, error: error))

    def _judged(self, chats: Sequence[Chat]) -> list[str]:
        """The form of each chat, as JSON."""
        ways = list(product(get_args(Compliance), LABELS))
        starts = [
            [f'{{"mark": "{_mark(chat)}", "compliance": "{c}", "label": "{label}"' for c, label in ways]
            for chat in chats
        ]
        forms: list[dict[str, Any]] = []
        for chances in self._chances(chats, starts):
            score = sum(p for p, (_, label) in zip(chances, ways, strict=True) if label == "improper")
            label = "improper" if score >= self._threshold else "proper"
            best = max((p, c) for p, (c, other) in zip(chances, ways, strict=True) if other == label)[1]
            forms.append({"compliance": best, "label": label, "score": round(min(1.0, score), 6)})
        bad = [i for i, form in enumerate(forms) if form["label"] == "improper"]
        begun = [
            f'{{"mark": "{_mark(chats[i])}", "compliance": "{forms[i]["compliance"]}", "label": "improper"'
            for i in bad
        ]
        named = [[f'{text}, "categories": ["{c}"]' for c in self._categories] for text in begun]
        for i, chances in zip(bad, self._chances([chats[i] for i in bad], named), strict=True):
            likeliest = max(range(len(chances)), key=lambda n, p=chances: p[n])  # type: ignore[misc]
            forms[i] |= {"categories": [self._categories[likeliest]], "severity": 2}
        return [
            json.dumps({"mark": _mark(chat), **form, "rationale": _told(form)})
            for chat, form in zip(chats, forms, strict=True)
        ]

    def _chances(self, chats: Sequence[Chat], options: Sequence[Sequence[str]]) -> list[list[float]]:
        """For each chat, the probability of each option among its options."""
        asked = [(chat, option) for chat, own in zip(chats, options, strict=True) for option in own]
        if not asked:
            return []
        scores = iter(self._policy.logprobs([c for c, _ in asked], [o for _, o in asked]))
        found = []
        for own in options:
            totals = [next(scores).total for _ in own]
            weights = [math.exp(t - max(totals)) for t in totals]
            found.append([w / sum(weights) for w in weights])
        return found


class LocalOracle(ChatOracle):
    """``protocols.Oracle`` over a model in this process.

    ``weights``: a hash of them. ``proposer``: what proposes where the model does not. All else is as in
    ``ChatOracle``.
    """

    def __init__(
        self,
        policy: ScoringPolicy,
        *,
        name: str,
        categories: Mapping[str, str],
        weights: str = "",
        threshold: float | None = None,
        proposer: Oracle | None = None,
        **settings: Any,
    ) -> None:
        listed = [*(c for c in categories if c != "other"), "other"]
        forms = Forms(policy, listed, threshold)
        whole = name if proposer is None else f"{name}+{proposer.name}"
        super().__init__(forms, forms, name=whole, categories=categories, **settings)
        self._other = proposer
        # the replies are made here: their version is ours, and no earlier release had one
        self._version = f"local-{content_hash([self._version, weights, threshold])[:12]}"

    @property
    def formerly(self) -> str:
        """Its version: there is no earlier one."""
        return self._version

    @property
    def proposing(self) -> str:
        """The proposer's, where it is another oracle."""
        return super().proposing if self._other is None else str(getattr(self._other, "proposing", ""))

    def propose(self, failures: Sequence[Failure], constitution: Constitution) -> list[Principle]:
        """The model's principles, or the proposer's."""
        if self._other is not None:
            return self._other.propose(failures, constitution)
        return super().propose(failures, constitution)

    def _shape(self) -> type[Judgement]:
        return Scored

    def _verdict(self, exchange: Exchange, reply: Any) -> Verdict:
        found = super()._verdict(exchange, reply)
        return replace(found, id="", score=reply.score) if isinstance(reply, Scored) else found


def lenient(text: str, mark: str) -> str:
    """A proposal as JSON with its mark, made of what a model wrote instead: broken JSON, or lines.

    The text itself where it is a proposal, or holds none.
    """
    try:
        read(text, mark, Proposal)
    except Unusable:
        lines = _TEXTS.findall(text) or [_ITEM.sub("", line, count=1) for line in text.splitlines()]
        found = [
            {"text": line.strip()}
            for line in lines
            if _FEWEST <= len(line.split()) <= _MOST and not line.rstrip().endswith(":") and "{" not in line
        ]
        return json.dumps({"mark": mark, "principles": found}) if found else text
    return text


def _mark(chat: Chat) -> str:
    """The mark that a request asks for: the last one that it says."""
    found = _MARK.findall(chat[-1].text) or _MARK.findall("\n".join(m.text for m in chat))
    return str(found[-1]) if found else ""


def _told(form: Mapping[str, Any]) -> str:
    return f"scored, not written: P(improper) = {form['score']:.2f}"
