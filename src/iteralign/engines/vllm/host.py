"""Serves checkpoints from a vLLM process of its own (``protocols.PolicyHost``).

Whole weights are served by a fresh process, adapters are loaded into the one that serves their base. Every
policy is proven by a probe before it answers, and an engine with other weights is started again. What goes
over the wire is the completions endpoint's (``engines.openai``). Knows nothing of what the answers are for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from iteralign.chat.thoughts import Apart, Mode
from iteralign.engines.facts import Began, Facts, no_run
from iteralign.engines.limits import LARGEST
from iteralign.engines.openai.host import ServerHost
from iteralign.engines.turns import take
from iteralign.engines.vllm.policy import VLLMPolicy
from iteralign.engines.vllm.process import URL, Process
from iteralign.engines.vllm.settings import SERVED_AS, Found, Settings, command, environment, find
from iteralign.engines.weights import ADAPTER_FILE, base_of, folder_of
from iteralign.errors import EngineError, Unavailable, WrongWeights
from iteralign.foreign.json import read_object
from iteralign.log import log
from iteralign.records.iteralign import Checkpoint

_RETRIES = 1
_GRACE = 5.0
"""Seconds that a process which stopped answering may take to end."""
_EVERYTHING = 1 << 62
"""Bytes: on a GPU vLLM takes most of the memory, whatever the weights are."""
Servers = tuple[ServerHost, ServerHost]
"""What asks a process: for answers, and for scores."""
Outcome = TypeVar("Outcome")
T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """Where a checkpoint lies. ``root``: what a process starts with; ``rank``: that of an adapter."""

    name: str
    root: Path
    rank: int | None


class VLLMHost:
    """Owns the process. It starts at the first request, and ends when the device is wanted for other work.

    ``settings``: how it is started. ``expected``: the probe by the base weights here (precision -> nats), and
    the place of those weights. ``locate`` gives a checkpoint's folder or hub name; ``warn`` hears what a user
    should know; ``began``: what the run began with.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        chat_template: str | None = None,
        thoughts: Mode = "apart",
        locate: Callable[[Checkpoint], str],
        warn: Callable[[str], None],
        expected: tuple[str, dict[str, float]] | None = None,
        began: Began = no_run,
    ) -> None:
        self.settings = settings
        self._template = chat_template
        self._facts = Facts(chat_template, settings.dtype, began, warn)
        self._thoughts = thoughts
        self.apart = Apart(thoughts, warn)
        self._locate = locate
        self.warn = warn
        self._expected = expected
        self._found: Found | None = None
        self._places: dict[str, _Place] = {}
        self._running: Settings = settings
        self._root: Path | None = None
        self._process: Process | None = None
        self._servers: Servers | None = None

    @contextmanager
    def serve(self, checkpoint: Checkpoint) -> Iterator[VLLMPolicy]:
        """A policy with these weights; the process starts at its first request, and stays for the next."""
        yield VLLMPolicy(self, checkpoint)

    def fingerprint(self, checkpoint: Checkpoint) -> str:
        """What the answers of a checkpoint depend on; nothing is started."""
        place = self._locate(checkpoint) if checkpoint.parent is None else ""
        return self._facts.fingerprint(checkpoint, place)

    def held(self) -> int:
        """Bytes that the process takes; 0 where none runs."""
        if self._process is None or self._root is None:
            return 0
        if self._found is not None and self._found.device != "cpu":
            return _EVERYTHING
        return sum(f.stat().st_size for f in self._root.glob("*.safetensors"))

    def free(self, *, keep_log: bool = False) -> None:
        """End the process, and with it all that it holds."""
        if self._process is not None:
            self._process.close(keep_log=keep_log)
        self._process = None
        self._servers = None
        self._root = None

    # ---- the process

    def servers(self, checkpoint: Checkpoint) -> Servers:
        """What asks the process that can serve this checkpoint, for answers and for scores.

        It is started where there is none, and started anew for other whole weights. Raises ``EngineError``.
        """
        place = self._place(checkpoint)
        if (
            self._process is None
            or self._servers is None
            or self._root != place.root
            or (place.rank or 0) > (self._running.rank or 0)
        ):
            self.free()
            self._start(place)
        assert self._servers is not None
        if place.rank is None:
            for server in self._servers:
                server.own = checkpoint.id
        return self._servers

    def on(self, checkpoint: Checkpoint, work: Callable[[Servers], T]) -> T:
        """The work on a process that serves this checkpoint.

        It is done once more on a new process where the old one ended in its middle, or answers with other
        weights. Raises ``EngineError`` where the same happens again.
        """
        died = False
        wrong = False
        while True:
            servers = self.servers(checkpoint)
            try:
                return work(servers)
            except WrongWeights as error:
                if wrong:
                    raise
                wrong = True
                self.warn(f"{error}. vLLM is started again")
            except Unavailable as error:
                if not self.ended():
                    raise
                said = self._process.told(kept=died) if self._process is not None else ""
                if died:
                    self.free(keep_log=True)
                    raise EngineError(
                        f"vLLM ended twice in the same work: {said}. Lower model.batch_size or "
                        "model.max_context, or give model.engine_args; then resume"
                    ) from error
                died = True
                self.warn(f"vLLM ended in the middle of its work ({said}): it is started again")
            self.free()

    def ended(self) -> bool:
        """Whether the process is no more, or is about to end."""
        return self._process is None or not self._process.alive(_GRACE)

    def unless_ended(self, found: list[Outcome]) -> list[Outcome]:
        """The outcomes of some work.

        Raises ``Unavailable`` where the process ended meanwhile: an error may not be the chat's own.
        """
        lost = [o for o in found if isinstance(o, Unavailable)]
        if lost and self.ended():
            raise Unavailable(str(lost[0])) from lost[0]
        return found

    def _start(self, place: _Place) -> None:
        take(self)
        found = self._found = self._found or find(self.settings)
        here = "float32" if found.device == "cpu" else "bfloat16"
        precision = self._facts.precision(here)
        self._facts.on(found.device, precision, here)
        rank = max((r for r in (self.settings.rank, place.rank) if r is not None), default=None)
        running = dataclasses.replace(self.settings, rank=rank)
        process = Process(
            lambda socket: command(running, found, place.root, precision, socket),
            lambda token: environment(running, found, token),
        )
        log(f"vLLM {found.version} starts with {place.name}: this takes about a minute")
        process.start(self.settings.wait)
        self._facts.loaded(place.name)
        self._running = running
        self._process = process
        self._root = place.root
        self._servers = self._asking(process, place.root, precision, found)

    def _asking(self, process: Process, root: Path, precision: str, found: Found) -> Servers:
        known = None
        if self._expected is not None and folder_of(self._expected[0]).resolve() == root:
            known = self._expected[1]

        def one(rows: int) -> ServerHost:
            host = ServerHost(
                served_as=SERVED_AS,
                place=str(root),
                dtype=precision,
                chat_template=self._template,
                max_context=self.settings.context,
                thoughts=self._thoughts,
                locate=self._locate,
                warn=self.warn,
                expected=known,
                own="",
                concurrency=rows,
                **self.wire(process),
            )
            host.apart = self.apart
            return host

        # with adapters on a CPU, scores that are not alone in their batch end the whole server
        alone = found.device == "cpu" and self._running.rank is not None
        answers = one(self.settings.rows)
        return answers, one(1) if alone else answers

    def wire(self, process: Process) -> dict[str, Any]:
        """How the process is reached."""
        return {
            "base_url": URL,
            "socket": str(process.socket),
            "api_key_env": "VLLM_API_KEY",
            "token": process.token,
            "max_retries": _RETRIES,
            "timeout": self.settings.timeout,
        }

    def reached(self) -> dict[str, Any]:
        """How the process that runs is reached. Raises ``Unavailable`` where none does."""
        if self._process is None:
            raise Unavailable("vLLM does not run")
        return self.wire(self._process)

    def _place(self, checkpoint: Checkpoint) -> _Place:
        if checkpoint.id not in self._places:
            name = self._locate(checkpoint)  # of trained weights this verifies them
            folder = folder_of(name, self.warn).resolve()
            base = base_of(str(folder))
            if base is None:
                self._places[checkpoint.id] = _Place(name, folder, None)
            else:
                rank = read_object(folder / ADAPTER_FILE, LARGEST).get("r")
                root = folder_of(base, self.warn).resolve()
                self._places[checkpoint.id] = _Place(base, root, rank if isinstance(rank, int) else 1)
        return self._places[checkpoint.id]
