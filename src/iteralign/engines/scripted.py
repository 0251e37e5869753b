"""A policy that answers from a function: for tests, ours and users', and for trying a recipe without a model.

Knows no library. ``ScriptedTrainer`` and ``ScriptedHost`` learn for real, by heart: the trained answers are
kept in a file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from iteralign.canonical import content_hash
from iteralign.records.chat import Chat, Completion, SamplingParams
from iteralign.records.iteralign import Checkpoint, TrainingExample

MEMORY = "memory.json"


@dataclass
class ScriptedPolicy:
    """Answers each chat with ``say(chat)``; ``asked`` counts the chats."""

    say: Callable[[Chat], str]
    checkpoint: Checkpoint = field(default_factory=lambda: Checkpoint(path="scripted"))
    asked: int = 0

    @property
    def fingerprint(self) -> str:
        """The checkpoint's id."""
        return self.checkpoint.id

    def generate(self, chats: Sequence[Chat], params: SamplingParams) -> list[Completion]:
        """One completion per chat, in order; tokens are words."""
        self.asked += len(chats)
        answers = [self.say(chat) for chat in chats]
        return [
            Completion(a, "stop", sum(len(m.text.split()) for m in c), len(a.split()))
            for a, c in zip(answers, chats, strict=True)
        ]


@dataclass
class ScriptedHost:
    """Serves ``say(chat, memory)``; the memory is what ``ScriptedTrainer`` learnt: question -> answer."""

    say: Callable[[Chat, dict[str, str]], str]
    locate: Callable[[Checkpoint], str] = lambda checkpoint: checkpoint.path
    served: list[str] = field(default_factory=list)

    @contextmanager
    def serve(self, checkpoint: Checkpoint) -> Iterator[ScriptedPolicy]:
        """A policy with the memory of this checkpoint; a base checkpoint has none."""

        def say(chat: Chat) -> str:
            if checkpoint.id not in self.served:
                self.served.append(checkpoint.id)
            return self.say(chat, self._memory(checkpoint))

        yield ScriptedPolicy(say, checkpoint)

    def _memory(self, checkpoint: Checkpoint) -> dict[str, str]:
        path = Path(self.locate(checkpoint)) / MEMORY
        learnt: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if checkpoint.parent else {}
        return learnt


@dataclass
class ScriptedTrainer:
    """Learns by heart: what the start knew and the examples' answers, written as JSON."""

    locate: Callable[[Checkpoint], str] = lambda checkpoint: checkpoint.path
    fingerprint: str = "scripted"

    def finetune(self, start: Checkpoint, examples: Collection[TrainingExample], out: Path) -> Checkpoint:
        """Write ``memory.json`` to ``out``."""
        known: dict[str, str] = {}
        if start.parent:
            known = json.loads((Path(self.locate(start)) / MEMORY).read_text(encoding="utf-8"))
        known |= {e.messages[-2].text: e.messages[-1].text for e in examples}
        out.mkdir(parents=True, exist_ok=True)
        (out / MEMORY).write_text(json.dumps(known, sort_keys=True), encoding="utf-8")
        return Checkpoint(
            path=str(out),
            parent=start.id,
            data_hash=content_hash([e.id for e in examples]),
            trainer_hash=self.fingerprint,
        )
