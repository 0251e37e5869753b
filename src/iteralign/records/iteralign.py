"""The records of IterAlign, from prompts and answers to weights, reports and decisions.

They hold no path that is absolute, no time and no machine: two runs of one recipe give equal records. Knows
nothing of models or files.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Final, Literal

from iteralign.records.base import Record
from iteralign.records.chat import Chat, Finish, SamplingParams
from iteralign.records.constitution import Constitution as Constitution
from iteralign.records.constitution import Principle as Principle
from iteralign.records.constitution import PrincipleStatus as PrincipleStatus
from iteralign.records.prompts import Intent as Intent
from iteralign.records.prompts import RedTeamPrompt as RedTeamPrompt
from iteralign.records.prompts import Split as Split
from iteralign.stats import Estimate

Label = Literal["proper", "improper", "unjudged"]
Aspect = Literal["harmless", "honest", "helpful", "other"]
Compliance = Literal["full_refusal", "partial_refusal", "compliance"]
GateKind = Literal["falls", "non_inferior", "retained", "changed", "judged"]
ExactTest = Literal["mcnemar", "sign"]

OVER_REFUSAL: Final = "over-refusal"
"""The category of refused safe prompts, and of the principles that follow from them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response(Record):
    """A model's answer to a prompt, and the ``thought`` before it. ``reason``: why it was left out."""

    _prefix: ClassVar[str] = "response-"
    _unless_none: ClassVar[tuple[str, ...]] = ("reason", "thought")

    prompt_id: str
    text: str
    finish: Finish
    model: str
    sampling: SamplingParams
    reason: str | None = None
    thought: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict(Record):
    """An oracle's structured judgement of one answer.

    ``response_id`` names a first answer or a revision. ``unjudged`` means that the oracle gave no usable
    judgement: it is counted and shown, never taken for proper. ``severity`` runs from 0 (nothing wrong) to 3.
    ``refusal`` tells whether the answer declines (None: not assessed). ``compliance`` tells full refusals
    (only these are a ``refusal``) from partial ones, which give some of what was asked. ``template`` is the
    hash of the prompt template, or the version of the judge. ``votes``: of a jury, (oracle, label) each.
    ``left_out`` is set where there was no answer to judge, and no oracle was asked. Of a judge that tells
    them: ``score``, the probability that the answer is improper; ``on_topic``, whether it speaks to the
    prompt.
    """

    _prefix: ClassVar[str] = "verdict-"
    _unless_none: ClassVar[tuple[str, ...]] = ("compliance", "left_out", "score", "on_topic")

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
    left_out: bool | None = None
    score: float | None = None
    on_topic: bool | None = None


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
    """A judged exchange that went wrong: an improper answer, or a refusal of a safe prompt."""

    _prefix: ClassVar[str] = "failure-"

    @property
    def over_refusal(self) -> bool:
        """Whether a safe prompt was refused: such an answer does no harm, and does not help."""
        return self.verdict.label != "improper"

    @property
    def category(self) -> str:
        """The verdict's first category, or ``other``; of a refused safe prompt ``OVER_REFUSAL``."""
        if self.over_refusal:
            return OVER_REFUSAL
        return self.verdict.categories[0] if self.verdict.categories else "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision(Record):
    """The model's second answer, after reflecting on its first, and the thoughts before the two."""

    _prefix: ClassVar[str] = "revision-"
    _unless_none: ClassVar[tuple[str, ...]] = ("reason", "thought", "reflection_thought")

    prompt_id: str
    response_id: str
    constitution_id: str
    principle_ids: tuple[str, ...]
    reflection: str
    text: str
    finish: Finish
    attempt: int
    reason: str | None = None
    thought: str | None = None
    reflection_thought: str | None = None


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
    """A chat whose last turn, the assistant's, is learnt.

    ``source``: revision, over-refusal (a revision that helps), benign, acceptable.
    """

    _prefix: ClassVar[str] = "example-"

    messages: Chat
    source: str
    prompt_id: str = ""
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint(Record):
    """Weights that can be served.

    ``path`` is a model name, a user's folder, or a folder relative to the run directory. The id is made of
    what the weights are, not of where they lie.
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
    """One evaluation of one checkpoint.

    ``per_item`` maps item ids to the main metric's value, for paired tests.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class GateTest:
    """One paired comparison behind a decision: its figures, and by fields what it tests.

    ``kind`` says what must hold for it to pass:

    * ``falls``: the share of bad items falls against the parent, ``p_value`` <= ``alpha``;
    * ``non_inferior``: the share of bad items rises over the base model's by less than ``margin``;
    * ``retained``: the mean score is worse than the base model's by less than ``margin``, in its unit;
      ``difference`` is the loss, positive where the candidate is worse;
    * ``judged``: the larger share of answers without a judgement, before or after, is at most ``margin``;
    * ``changed``: the mean goes the way that is better for the metric, ``p_value`` <= ``alpha``.

    Against a margin the test is one-sided at ``alpha``: ``high``, the upper end of the interval of confidence
    1 - 2 * ``alpha``, is below it. ``exact``: the exact test that ``p_value`` comes from. ``missing``:
    answers that were judged before and are unjudged now; they count as bad, and ``n`` includes them.
    ``least``: the items that a test of this kind needs. Where an older version stored the test, these fields
    are None and ``rule`` has its words; it is None in all others.
    """

    _unless_none: ClassVar[tuple[str, ...]] = (
        "kind",
        "margin",
        "alpha",
        "exact",
        "missing",
        "least",
        "rule",
    )

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
    kind: GateKind | None = None
    margin: float | None = None
    alpha: float | None = None
    exact: ExactTest | None = None
    missing: int | None = None
    least: int | None = None
    rule: str | None = None

    @property
    def enough(self) -> bool:
        """Whether there are as many items as the test needs."""
        return self.n >= (self.least or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(Record):
    """Accept or roll back, with the tests behind it; ``report.decisions`` puts them into words.

    ``reason``: why, where no test explains it (the gate is off, there is nothing to learn), else empty; older
    versions stored the words of the tests there. ``trained`` is off where there was no candidate.
    """

    _prefix: ClassVar[str] = "decision-"

    accepted: bool
    reason: str = ""
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
    """What one iteration did. ``before`` and ``after`` are checkpoints (equal after a roll-back).

    ``constitution_id``: the version that it ended with. ``report_ids``: the reports of the weights that it
    left; empty where these were not measured. Older versions stored ``constitution`` and ``reports`` whole;
    they are None in all others.
    """

    _prefix: ClassVar[str] = "iteration-"
    _unless_none: ClassVar[tuple[str, ...]] = ("constitution_id", "report_ids", "constitution", "reports")

    index: int
    before: Checkpoint
    after: Checkpoint
    counts: dict[str, int]
    failures: Estimate
    decision: Decision
    constitution_id: str | None = None
    report_ids: tuple[str, ...] | None = None
    constitution: Constitution | None = None
    reports: tuple[EvalReport, ...] | None = None

    def by_ids(self) -> IterationRecord:
        """The record as it is written today, which names constitution and reports by their ids."""
        if self.constitution is None or self.reports is None:
            return self
        return replace(
            self,
            id="",
            constitution_id=self.constitution.id,
            report_ids=tuple(r.id for r in self.reports),
            constitution=None,
            reports=None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult(Record):
    """What a finished run came to.

    ``final`` are the reports of ``checkpoint``, the weights that were accepted last, on the prompts that the
    gate decided with. ``tested_base`` and ``tested_final`` are those of base and final model on the test
    part, which decided nothing: claims, and ``improvement``, rest on them. None where the run has no test
    part.
    """

    _prefix: ClassVar[str] = "result-"
    _unless_none: ClassVar[tuple[str, ...]] = ("tested_base", "tested_final")

    baseline: tuple[EvalReport, ...]
    iterations: tuple[IterationRecord, ...]
    final: tuple[EvalReport, ...]
    constitution: Constitution
    checkpoint: Checkpoint
    improvement: tuple[GateTest, ...]
    stop_reason: str
    tested_base: tuple[EvalReport, ...] | None = None
    tested_final: tuple[EvalReport, ...] | None = None

    def by_ids(self) -> RunResult:
        """The result with the records of its iterations as they are written today."""
        return replace(self, id="", iterations=tuple(i.by_ids() for i in self.iterations))

    @property
    def claims(self) -> tuple[tuple[EvalReport, ...], tuple[EvalReport, ...]]:
        """The reports of base and final model that claims rest on: the test part's, where there is one."""
        return (
            claimed(self.tested_base, self.baseline),
            claimed(self.tested_final, self.final),
        )


def claimed(tested: tuple[EvalReport, ...] | None, gate: tuple[EvalReport, ...]) -> tuple[EvalReport, ...]:
    """The test part's reports, and those of tasks, which are measured whole."""
    if tested is None:
        return gate
    names = {r.name for r in tested}
    return (*tested, *(r for r in gate if r.name not in names))
