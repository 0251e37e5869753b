"""The sections about models: the one that is aligned, those that judge it, and what may be spent on them.

Reads no file and knows no engine. A recipe is stored, so that a secret in it is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from iteralign.foreign.secrets import is_key, masked
from iteralign.recipe.engine_arguments import ARGUMENTS, EngineArguments
from iteralign.recipe.sections import Section

VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"
"""The name of an environment variable; a key that was pasted in its place hardly ever looks so."""


_API_VERSION = re.compile(r"api-version=[\w.-]{1,40}")


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
                f"{section}.{key} = {masked(repr(url))} is not an address: give http://HOST:PORT/v1 or https://HOST/v1"
            )
        # Azure's classic addresses say which API they speak
        if "@" in parts.netloc or (parts.query and not _API_VERSION.fullmatch(parts.query)):
            raise ValueError(
                f"{section}.{key} holds a user, a password or a query, and recipes are stored: leave them "
                "out (?api-version=... of Azure may stay), and put the key into the "
                "environment variable that api_key_env names"
            )


def _name_no_key(section: str, variables: Mapping[str, str | None]) -> None:
    for key, variable in variables.items():
        if variable is not None and is_key(variable):
            raise ValueError(
                f"{section}.{key} = *** looks like a key itself, and recipes are stored: put the key into an "
                "environment variable, and give the variable's name"
            )


class RaySection(Section):
    """The replicas of `model.engine = ray`."""

    cluster: Literal["auto", "local"] = Field(
        "auto",
        description=(
            "auto: the running cluster that the environment's `RAY_ADDRESS` names, or that this machine "
            "belongs to; local: one of this machine alone, which the run starts"
        ),
    )
    engine: Literal["hf", "vllm"] = Field("hf", description="what a replica runs")
    replicas: int | None = Field(
        None,
        ge=1,
        description="replicas; as many as the GPUs allow where not given, or one a machine without GPUs",
    )
    gpus: float | None = Field(
        None, ge=0, description="GPUs of a replica; one where not given, none where the cluster has none"
    )
    cpus: float = Field(1.0, ge=0, description="CPU cores that are reserved for a replica")


class ModelSection(Section):
    """The model that is aligned."""

    name: str = Field(
        "organism",
        min_length=1,
        description=(
            "`organism` or `organism-rules` (embedded), a local folder or GGUF file, a hub id, or "
            "`package:NAME`: the GGUF in an installed Python package"
        ),
    )
    engine: Literal["hf", "vllm", "ray", "server"] = Field(
        "hf",
        description=(
            "what answers: transformers here, vLLM in a process that the run starts, replicas of either on a "
            "Ray cluster, or a server with an OpenAI-compatible API that somebody else starts"
        ),
    )
    ray: RaySection = Field(default_factory=RaySection)
    engine_python: str | None = Field(
        None, description="vllm: the Python of the environment that holds it; this one where not given"
    )
    engine_args: EngineArguments = Field(
        default_factory=dict, description=f"vllm: further arguments of its server: {', '.join(ARGUMENTS)}"
    )
    base_url: str | None = Field(None, description="server: its address, such as `http://localhost:8000/v1`")
    served_as: str | None = Field(
        None, description="server: the model's name there; `model.name` where not given"
    )
    api: Literal["completions", "chat"] = Field(
        "completions",
        description=(
            "server: `completions` sends our tokens, scores, and serves what is trained; `chat` only answers"
        ),
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
        description=(
            "server: its requests are booked in the ledger and count for the budget, as the oracle's do"
        ),
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="auto takes cuda, then mps, then cpu"
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto: bfloat16 on cuda where it can, else float32"
    )
    batch_size: int = Field(
        64, ge=1, description="largest generation batch; smaller where memory does not suffice"
    )
    recorded_steps: bool = Field(
        False,
        description=(
            "on a CUDA device, write answers by recorded steps (CUDA graphs) over a static cache; a model "
            "that they do not suit is served as before, with a warning. Not measured as a whole on a GPU yet"
        ),
    )
    threads: int | None = Field(
        None, ge=1, description="CPU threads; torch's own choice where not given; 1 is best for tiny models"
    )
    chat_template: str | None = Field(
        None, description="a jinja file, for models that bring no chat template"
    )
    thoughts: Literal["apart", "keep"] = Field(
        "apart",
        description=(
            "what a model that thinks aloud writes before its answer (`<think>` and its kin, channels): "
            "`apart` keeps it in the record, and the answer alone is judged, quoted and trained on; `keep` "
            "takes it for part of the answer"
        ),
    )
    max_context: int | None = Field(None, ge=8, description="tokens; the model's own limit where not given")

    @model_validator(mode="after")
    def _has_a_server(self) -> Self:
        if self.engine == "server" and not self.base_url:
            raise ValueError(
                "model.engine = 'server' needs model.base_url, the server's address "
                "(http://localhost:8000/v1)"
            )
        if self.engine != "server" and (self.base_url or self.served_as):
            key = "base_url" if self.base_url else "served_as"
            raise ValueError(
                f"model.{key} is set, but model.engine = {self.engine!r} does not use it: set model.engine "
                "= server, or unset it"
            )
        if self.engine_args and "vllm" not in (self.engine, self.engine == "ray" and self.ray.engine):
            raise ValueError(
                f"model.engine_args is set, but model.engine = {self.engine!r} does not use it: set "
                "model.engine = vllm, or unset it"
            )
        _hold_no_secret("model", {"base_url": self.base_url})
        _name_no_key("model", {"api_key_env": self.api_key_env})
        return self


class JurorSection(Section):
    """A member of a jury."""

    model: str = Field(min_length=1, description="a chat model's name, or `embedded`")
    base_url: str | None = Field(None, description="the server, if it is not that of the oracle")
    api_key_env: str | None = Field(
        None,
        pattern=VARIABLE,
        description=(
            "the variable with the key; needed where the juror has a server of its own that asks for one"
        ),
    )


FamilyName = Literal[
    "llama-guard-3", "llama-guard-4", "wildguard", "shieldgemma", "granite-guardian", "qwen3guard"
]
"""The families of guard models whose forms are known."""
USED_BY: Final = {
    "model": ("chat", "jury", "guard", "local"),
    "proposer": ("chat", "jury", "guard", "local"),
    "base_url": ("chat", "jury", "guard"),
    "jurors": ("jury",),
    "proposer_url": ("guard", "local"),
    "family": ("guard",),
    "threshold": ("guard", "local"),
}
"""Keys of the oracle that only some kinds of it use. Beside another kind they are an error."""


class OracleSection(Section):
    """The oracle that judges answers and proposes principles."""

    kind: Literal["embedded", "chat", "jury", "guard", "local"] = Field(
        "embedded",
        description=(
            "embedded (offline, for trials), a chat model over an OpenAI-compatible API, a jury of several "
            "of them that vote, a guard model (Llama Guard and the like), or a chat model in this process"
        ),
    )
    engine: Literal["hf", "vllm"] = Field(
        "hf",
        description=(
            "local, guard and chat: what runs a judge of which only a folder or hub name is given: "
            "transformers, or vLLM in a process that the run starts. With vllm, the `model` of chat is a "
            "folder or hub name, too, and its answers are held to their schema"
        ),
    )
    engine_args: EngineArguments = Field(
        default_factory=dict, description="vllm: as `model.engine_args`; the Python is `model.engine_python`"
    )
    model: str | None = Field(
        None,
        description=(
            "chat: the model that judges; guard and local: its folder or hub name, or its name on the server"
        ),
    )
    proposer: str | None = Field(
        None,
        description=(
            "chat: the model that proposes principles, where it is another one; guard and local: that chat "
            "model, or `embedded`, as for a guard where none is given"
        ),
    )
    proposer_url: str | None = Field(
        None,
        description=(
            "guard and local: the proposer's server, if it is not `base_url` or OpenAI's; it alone gets the "
            "key"
        ),
    )
    family: FamilyName | None = Field(
        None, description="guard: its family, where name and chat template do not show it"
    )
    threshold: float | None = Field(
        None,
        gt=0,
        lt=1,
        description=(
            "guard and local: an answer is improper where the probability that the judge gives reaches this; "
            "the judge's word counts where not given"
        ),
    )
    intent: Literal["data", "guess"] = Field(
        "data",
        description=(
            "embedded: where the data say that a prompt asks for harm, take their word (data), or guess from "
            "its words as for all others (guess); that a prompt is harmless is always taken from the data"
        ),
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="guard and local: as `model.dtype`; the device is `model.device`"
    )
    jurors: dict[str, JurorSection] = Field(
        default_factory=dict, description="jury: who votes, two or more; the first one proposes principles"
    )
    base_url: str | None = Field(
        None,
        description=(
            "chat: the server, if it is not OpenAI's; guard: its server, where it is not in this process"
        ),
    )
    api_key_env: str = Field(
        "OPENAI_API_KEY",
        pattern=VARIABLE,
        description="the environment variable with the key; the key itself is never stored",
    )
    temperature: float = Field(0.0, ge=0, description="chat: sampling temperature")
    max_tokens: int | None = Field(
        None,
        ge=1,
        description=(
            "chat: tokens of a reply at most, thoughts included; 1024 where not given, 512 where two answers "
            "are compared. A reply that says nothing within it is asked for once more with four times as many"
        ),
    )
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
        _name_no_key(
            "oracle",
            {"api_key_env": self.api_key_env}
            | {f"jurors.{name}.api_key_env": j.api_key_env for name, j in self.jurors.items()},
        )
        _hold_no_secret(
            "oracle",
            {
                "base_url": self.base_url,
                "proposer_url": self.proposer_url,
                **{f"jurors.{name}.base_url": j.base_url for name, j in self.jurors.items()},
            },
        )
        return self

    @model_validator(mode="after")
    def _has_a_model(self) -> Self:
        unused = [k for k, kinds in USED_BY.items() if self.kind not in kinds and getattr(self, k)]
        if unused:
            kinds = " or ".join(USED_BY[unused[0]])
            raise ValueError(
                f"oracle.{unused[0]} is set, but oracle.kind = {self.kind!r} does not use it: set "
                f"oracle.kind = {kinds}, or unset it"
            )
        if self.engine == "vllm":
            others = ("base_url", "proposer") if self.kind == "chat" else ("base_url",)
            named = [k for k in others if getattr(self, k)]
            if self.kind not in ("chat", "guard", "local"):
                raise ValueError(
                    f"oracle.engine = 'vllm' runs a judge's weights, and oracle.kind = {self.kind!r} has "
                    "none: set oracle.kind = chat, guard or local, or unset oracle.engine"
                )
            if named:
                raise ValueError(
                    f"oracle.engine = 'vllm' runs the judge here, and oracle.{named[0]} names another one: "
                    "unset one of the two"
                )
        elif self.engine_args:
            raise ValueError(
                "oracle.engine_args is set, but oracle.engine = 'hf' does not use it: set oracle.engine = "
                "vllm, or unset it"
            )
        if self.kind == "chat" and not self.model:
            raise ValueError(
                "oracle.kind = 'chat' needs oracle.model, the name of the chat model that judges"
            )
        if self.kind in ("guard", "local") and not self.model:
            raise ValueError(
                f"oracle.kind = {self.kind!r} needs oracle.model, the folder or hub name of the "
                "model that judges"
            )
        if self.kind == "jury" and len(self.jurors) < 2:
            raise ValueError(
                f"oracle.jurors holds {len(self.jurors)}, but oracle.kind = 'jury' needs two or more of "
                "them, each with its model"
            )
        return self


class PriceSection(Section):
    """What a model costs per million tokens, in any one currency."""

    input: float = Field(ge=0, description="per million tokens of requests")
    output: float = Field(ge=0, description="per million tokens of replies")


class BudgetSection(Section):
    """The most that a run may ask of paid servers.
    It stops before it passes a cap, and resumes when the cap is raised.
    """

    calls: int | None = Field(None, ge=0, description="requests, retries included; no cap where not given")
    tokens: int | None = Field(
        None, ge=0, description="tokens of requests and replies; no cap where not given"
    )
    cost: float | None = Field(None, ge=0, description="cost by `budget.prices`; no cap where not given")
    prices: dict[str, PriceSection] = Field(
        default_factory=dict, description="model name -> {input, output}, per million tokens"
    )
