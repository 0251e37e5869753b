"""The prompts that are put to a model: what they ask, what is known of it, and what they are for.

Knows nothing of answers, sets and splits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from iteralign.records.base import Record
from iteralign.records.chat import Chat

Intent = Literal["harmful", "harmful_looking", "benign"]
Split = Literal["train", "held_out", "test"]
"""What a prompt is for: learning, deciding over candidates, or the claims at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedTeamPrompt(Record):
    """A prompt that is put to the model.

    ``intent`` tells attack prompts from benign ones, which measure over-refusal and are replayed.
    ``intent_stated``: True where the data say themselves, by row or as a whole set, that this prompt asks for
    harm; None where ``harmful`` is only what it is used for.
    """

    _prefix: ClassVar[str] = "prompt-"
    _identity: ClassVar[tuple[str, ...]] = ("messages", "source")
    _unless_none: ClassVar[tuple[str, ...]] = ("intent_stated",)

    messages: Chat
    source: str
    topic: str | None = None
    category: str | None = None
    intent: Intent = "harmful"
    split: Split = "train"
    intent_stated: bool | None = None

    @property
    def text(self) -> str:
        """The last user turn: the question."""
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")

    @property
    def dialogue(self) -> str:
        """The question alone where it is all there is, else every turn with its role before it."""
        return (
            self.text if len(self.messages) == 1 else "\n".join(f"{m.role}: {m.text}" for m in self.messages)
        )
