"""A chat model as judge of two answers: blind to who wrote them, with a mark that they cannot forge.

What it cannot judge stays unjudged. Knows no engine and no server; in which order answers are
shown is its caller's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel

from iteralign.canonical import content_hash
from iteralign.errors import EngineError
from iteralign.log import log
from iteralign.oracles.chat.asking import ask, no_room, said_nothing
from iteralign.oracles.chat.frame import Unusable, mark_for, read
from iteralign.oracles.chat.schema import reply_schema
from iteralign.prompts.render import render, version
from iteralign.protocols import StructuredGenerator
from iteralign.records.chat import Chat, Completion, Message, SamplingParams
from iteralign.records.pairs import Contest, Preference
from iteralign.text.clean import clean
from iteralign.text.printable import one_line

LIMIT = 512
"""Tokens of a reply, where no setting gives another number."""
TEMPLATE = version("judge_pair", "judge_pair_exchange")


class Comparison(BaseModel):
    """A judge's reply."""

    better: Literal["first", "second", "tie"]
    rationale: str = ""


SCHEMA = reply_schema(Comparison)
"""The reason comes last, as with ``replies.judgement_schema``."""


class ChatPairJudge:
    """``protocols.PairJudge`` over a chat model."""

    def __init__(
        self,
        generator: StructuredGenerator,
        *,
        name: str,
        seed: int = 0,
        max_new_tokens: int = LIMIT,
        text_limit: int = 8_000,
        warn: Callable[[str], None] = log,
    ) -> None:
        self._generator = generator
        self._name = name
        self._limit = text_limit
        self._params = SamplingParams(max_new_tokens=max_new_tokens, temperature=0.0, seed=seed)
        self._warn = warn
        # a reply that could be read was not cut: it does not depend on the limit
        settings = [name, replace(self._params, max_new_tokens=LIMIT), SCHEMA, text_limit]
        self.version = f"{TEMPLATE}-{content_hash(settings)[:8]}"
        """Of all that a preference depends on: templates, model, sampling, limit and reply schema."""

    @property
    def name(self) -> str:
        """Name and version of its words."""
        return f"{self._name} ({TEMPLATE})"

    def compare(self, contests: Sequence[Contest]) -> list[Preference]:
        """One preference per contest, in order.

        It is ``unjudged``, with the reason, where the model gave no usable reply.
        """
        system = Message("system", render("judge_pair"))
        chats: list[Chat] = []
        marks: list[str] = []
        for contest in contests:
            texts = [clean(t, self._limit) for t in (contest.request, contest.first, contest.second)]
            mark = mark_for(texts, self._params.seed)
            shown = render(
                "judge_pair_exchange", mark=mark, request=texts[0], first=texts[1], second=texts[2]
            )
            chats.append((system, Message("user", shown)))
            marks.append(mark)
        outcomes = ask(self._generator, chats, self._params, SCHEMA, self._warn, self._name)
        return [self._preference(*each) for each in zip(contests, outcomes, marks, strict=True)]

    def _preference(self, contest: Contest, outcome: Completion | EngineError, mark: str) -> Preference:
        better: Literal["first", "second", "tie", "unjudged"] = "unjudged"
        try:
            if said_nothing(outcome):
                raise Unusable(no_room(self._params.max_new_tokens))
            if isinstance(outcome, EngineError):
                raise Unusable(str(outcome))
            reply = read(outcome.text, mark, Comparison)
            better = reply.better
            why = reply.rationale
        except Unusable as problem:
            why = str(problem)
        return Preference(contest_id=contest.id, better=better, judge=self.name, rationale=one_line(why))
