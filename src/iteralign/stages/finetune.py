"""Stage 5, supervised fine-tuning: what the next weights are trained on (IterAlign, section 3.5).

The answers are learnt without the constitution in the prompt: that is what engraves it. Replay of past
revisions and of the model's own good answers keeps small rounds from drifting. The training itself is the
trainer's affair.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from pathlib import Path

from iteralign.protocols import Selective, Trainer
from iteralign.records.chat import Message
from iteralign.records.iteralign import (
    OVER_REFUSAL,
    Checkpoint,
    Exchange,
    Failure,
    Screening,
    TrainingExample,
)
from iteralign.text.words import whole_sentences


def learnt(failures: Sequence[Failure], screenings: Sequence[Screening]) -> list[TrainingExample]:
    """The kept revisions as training examples: the prompt as it was asked, the revised answer."""
    failed = {f.response.id: f for f in failures}
    return [
        TrainingExample(
            messages=(*failed[s.response_id].prompt.messages, Message("assistant", s.revision.text)),
            source=OVER_REFUSAL if failed[s.response_id].over_refusal else "revision",
            prompt_id=failed[s.response_id].prompt.id,
        )
        for s in screenings
        if s.kept
    ]


def instead(
    unresolved: Sequence[Failure], benign_answers: Sequence[TrainingExample]
) -> list[TrainingExample]:
    """The base model's own helpful answers to refused safe prompts that no kept revision answers."""
    refused = {f.prompt.id for f in unresolved if f.over_refusal}
    return [e for e in benign_answers if e.prompt_id in refused]


def own_answers(exchanges: Sequence[Exchange], source: str, cut: str = "drop") -> list[TrainingExample]:
    """The model's own good answers as training examples (``source``: ``acceptable`` or ``benign``).

    Of an answer that was cut at the length limit, ``cut`` = ``sentence`` takes the whole sentences, and
    ``drop`` nothing: the model would learn to break off.
    """
    texts = [_ended(e, cut) for e in exchanges]
    return [
        TrainingExample(
            messages=(*e.prompt.messages, Message("assistant", text)),
            source=source,
            prompt_id=e.prompt.id,
        )
        for e, text in zip(exchanges, texts, strict=True)
        if text
    ]


def _ended(exchange: Exchange, cut: str) -> str:
    match exchange.response.finish:
        case "stop":
            return exchange.response.text
        case "length" if cut == "sentence":
            return whole_sentences(exchange.response.text)
    return ""


def compose(
    lessons: Sequence[TrainingExample],
    *,
    past: Sequence[TrainingExample],
    own: Sequence[TrainingExample],
    benign_answers: Sequence[TrainingExample],
    revisions: int,
    acceptable: int,
    benign: int,
    seed: str,
) -> list[TrainingExample]:
    """This round's lessons with replay.

    At most ``revisions`` past lessons, ``acceptable`` own answers, ``benign`` benign ones.

    Draws are without replacement and repeat with the seed. Nothing to learn gives nothing to replay.
    """
    if not lessons:
        return []
    rng = random.Random(seed)

    def some(examples: Sequence[TrainingExample], size: int) -> list[TrainingExample]:
        return rng.sample(list(examples), min(size, len(examples)))

    mixed = [*lessons, *some(past, revisions), *some(own, acceptable), *some(benign_answers, benign)]
    return list(dict.fromkeys(mixed))


def unfit(trainer: Trainer, start: Checkpoint, examples: Collection[TrainingExample]) -> dict[str, str]:
    """Example id -> why the trainer cannot learn it: a few words, a colon, the details.

    A trainer that does not know beforehand takes all.
    """
    return trainer.unfit(start, examples) if examples and isinstance(trainer, Selective) else {}


def train(
    out: Path, trainer: Trainer, start: Checkpoint, examples: Collection[TrainingExample]
) -> Checkpoint:
    """The weights that the trainer makes of ``start`` and the examples, left in the folder ``out``."""
    return trainer.finetune(start, examples, out)
