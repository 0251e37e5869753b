"""Answers of a Self-Align stage as they lie in the store, and the training examples made of them: read shard
by shard, so that one shard is all that is in memory.

Knows neither models nor trainers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from iteralign.records.iteralign import TrainingExample
from iteralign.records.self_align import Aligned, Instruction, Tally
from iteralign.stages.engrave import lessons
from iteralign.store.run import Run


class Answers:
    """Answers of a stage, stored in shards and read from there shard by shard."""

    def __init__(self, run: Run, shards: Sequence[tuple[str, Sequence[Instruction]]], tally: Tally) -> None:
        self._run, self._shards, self.tally = run, shards, tally

    def __iter__(self) -> Iterator[tuple[Sequence[Instruction], list[Aligned]]]:
        for scope, instructions in self._shards:
            by_id = {a.instruction_id: a for a in self._run.read(Aligned, scope, "answers")}
            yield instructions, [by_id[i.id] for i in instructions]


class Lessons(Collection[TrainingExample]):
    """Training examples made from stored answers each time they are walked through."""

    def __init__(
        self, answers: Answers, prompts: Sequence[str], source: str, more: Sequence[TrainingExample]
    ) -> None:
        self._answers, self._prompts, self._source, self._more = answers, prompts, source, more

    @property
    def fingerprint(self) -> list[object]:
        """What the examples are made of: the answers' digest, the prompts, and the further examples."""
        return [self._answers.tally.digest, self._prompts, self._source, self._more]

    def __iter__(self) -> Iterator[TrainingExample]:
        for instructions, answers in self._answers:
            yield from lessons(instructions, answers, self._prompts, self._source)
        yield from self._more

    def __len__(self) -> int:
        return self._answers.tally.kept + len(self._more)

    def __contains__(self, item: object) -> bool:
        return any(e == item for e in self)
