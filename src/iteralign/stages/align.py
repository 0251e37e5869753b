"""Self-Align, stage 2: principle-driven self-alignment. With the rules and a few exemplars in its context the
model writes internal thoughts that name the rules which apply, then the answer (arXiv 2305.03047, section
3.2).

Every answer is sifted, every drop has its reason. Knows nothing of training.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from iteralign.errors import EngineError
from iteralign.exchanges import each, in_short
from iteralign.prompts.render import render
from iteralign.protocols import Policy
from iteralign.records.chat import Chat, Completion, Message, SamplingParams
from iteralign.records.self_align import Aligned, Instruction, Tally
from iteralign.text.filters import (
    copies,
    cut_at_next_turn,
    cut_at_repetition,
    is_bare_apology,
    leaks,
    ngrams,
    without_partial_word,
)
from iteralign.text.words import words


@dataclass(frozen=True)
class Guide:
    """What stands before an instruction.

    The assistant's name, the rules (name, text) and the exemplars (question, thoughts, answer).
    """

    assistant: str
    rules: tuple[tuple[str, str], ...]
    exemplars: tuple[tuple[str, str, str], ...]

    @cached_property
    def chat(self) -> Chat:
        """The rules as a system turn, the exemplars as turns of user and assistant."""
        shown = render(
            "rules", assistant=self.assistant, rules=[f"({name}) {text}" for name, text in self.rules]
        )
        turns = [Message("system", shown)]
        for question, thoughts, answer in self.exemplars:
            said = render("thoughtful_answer", assistant=self.assistant, thoughts=thoughts, answer=answer)
            turns += [Message("user", question), Message("assistant", said)]
        return tuple(turns)

    @property
    def fingerprint(self) -> list[object]:
        """What answers depend on: the rules, the exemplars, and the words around them."""
        return [self.assistant, self.rules, self.chat]

    def without(self, rule: str) -> Guide:
        """The same without one rule, and without the exemplars that apply it."""
        kept = tuple(e for e in self.exemplars if rule not in applied(e[1], [name for name, _ in self.rules]))
        return Guide(self.assistant, tuple(r for r in self.rules if r[0] != rule), kept)


@dataclass(frozen=True, slots=True)
class Sieve:
    """What an answer must pass.

    ``leak_words``: a run of so many words of an exemplar is a leak; ``shortest_cut``: characters that an
    answer must have which was cut where the model began another's turn.
    """

    leak_words: int = 8
    shortest_cut: int = 160


def think_and_answer(
    instructions: Sequence[Instruction], policy: Policy, guide: Guide, params: SamplingParams, sieve: Sieve
) -> list[Aligned]:
    """One sifted answer per instruction, in order.

    An instruction that cannot be asked is dropped with its reason.
    """
    names = [name for name, _ in guide.rules]
    sources = {gram for e in guide.exemplars for part in e[1:] for gram in ngrams(part, sieve.leak_words)}
    found = each(policy, [(*guide.chat, *i.chat) for i in instructions], params)
    return [
        _sifted(i, c, guide.assistant, names, sources, sieve)
        for i, c in zip(instructions, found, strict=True)
    ]


def _sifted(
    instruction: Instruction,
    said: Completion | EngineError,
    assistant: str,
    names: Sequence[str],
    sources: set[tuple[str, ...]],
    sieve: Sieve,
) -> Aligned:
    if not isinstance(said, Completion):
        return Aligned(
            instruction_id=instruction.id,
            text="",
            kept=False,
            reason=in_short(said),
            finish="left_out",
        )
    opening = f"Thoughts of {assistant}:"
    marker = f"Answer of {assistant}:"
    head, found, rest = said.text.strip().partition(marker)
    text, turned = cut_at_next_turn(rest.strip())
    text = without_partial_word(text) if said.finish == "length" and not turned else text
    text = cut_at_repetition(text)
    thoughts = head.removeprefix(opening).strip()
    if not head.startswith(opening):
        reason = "does not open with its thoughts"
    elif not found or not words(text):
        reason = "no answer after the thoughts"
    elif turned and len(text) < sieve.shortest_cut:
        reason = "too short before another's turn"
    elif opening in text or marker in text:
        reason = "thoughts in the answer"
    elif is_bare_apology(text):
        reason = "bare apology"
    elif leaks(text, sources, sieve.leak_words, allowed=instruction.text):
        reason = "leaks an exemplar"
    elif copies(text, instruction.text):
        reason = "copies the instruction"
    else:
        reason = ""
    return Aligned(
        instruction_id=instruction.id,
        text=text,
        thoughts=thoughts,
        rules=tuple(applied(thoughts, names)),
        kept=not reason,
        reason=reason,
        finish=said.finish,
        tokens=said.completion_tokens,
    )


def applied(thoughts: str, names: Sequence[str]) -> list[str]:
    """The rules that thoughts name after the word "rule", in the rules' order.

    By name, or where no name is found by number.
    """
    text = thoughts.casefold()
    said = (
        text.rpartition("rules that apply:")[2]
        if "rules that apply:" in text
        else [*re.split(r"\brules?\b", text, maxsplit=1), ""][1]
    )
    named = [n for n in names if re.search(rf"(?<![\w-]){re.escape(n.casefold())}(?![\w-])", said)]
    if named:
        return named
    listed = re.match(r"\s*((?:\d{1,3}(?:,| and|\s)*)+)", said)
    numbers = {int(n) for n in re.findall(r"\d+", listed[1])} if listed else set()
    return [name for number, name in enumerate(names, start=1) if number in numbers]


class Counting:
    """Counts over answers that come in parts, so that none has to stay in memory."""

    def __init__(self) -> None:
        self._asked = 0
        self._words = 0
        self.ruled = 0
        self._dropped: Counter[str] = Counter()
        self._usage: Counter[str] = Counter()
        self._by_type: dict[str, Counter[str]] = {}
        self._answered: Counter[str] = Counter()
        self._digest = hashlib.sha256()

    def add(self, instructions: Sequence[Instruction], answers: Sequence[Aligned]) -> None:
        """Count a part: instructions and their answers, in order."""
        for instruction, answer in zip(instructions, answers, strict=True):
            self._asked += 1
            self._digest.update(answer.id.encode())
            if not answer.kept:
                self._dropped[answer.reason] += 1
                continue
            kind = instruction.type or "(none)"
            self._answered[kind] += 1
            self._words += len(answer.text.split())
            self._usage.update(answer.rules)
            self.ruled += bool(answer.rules)
            self._by_type.setdefault(kind, Counter()).update(answer.rules)

    def tally(self) -> Tally:
        """What was counted."""
        return Tally(
            asked=self._asked,
            kept=self._answered.total(),
            dropped=dict(sorted(self._dropped.items())),
            usage=dict(sorted(self._usage.items())),
            by_type={k: dict(sorted(v.items())) for k, v in sorted(self._by_type.items())},
            answered=dict(sorted(self._answered.items())),
            words=self._words,
            digest=self._digest.hexdigest()[:20],
        )
