"""The model that is aligned, behind an OpenAI-compatible server: vLLM above all.

Adapters trained here are loaded into it while it runs. Chats go as token ids of our own chat format
(``/completions``), so that generation and training see the same tokens, and answers come back as token ids
where the server gives them. Every set of weights is proven by a probe each time that it is served. Knows
nothing of what the answers are for, and never starts or stops a server.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

from iteralign.chat.format import PROBE, encode_training, end_tokens, stops, thought_opened
from iteralign.chat.rows import must_fit, prompts, seeds, spans
from iteralign.chat.thoughts import Apart, Mode
from iteralign.engines.facts import Began, Facts, no_run
from iteralign.engines.openai.completions import SILENT, Completions
from iteralign.engines.openai.generator import OpenAIEngine
from iteralign.engines.openai.reading import all_of
from iteralign.engines.probe import TOLERANCE, tolerance, written_probe
from iteralign.engines.weights import ADAPTER_FILE, folder_of
from iteralign.errors import EngineError, NotFound, Unavailable, Unsupported, WrongWeights
from iteralign.protocols import Ledger
from iteralign.records.chat import Chat, Completion, SamplingParams, Score
from iteralign.records.iteralign import Checkpoint

NEEDS = (
    "vLLM loads adapters when it was started with --enable-lora, with --max-lora-rank not below "
    "training.lora_r, and with VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 in its environment, and when it sees the "
    "run directory under the same path"
)
UNTRAINED = (
    "no server loads whole weights while it runs: train adapters "
    "(training.method = lora, training.keep_adapter = true)"
)
UNPROVEN = "model.api = chat cannot prove which weights answer: use model.api = completions"
OWN_DEFAULTS = {"top_k": -1, "repetition_penalty": 1.0}
"""No such rule; servers fill in a model's own where nothing is said."""
_NO_SUCH_ADAPTER = re.compile(
    r"no adapter found|does not exist|not a (?:directory|file)|no such file", re.IGNORECASE
)
_SEED_BITS = 31
T = TypeVar("T")


class ServerHost:
    """Serves checkpoints from one server (``protocols.PolicyHost``).

    They are its own model, and adapters that are loaded into it. ``served_as``: the model's name on the
    server. ``place``: folder or hub name of the same model here, for its tokenizer. ``api``: ``completions``,
    or ``chat``, where the server's own chat template is used, nothing can be scored, and so nothing that was
    trained can be proven or served. ``wire``: what else ``wire.Wire`` takes. ``dtype`` is the server's
    precision, as far as it is known: how closely a probe must agree. ``expected``: the probe by the same base
    weights here (precision -> nats); without it the server's own model is taken on trust. ``locate`` gives a
    checkpoint's folder; ``warn`` hears what a user should know. ``own``: the id of the checkpoint that the
    server was started with, where it is a process of ours; wrong weights are then ``WrongWeights`` at once.
    """

    def __init__(
        self,
        *,
        served_as: str,
        place: str,
        api: str = "completions",
        dtype: str = "auto",
        chat_template: str | None = None,
        max_context: int | None = None,
        thoughts: Mode = "apart",
        locate: Callable[[Checkpoint], str],
        warn: Callable[[str], None],
        ledger: Ledger | None = None,
        expected: dict[str, float] | None = None,
        began: Began = no_run,
        own: str | None = None,
        **wire: Any,
    ) -> None:
        self.own = own
        # the server's own template is not known, nor how it computes where that is not told
        self.facts = Facts(chat_template if api == "completions" else None, dtype, began, warn)
        self.api = api
        self._place = place
        self._dtype = dtype
        self._max_context = max_context
        self._locate = locate
        self._warn = warn
        self.apart = Apart(thoughts, warn)
        self._expected = expected
        self.concurrency: int = wire.get("concurrency", 8)
        self.endpoint = Completions(
            served_as, place=place, template=chat_template, warn=warn, ledger=ledger, **wire
        )
        self._chat = partial(
            OpenAIEngine, served_as, warn=warn, ledger=ledger, also=OWN_DEFAULTS, thoughts=True, **wire
        )
        self._adapter: str | None = None  # the last one that was loaded
        self._base_total: float | None = None

    @contextmanager
    def serve(self, checkpoint: Checkpoint) -> Iterator[ServedPolicy]:
        """A policy with these weights; at its first request they are loaded into the server and proven.

        Raises ``Unsupported`` for weights that a running server cannot be given.
        """
        if checkpoint.parent is not None and (self.api == "chat" or not checkpoint.adapter):
            raise Unsupported(UNPROVEN if self.api == "chat" else UNTRAINED)
        yield ServedPolicy(self, checkpoint)

    @cached_property
    def chat(self) -> OpenAIEngine:
        """The server's chat endpoint."""
        return self._chat()

    @cached_property
    def context(self) -> int:
        """Tokens that fit, as far as is known: the server refuses longer chats itself."""
        told = self.endpoint.models().get(self.endpoint.served_as, {}).get("max_model_len")
        return min(told if isinstance(told, int) and told > 0 else 1 << 30, self._max_context or 1 << 30)

    def ready(self, checkpoint: Checkpoint) -> str:
        """The name under which the server answers with these weights, proven just now.

        Raises ``EngineError``.
        """
        base = checkpoint.parent is None if self.own is None else checkpoint.id == self.own
        if self._base_total is None or base:
            self._base_total = self._prove_base()
        if base:
            return self.endpoint.served_as
        folder = Path(self._locate(checkpoint)).absolute()
        if checkpoint.id not in self.endpoint.models():
            self._load(checkpoint.id, folder)
        # one that fails is another run's of this name, or was loaded before its folder was written anew
        if not self._proves(checkpoint.id, folder, tell=self.own is not None):
            self.endpoint.unload_adapter(checkpoint.id)
            self._load(checkpoint.id, folder)
            if not self._proves(checkpoint.id, folder, tell=True):
                raise AssertionError("a failed proof is told")
        return checkpoint.id

    # ---- weights

    def must_take_adapters(self) -> None:
        """Raises ``EngineError`` where the server cannot be given adapters.

        It is asked to load one that does not exist: a server that takes adapters complains of that, and any
        other complaint is of something else.
        """
        try:
            self.endpoint.load_adapter("iteralign-none", "/nonexistent/iteralign-none")
        except EngineError as error:
            if not _NO_SUCH_ADAPTER.search(str(error)):
                raise Unavailable(f"the server takes no adapters: {error}. {NEEDS}") from error

    def _prove_base(self) -> float:
        """The probe's log-probability under the server's own model, nats.

        Raises ``EngineError`` where that is not the model that ``place`` names.
        """
        served_as = self.endpoint.served_as
        models = self.endpoint.models()
        if models and served_as not in models:
            raise NotFound(
                f"{self.endpoint.server} serves {', '.join(map(repr, sorted(models)))}, "
                f"and not {served_as!r}: set model.served_as"
            )
        self._same_tokens()
        place = folder_of(self._place, self._warn, weights=False)
        total = self._total(served_as)
        written = self._expected or written_probe(place)
        if written is not None and not self._agree(total, written):
            raise WrongWeights(
                f"{self.endpoint.server} gives the probe {total:.4f} nats with {served_as!r}, "
                f"and {self._place} gives {next(iter(written.values())):.4f}: "
                "the server serves other weights than model.name, or model.dtype is not how it computes"
            )
        return total

    def _same_tokens(self) -> None:
        """The server names the tokens of the probe as the tokenizer here does. Raises ``EngineError``."""
        ids, _ = encode_training(self.endpoint.tokenizer, PROBE)
        served_as = self.endpoint.served_as
        try:
            seen = self.endpoint.tokens(served_as, ids)
        except Unavailable:
            raise
        except EngineError as error:
            raise Unsupported(
                f"{error}: the completions endpoint must take token ids (vLLM's does); "
                "model.api = chat only answers"
            ) from error
        # letters alone: servers mark spaces and bytes in ways of their own
        ours = [_letters(self.endpoint.tokenizer.decode([t])) for t in ids]
        theirs = [_letters(token) for token in seen]
        if seen and ours != theirs:
            raise EngineError(
                f"{self.endpoint.server} takes the tokens {ours[:8]} for {theirs[:8]}: "
                f"{served_as!r} has another vocabulary than {self._place}"
            )

    def _load(self, name: str, folder: Path) -> None:
        """Load an adapter into the server, and drop the one before it."""
        if not (folder / ADAPTER_FILE).is_file():
            raise Unavailable(f"{folder} holds no adapter ({ADAPTER_FILE})")
        if self._adapter is not None and self._adapter != name:
            with suppress(EngineError):  # a restarted server has forgotten it
                self.endpoint.unload_adapter(self._adapter)
        self._adapter = name
        try:
            self.endpoint.load_adapter(name, str(folder))
        except EngineError as error:
            raise type(error)(f"the server did not load the adapter {folder}: {error}. {NEEDS}") from error

    def _proves(self, name: str, folder: Path, tell: bool = False) -> bool:
        """Whether the server gives the probe what the trainer wrote beside the weights.

        With ``tell``, raises ``EngineError`` where it does not.
        """
        written = written_probe(folder)
        if written is None:
            raise EngineError(
                f"{folder} holds no probe, so that nobody could tell which weights answer: "
                "train with this version of iteralign"
            )
        total = self._total(name)
        if self._agree(total, written):
            if self._base_total is not None and self._agree(self._base_total, written):
                self._warn(
                    f"the probe cannot tell {name} from the model it was trained from: "
                    "what was learnt is smaller than the server's precision"
                )
            return True
        if tell:
            raise WrongWeights(
                f"{self.endpoint.server} gives the probe {total:.4f} nats with {name}, "
                f"and the trainer wrote {next(iter(written.values())):.4f}: "
                f"the server serves other weights, or another base than {self._place}"
            )
        return False

    def _agree(self, total: float, written: dict[str, float]) -> bool:
        by = {k: v for k, v in written.items() if self._dtype in ("auto", k)} or written
        return any(
            abs(total - expected) <= max(tolerance(written, precision), TOLERANCE.get(self._dtype, 0.0))
            for precision, expected in by.items()
        )

    def _total(self, name: str) -> float:
        ids, learnt = encode_training(self.endpoint.tokenizer, PROBE)
        return sum(self.endpoint.score(name, [(ids, learnt.index(True))], anew=True)[0])


class ServedPolicy:
    """A checkpoint that answers, and where the server can, scores (``protocols.Policy`` and ``Scorer``)."""

    def __init__(self, host: ServerHost, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self._host = host
        self._name = ""  # under which the server answers with these weights, once it was proven

    @property
    def fingerprint(self) -> str:
        """The checkpoint's id, and what changed of template and precision since the run began."""
        return self._host.facts.fingerprint(self.checkpoint)

    def pace(self) -> tuple[float, int]:
        """Chats of two rounds of requests (``protocols.Paced``)."""
        return math.inf, 2 * self._host.concurrency

    def generate(self, chats: Sequence[Chat], params: SamplingParams) -> list[Completion]:
        """One completion per chat, in order. Raises the first chat's ``EngineError``."""
        return all_of(self.attempt(chats, params))

    def attempt(self, chats: Sequence[Chat], params: SamplingParams) -> list[Completion | EngineError]:
        """One outcome per chat, in order: its completion, or the error of this chat alone.

        Raises the ``EngineError`` of a server that concerns all.
        """
        if not chats:
            return []
        if self._host.api == "chat":
            return [self._host.apart(o) for o in self._host.chat.attempt(chats, params)]
        tokenizer = self._host.endpoint.tokenizer
        asked, left_out = prompts(tokenizer, chats, params.max_new_tokens, self._host.context)
        drawn = seeds(chats, params)

        def work(name: str) -> list[Completion | EngineError]:
            bodies = [self._body(name, ids, drawn[i], params) for i, ids in asked.items()]
            return self._host.endpoint.attempt(bodies, params.max_new_tokens)

        found = dict(zip(asked, self._with_weights(work), strict=True)) if asked else {}
        opened = thought_opened(tokenizer)
        return [self._host.apart(found[i], opened) if i in found else left_out[i] for i in range(len(chats))]

    def logprobs(self, chats: Sequence[Chat], continuations: Sequence[str]) -> list[Score]:
        """Each continuation as the assistant's answer to its chat, nats.

        It is scored token for token as the transformers engine does. Raises ``Unsupported`` where the server
        gives no log-probabilities of a given text.
        """
        if not chats:
            return []
        if self._host.api == "chat":
            raise Unsupported(f"model.api = chat: chat servers {SILENT}, and model.api = completions")
        tokenizer = self._host.endpoint.tokenizer
        rows = spans(tokenizer, chats, continuations)
        for chat, (ids, _) in zip(chats, rows, strict=True):
            must_fit(chat, len(ids), 1, self._host.context)
        values = self._with_weights(lambda name: self._host.endpoint.score(name, rows))
        return [
            Score(tuple(tokenizer.decode([t]) for t in ids[start:]), found)
            for (ids, start), found in zip(rows, values, strict=True)
        ]

    def _with_weights(self, work: Callable[[str], T]) -> T:
        """The work with the weights in place.

        It is done again where a restarted server has forgotten them, also while they were proven.
        """
        for last in (False, False, True):
            try:
                self._name = self._name or self._host.ready(self.checkpoint)
                return work(self._name)
            except NotFound:
                self._name = ""
                if self.checkpoint.parent is None or last:
                    raise
        raise AssertionError("the last try returns or raises")

    def _body(self, name: str, ids: list[int], seed: int, params: SamplingParams) -> dict[str, Any]:
        """Everything that shapes the answer is said.

        Servers fill in what is left open from the model's own generation config.
        """
        tokenizer = self._host.endpoint.tokenizer
        body: dict[str, Any] = {
            "model": name,
            "prompt": ids,
            "max_tokens": params.max_new_tokens,
            "temperature": params.temperature,
            "top_p": params.top_p,
            "seed": seed % (1 << _SEED_BITS),
            **OWN_DEFAULTS,
            "stop_token_ids": sorted(end_tokens(tokenizer)),
            "return_token_ids": True,
        }
        return body | {"stop": list(stops(tokenizer))} if stops(tokenizer) else body


def _letters(token: str) -> str:
    return re.sub(r"\W|_", "", token)
