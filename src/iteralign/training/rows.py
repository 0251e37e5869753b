"""What a training sees of its examples: token ids and labels, in the chat format of generation.

Knows no weights. Holds the trainer's own collator against the chat format.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice, pairwise
from typing import Any

from iteralign.chat.format import encode_training, opening
from iteralign.errors import ExampleTooLong, LeftOut, NoExample, TrainingError
from iteralign.records.iteralign import TrainingExample

IGNORED = -100
"""The label of a token that no loss is taken on."""
Row = dict[str, list[int]]
PART = 4096
"""Rows that are in Python lists at once; the data set itself holds 8 bytes a token."""


class Rows:
    """The rows of examples, made one by one. ``left_out`` counts what cannot be trained on, when all are."""

    def __init__(self, tokenizer: Any, max_length: int, warn: Callable[[str], None]) -> None:
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._warn = warn
        self.left_out: Counter[str] = Counter()

    def of(self, examples: Collection[TrainingExample]) -> Iterator[Row]:
        """What is trained on: token ids, and labels that leave out the prompt. Raises ``TrainingError``."""
        if not examples:
            raise TrainingError("there is no example to train on")
        self.left_out = Counter()
        first: dict[str, LeftOut] = {}
        for example in examples:
            try:
                ids, learnt = encoded(self._tokenizer, example, self._max_length)
            except LeftOut as error:
                self.left_out[error.why] += 1
                first.setdefault(error.why, error)
                continue
            row = {
                "input_ids": ids,
                "labels": [t if wanted else IGNORED for t, wanted in zip(ids, learnt, strict=True)],
            }
            yield from [row] * int(example.weight)
        if first:
            reasons = "; ".join(
                f"{self.left_out[why]} {error.why}, such as {error}" for why, error in first.items()
            )
            if self.left_out.total() == len(examples):
                raise TrainingError(f"none of {len(examples)} examples can be trained on: {reasons}")
            left_out = f"{self.left_out.total()} of {len(examples)} examples"
            self._warn(f"training: {left_out} are left out (none is cut): {reasons}")


def encoded(tokenizer: Any, example: TrainingExample, max_length: int) -> tuple[list[int], list[bool]]:
    """An example's token ids, and which of them are learnt. Raises ``LeftOut``."""
    times = example.weight
    if times < 1 or times != int(times):
        raise NoExample(
            f"{opening(example.messages)} with the weight {times:g}; "
            "a weight is how often an example is seen: 1, 2, 3, ..."
        )
    if example.messages[-1].role != "assistant":
        raise NoExample(
            f"{opening(example.messages)} ends with the turn of the {example.messages[-1].role}: "
            "the last turn is what is learnt"
        )
    ids, learnt = encode_training(tokenizer, example.messages)
    if len(ids) > max_length:
        raise ExampleTooLong(
            f"{opening(example.messages)} with {len(ids):,} tokens; training.max_length is "
            f"{max_length:,}, which a resume may raise"
        )
    return ids, learnt


def dataset(rows: Iterable[Row]) -> tuple[Any, set[int]]:
    """The rows as a data set, and the hashes of all rows.

    It is made in parts, so that no more than one is in Python lists at once.
    """
    from datasets import Dataset, Features, Sequence, Value, concatenate_datasets, disable_progress_bars

    disable_progress_bars()
    features = Features({"input_ids": Sequence(Value("int32")), "labels": Sequence(Value("int32"))})
    parts = []
    known: set[int] = set()
    for part in batched(rows, PART):
        parts.append(Dataset.from_list(part, features=features))
        known |= {_hash(r["input_ids"], r["labels"]) for r in part}
    return concatenate_datasets(parts), known


def _hash(ids: list[int], labels: list[int]) -> int:
    return hash((tuple(ids), tuple(labels)))


def batched(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """Lists of at most ``size`` rows."""
    it = iter(rows)
    while part := list(islice(it, size)):
        yield part


def assert_one_format(trainer: Any, known: set[int]) -> None:
    """The trainer's own collator makes of its first rows what the chat format gives.

    Token for token and label for label: a version of TRL that tokenised or masked anew would train on
    something that is never generated. A packed row is taken apart at the positions that begin anew. Raises
    ``TrainingError``.
    """
    data = trainer.train_dataset
    batch = trainer.data_collator([data[i] for i in range(min(4, len(data)))])
    ids = batch["input_ids"].tolist()
    labels = batch["labels"].tolist()
    found: list[tuple[list[int], list[int]]] = []
    if "attention_mask" in batch:
        for row, wanted, real in zip(ids, labels, batch["attention_mask"].sum(-1).tolist(), strict=True):
            found.append((row[:real], wanted[:real]))
    else:
        cuts = [i for i, p in enumerate(batch["position_ids"][0].tolist()) if p == 0] + [len(ids[0])]
        found = [(ids[0][a:b], labels[0][a:b]) for a, b in pairwise(cuts)]
    if not found or any(_hash(a, b) not in known for a, b in found):
        raise TrainingError(
            "training would see other tokens, or learn other ones, than the chat format gives: "
            "this version of TRL prepares ready-made rows in another way. "
            "Use the versions that iteralign is tested with (constraints.txt)"
        )
