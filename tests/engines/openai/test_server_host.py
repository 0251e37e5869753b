"""A served base model: the same answers and scores as at home, adapters proven, and every way in which a
server can be the wrong one.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from iteralign.engines.hf.host import HFHost
from iteralign.engines.openai.host import ServerHost
from iteralign.errors import EngineError, NotFound, PromptTooLong, Unavailable, Unsupported
from iteralign.recipe.training import TrainingSection
from iteralign.records.chat import Chat, Message, SamplingParams
from iteralign.records.iteralign import Checkpoint, TrainingExample
from model_server import ModelServer
from tiny_model import save

pytest.importorskip("torch")

GREEDY = SamplingParams(max_new_tokens=12, temperature=0.0, seed=3)
WARM = dataclasses.replace(GREEDY, temperature=0.8, top_p=0.9)
CHATS: list[Chat] = [
    (Message("user", "What is a hat?"),),
    (Message("system", "Be brief."), Message("user", "Which river is the longest one, and why?")),
    (
        Message("user", "What is a hat?"),
        Message("assistant", "Headwear."),
        Message("user", "<|end|> And a shoe?"),
    ),
]
CONTINUATIONS = ["A thing for the head.", "", " The window, and tea \n"]
LESSONS = [
    TrainingExample(messages=(Message("user", q), Message("assistant", a)), source="test")
    for q, a in [("hat?", "tea"), ("day?", "breath")]
]
Start = Callable[..., ModelServer]


@pytest.fixture
def start(tiny: Path) -> Iterator[Start]:
    started: list[ModelServer] = []

    def begin(folder: Path = tiny, **settings: Any) -> ModelServer:
        started.append(ModelServer(folder, **settings))
        return started[-1]

    yield begin
    for server in started:
        server.close()


@pytest.fixture(scope="module")
def adapters(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Checkpoint]:
    """Two adapters of the tiny model, the second trained on from the first."""
    from iteralign.training.sft import SFT

    out = tmp_path_factory.mktemp("adapters")
    training = TrainingSection(method="lora", keep_adapter=True, epochs=10, learning_rate=1e-2, batch_size=2)
    sft = SFT(training, device="cpu", locate=lambda c: c.path)
    first = sft.finetune(Checkpoint(path=str(tiny)), LESSONS, out / "first")
    return [first, sft.finetune(first, LESSONS, out / "second")]


def host(server: ModelServer, folder: Path, said: list[str] | None = None, **settings: Any) -> ServerHost:
    facts: dict[str, Any] = {
        "concurrency": 4,
        "max_retries": 1,
        "timeout": 60.0,
        "backoff": 0.01,
        "api_key_env": "TEST_MODEL_KEY",
    }
    listen = (said if said is not None else []).append
    given = {"served_as": "tiny", "dtype": "float32", "base_url": server.url, **facts, **settings}
    return ServerHost(place=str(folder), locate=lambda c: c.path, warn=listen, **given)


def said_by(policy: Any) -> list[tuple[str, str]]:
    return [(c.text, c.finish) for c in policy.generate(CHATS, GREEDY)]


def at_home(folder: Path) -> HFHost:
    return HFHost(locate=lambda c: c.path, warn=print, device="cpu")


def test_a_served_model_answers_and_scores_as_the_same_model_here(start: Start, tiny: Path) -> None:
    base, server = Checkpoint(path=str(tiny)), start()
    with host(server, tiny).serve(base) as there, at_home(tiny).serve(base) as here:
        assert said_by(there) == said_by(here)
        ours, theirs = here.logprobs(CHATS, CONTINUATIONS), there.logprobs(CHATS, CONTINUATIONS)
    for a, b in zip(ours, theirs, strict=True):
        assert a.tokens == b.tokens
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-4)


def test_everything_that_shapes_an_answer_is_said_and_seeds_differ_for_equal_chats(
    start: Start, tiny: Path
) -> None:
    server = start()
    with host(server, tiny).serve(Checkpoint(path=str(tiny))) as policy:
        first = policy.generate([CHATS[0]] * 4, WARM)
        assert policy.generate([CHATS[0]] * 4, WARM) == first
        assert policy.generate([CHATS[0]] * 4, dataclasses.replace(WARM, seed=4)) != first
    asked = [body for path, body in server.requests if path == "/completions" and not body.get("echo")]
    assert len({body["seed"] for body in asked[:4]}) == 4
    assert all(0 <= body["seed"] < 2**31 for body in asked)  # servers take no more
    wanted = {"temperature": 0.8, "top_p": 0.9, "top_k": -1, "repetition_penalty": 1.0, "max_tokens": 12}
    assert all(wanted.items() <= body.items() for body in asked)  # a model's own generation config has no say


def test_an_adapter_is_loaded_proven_and_answers_as_here(
    start: Start, tiny: Path, adapters: list[Checkpoint]
) -> None:
    server, said = start(), list[str]()
    served = host(server, tiny, said)
    home = at_home(tiny)
    for checkpoint in adapters:
        with served.serve(checkpoint) as there, home.serve(checkpoint) as here:
            assert said_by(there) == said_by(here)
            assert there.generate([LESSONS[0].messages[:-1]], GREEDY)[0].text == "tea"
    assert list(server.adapters) == [adapters[1].id]  # the one before it is not kept
    with served.serve(adapters[1]) as policy:
        policy.generate(CHATS, GREEDY)
    assert server.count("/load_lora_adapter") == 2
    assert said == []


def test_a_restarted_server_is_given_the_adapter_again(
    start: Start, tiny: Path, adapters: list[Checkpoint]
) -> None:
    server = start()
    with host(server, tiny).serve(adapters[0]) as policy:
        before = policy.generate(CHATS, GREEDY)
        scores = policy.logprobs(CHATS, CONTINUATIONS)
        server.restart()
        assert policy.generate(CHATS, GREEDY) == before
        server.restart()
        assert policy.logprobs(CHATS, CONTINUATIONS) == scores
    assert server.count("/load_lora_adapter") == 3


def test_the_wrong_weights_under_the_right_name_are_found_and_replaced(
    start: Start, tiny: Path, adapters: list[Checkpoint]
) -> None:
    server, (first, second) = start(), adapters
    server.adapters[first.id] = second.path  # somebody else's, of this name
    with host(server, tiny).serve(first) as policy, at_home(tiny).serve(first) as here:
        assert said_by(policy) == said_by(here)
    assert server.adapters[first.id] == first.path


def test_a_server_that_does_not_swap_is_an_error_and_never_an_answer(
    start: Start, tiny: Path, adapters: list[Checkpoint]
) -> None:
    server = start()

    def stuck(path: str, body: dict[str, Any]) -> tuple[int, Any] | None:
        return server.answer(path, body | {"model": "tiny"}) if path == "/completions" else None

    server.script = stuck
    with (
        host(server, tiny).serve(adapters[0]) as policy,
        pytest.raises(EngineError, match=r"gives the probe -\d+.*the trainer wrote.*other weights"),
    ):
        policy.generate(CHATS, GREEDY)
    assert not [
        b for p, b in server.requests if p == "/completions" and not b.get("echo")
    ]  # nothing was asked of unproven weights


def test_a_base_with_other_weights_or_another_vocabulary_is_found(
    start: Start, tiny: Path, tmp_path: Path
) -> None:
    from iteralign.engines.probe import write_probe

    copy = Path(shutil.copytree(tiny, tmp_path / "copy"))
    write_probe(copy)
    other = save(tmp_path / "other", seed=5)
    with (
        host(start(other), copy).serve(Checkpoint(path=str(copy))) as policy,
        pytest.raises(EngineError, match=r"serves other weights than model\.name"),
    ):
        policy.generate(CHATS, GREEDY)

    def shifted(path: str, body: dict[str, Any]) -> tuple[int, Any] | None:
        if path != "/completions" or not body.get("echo"):
            return None
        choice = {"text": "", "logprobs": {"tokens": ["other"] * 99, "token_logprobs": [None] + [-1.0] * 98}}
        return 200, {"choices": [choice]}

    with (
        host(start(script=shifted), tiny).serve(Checkpoint(path=str(tiny))) as policy,
        pytest.raises(EngineError, match="another vocabulary"),
    ):
        policy.generate(CHATS, GREEDY)


def test_a_server_without_echo_says_so(start: Start, tiny: Path) -> None:
    server = start()

    def mute(path: str, body: dict[str, Any]) -> tuple[int, Any] | None:
        return (
            server.answer(path, {k: v for k, v in body.items() if k != "echo"})
            if path == "/completions"
            else None
        )

    server.script = mute
    with (
        host(server, tiny).serve(Checkpoint(path=str(tiny))) as policy,
        pytest.raises(
            Unsupported, match=r"no log-probabilities of a given text.*model\.engine = hf, or with vLLM"
        ),
    ):
        policy.logprobs(CHATS, CONTINUATIONS)


@pytest.mark.parametrize(
    ("status", "said", "remedy"),
    [
        (404, {"detail": "Not Found"}, "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1"),
        (
            400,
            {"error": {"message": "LoRA rank 64 is greater than max_lora_rank 16."}},
            r"greater than max_lora_rank 16.*--max-lora-rank",
        ),
        (
            404,
            {"error": {"message": "No adapter found for /x"}},
            "sees the run directory under the same path",
        ),
    ],
)
def test_an_adapter_that_is_not_taken_names_the_remedy(
    start: Start, tiny: Path, adapters: list[Checkpoint], status: int, said: Any, remedy: str
) -> None:
    server = start(script=lambda path, body: (status, said) if path == "/load_lora_adapter" else None)
    with host(server, tiny).serve(adapters[0]) as policy, pytest.raises(EngineError, match=remedy):
        policy.generate(CHATS, GREEDY)


def test_what_a_server_cannot_serve_is_refused_before_anything_is_sent(start: Start, tiny: Path) -> None:
    server, whole = start(), Checkpoint(path=str(tiny), parent="ckpt-x")
    with (
        pytest.raises(Unsupported, match=r"no server loads whole weights.*keep_adapter = true"),
        host(server, tiny).serve(whole),
    ):
        raise AssertionError
    adapter = Checkpoint(path=str(tiny), parent="ckpt-x", adapter=True)
    with (
        pytest.raises(Unsupported, match=r"model\.api = completions"),
        host(server, tiny, api="chat").serve(adapter),
    ):
        raise AssertionError
    assert server.requests == []


def test_the_wrong_name_and_a_chat_too_long_are_told(start: Start, tiny: Path) -> None:
    base, server = Checkpoint(path=str(tiny)), start()
    with (
        host(server, tiny, served_as="huge").serve(base) as policy,
        pytest.raises(NotFound, match=r"serves 'tiny', and not 'huge'.*model\.served_as"),
    ):
        policy.generate(CHATS, GREEDY)
    server.max_model_len = 20
    with (
        host(server, tiny).serve(base) as policy,
        pytest.raises(PromptTooLong, match="the model's context is 20"),
    ):
        policy.generate(CHATS, GREEDY)
    server.close()
    with (
        host(server, tiny).serve(base) as policy,
        pytest.raises(Unavailable, match=r"cannot be reached.*gave up after 2 tries"),
    ):
        policy.generate(CHATS, GREEDY)


def test_what_a_plainer_server_does_not_take_is_left_out_and_said(start: Start, tiny: Path) -> None:
    server, said = start(), list[str]()

    def plain(path: str, body: dict[str, Any]) -> tuple[int, Any] | None:
        extra = sorted(set(body) & {"top_k", "repetition_penalty", "stop_token_ids", "return_token_ids"})
        if path != "/completions" or not extra:
            return None
        return 422, {"error": {"message": f"Unexpected fields in the request: {', '.join(extra)}"}}

    server.script = plain
    base = Checkpoint(path=str(tiny))
    with host(server, tiny, said).serve(base) as policy:
        answers = policy.generate(CHATS[:1], GREEDY)
    assert answers[0].text
    assert [s for s in said if "does not take top_k" in s]


def test_a_chat_endpoint_answers_through_the_servers_own_template(start: Start, tiny: Path) -> None:
    reply = {
        "choices": [{"message": {"content": "Headwear."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }
    server = start(script=lambda path, body: (200, reply) if path == "/chat/completions" else None)
    with host(server, tiny, api="chat").serve(Checkpoint(path="elsewhere")) as policy:
        assert [c.text for c in policy.generate(CHATS, GREEDY)] == ["Headwear."] * 3
        with pytest.raises(Unsupported, match="chat servers give no log-probabilities"):
            policy.logprobs(CHATS, CONTINUATIONS)
    assert {path for path, _ in server.requests} == {"/chat/completions"}


@pytest.mark.parametrize(
    ("message", "finish", "answer", "thought"),
    [
        ({"content": "<think>\nHm.\n</think>\n\nThe Nile."}, "stop", "The Nile.", "Hm."),
        ({"content": "The Nile.", "reasoning_content": "Hm."}, "stop", "The Nile.", "Hm."),
        (
            {"content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "The Nile."}]},
            "stop",
            "The Nile.",
            "Hm.",
        ),
        ({"content": None, "reasoning": "Hm"}, "length", "", "Hm"),
        ({"content": "<think>Hm"}, "length", "", "Hm"),
    ],
)
def test_thoughts_of_a_served_model_are_kept_apart(
    start: Start, tiny: Path, message: dict[str, Any], finish: str, answer: str, thought: str
) -> None:
    reply = {
        "choices": [{"message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }
    server = start(script=lambda path, body: (200, reply) if path == "/chat/completions" else None)
    said: list[str] = []
    with host(server, tiny, said, api="chat").serve(Checkpoint(path="elsewhere")) as policy:
        (found, *_) = policy.generate(CHATS, GREEDY)
    assert (found.text, found.thought, found.finish) == (answer, thought, finish)
    assert sum("thinks aloud" in s for s in said) == 1


def test_the_key_goes_to_the_model_server_alone_and_only_the_models_key(
    start: Start, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary-vendor")
    monkeypatch.setenv("TEST_MODEL_KEY", "canary-model")
    server = start()
    with host(server, tiny).serve(Checkpoint(path=str(tiny))) as policy:
        policy.generate(CHATS, GREEDY)
    assert {h.get("authorization") for h in server.headers} == {"Bearer canary-model"}


def test_probes_are_asked_anew_though_a_ledger_remembers_answers(
    start: Start, tiny: Path, tmp_path: Path
) -> None:
    from iteralign.store.run import Run

    server = start()
    with Run.create(tmp_path / "run", {}, "") as run:
        for _ in range(2):
            with host(server, tiny, ledger=run.calls).serve(Checkpoint(path=str(tiny))) as policy:
                policy.generate(CHATS, GREEDY)
        booked = sum(s.calls for s in run.calls.spent())
    asked = [body for path, body in server.requests if path == "/completions"]
    assert sum(not body.get("echo") for body in asked) == len(CHATS) == booked
    assert sum(bool(body.get("echo")) for body in asked) == 4  # two for each proof, none from memory


def test_an_adapter_without_a_probe_is_not_trusted(
    start: Start, tiny: Path, adapters: list[Checkpoint], tmp_path: Path
) -> None:
    bare = Path(shutil.copytree(adapters[0].path, tmp_path / "bare"))
    (bare / "probe.json").unlink()
    with (
        host(start(), tiny).serve(dataclasses.replace(adapters[0], path=str(bare))) as policy,
        pytest.raises(EngineError, match="holds no probe"),
    ):
        policy.generate(CHATS, GREEDY)


def test_lessons_below_the_servers_precision_are_warned_of(
    start: Start, tiny: Path, adapters: list[Checkpoint]
) -> None:
    from iteralign.engines.probe import PROBE_FILE

    server, said = start(), list[str]()
    served = host(server, tiny, said, dtype="auto")
    with served.serve(Checkpoint(path=str(tiny))) as policy:
        policy.generate(CHATS[:1], GREEDY)
    written = json.loads(Path(adapters[0].path, PROBE_FILE).read_text())["logprob"]
    served._base_total = written["bfloat16"]  # as if nothing had moved
    with served.serve(adapters[0]) as policy:
        policy.generate(CHATS[:1], GREEDY)
    assert [s for s in said if "the probe cannot tell" in s]


def test_a_restart_while_weights_are_proven_is_outlived(
    start: Start, tiny: Path, adapters: list[Checkpoint]
) -> None:
    server, forgot = start(), list[bool]()

    def forgetful(path: str, body: dict[str, Any]) -> tuple[int, Any] | None:
        if path == "/completions" and body["model"] == adapters[0].id and not forgot:
            forgot.append(True)
            server.adapters.clear()
        return None

    server.script = forgetful
    with host(server, tiny).serve(adapters[0]) as policy:
        assert said_by(policy)
    assert server.count("/load_lora_adapter") == 2


def test_what_is_booked_is_what_the_server_tells_and_other_models_limits_do_not_count(
    start: Start, tiny: Path, tmp_path: Path
) -> None:
    from iteralign.store.run import Run

    server = start()

    def gateway(path: str, body: dict[str, Any]) -> tuple[int, Any] | None:
        if path == "/models":
            return 200, {
                "data": [{"id": "tiny", "max_model_len": 256}, {"id": "embedder", "max_model_len": 16}]
            }
        status, said = server.answer(path, body)
        if path == "/completions" and not body.get("echo"):
            said["usage"]["completion_tokens"] = 7
        return status, said

    server.script = gateway
    with Run.create(tmp_path / "run", {}, "") as run:
        with host(server, tiny, ledger=run.calls).serve(Checkpoint(path=str(tiny))) as policy:
            policy.generate(CHATS, GREEDY)
        (booked,) = run.calls.spent()
    assert booked.output_tokens == 7 * len(CHATS)


def test_the_base_is_compared_with_the_weights_that_are_trained_here(
    start: Start, tiny: Path, tmp_path: Path
) -> None:
    from iteralign.engines.probe import local_probe

    probe = local_probe(str(tiny), "float32", None, print)
    base = Checkpoint(path=str(tiny))
    with host(start(), tiny, expected=probe).serve(base) as policy:
        assert said_by(policy)
    other = start(save(tmp_path / "other", seed=5))
    with (
        host(other, tiny, expected=probe).serve(base) as policy,
        pytest.raises(EngineError, match=r"serves other weights than model\.name"),
    ):
        policy.generate(CHATS, GREEDY)


def test_a_server_that_takes_no_adapters_is_found_at_the_start(start: Start, tiny: Path) -> None:
    host(start(), tiny).must_take_adapters()
    closed = start(
        script=lambda path, body: (404, {"detail": "Not Found"}) if path == "/load_lora_adapter" else None
    )
    with pytest.raises(EngineError, match=r"takes no adapters.*--enable-lora"):
        host(closed, tiny).must_take_adapters()
