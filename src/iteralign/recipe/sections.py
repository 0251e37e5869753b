"""The sections of a recipe: every key with its type, bounds, default and description. Reads no file and knows
no engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from iteralign.metrics import TASK_MARGIN, default_margin, metric
from iteralign.records.chat import SamplingParams

VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"
"""The name of an environment variable; a key that was pasted in its place hardly ever looks so."""


class Section(BaseModel):
    """What all sections share: frozen, strictly typed, no unknown keys."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, protected_namespaces=()
    )


def _hold_no_secret(section: str, urls: Mapping[str, str | None]) -> None:
    for key, url in urls.items():
        try:
            parts = urlsplit(url or "")
            wrong = url is not None and (
                parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
            )
        except ValueError:
            wrong = True
        if wrong:
            raise ValueError(
                f"{section}.{key} = {url!r} is no address: give http://HOST:PORT/v1 or https://HOST/v1"
            )
        if "@" in parts.netloc or parts.query:
            raise ValueError(
                f"{section}.{key} holds a user, a password or a query, and recipes are stored: leave them out, and put the key into the "
                "environment variable that api_key_env names"
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


class ModelSection(Section):
    """The model that is aligned."""

    name: str = Field(
        "organism",
        min_length=1,
        description="`organism` or `organism-rules` (embedded), a local folder, or a hub id",
    )
    engine: Literal["hf", "server"] = Field(
        "hf", description="what answers: transformers here, or a server with an OpenAI-compatible API (vLLM)"
    )
    base_url: str | None = Field(None, description="server: its address, such as `http://localhost:8000/v1`")
    served_as: str | None = Field(
        None, description="server: the model's name there; `model.name` where not given"
    )
    api: Literal["completions", "chat"] = Field(
        "completions",
        description="server: `completions` sends our tokens, scores, and serves what is trained; `chat` only answers",
    )
    api_key_env: str = Field(
        "MODEL_API_KEY",
        pattern=VARIABLE,
        description="server: the environment variable with its key, if it asks for one",
    )
    concurrency: int = Field(32, ge=1, description="server: requests in flight")
    max_retries: int = Field(
        8,
        ge=0,
        description="server: retries of a request that failed for a passing reason; 8 outlast a restart",
    )
    timeout: float = Field(300.0, gt=0, description="server: seconds per request")
    metered: bool = Field(
        False,
        description="server: its requests are booked in the ledger and count for the budget, as the oracle's do",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="auto takes cuda, then mps, then cpu"
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto: bfloat16 on cuda where it can, else float32"
    )
    batch_size: int = Field(64, ge=1, description="largest generation batch; halved when memory runs out")
    threads: int | None = Field(
        None, ge=1, description="CPU threads; torch's own choice where not given; 1 is best for tiny models"
    )
    chat_template: str | None = Field(
        None, description="a jinja file, for models that bring no chat template"
    )
    max_context: int | None = Field(None, ge=8, description="tokens; the model's own limit where not given")

    @model_validator(mode="after")
    def _has_a_server(self) -> Self:
        if self.engine == "server" and not self.base_url:
            raise ValueError(
                "model.engine = 'server' needs model.base_url, the server's address (http://localhost:8000/v1)"
            )
        if self.engine != "server" and (self.base_url or self.served_as):
            key = "base_url" if self.base_url else "served_as"
            raise ValueError(
                f"model.{key} is set, but model.engine = {self.engine!r} does not use it: set model.engine = server, or unset it"
            )
        _hold_no_secret("model", {"base_url": self.base_url})
        return self


class JurorSection(Section):
    """A member of a jury."""

    model: str = Field(min_length=1, description="a chat model's name, or `embedded`")
    base_url: str | None = Field(None, description="the server, if it is not that of the oracle")
    api_key_env: str | None = Field(
        None,
        pattern=VARIABLE,
        description="the variable with the key; needed where the juror has a server of its own that asks for one",
    )


class OracleSection(Section):
    """The oracle that judges answers and proposes principles."""

    kind: Literal["embedded", "chat", "jury"] = Field(
        "embedded",
        description="embedded (offline, for trials), a chat model over an OpenAI-compatible API, or several of them that vote",
    )
    model: str | None = Field(None, description="chat: the model that judges")
    proposer: str | None = Field(
        None, description="chat: the model that proposes principles, where it is another one"
    )
    jurors: dict[str, JurorSection] = Field(
        default_factory=dict, description="jury: who votes, two or more; the first one proposes principles"
    )
    base_url: str | None = Field(None, description="chat: the server, if it is not OpenAI's")
    api_key_env: str = Field(
        "OPENAI_API_KEY",
        pattern=VARIABLE,
        description="the environment variable with the key; the key itself is never stored",
    )
    temperature: float = Field(0.0, ge=0, description="chat: sampling temperature")
    concurrency: int = Field(8, ge=1, description="chat: requests in flight")
    max_retries: int = Field(
        5, ge=0, description="chat: retries of a request that failed for a passing reason"
    )
    timeout: float = Field(60.0, gt=0, description="chat: seconds per request")
    requests_per_minute: int | None = Field(
        None, ge=1, description="chat: the server's limit, kept by spacing requests; none where not given"
    )
    tokens_per_minute: int | None = Field(
        None, ge=1, description="chat: the same for tokens of requests and replies"
    )
    batch: int = Field(
        128,
        ge=1,
        description="judgements that become verdicts together; a chat model's replies are stored one by one",
    )

    @model_validator(mode="after")
    def _holds_no_secret(self) -> Self:
        _hold_no_secret(
            "oracle",
            {
                "base_url": self.base_url,
                **{f"jurors.{name}.base_url": j.base_url for name, j in self.jurors.items()},
            },
        )
        return self

    @model_validator(mode="after")
    def _has_a_model(self) -> Self:
        unused = [
            k
            for k in ("model", "proposer", "base_url", "jurors")
            if self.kind == "embedded" and getattr(self, k)
        ]
        unused += ["jurors"] if self.kind == "chat" and self.jurors else []
        if unused:
            kinds = "jury" if unused == ["jurors"] else "chat (or jury)"
            raise ValueError(
                f"oracle.{unused[0]} is set, but oracle.kind = {self.kind!r} does not use it: set oracle.kind = {kinds}, or unset it"
            )
        if self.kind == "chat" and not self.model:
            raise ValueError(
                "oracle.kind = 'chat' needs oracle.model, the name of the chat model that judges"
            )
        if self.kind == "jury" and len(self.jurors) < 2:
            raise ValueError(
                f"oracle.jurors holds {len(self.jurors)}, but oracle.kind = 'jury' needs two or more of them, each with its model"
            )
        return self


class RedTeamSection(Section):
    """The attack prompts."""

    source: str = Field(
        "embedded", min_length=1, description="`embedded`, a file, a known set's name, or hub:NAME"
    )
    limit: int | None = Field(None, ge=1, description="a seeded sample of so many prompts")
    held_out: float = Field(0.5, gt=0, lt=1, description="share that is kept for measuring; split by topic")
    prompts_per_iteration: int = Field(96, ge=1, description="fresh prompts per iteration")
    wrap: Literal["plain", "chain-of-utterances"] = Field("plain", description="how a question is put")
    sampling: Sampling = Field(default_factory=Sampling)


class BenignSection(Section):
    """The benign prompts: half for over-refusal, half for replay."""

    source: str = Field(
        "embedded-benign",
        min_length=1,
        description="`embedded-benign`, a file, a known set's name, or hub:NAME",
    )
    limit: int | None = Field(None, ge=1, description="a seeded sample of so many prompts")
    held_out: float = Field(0.5, gt=0, lt=1, description="share that is kept for measuring")


class ProposeSection(Section):
    """Constitution proposal."""

    max_principles: int = Field(3, ge=1, description="new principles per iteration")
    min_evidence: int = Field(3, ge=1, description="failures that a cluster needs to be proposed from")
    cluster_size: int = Field(12, ge=1, description="failures that the oracle sees at once")


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
        "relevant", description="which are shown; none and irrelevant are ablations"
    )
    shown: int = Field(4, ge=1, description="how many are shown")
    attempts: int = Field(2, ge=1, description="tries per failure before it is dropped")
    sampling: Sampling = Field(default_factory=Sampling)


class ScreenSection(Section):
    """Verification of revisions."""

    enabled: bool = Field(True, description="off: every revision is trained on (the paper)")


class ReplaySection(Section):
    """What is trained on beside the new revisions."""

    revisions: int = Field(64, ge=0, description="past revisions")
    benign: int = Field(64, ge=0, description="the base model's own answers to benign prompts")
    acceptable: int = Field(64, ge=0, description="the model's own proper answers of this iteration")


class TrainingSection(Section):
    """Supervised fine-tuning (TRL)."""

    method: Literal["full", "lora", "qlora"] = Field(
        "full",
        description="all weights, low-rank adapters, or such on a base in 4 bits (NF4; needs `iteralign[qlora]`)",
    )
    learning_rate: float = Field(2e-4, gt=0, description="peak")
    epochs: int = Field(2, ge=1, description="passes over the examples")
    batch_size: int = Field(16, ge=1, description="examples per step")
    gradient_accumulation: int = Field(1, ge=1, description="steps per update")
    max_length: int = Field(512, ge=8, description="tokens per example")
    warmup_steps: int = Field(0, ge=0, description="linear warm-up")
    weight_decay: float = Field(0.0, ge=0, description="AdamW")
    schedule: Literal["linear", "cosine", "constant"] = Field(
        "linear", description="decay of the learning rate"
    )
    lora_r: int = Field(16, ge=1, description="rank")
    lora_alpha: int = Field(32, ge=1, description="scale")
    lora_dropout: float = Field(0.0, ge=0, lt=1, description="dropout")
    keep_adapter: bool = Field(
        False,
        description="checkpoints are adapters alone, relative to the first model, and one goes on; lora only",
    )
    packing: bool = Field(False, description="pack short examples into rows")
    save_steps: int | None = Field(
        None, ge=1, description="trainer checkpoints, so that a killed training continues"
    )


class EvaluationSection(Section):
    """Held-out measurements."""

    harm_limit: int | None = Field(None, ge=1, description="at most so many held-out red-team prompts")
    over_refusal_limit: int | None = Field(None, ge=1, description="at most so many held-out benign prompts")
    tasks: list[str] = Field(
        default_factory=list,
        description="more tasks of `iteralign evaluate --list`, for every checkpoint: `[capability, hhh=FILE]`",
    )
    data: str | None = Field(
        None, description="the folder that holds their data; `$ITERALIGN_DATA` where not given"
    )
    lm_eval: list[str] = Field(
        default_factory=list,
        description="tasks of lm-eval for every checkpoint: names, or paths of YAML files",
    )
    lm_eval_limit: int | None = Field(None, ge=1, description="at most so many items of each of them")
    sampling: Sampling = Field(default_factory=Sampling)


class AcceptSection(Section):
    """The gate."""

    enabled: bool = Field(True, description="off: every candidate is accepted (the paper)")
    alpha: float = Field(0.05, gt=0, lt=1, description="significance of the fall of harm")
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
        0.05, ge=0, lt=1, description="stop when the 95% upper bound of fresh prompts' failures is below it"
    )
    patience: int = Field(2, ge=1, description="iterations in a row without an accepted candidate")


class PriceSection(Section):
    """What a model costs per million tokens, in any one currency."""

    input: float = Field(ge=0, description="per million tokens of requests")
    output: float = Field(ge=0, description="per million tokens of replies")


class BudgetSection(Section):
    """The most that a run may ask of paid servers; it stops before it passes a cap, and resumes when the cap
    is raised.
    """

    calls: int | None = Field(None, ge=0, description="requests, retries included; no cap where not given")
    tokens: int | None = Field(
        None, ge=0, description="tokens of requests and replies; no cap where not given"
    )
    cost: float | None = Field(None, ge=0, description="cost by `budget.prices`; no cap where not given")
    prices: dict[str, PriceSection] = Field(
        default_factory=dict, description="model name -> {input, output}, per million tokens"
    )
