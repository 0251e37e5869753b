"""What an engine is given and what it gives back: chats, how to draw from them, completions and scores.

Knows nothing of what a chat is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

Role = Literal["system", "user", "assistant"]
Finish = Literal["stop", "length", "left_out"]
"""Why a text ended; ``left_out``: nothing was written, for the item could not be asked."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: Role
    text: str


Chat = tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """How a continuation is drawn; ``temperature`` 0 is greedy.

    Each chat has a random stream of its own, made of ``seed``, its text and its place among equal chats, so
    that a result does not depend on what else is in the batch. ``ngram_penalty`` is taken from the logit of a
    token that would complete three or four tokens which stand in the answer already. ``stream``: where it is
    ``question``, the streams are made of the last turn alone, so that a question gets the same one whatever
    stands before it.
    """

    _unless_none: ClassVar[tuple[str, ...]] = ("ngram_penalty", "stream")

    max_new_tokens: int = 64
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0
    ngram_penalty: float | None = None
    stream: Literal["question"] | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """What an engine answers: the text without special tokens, why it ended, and its cost in tokens.

    ``thought``: what a model that thinks aloud wrote before its answer, None where there is none.
    """

    _unless_none: ClassVar[tuple[str, ...]] = ("thought",)

    text: str
    finish: Finish
    prompt_tokens: int = 0
    completion_tokens: int = 0
    thought: str | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """Log-probabilities in nats of a continuation's tokens, in order."""

    tokens: tuple[str, ...]
    logprobs: tuple[float, ...]

    @property
    def total(self) -> float:
        """Their sum, nats."""
        return sum(self.logprobs)


@dataclass(frozen=True, slots=True)
class Continuation:
    """What a model writes after a text, greedily: its tokens as text, without special ones.

    ``likely``: for each token what might have stood in its place, with log-probabilities in nats, the
    likeliest first; empty where the engine gives none.
    """

    tokens: tuple[str, ...]
    likely: tuple[tuple[tuple[str, float], ...], ...]
    finish: Finish

    @property
    def text(self) -> str:
        """The whole."""
        return "".join(self.tokens)
