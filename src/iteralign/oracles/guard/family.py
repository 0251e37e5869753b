"""What a family of guard models is: how it is asked, what it replies, what its categories are called here.

The forms are the interface that the weights were trained on, so they are as published. Knows no engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from iteralign.records.chat import Chat


@dataclass(frozen=True)
class Question:
    """One thing that a guard is asked about an exchange.

    ``name``: of the policy or risk. ``categories``: ours that a yes stands for, where the reply names none.
    """

    name: str
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Family:
    """A family of guard models.

    - ``named`` fits the names of its models. ``landmarks`` all stand in its chat template, and in no other's;
      there are none where its models bring no template of their own.
    - ``questions``: each is asked of every exchange, and one yes makes the answer improper; ``further`` ones
      are asked of improper answers alone, for their categories.
    - ``form``: the prompt for a chat that ends with the answer. ``settings``: what the tokenizer's own
      template (its text is given) is told for the same. ``dialogue``: whether it reads all turns, or one
      question with its answer.
    - ``replies``: what a whole reply may be, with the groups ``verdict``, ``categories``, ``refusal``.
      ``unsafe`` and ``safe``: the verdict's words; ``mild``: those of them that stand for a slight fault.
      ``limit``: tokens of a reply, at most.
    - ``categories``: its category -> ours, the likeliest first.
    """

    name: str
    title: str
    named: re.Pattern[str]
    architectures: tuple[str, ...]
    landmarks: tuple[str, ...]
    form: Callable[[Chat, Question], str]
    replies: tuple[re.Pattern[str], ...]
    unsafe: tuple[str, ...]
    safe: tuple[str, ...]
    limit: int
    settings: Callable[[str, Question], Mapping[str, Any]] = lambda template, question: {}
    questions: tuple[Question, ...] = (Question(""),)
    further: tuple[Question, ...] = ()
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    mild: tuple[str, ...] = ()
    dialogue: bool = False

    @property
    def tells_refusals(self) -> bool:
        """Whether its replies say if the answer refuses."""
        return any("refusal" in pattern.groupindex for pattern in self.replies)

    def wrote(self, template: str | None) -> bool:
        """Whether a tokenizer's chat template is this family's own."""
        return bool(self.landmarks) and template is not None and all(m in template for m in self.landmarks)

    def ours(self, named: Sequence[str], likely: str | None) -> tuple[str, ...]:
        """Our names of its categories; ``other`` for what has none.

        Where one of its categories spans several of ours, ``likely`` (the prompt's own) is taken if it is
        among them, else the first.
        """
        found = []
        for name in named:
            fitting = self.categories.get(name.strip().casefold(), ("other",))
            found.append(likely if likely is not None and likely in fitting else fitting[0])
        return tuple(dict.fromkeys(c for c in found if c))


def turns_of(chat: Chat) -> list[tuple[str, str]]:
    """(role, text) of each turn, without the white space around it."""
    return [(m.role, m.text.strip()) for m in chat]


def question_and_answer(chat: Chat) -> tuple[str, str]:
    """The texts of the last two turns."""
    return chat[-2].text, chat[-1].text
