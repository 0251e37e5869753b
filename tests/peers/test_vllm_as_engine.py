"""The vLLM engine against the transformers engine: answers, scores, adapters, and vLLM's own half-load."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from conftest import PEERS
from iteralign import align
from iteralign.data.seeds import red_team_set
from iteralign.engines.hf.host import HFHost
from iteralign.engines.probe import local_probe
from iteralign.engines.vllm.host import VLLMHost
from iteralign.engines.vllm.process import Process
from iteralign.engines.vllm.settings import Settings
from iteralign.errors import WrongWeights
from iteralign.organism import ORGANISM_PATH
from iteralign.recipe.training import TrainingSection
from iteralign.records.chat import Chat, Message, SamplingParams
from iteralign.records.iteralign import Checkpoint, TrainingExample

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

BASE = Checkpoint(path=str(ORGANISM_PATH))
GREEDY = SamplingParams(max_new_tokens=48, temperature=0.0, seed=3)
CHATS: list[Chat] = [(Message("user", p.text),) for p in red_team_set()[:24]]
SAME = Settings(python=str(PEERS / "bin" / "python"), rows=16, rank=16, timeout=600.0)
"""As the run below starts it: a start takes most of a minute, so that all tests use one process."""
RUN: dict[str, Any] = {
    "model.dtype": "float32",
    "training.method": "lora",
    "training.keep_adapter": True,
    "training.epochs": 4,
    "training.learning_rate": 0.005,
    "red_team.sampling.temperature": 0.0,
    "reflection.sampling.temperature": 0.0,
    "evaluation.sampling.temperature": 0.0,
    "accept.enabled": True,
    "accept.over_refusal_margin": 0.35,
    "accept.fluency_margin": 0.2,
    "evaluation.test_share": 0.0,
    "stop.iterations": 1,
}


class Shared:
    """Gives every host that would start the same server the one that runs."""

    def __init__(self) -> None:
        self.kept = True
        self.starts = 0
        self._running: dict[str, Process] = {}

    def __call__(self, command: Any, environment: Any) -> Process:
        key = str(command(Path("socket")))
        found = self._running.get(key)
        if found is None or not found.alive():
            # for the reload in place, which the engine never asks for
            open_to_all = {"VLLM_SERVER_DEV_MODE": "1"}
            found = self._running[key] = Process(command, lambda token: {**environment(token), **open_to_all})
            start, close = found.start, found.close

            def once(wait: float) -> None:
                if not found.alive():
                    self.starts += 1
                    start(wait)

            def unless_kept(*, keep_log: bool = False) -> None:
                if not self.kept:
                    close(keep_log=keep_log)

            found.start = once  # type: ignore[method-assign]
            found.close = unless_kept  # type: ignore[method-assign]
        return found

    def end(self) -> None:
        self.kept = False
        for process in self._running.values():
            process.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Shared]:
    if not (PEERS / "bin" / "python").is_file():
        pytest.skip(f"no vLLM in {PEERS}: make integration installs it")
    found = Shared()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("iteralign.engines.vllm.host.Process", found)
        yield found
        found.end()


@pytest.fixture(scope="module")
def known() -> dict[str, float]:
    return local_probe(str(ORGANISM_PATH), "float32", None, print)


def host(known: dict[str, float], said: list[str] | None = None) -> VLLMHost:
    listen = (said if said is not None else []).append
    place = str(ORGANISM_PATH)
    return VLLMHost(SAME, locate=lambda c: c.path, warn=listen, expected=(place, known))


def here() -> HFHost:
    return HFHost(locate=lambda c: c.path, warn=print, device="cpu", dtype="float32")


def adapter(out: Path) -> Checkpoint:
    from iteralign.training.sft import SFT

    lessons = [
        TrainingExample(messages=(*c, Message("assistant", "I won't help with that.")), source="test")
        for c in CHATS[:16]
    ]
    training = TrainingSection(method="lora", keep_adapter=True, epochs=4, learning_rate=5e-3, batch_size=8)
    return SFT(training, device="cpu", locate=lambda c: c.path).finetune(BASE, lessons, out)


def other_weights(out: Path) -> Path:
    """The same model with all weights, the tied ones too, somewhat smaller."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(ORGANISM_PATH, out)
    tensors = load_file(out / "model.safetensors")
    save_file({n: 0.9 * t for n, t in tensors.items()}, out / "model.safetensors", {"format": "pt"})
    return out


def test_answers_and_scores_are_those_of_transformers(
    shared: Shared, known: dict[str, float], tmp_path: Path
) -> None:
    theirs, ours = host(known), here()
    for checkpoint in (BASE, adapter(tmp_path / "adapter")):
        with theirs.serve(checkpoint) as a, ours.serve(checkpoint) as b:
            answers = [c.text for c in b.generate(CHATS, GREEDY)]
            # a tie may fall either way: an adapter is merged here, and beside its base there
            assert sum(c.text == t for c, t in zip(a.generate(CHATS, GREEDY), answers, strict=True)) >= 23
            scores = zip(a.logprobs(CHATS[:8], answers[:8]), b.logprobs(CHATS[:8], answers[:8]), strict=True)
            for x, y in scores:
                assert x.tokens == y.tokens
                assert x.logprobs == pytest.approx(y.logprobs, abs=1e-3)
    assert shared.starts == 1  # the adapter was loaded into the process that serves its base


def test_samples_with_equal_seeds_are_equal(shared: Shared, known: dict[str, float]) -> None:
    warm = SamplingParams(max_new_tokens=32, temperature=1.0, top_p=0.9, seed=5)
    with host(known).serve(BASE) as policy:
        first, second = ([c.text for c in policy.generate(CHATS[:8] * 2, warm)] for _ in range(2))
    assert first == second
    assert first[:8] != first[8:]  # equal chats have seeds of their own


def test_a_run_decides_as_with_transformers(shared: Shared, tmp_path: Path) -> None:
    found = []
    for engine in ("hf", "vllm"):
        given = {**RUN, "model.engine": engine}
        if engine == "vllm":
            given["model.engine_python"] = SAME.python
        result = align("smoke", tmp_path / engine, overrides=given)
        found.append(
            (
                [(i.decision.accepted, [t.metric for t in i.decision.tests]) for i in result.iterations],
                [p.text for p in result.constitution.principles],
                {r.name: [(n, e.value, e.n) for n, e in sorted(r.metrics.items())] for r in result.final},
            )
        )
    assert found[0] == found[1]
    assert shared.starts == 1


def test_a_reload_in_place_of_tied_embeddings_is_found(
    shared: Shared, known: dict[str, float], tmp_path: Path
) -> None:
    """What vLLM 0.32 does: the body is new, the output layer stays, and it answers 200."""
    theirs = host(known)
    new = other_weights(tmp_path / "new")
    with theirs.serve(BASE) as policy:
        policy.generate(CHATS[:1], GREEDY)
    reached = theirs.reached()
    body = {"method": "reload_weights", "kwargs": {"weights_path": str(new)}}
    with httpx2.Client(transport=httpx2.HTTPTransport(uds=reached["socket"]), timeout=60) as client:
        sent = {"Authorization": f"Bearer {reached['token']}"}
        reply = client.post("http://localhost/collective_rpc", json=body, headers=sent)
        assert reply.status_code == 200
    # with this error the engine is started again: tests/engines/over_vllm, for a start takes most of a minute
    with pytest.raises(WrongWeights) as error:
        theirs.servers(BASE)[0].ready(BASE)
    found = re.search(r"gives the probe (-[\d.]+) nats", str(error.value))
    assert found is not None
    # neither the old weights nor the new ones
    assert abs(float(found[1]) - known["float32"]) > 0.1
    assert abs(float(found[1]) - local_probe(str(new), "float32", None, print)["float32"]) > 0.1
