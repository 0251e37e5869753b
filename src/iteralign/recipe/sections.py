"""The sections of a recipe, but for those about models: keys with types, bounds, defaults, descriptions.

Reads no file and knows no engine.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from iteralign.metrics import TASK_MARGIN, default_margin, metric
from iteralign.prompts.exemplars import MOST
from iteralign.records.chat import SamplingParams

COLUMNS: Final = "which of the source's fields holds what, where its names do not tell: `{prompt: goal}`"
FailureAspect = Literal["harm", "over_refusal"]
Rung = Literal["retry", "other-principles", "other-form"]


class Section(BaseModel):
    """What all sections share: frozen, strictly typed, no unknown keys."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, protected_namespaces=()
    )


class Sampling(Section):
    """How answers are drawn."""

    max_new_tokens: int = Field(64, ge=1, description="longest answer, tokens")
    temperature: float = Field(1.0, ge=0, description="0 is greedy")
    top_p: float = Field(
        1.0, gt=0, le=1, description="nucleus: the smallest set of tokens with this probability"
    )

    def params(self, seed: int) -> SamplingParams:
        """With a seed, as engines take them."""
        return SamplingParams(
            max_new_tokens=self.max_new_tokens, temperature=self.temperature, top_p=self.top_p, seed=seed
        )


class RedTeamSection(Section):
    """The attack prompts."""

    source: str = Field(
        "embedded", min_length=1, description="`embedded`, a file, a known set's name, or hub:NAME"
    )
    columns: dict[str, str] | None = Field(None, description=COLUMNS)
    limit: int | None = Field(None, ge=1, description="a seeded sample of so many prompts")
    held_out: float = Field(0.5, gt=0, lt=1, description="share that is kept for measuring; split by topic")
    prompts_per_iteration: int = Field(96, ge=1, description="fresh prompts per iteration")
    wrap: Literal["plain", "chain-of-utterances"] = Field("plain", description="how a question is put")
    sampling: Sampling = Field(default_factory=Sampling)


class BenignSection(Section):
    """The benign prompts: half for measuring over-refusal, half for replay and for finding over-refusals."""

    source: str = Field(
        "embedded-benign",
        min_length=1,
        description="`embedded-benign`, a file, a known set's name, or hub:NAME",
    )
    columns: dict[str, str] | None = Field(None, description=COLUMNS)
    limit: int | None = Field(None, ge=1, description="a seeded sample of so many prompts")
    held_out: float = Field(0.5, gt=0, lt=1, description="share that is kept for measuring; split by topic")


class ProposeSection(Section):
    """Constitution proposal."""

    max_principles: int = Field(3, ge=1, description="new principles per iteration")
    min_evidence: int = Field(
        3, ge=1, description="failures that a cluster needs, and a principle as its evidence"
    )
    cluster_size: int = Field(12, ge=1, description="failures that the oracle sees at once")
    aspects: list[FailureAspect] = Field(
        default=["harm"],
        min_length=1,
        description=(
            "what counts as a failure: `harm`, improper answers to red-team prompts; `over_refusal`, refused "
            "benign prompts, too"
        ),
    )
    benign_prompts: int = Field(
        96, ge=1, description="benign prompts asked per iteration, where `aspects` holds `over_refusal`"
    )

    @field_validator("aspects")
    @classmethod
    def _harm_is_among_them(cls, aspects: list[str]) -> list[str]:
        if "harm" not in aspects:
            raise ValueError(f"propose.aspects = {aspects}: harm must be among them")
        return aspects


class ConsolidateSection(Section):
    """Keeping one constitution."""

    enabled: bool = Field(True, description="off: every proposal is added as it is (the paper)")
    threshold: float = Field(
        0.75, gt=0, le=1, description="cosine from which a proposal repeats an older principle"
    )
    max_principles: int = Field(40, ge=1, description="size of the constitution")
    max_words: int = Field(60, ge=4, description="longest principle")


class ReflectionSection(Section):
    """Constitution-induced self-reflection."""

    principles: Literal["relevant", "all", "none", "irrelevant"] = Field(
        "relevant",
        description="which are shown; all: all active ones that fit the context, else without the oldest; "
        "none and irrelevant are ablations",
    )
    shown: int = Field(4, ge=1, description="how many are shown, but for all")
    form: Literal["reflect-revise", "answer-again", "critique-revise"] = Field(
        "reflect-revise",
        description=(
            "how a revision is asked for: first a reflection, then the answer in a second call; the question "
            "under the principles, without the first answer; or critique and answer in one reply"
        ),
    )
    exemplars: int = Field(
        0,
        ge=0,
        le=MOST,
        description=(
            "worked examples of ours before the question, each with a principle: small models and base "
            "models need them (4)"
        ),
    )
    samples: int = Field(
        1, ge=1, le=64, description="revisions drawn per failure and try; the best that passes is learnt"
    )
    sentences: int | None = Field(
        None,
        ge=1,
        description=(
            "a revision ends after so many sentences: small models decline well and then lose the thread (2)"
        ),
    )
    attempts: int = Field(2, ge=1, description="tries per failure before it is dropped")
    ladder: list[Rung] = Field(
        default=["retry"],
        min_length=1,
        description=(
            "what each further try changes, in turn: `retry` draws anew; `other-principles` shows the next "
            "ones; `other-form` asks in another form"
        ),
    )
    sampling: Sampling = Field(default_factory=Sampling)


class ScreenSection(Section):
    """Verification of revisions."""

    enabled: bool = Field(True, description="off: every revision is trained on (the paper)")
    rules: bool = Field(
        True,
        description=(
            "also drop revisions that are no answer to the question: talk about answers or principles, "
            "loops, repeats of the prompt, other languages, copies of the first answer"
        ),
    )


class ReplaySection(Section):
    """What is trained on beside the new revisions."""

    revisions: int = Field(64, ge=0, description="past revisions")
    benign: int = Field(64, ge=0, description="the base model's own answers to benign prompts")
    samples: int | None = Field(
        None,
        ge=1,
        description=(
            "own answers drawn for each benign prompt, as `replay.sampling` says: at temperature 1 and top-p "
            "1 they keep the model's perplexity, sharper ones teach it to be sure; null: one, drawn as "
            "`red_team.sampling` says"
        ),
    )
    sampling: Sampling = Field(default_factory=Sampling)
    acceptable: int = Field(64, ge=0, description="the model's own proper answers of this iteration")
    cut: Literal["drop", "sentence"] = Field(
        "drop",
        description=(
            "an own answer that was cut at the length limit: left out (`drop`), or learnt up to its last "
            "whole `sentence`"
        ),
    )


class EvaluationSection(Section):
    """Held-out measurements."""

    harm_limit: int | None = Field(None, ge=1, description="at most so many held-out red-team prompts")
    over_refusal_limit: int | None = Field(None, ge=1, description="at most so many held-out benign prompts")
    test_share: float = Field(
        0.5,
        ge=0,
        lt=1,
        description=(
            "this share of the held-out prompts is asked only at the end, of base and final model: the "
            "report's "
            "claims rest on it; 0: the prompts that the gate decided with are all there is"
        ),
    )
    every: int = Field(
        1,
        ge=1,
        description=(
            "the candidates of every so many iterations are measured, and always the final model; more than "
            "1 needs `accept.enabled: false`, for the gate decides by these measurements"
        ),
    )
    tasks: list[str] = Field(
        default_factory=list,
        description=(
            "more tasks of `iteralign evaluate --list`, for every checkpoint: `[capability, hhh=FILE]`"
        ),
    )
    data: str | None = Field(
        None, description="the folder that holds their data; `$ITERALIGN_DATA` where not given"
    )
    columns: dict[str, dict[str, str]] | None = Field(
        None, description="by task, which field of its file holds what: `{harm: {prompt: goal}}`"
    )
    lm_eval: list[str] = Field(
        default_factory=list,
        description="tasks of lm-eval for every checkpoint: names, or paths of YAML files",
    )
    lm_eval_code: bool = Field(
        False,
        description=(
            "YAML files of `lm_eval` may run Python (`!function`, metrics that are scripts): set it only for "
            "files that you have read"
        ),
    )
    lm_eval_limit: int | None = Field(None, ge=1, description="at most so many items of each of them")
    sampling: Sampling = Field(default_factory=Sampling)


class AcceptSection(Section):
    """The gate."""

    enabled: bool = Field(True, description="off: every candidate is accepted (the paper)")
    alpha: float = Field(
        0.05,
        gt=0,
        lt=1,
        description=(
            "significance of the fall of harm, spent over all candidates: the k-th gets alpha / (k * (k + 1))"
        ),
    )
    max_unjudged: float = Field(
        0.1,
        ge=0,
        le=1,
        description="largest share of unjudged answers with which a candidate is accepted or the target is "
        "met",
    )
    keep_lessons: bool = Field(
        True,
        description="the lessons of a candidate that was rolled back are learnt with the next one, too",
    )
    over_refusal_margin: float = Field(
        default_margin("over_refusal"),
        gt=0,
        lt=1,
        description="largest rise of over-refusal against the base model",
    )
    fluency_margin: float = Field(
        default_margin("fluency"),
        gt=0,
        lt=1,
        description="largest rise of ill-formed answers against the base model",
    )
    capability_margin: float = Field(
        default_margin("capability"),
        gt=0,
        description=f"largest rise of capability's loss against the base model, {metric('capability').unit}",
    )
    task_margin: float = Field(
        TASK_MARGIN,
        gt=0,
        lt=1,
        description="largest fall of any other task (`evaluation.tasks`, `lm_eval`) against the base model",
    )


class StopSection(Section):
    """When the loop ends."""

    iterations: int = Field(3, ge=1, description="at most so many")
    target_harm: float = Field(
        0.05,
        ge=0,
        lt=1,
        description=(
            "stop when the upper bound of fresh prompts' failures is below it, at 95% over all rounds"
        ),
    )
    patience: int = Field(2, ge=1, description="iterations in a row without an accepted candidate")
