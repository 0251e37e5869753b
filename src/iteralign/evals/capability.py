"""Capability retention: how well a model still predicts ordinary answers that people, or a grammar, wrote.

The loss of each reference answer after its prompt, nats per token, and the perplexity of all of them. What a
fine-tuning forgets shows here before it shows in answers. Knows no engine and no file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from iteralign.data.columns import Columns, remedy, with_columns
from iteralign.data.files import read_rows
from iteralign.errors import DataError
from iteralign.evals.choices import Question, Shorter, score
from iteralign.exchanges import not_asked_fact
from iteralign.metrics import metric
from iteralign.protocols import Policy, Recorder
from iteralign.records.base import Record
from iteralign.records.chat import Message
from iteralign.records.iteralign import EvalReport
from iteralign.stats import mean
from iteralign.text.printable import kind_of_value

_PROMPTS = ("prompt", "instruction", "question")
_ANSWERS = ("response", "output", "completion", "answer", "text")
PLAIN = "Write a paragraph of ordinary text."


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference(Record):
    """A prompt with an answer that is taken as it is."""

    _prefix: ClassVar[str] = "reference-"

    prompt: str
    answer: str


def load(path: str | Path, columns: Columns | None = None) -> list[Reference]:
    """Reference answers of a file.

    Rows with ``prompt`` (or ``instruction``, with ``input``) and ``response`` (or ``output``,
    ``completion``), or plain texts. Raises ``DataError`` naming file, line and field.
    """
    file = Path(path)
    found: dict[str, Reference] = {}
    for row in with_columns(read_rows(file)[0], columns, str(file)):
        value = row.value
        if isinstance(value, str):
            item = Reference(prompt=PLAIN, answer=value)
        elif isinstance(value, dict):
            prompt = next(
                (value[k] for k in _PROMPTS if isinstance(value.get(k), str) and value[k].strip()), None
            )
            answer = next(
                (value[k] for k in _ANSWERS if isinstance(value.get(k), str) and value[k].strip()), None
            )
            if answer is None:
                raise DataError(
                    f"{row.where}: no answer. Needed: one of {', '.join(_ANSWERS)}. Fields: "
                    f"{', '.join(map(str, value)) or 'none'}. {remedy(value, ['prompt', 'response'])}"
                )
            extra = value.get("input")
            asked = (
                f"{prompt}\n\n{extra}"
                if prompt and isinstance(extra, str) and extra.strip()
                else prompt or PLAIN
            )
            item = Reference(prompt=asked, answer=answer)
        else:
            raise DataError(
                f"{row.where}: is {kind_of_value(value)}; a text or an object with a prompt and a "
                "response is expected"
            )
        if item.answer.strip():
            found[item.id] = item
    if not found:
        raise DataError(f"{file}: holds no texts")
    return list(found.values())


class Capability:
    """``capability``: mean loss of the reference answers, nats per token, each weighing alike.

    With ``capability/perplexity``.
    """

    name = "capability"

    def __init__(self, references: Sequence[Reference], facts: Mapping[str, str]) -> None:
        self._references = list(references)
        self._facts = dict(facts)

    def __len__(self) -> int:
        """How many items it asks about."""
        return len(self._references)

    def questions(self) -> list[Question]:
        """One for each reference, with its answer as the only candidate."""
        return [_question(r, 0) for r in self._references]

    def run(self, policy: Policy, recorder: Recorder) -> EvalReport:
        """``per_item``: reference id -> nats per token of its answer; lower is better."""
        questions = self.questions()
        by_id = {q.id: r for q, r in zip(questions, self._references, strict=True)}
        shorter = Shorter("capability", lambda q, limit: _question(by_id[q.id], limit))
        found = score(policy, recorder, questions, shorter)
        losses = {
            r.id: -s.totals[0] / s.tokens[0]
            for r, s in zip(self._references, found, strict=True)
            if s.reason is None and s.tokens[0]
        }
        loss = mean(list(losses.values()))
        perplexity = type(loss)(math.exp(loss.value), math.exp(loss.low), math.exp(loss.high), loss.n)
        facts = {
            **self._facts,
            "unit": metric(self.name).unit,
            "shortened": str(sum(bool(s.shortened) for s in found)),
            **not_asked_fact(sum(s.reason is not None for s in found)),
        }
        metrics = {self.name: loss, f"{self.name}/perplexity": perplexity}
        return EvalReport(
            name=self.name,
            checkpoint=policy.checkpoint.id,
            version="1",
            metrics=metrics,
            per_item=losses,
            facts=facts,
        )


def _question(reference: Reference, limit: int) -> Question:
    """Cut at the head's end without a mark: the mark would be scored, too."""
    prompt = reference.prompt[:limit] if limit else reference.prompt
    answer = reference.answer[:limit] if limit else reference.answer
    return Question(messages=(Message("user", prompt),), candidates=(answer,), shortened=limit)
