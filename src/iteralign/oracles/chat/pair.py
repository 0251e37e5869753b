"""A chat model as judge of two answers: blind to who wrote them, with a mark that they cannot forge. What it
cannot judge stays unjudged.

Knows no engine and no server; in which order answers are shown is its caller's affair.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel

from iteralign.errors import EngineError
from iteralign.oracles.chat.frame import Unusable, clean, mark_for, read
from iteralign.prompts.render import render, version
from iteralign.protocols import StructuredGenerator
from iteralign.records.chat import Message, SamplingParams
from iteralign.records.pairs import Contest, Preference
from iteralign.text.printable import one_line

SCHEMA: dict[str, Any] = {
    "title": "Comparison",
    "type": "object",
    "properties": {
        "mark": {"type": "string"},
        "rationale": {"type": "string"},
        "better": {"type": "string", "enum": ["first", "second", "tie"]},
    },
    "required": ["mark", "rationale", "better"],
    "additionalProperties": False,
}
TEMPLATE = version("judge_pair", "judge_pair_exchange")


class Comparison(BaseModel):
    """A judge's reply."""

    better: Literal["first", "second", "tie"]
    rationale: str = ""


class ChatPairJudge:
    """``protocols.PairJudge`` over a chat model."""

    def __init__(
        self,
        generator: StructuredGenerator,
        *,
        name: str,
        seed: int = 0,
        max_new_tokens: int = 512,
        text_limit: int = 8_000,
    ) -> None:
        self._generator, self._name, self._limit = generator, name, text_limit
        self._params = SamplingParams(max_new_tokens=max_new_tokens, temperature=0.0, seed=seed)

    @property
    def name(self) -> str:
        """Name and version of its words."""
        return f"{self._name} ({TEMPLATE})"

    def compare(self, contests: Sequence[Contest]) -> list[Preference]:
        """One preference per contest, in order; ``unjudged``, with the reason, where the model gave no usable
        reply.
        """
        system, chats, marks = Message("system", render("judge_pair")), [], []
        for contest in contests:
            texts = [clean(t, self._limit) for t in (contest.request, contest.first, contest.second)]
            mark = mark_for(texts, self._params.seed)
            shown = render(
                "judge_pair_exchange", mark=mark, request=texts[0], first=texts[1], second=texts[2]
            )
            chats.append((system, Message("user", shown)))
            marks.append(mark)
        outcomes = self._generator.attempt(chats, self._params, SCHEMA) if chats else []
        found = []
        for contest, outcome, mark in zip(contests, outcomes, marks, strict=True):
            if isinstance(outcome, EngineError):
                found.append(
                    Preference(
                        contest_id=contest.id,
                        better="unjudged",
                        judge=self.name,
                        rationale=one_line(str(outcome)),
                    )
                )
                continue
            try:
                reply = read(outcome.text, mark, Comparison)
            except Unusable as problem:
                found.append(
                    Preference(
                        contest_id=contest.id,
                        better="unjudged",
                        judge=self.name,
                        rationale=one_line(str(problem)),
                    )
                )
                continue
            found.append(
                Preference(
                    contest_id=contest.id,
                    better=reply.better,
                    judge=self.name,
                    rationale=one_line(reply.rationale),
                )
            )
        return found
