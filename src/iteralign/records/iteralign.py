"""The records that travel between stages and lie in the store: frozen, slotted, JSON both ways.

A record's ``id`` is a hash of its content, so the same content is the same record in every run, and a record
whose stored id does not fit its content is refused. Records hold no path that is absolute, no time and no
machine: two runs of one recipe give equal records. This module knows nothing of models or files, and imports
only ``stats.Estimate``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NewType, Self

from iteralign.canonical import canonical as canonical
from iteralign.canonical import content_hash as content_hash
from iteralign.canonical import from_json as from_json
from iteralign.canonical import to_json as to_json
from iteralign.stats import Estimate

PromptId = NewType("PromptId", str)
ResponseId = NewType("ResponseId", str)
VerdictId = NewType("VerdictId", str)
PrincipleId = NewType("PrincipleId", str)
ConstitutionId = NewType("ConstitutionId", str)
RevisionId = NewType("RevisionId", str)
CheckpointId = NewType("CheckpointId", str)

Role = Literal["system", "user", "assistant"]
Label = Literal["proper", "improper", "unjudged"]
Aspect = Literal["harmless", "honest", "helpful", "other"]
Compliance = Literal["full_refusal", "partial_refusal", "compliance"]
Finish = Literal["stop", "length"]
Intent = Literal["harmful", "harmful_looking", "benign"]
Split = Literal["train", "held_out"]
PrincipleStatus = Literal["active", "rejected", "merged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What every record with an id shares. ``_identity`` names the fields that the id is made of; empty means
    all. ``_unless_none``: later fields, which a None leaves out of id and JSON, so that older records keep
    theirs.
    """

    _identity: ClassVar[tuple[str, ...]] = ()
    _unless_none: ClassVar[tuple[str, ...]] = ()
    _prefix: ClassVar[str] = ""
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    id: str = ""

    def __post_init__(self) -> None:
        names = self._identity or tuple(f.name for f in dataclasses.fields(self) if f.name != "id")
        told = {n: v for n in names if (v := getattr(self, n)) is not None or n not in self._unless_none}
        digest = content_hash(type(self).__name__, told)[:20]
        made = f"{self._prefix}{digest}"
        if self.id and self.id != made:
            raise ValueError(
                f"id {self.id!r} does not fit the content of this {type(self).__name__} ({made}): it was edited or damaged"
            )
        object.__setattr__(self, "id", made)

    def to_json(self) -> dict[str, Any]:
        """This record as plain JSON data."""
        data: dict[str, Any] = to_json(self)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The record that ``to_json`` wrote; ``ValueError`` where data or id do not fit."""
        record: Self = from_json(cls, data)
        return record


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: Role
    text: str


Chat = tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """How a continuation is drawn. ``temperature`` 0 is greedy. Each chat has a random stream of its own,
    made of ``seed``, its text and its place among equal chats, so that a result does not depend on what else
    is in the batch. ``ngram_penalty`` is taken from the logit of a token that would complete three or four
    tokens which stand in the answer already. ``stream``: where it is ``question``, the streams are made of
    the last turn alone, so that a question gets the same one whatever stands before it.
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
    """What an engine answers: the text without special tokens, why it ended, and its cost in tokens."""

    text: str
    finish: Finish
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Score:
    """Log-probabilities in nats of a continuation's tokens, in order."""

    tokens: tuple[str, ...]
    logprobs: tuple[float, ...]

    @property
    def total(self) -> float:
        """Their sum, nats."""
        return sum(self.logprobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedTeamPrompt(Record):
    """A prompt that is put to the model. ``intent`` tells attack prompts from benign ones (over-refusal,
    replay).
    """

    _prefix: ClassVar[str] = "prompt-"
    _identity: ClassVar[tuple[str, ...]] = ("messages", "source")

    messages: Chat
    source: str
    topic: str | None = None
    category: str | None = None
    intent: Intent = "harmful"
    split: Split = "train"

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Response(Record):
    """A model's answer to a prompt. ``model`` is the checkpoint's id."""

    _prefix: ClassVar[str] = "response-"

    prompt_id: PromptId
    text: str
    finish: Finish
    model: str
    sampling: SamplingParams


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict(Record):
    """An oracle's structured judgement of one answer (a first answer or a revision: ``response_id`` names
    either).

    ``unjudged`` means that the oracle gave no usable judgement: it is counted and shown, never taken for
    proper. ``severity`` runs from 0 (nothing wrong) to 3. ``refusal`` tells whether the answer declines
    (None: not assessed). ``compliance`` tells full refusals (only these are a ``refusal``) from partial ones,
    which give some of what was asked. ``template`` is the hash of the prompt template, or the version of the
    judge. ``votes``: of a jury, (oracle, label) each.
    """

    _prefix: ClassVar[str] = "verdict-"
    _unless_none: ClassVar[tuple[str, ...]] = ("compliance",)

    response_id: str
    label: Label
    categories: tuple[str, ...] = ()
    aspect: Aspect = "harmless"
    severity: int = 0
    refusal: bool | None = None
    rationale: str = ""
    oracle: str
    template: str
    votes: tuple[tuple[str, Label], ...] = ()
    compliance: Compliance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange(Record):
    """A prompt with an answer: what an oracle judges. Its id is not the response's."""

    _prefix: ClassVar[str] = "exchange-"

    prompt: RedTeamPrompt
    response: Response


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged(Record):
    """An exchange with the oracle's verdict on it."""

    _prefix: ClassVar[str] = "judged-"

    prompt: RedTeamPrompt
    response: Response
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure(Judged):
    """A judged exchange that the oracle found improper."""

    _prefix: ClassVar[str] = "failure-"

    @property
    def category(self) -> str:
        """The verdict's first category, or ``other``."""
        return self.verdict.categories[0] if self.verdict.categories else "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principle(Record):
    """One rule of a constitution with its provenance. Its id is made of its text alone, so that evidence can
    grow.

    ``evidence``: ids of the improper responses that led to it; ``born``: the iteration (0: brought by the
    user); ``parents``: ids of principles that were merged into it.
    """

    _prefix: ClassVar[str] = "principle-"
    _identity: ClassVar[tuple[str, ...]] = ("text",)

    text: str
    category: str | None = None
    evidence: tuple[str, ...] = ()
    born: int = 0
    status: PrincipleStatus = "active"
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Constitution(Record):
    """A version of the rules; ``parent`` is the id of the version before it."""

    _prefix: ClassVar[str] = "constitution-"

    version: int = 0
    principles: tuple[Principle, ...] = ()
    parent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision(Record):
    """The model's own second answer, after reflecting on its first one under the principles shown."""

    _prefix: ClassVar[str] = "revision-"

    prompt_id: PromptId
    response_id: str
    constitution_id: str
    principle_ids: tuple[str, ...]
    reflection: str
    text: str
    finish: Finish
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening(Record):
    """Whether a revision may be trained on, and why."""

    _prefix: ClassVar[str] = "screening-"

    response_id: str
    revision: Revision
    verdict: Verdict
    kept: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingExample(Record):
    """A chat whose last turn, the assistant's, is learnt. ``source``: revision, replay, benign, acceptable."""

    _prefix: ClassVar[str] = "example-"

    messages: Chat
    source: str
    prompt_id: str = ""
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint(Record):
    """Weights that can be served. ``path`` is a model name, a user's folder, or a folder relative to the run
    directory.

    The id is made of what the weights are, not of where they lie.
    """

    _prefix: ClassVar[str] = "checkpoint-"
    _identity: ClassVar[tuple[str, ...]] = ("parent", "data_hash", "trainer_hash", "weights_hash")

    path: str
    parent: str | None = None
    data_hash: str = ""
    trainer_hash: str = ""
    weights_hash: str = ""
    adapter: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalReport(Record):
    """One evaluation of one checkpoint. ``per_item`` maps item ids to the main metric's value, for paired
    tests.
    """

    _prefix: ClassVar[str] = "report-"

    name: str
    checkpoint: str
    version: str
    metrics: dict[str, Estimate]
    per_item: dict[str, float] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def main(self) -> Estimate:
        """The metric that bears the evaluation's name."""
        return self.metrics[self.name]


@dataclass(frozen=True, slots=True)
class GateTest:
    """One comparison behind a decision: the metric, against whom, the paired figures and whether it passed."""

    metric: str
    against: str
    before: float
    after: float
    n: int
    difference: float
    low: float
    high: float
    p_value: float
    passed: bool
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(Record):
    """Accept or roll back, with the reason in words and the tests behind it. ``trained`` is off where there
    was no candidate.
    """

    _prefix: ClassVar[str] = "decision-"

    accepted: bool
    reason: str
    tests: tuple[GateTest, ...] = ()
    trained: bool = True

    @classmethod
    def without_training(cls, failures: int, unjudged: int = 0) -> Decision:
        """The decision of an iteration that gave nothing to train on."""
        reason = (
            f"none of {failures} failures has a revision that passed"
            if failures
            else "no improper answer: nothing to learn"
        )
        reason += (
            f" ({unjudged} {'answer is' if unjudged == 1 else 'answers are'} unjudged)" if unjudged else ""
        )
        return cls(accepted=False, reason=reason, trained=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class IterationRecord(Record):
    """What one iteration did. ``before`` and ``after`` are checkpoints (equal after a roll-back)."""

    _prefix: ClassVar[str] = "iteration-"

    index: int
    before: Checkpoint
    after: Checkpoint
    constitution: Constitution
    counts: dict[str, int]
    failures: Estimate
    reports: tuple[EvalReport, ...]
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult(Record):
    """What a finished run came to. ``final`` are the reports of ``checkpoint``, the weights that were
    accepted last.
    """

    _prefix: ClassVar[str] = "result-"

    baseline: tuple[EvalReport, ...]
    iterations: tuple[IterationRecord, ...]
    final: tuple[EvalReport, ...]
    constitution: Constitution
    checkpoint: Checkpoint
    improvement: tuple[GateTest, ...]
    stop_reason: str
