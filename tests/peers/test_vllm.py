"""The organism behind a real vLLM server: chat, schemas, scores, adapters, and a kill in mid-run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from iteralign import load_run
from iteralign.data.categories import CATEGORIES
from iteralign.data.seeds import red_team_set
from iteralign.engines.hf.host import HFHost
from iteralign.engines.openai.generator import OpenAIEngine
from iteralign.engines.openai.host import ServerHost
from iteralign.errors import EngineError
from iteralign.oracles.chat.replies import Judgement, judgement_schema
from iteralign.organism import ORGANISM_PATH
from iteralign.recipe.training import TrainingSection
from iteralign.records.chat import Chat, Completion, Message, SamplingParams
from iteralign.records.iteralign import Checkpoint, TrainingExample
from iteralign.report.summary import spent

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

BASE = Checkpoint(path=str(ORGANISM_PATH))
ALONE = {"concurrency": 1}
"""With --enable-lora on a CPU a request for scores ends the whole server unless it is alone in its batch."""
GREEDY = SamplingParams(max_new_tokens=48, temperature=0.0, seed=3)
CHATS: list[Chat] = [(Message("user", p.text),) for p in red_team_set()[:40]]


def there(peer: Any, said: list[str] | None = None, **settings: Any) -> ServerHost:
    wire: dict[str, Any] = {
        "base_url": peer.url,
        "api_key_env": "NO_KEY",
        "concurrency": 16,
        "max_retries": 8,
        "timeout": 120.0,
    }
    listen = (said if said is not None else []).append
    given = {"served_as": "organism", "dtype": "float32", **wire, **settings}
    return ServerHost(place=str(ORGANISM_PATH), locate=lambda c: c.path, warn=listen, **given)


def here() -> HFHost:
    return HFHost(locate=lambda c: c.path, warn=print, device="cpu", dtype="float32")


def train(start: Checkpoint, answer: str, out: Path) -> Checkpoint:
    from iteralign.training.sft import SFT

    lessons = [
        TrainingExample(messages=(*c, Message("assistant", answer)), source="test") for c in CHATS[:16]
    ]
    training = TrainingSection(method="lora", keep_adapter=True, epochs=4, learning_rate=5e-3, batch_size=8)
    sft = SFT(training, device="cpu", locate=lambda c: c.path)
    return sft.finetune(start, lessons, out)


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> list[Checkpoint]:
    out = tmp_path_factory.mktemp("adapters")
    first = train(BASE, "I won't help with that.", out / "first")
    return [first, train(first, "Gladly.", out / "second")]


def test_chat_gives_the_answers_of_the_model(vllm: Any) -> None:
    engine = OpenAIEngine("organism", vllm.url, "NO_KEY", concurrency=16)
    with here().serve(BASE) as policy:
        assert [c.text.strip() for c in engine.generate(CHATS, GREEDY)] == [
            c.text for c in policy.generate(CHATS, GREEDY)
        ]


def test_every_verdict_is_valid_by_its_schema(vllm: Any) -> None:
    schema = judgement_schema(list(CATEGORIES))
    for text in ("mark", "rationale"):
        schema["properties"][text]["maxLength"] = 40  # a model that never learnt JSON would write on and on
    schema["properties"]["categories"]["maxItems"] = 2
    said: list[str] = []
    engine = OpenAIEngine("organism", vllm.url, "NO_KEY", concurrency=16, warn=said.append)
    found = engine.attempt(CHATS * 3, SamplingParams(max_new_tokens=200, temperature=1.0, seed=1), schema)
    assert said == []  # the first rung of the ladder held
    for reply in found:
        assert isinstance(reply, Completion)
        value = json.loads(reply.text)
        assert list(value) == list(schema["properties"])
        assert value["label"] in ("proper", "improper")
        assert set(value["categories"]) <= set(CATEGORIES)
        agrees = (value["severity"] > 0) == (value["label"] == "improper")
        if agrees:
            Judgement.model_validate(value)


def test_scores_are_those_of_transformers(vllm: Any) -> None:
    with here().serve(BASE) as policy:
        texts = [c.text for c in policy.generate(CHATS, GREEDY)]
        ours = policy.logprobs(CHATS, texts)
    with there(vllm, **ALONE).serve(BASE) as policy:
        theirs = policy.logprobs(CHATS, texts)
    for a, b in zip(ours, theirs, strict=True):
        assert a.tokens == b.tokens
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-4)


def test_adapters_are_swapped_while_the_server_runs_and_proven(vllm: Any, adapters: list[Checkpoint]) -> None:
    said: list[str] = []
    served = there(vllm, said, **ALONE)
    home = here()
    texts: dict[str, list[str]] = {}
    for checkpoint in (BASE, *adapters, adapters[0], BASE):
        with served.serve(checkpoint) as theirs, home.serve(checkpoint) as ours:
            texts[checkpoint.id] = [a.text for a in theirs.generate(CHATS, GREEDY)]
            home_texts = [a.text for a in ours.generate(CHATS, GREEDY)]
            # a tie may fall either way
            assert sum(a == b for a, b in zip(texts[checkpoint.id], home_texts, strict=True)) >= 39
            for a, b in zip(
                ours.logprobs(CHATS[:8], texts[checkpoint.id][:8]),
                theirs.logprobs(CHATS[:8], texts[checkpoint.id][:8]),
                strict=True,
            ):
                # merged here, beside the base there: other sums of floats
                assert a.logprobs == pytest.approx(b.logprobs, abs=1e-3)
    assert len({tuple(t) for t in texts.values()}) == 3
    assert said == []


def test_an_adapter_of_somebody_else_under_the_name_is_replaced(
    vllm: Any, adapters: list[Checkpoint]
) -> None:
    first, second = adapters
    wrong = there(vllm)
    with suppress(EngineError):  # where the server has none of this name yet
        wrong.endpoint.unload_adapter(first.id)
    wrong.endpoint.load_adapter(first.id, second.path)
    with there(vllm).serve(first) as policy, here().serve(first) as ours:
        assert [c.text for c in policy.generate(CHATS[:8], GREEDY)] == [
            c.text for c in ours.generate(CHATS[:8], GREEDY)
        ]


def test_an_adapter_too_large_for_the_server_is_told_with_the_remedy(
    vllm: Any, adapters: list[Checkpoint], tmp_path: Path
) -> None:
    from iteralign.training.sft import SFT

    lessons = [TrainingExample(messages=(*CHATS[0], Message("assistant", "No.")), source="test")]
    training = TrainingSection(method="lora", keep_adapter=True, lora_r=32, epochs=1)
    sft = SFT(training, device="cpu", locate=lambda c: c.path)
    large = sft.finetune(BASE, lessons, tmp_path / "large")
    with (
        there(vllm).serve(large) as policy,
        pytest.raises(EngineError, match=r"did not load the adapter.*--max-lora-rank"),
    ):
        policy.generate(CHATS[:1], GREEDY)


def test_a_run_outlives_a_server_that_is_killed_in_its_middle(vllm: Any, tmp_path: Path) -> None:
    out = tmp_path / "run"
    sets = ["engine=server", f"base_url={vllm.url}", "dtype=float32", "metered=true", "concurrency=4"]
    command = [sys.executable, "-m", "iteralign", "run", "smoke", "--out", str(out), "--json"]
    command += [x for s in sets for x in ("--set", f"model.{s}")]
    for s in ("method=lora", "keep_adapter=true", "learning_rate=0.005", "epochs=4"):
        command += ["--set", f"training.{s}"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    drained: list[str] = []
    threading.Thread(target=lambda: drained.extend(process.stderr or ()), daemon=True).start()

    def answered(trained: bool) -> set[tuple[str, str]]:
        if not (out / "run.sqlite").exists():
            return set()
        with load_run(out) as run:
            rows = run.calls._database.rows("SELECT key, scope FROM calls WHERE outcome = 'answered'")
        return {(k, s) for k, s in rows if trained == s.startswith("evaluation-") or not trained}

    def wait_for(enough: int) -> set[tuple[str, str]]:
        while len(found := answered(trained=False)) < enough:
            assert process.poll() is None, "".join(drained)
            time.sleep(0.05)
        return found

    before = wait_for(30)
    vllm.kill()
    vllm.start()
    later = wait_for(130)  # in an iteration: an adapter is loaded by then, or about to be
    vllm.kill()
    vllm.start()
    told = process.stdout.read() if process.stdout else ""
    process.wait()
    assert process.returncode == 0, "".join(drained)
    assert json.loads(told)["state"] == "finished"
    with load_run(out) as run:
        rows = run.calls._database.rows(
            "SELECT key, COUNT(*) FROM calls WHERE outcome = 'answered' GROUP BY key"
        )
        assert max(n for _, n in rows) == 1, "no answer was asked for twice"
        assert {k for k, _ in before | later} <= {k for k, _ in rows}, "nothing was lost"
        assert Counter(r["model"] for r in spent(run)["by_step"]).keys() == {"organism"}
