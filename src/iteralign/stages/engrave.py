"""Self-Align, stage 3: principle engraving. The kept answers become training examples without rules,
exemplars and thoughts, so that the base model learns to answer so of its own accord (arXiv 2305.03047,
section 3.3). The training itself is the trainer's affair.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence

from iteralign.records.chat import Message
from iteralign.records.iteralign import TrainingExample
from iteralign.records.self_align import Aligned, Instruction


def lessons(
    instructions: Sequence[Instruction],
    answers: Sequence[Aligned],
    prompts: Sequence[str],
    source: str = "engraving",
) -> Iterator[TrainingExample]:
    """The kept answers as examples.

    Where there are several short prompts, each example's is drawn by the id of its instruction.
    """
    for instruction, answer in zip(instructions, answers, strict=True):
        if answer.kept:
            prompt = random.Random(instruction.id).choice(prompts)
            turns = (*_system(prompt), *instruction.chat, Message("assistant", answer.text))
            yield TrainingExample(messages=turns, source=source, prompt_id=instruction.id)


def identity_lessons(
    items: Iterable[tuple[str, str]], prompts: Sequence[str], times: int
) -> Iterator[TrainingExample]:
    """What the assistant says of itself: request and answer.

    Each is seen ``times`` times an epoch (none where 0).
    """
    for request, answer in items if times else ():
        prompt = random.Random(request).choice(prompts)
        turns = (*_system(prompt), Message("user", request), Message("assistant", answer))
        yield TrainingExample(messages=turns, source="identity", weight=float(times))


def _system(prompt: str) -> tuple[Message, ...]:
    return (Message("system", prompt),) if prompt else ()
