"""The model that is aligned, behind an OpenAI-compatible server: vLLM above all. Adapters trained here are
loaded into it while it runs.

Chats go as token ids of our own chat format (``/completions``), so that generation and training see the same
tokens, and answers come back as token ids where the server gives them. Every set of weights is proven by a
probe each time that it is served. Knows nothing of what the answers are for, and never starts or stops a
server.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

from iteralign.chat.format import PROBE, encode_prompt, encode_training, end_tokens, stops
from iteralign.chat.rows import answer_of, cut, must_fit, seeds, spans
from iteralign.engines.openai.faults import Fault, Malformed
from iteralign.engines.openai.generator import OpenAIEngine, all_of, first_choice, usage
from iteralign.engines.openai.session import Ask, Session
from iteralign.engines.openai.wire import Outcome, Wire
from iteralign.engines.weights import ADAPTER_FILE, TOLERANCE, folder_of, load_tokenizer, written_probe
from iteralign.errors import EngineError, NotFound, Unavailable, Unsupported
from iteralign.protocols import Ledger
from iteralign.records.chat import Chat, Completion, SamplingParams, Score
from iteralign.records.iteralign import Checkpoint

NEEDS = (
    "vLLM loads adapters when it was started with --enable-lora, with --max-lora-rank not below training.lora_r, and with "
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 in its environment, and when it sees the run directory under the same path"
)
UNTRAINED = "no server loads whole weights while it runs: train adapters (training.method = lora, training.keep_adapter = true)"
SILENT = "give no log-probabilities of a given text (echo with logprobs): score with model.engine = hf, or with vLLM"
OWN_DEFAULTS = {"top_k": -1, "repetition_penalty": 1.0}
"""No such rule; servers fill in a model's own where nothing is said."""
_SEED_BITS = 31
T = TypeVar("T")


class ServerHost:
    """Serves checkpoints from one server (``protocols.PolicyHost``): its own model, and adapters that are
    loaded into it.

    ``served_as``: the model's name on the server. ``place``: folder or hub name of the same model here, for
    its tokenizer. ``api``: ``completions``, or ``chat``, where the server's own chat template is used,
    nothing can be scored, and so nothing that was trained can be proven or served. ``wire``: what else
    ``wire.Wire`` takes. ``dtype`` is the server's precision, as far as it is known: how closely a
    probe must agree. ``expected``: the probe by the same base weights here (precision -> nats); without it
    the server's own model is taken on trust. ``locate`` gives a checkpoint's folder; ``warn`` hears what a
    user should know.
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
        locate: Callable[[Checkpoint], str],
        warn: Callable[[str], None],
        ledger: Ledger | None = None,
        expected: dict[str, float] | None = None,
        **wire: Any,
    ) -> None:
        self.served_as, self.api, self._place, self._dtype, self._template = (
            served_as,
            api,
            place,
            dtype,
            chat_template,
        )
        self._max_context, self._locate, self._warn, self._expected = max_context, locate, warn, expected
        self.wire = Wire(served_as, warn=warn, ledger=ledger, **wire)
        self._unbooked = Wire(
            served_as, warn=warn, ledger=None, **wire
        )  # what must be asked anew each time: probes, names, adapters
        self._chat = partial(OpenAIEngine, served_as, warn=warn, ledger=ledger, also=OWN_DEFAULTS, **wire)
        self._adapter: str | None = None  # the last one that was loaded
        self._base_total: float | None = None

    @contextmanager
    def serve(self, checkpoint: Checkpoint) -> Iterator[ServedPolicy]:
        """A policy with these weights; at its first request they are loaded into the server and proven.
        Raises ``Unsupported`` for weights that a running server cannot be given.
        """
        if checkpoint.parent is not None and (self.api == "chat" or not checkpoint.adapter):
            raise Unsupported(
                UNTRAINED
                if self.api != "chat"
                else "model.api = chat cannot prove which weights answer: use model.api = completions"
            )
        yield ServedPolicy(self, checkpoint)

    @cached_property
    def chat(self) -> OpenAIEngine:
        """The server's chat endpoint."""
        return self._chat()

    @cached_property
    def tokenizer(self) -> Any:
        """The model's tokenizer, under our chat format."""
        return load_tokenizer(self._place, self._template, self._warn)

    @cached_property
    def context(self) -> int:
        """Tokens that fit, as far as is known: the server refuses longer chats itself."""
        told = self._models().get(self.served_as, {}).get("max_model_len")
        return min(told if isinstance(told, int) and told > 0 else 1 << 30, self._max_context or 1 << 30)

    def ready(self, checkpoint: Checkpoint) -> str:
        """The name under which the server answers with these weights, proven just now. Raises
        ``EngineError``.
        """
        if self._base_total is None or checkpoint.parent is None:
            self._base_total = self._prove_base()
        if checkpoint.parent is None:
            return self.served_as
        folder = Path(self._locate(checkpoint)).absolute()
        if checkpoint.id not in self._models():
            self._load(checkpoint.id, folder)
        if not self._proves(
            checkpoint.id, folder
        ):  # another run's of this name, or what was loaded before a folder was written anew
            self._post("/unload_lora_adapter", {"lora_name": checkpoint.id})
            self._load(checkpoint.id, folder)
            if not self._proves(checkpoint.id, folder, tell=True):
                raise AssertionError("a failed proof is told")
        return checkpoint.id

    def score(
        self, name: str, rows: Sequence[tuple[list[int], int]], wire: Wire | None = None
    ) -> list[tuple[float, ...]]:
        """Log-probabilities, nats, of each row's tokens from its start on. Raises ``Unsupported`` where the
        server gives none.
        """

        def read(ids: list[int], start: int, reply: Any) -> Completion | Fault:
            logprobs = first_choice(reply).get("logprobs")
            values = logprobs.get("token_logprobs") if isinstance(logprobs, dict) else None
            if not isinstance(values, list) or len(values) < len(ids):
                return Fault(
                    "fatal",
                    Unsupported(
                        f"{self.wire.server().place}, model {name!r}: the server's completions {SILENT}"
                    ),
                    "no scores",
                )
            found = values[start : len(ids)]
            if not all(isinstance(v, float | int) and math.isfinite(v) for v in found):
                return Fault(
                    "fatal",
                    EngineError(
                        f"{self.wire.server().place}, model {name!r}: log-probabilities that are no numbers"
                    ),
                    "no numbers",
                )
            return Completion(" ".join(float(v).hex() for v in found), "stop", *usage(reply))

        def ask(ids: list[int], start: int) -> Ask:
            body = {
                "model": name,
                "prompt": ids,
                "max_tokens": 1,
                "temperature": 0.0,
                "echo": True,
                "logprobs": 1,
            }
            return Ask("/completions", body, partial(read, ids, start), 1)

        replies = all_of(self._ask(wire or self.wire, [ask(*row) for row in rows]))
        return [tuple(float.fromhex(v) for v in reply.text.split()) for reply in replies]

    def complete(self, bodies: Sequence[dict[str, Any]], limit: int) -> list[Completion]:
        """What the server answers to these completion requests, each of at most ``limit`` tokens."""
        simple = encode_prompt(self.tokenizer, PROBE[:1])
        asks = [
            Ask("/completions", body, self._read_answer, limit, simple=body | {"prompt": simple})
            for body in bodies
        ]
        return all_of(self._ask(self.wire, asks))

    def _read_answer(self, reply: Any) -> Completion:
        choice = first_choice(reply)
        tokens, text = choice.get("token_ids"), choice.get("text")
        prompt, completion = usage(reply)
        if isinstance(tokens, list) and all(isinstance(t, int) for t in tokens):
            text, finish, kept = answer_of(self.tokenizer, tokens, end_tokens(self.tokenizer))
            return Completion(
                text, finish if choice.get("finish_reason") != "stop" else "stop", prompt, completion or kept
            )
        if not isinstance(text, str):
            raise Malformed("its text is no text")
        text, stopped = cut(self.tokenizer, text)
        return Completion(
            text,
            "length" if choice.get("finish_reason") == "length" and not stopped else "stop",
            prompt,
            completion,
        )

    # ---- weights

    def must_take_adapters(self) -> None:
        """Raises ``EngineError`` where the server cannot be given adapters, found by asking for one that does
        not exist.
        """
        try:
            self._post(
                "/load_lora_adapter",
                {"lora_name": "iteralign-none", "lora_path": "/nonexistent/iteralign-none"},
            )
        except EngineError as error:
            if not re.search(
                r"no adapter found|does not exist|not a (?:directory|file)|no such file",
                str(error),
                re.IGNORECASE,
            ):
                raise Unavailable(f"the server takes no adapters: {error}. {NEEDS}") from error

    def _prove_base(self) -> float:
        """The probe's log-probability under the server's own model. Raises ``EngineError`` where that is not
        the model that ``place`` names.
        """
        models = self._models()
        if models and self.served_as not in models:
            raise NotFound(
                f"{self.wire.server().place} serves {', '.join(map(repr, sorted(models)))}, and not {self.served_as!r}: set model.served_as"
            )
        self._same_tokens()
        place = folder_of(self._place, self._warn, weights=False)
        total = self._total(self.served_as)
        written = self._expected or written_probe(place)
        if written is not None and not self._agree(total, written):
            raise EngineError(
                f"{self.wire.server().place} gives the probe {total:.4f} nats with {self.served_as!r}, and {self._place} gives "
                f"{next(iter(written.values())):.4f}: the server serves other weights than model.name, or model.dtype is not how it computes"
            )
        return total

    def _same_tokens(self) -> None:
        """The server names the tokens of the probe as the tokenizer here does. Raises ``EngineError``."""
        ids, _ = encode_training(self.tokenizer, PROBE)
        seen: list[Any] = []

        def read(reply: Any) -> Completion:
            logprobs = first_choice(reply).get("logprobs")
            seen.extend(logprobs.get("tokens") or [] if isinstance(logprobs, dict) else [])
            return Completion("", "stop")

        body = {
            "model": self.served_as,
            "prompt": ids,
            "max_tokens": 1,
            "temperature": 0.0,
            "echo": True,
            "logprobs": 1,
        }
        try:
            all_of(self._ask(self._unbooked, [Ask("/completions", body, read, 1)]))
        except Unavailable:
            raise
        except EngineError as error:
            raise Unsupported(
                f"{error}: the completions endpoint must take token ids (vLLM's does); model.api = chat only answers"
            ) from error
        ours = [_letters(self.tokenizer.decode([t])) for t in ids]
        theirs = [_letters(str(t)) for t in seen[: len(ids)]]
        if seen and ours != theirs:
            raise EngineError(
                f"{self.wire.server().place} takes the tokens {ours[:8]} for {theirs[:8]}: "
                f"{self.served_as!r} has another vocabulary than {self._place}"
            )

    def _load(self, name: str, folder: Path) -> None:
        """Load an adapter into the server, and drop the one before it."""
        if not (folder / ADAPTER_FILE).is_file():
            raise Unavailable(f"{folder} holds no adapter ({ADAPTER_FILE})")
        if self._adapter not in (None, name):
            self._post("/unload_lora_adapter", {"lora_name": self._adapter}, forgive=True)
        self._adapter = name
        try:
            self._post("/load_lora_adapter", {"lora_name": name, "lora_path": str(folder)})
        except EngineError as error:
            raise type(error)(f"the server did not load the adapter {folder}: {error}. {NEEDS}") from error

    def _proves(self, name: str, folder: Path, tell: bool = False) -> bool:
        """Whether the server gives the probe what the trainer wrote beside the weights. With ``tell``, raises
        ``EngineError`` where it does not.
        """
        written = written_probe(folder)
        if written is None:
            raise EngineError(
                f"{folder} holds no probe, so that nobody could tell which weights answer: train with this version of iteralign"
            )
        total = self._total(name)
        if self._agree(total, written):
            if self._base_total is not None and self._agree(self._base_total, written):
                self._warn(
                    f"the probe cannot tell {name} from the model it was trained from: what was learnt is smaller than the server's precision"
                )
            return True
        if tell:
            raise EngineError(
                f"{self.wire.server().place} gives the probe {total:.4f} nats with {name}, and the trainer wrote {next(iter(written.values())):.4f}: "
                f"the server serves other weights, or another base than {self._place}"
            )
        return False

    def _agree(self, total: float, written: dict[str, float]) -> bool:
        by = {k: v for k, v in written.items() if self._dtype in ("auto", k)} or written
        return any(
            abs(total - expected) <= max(TOLERANCE.get(precision, 0.2), TOLERANCE.get(self._dtype, 0.0))
            for precision, expected in by.items()
        )

    def _total(self, name: str) -> float:
        ids, learnt = encode_training(self.tokenizer, PROBE)
        return sum(self.score(name, [(ids, learnt.index(True))], self._unbooked)[0])

    # ---- requests

    def _models(self) -> dict[str, dict[str, Any]]:
        """The models that the server lists; none where it cannot list them."""
        found: dict[str, dict[str, Any]] = {}

        def read(reply: Any) -> Completion:
            listed = reply.get("data") if isinstance(reply, dict) else None
            found.update({str(m.get("id")): m for m in listed or [] if isinstance(m, dict)})
            return Completion("", "stop")

        try:
            all_of(self._ask(self._unbooked, [Ask("/models", {}, read, suspect=True)]))
        except NotFound:
            self._warn(f"{self.wire.server().place} does not list its models")
        return found

    def _post(self, path: str, body: dict[str, Any], forgive: bool = False) -> None:
        try:
            all_of(
                self._ask(
                    self._unbooked, [Ask(path, body, lambda reply: Completion("", "stop"), suspect=True)]
                )
            )
        except EngineError:
            if not forgive:
                raise

    def _ask(self, wire: Wire, asks: Sequence[Ask]) -> list[Outcome]:
        async def work(session: Session) -> list[Outcome]:
            pieces: list[Awaitable[Completion | Fault]] = [wire.ask(session, ask) for ask in asks]
            return await wire.gather(session, pieces)

        return wire.run(work)


class ServedPolicy:
    """A checkpoint that answers, and where the server can, scores (``protocols.Policy`` and ``Scorer``)."""

    def __init__(self, host: ServerHost, checkpoint: Checkpoint) -> None:
        self._host, self.checkpoint, self._name = host, checkpoint, ""

    @property
    def fingerprint(self) -> str:
        """The checkpoint's id."""
        return self.checkpoint.id

    def generate(self, chats: Sequence[Chat], params: SamplingParams) -> list[Completion]:
        """One completion per chat, in order. Raises ``PromptTooLong``, and the other ``EngineError`` of a
        server.
        """
        if not chats:
            return []
        if self._host.api == "chat":
            return self._host.chat.generate(chats, params)
        tokenizer = self._host.tokenizer
        prompts = [encode_prompt(tokenizer, chat) for chat in chats]
        for chat, ids in zip(chats, prompts, strict=True):
            must_fit(chat, len(ids), params.max_new_tokens, self._host.context)
        drawn = list(zip(prompts, seeds(chats, params), strict=True))

        def work(name: str) -> list[Completion]:
            return self._host.complete(
                [self._body(name, ids, seed, params) for ids, seed in drawn], params.max_new_tokens
            )

        return self._with_weights(work)

    def logprobs(self, chats: Sequence[Chat], continuations: Sequence[str]) -> list[Score]:
        """Each continuation as the assistant's answer to its chat, nats, token for token as the transformers
        engine scores it.

        Raises ``Unsupported`` where the server gives no log-probabilities of a given text.
        """
        if not chats:
            return []
        if self._host.api == "chat":
            raise Unsupported(f"model.api = chat: chat servers {SILENT}, and model.api = completions")
        tokenizer = self._host.tokenizer
        rows = spans(tokenizer, chats, continuations)
        for chat, (ids, _) in zip(chats, rows, strict=True):
            must_fit(chat, len(ids), 1, self._host.context)
        values = self._with_weights(lambda name: self._host.score(name, rows))
        return [
            Score(tuple(tokenizer.decode([t]) for t in ids[start:]), found)
            for (ids, start), found in zip(rows, values, strict=True)
        ]

    def _with_weights(self, work: Callable[[str], T]) -> T:
        """The work with the weights in place; again where a restarted server has forgotten them, also while
        they were proven.
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
        """Everything that shapes the answer is said: servers fill in what is left open from the model's own
        generation config.
        """
        tokenizer = self._host.tokenizer
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
