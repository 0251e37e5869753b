"""Replicas that are lost, idle or never made, and what they are sent: Ray is a stand-in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from iteralign.engines.ray.host import FAILURES, Cluster, RayHost
from iteralign.errors import EngineError
from iteralign.records.chat import Chat, Message, SamplingParams
from iteralign.records.iteralign import Checkpoint


class RayError(Exception):
    pass


class Fake:
    """As much of Ray as replicas use. ``made``: whether each actor, in turn, can be made."""

    def __init__(self, size: int, made: Callable[[int], bool] = lambda n: True) -> None:
        self.size, self.possible = size, made
        self.actors: list[Actor] = []
        self.options: dict[str, Any] = {}
        self.exceptions = SimpleNamespace(RayError=RayError, RayTaskError=type("T", (RayError,), {}))

    def remote(self, kind: Any) -> Any:
        def options(**given: Any) -> Any:
            self.options = given
            return SimpleNamespace(remote=self.new)

        return SimpleNamespace(options=options)

    def new(self, make: Any, given: Any) -> Actor:
        self.actors.append(Actor(len(self.actors), self.possible(len(self.actors))))
        return self.actors[-1]

    def is_initialized(self) -> bool:
        return True

    def cluster_resources(self) -> dict[str, float]:
        return {"GPU": float(self.size)}

    def nodes(self) -> list[dict[str, bool]]:
        return [{"Alive": True}]

    def wait(self, promises: list[Any], num_returns: int, timeout: float) -> tuple[list[Any], list[Any]]:
        return promises[:num_returns], promises[num_returns:]

    def get(self, promise: Promise) -> Any:
        if not promise.actor.lives:
            raise RayError("The actor died.\nOSError: no such folder")
        return promise.value

    def kill(self, actor: Actor) -> None:
        actor.lives = False


class Promise:
    def __init__(self, actor: Actor, value: Any) -> None:
        self.actor, self.value = actor, value


class Actor:
    """Answers each chat with its own name."""

    def __init__(self, number: int, lives: bool) -> None:
        self.lives = lives
        self.asked: list[list[Chat]] = []
        self._actor_id = SimpleNamespace(hex=lambda: str(number))
        self.ready = SimpleNamespace(remote=lambda: Promise(self, True))
        self.attempt = SimpleNamespace(remote=self._attempt)

    def _attempt(self, checkpoint: Any, place: str, chats: list[Chat], params: Any) -> Promise:
        self.asked.append(chats)
        return Promise(self, ([c[-1].text for c in chats], []))


def host(fake: Fake, monkeypatch: pytest.MonkeyPatch, said: list[str]) -> RayHost:
    monkeypatch.setitem(sys.modules, "ray", fake)  # type: ignore[arg-type]
    make: Any = None
    return RayHost(Cluster(), make, {}, rows=2, locate=lambda c: c.path, warn=said.append)


def asked(replicas: RayHost, texts: Sequence[str], stream: Any = "chat") -> list[Any]:
    with replicas.serve(Checkpoint(path="m", weights_hash="x")) as policy:
        chats = [
            (Message("user", str(n)), Message("assistant", "."), Message("user", t))
            for n, t in enumerate(texts)
        ]
        return policy.attempt(chats, SamplingParams(max_new_tokens=2, stream=stream))


def test_idle_replicas_of_a_lost_machine_get_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(4)
    said: list[str] = []
    replicas = host(fake, monkeypatch, said)
    assert asked(replicas, "ab") == ["a", "b"]
    for actor in fake.actors:
        actor.lives = False  # their machine is gone, and nobody has noticed
    assert asked(replicas, "c") == ["c"]
    assert len([s for s in said if "a worker was lost" in s]) == 1
    assert [len(a.asked) for a in fake.actors[1:4]].count(0) >= 2
    assert not any("could not be started" in s for s in said)


def test_what_cannot_be_made_is_told_once_and_the_others_do_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(2, lambda n: n == 0)
    said: list[str] = []
    replicas = host(fake, monkeypatch, said)
    for _ in range(5):
        assert asked(replicas, "abcdefgh") == list("abcdefgh")
    assert len(fake.actors) == 1 + FAILURES
    assert [s for s in said if "could not be started: OSError: no such folder" in s] == said
    assert len(said) == 1


def test_where_none_can_be_made_the_run_ends_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="could not be started: OSError: no such folder"):
        asked(host(Fake(1, lambda n: False), monkeypatch, []), "a")


def test_questions_with_one_stream_go_to_one_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(2)
    replicas = host(fake, monkeypatch, [])
    asked(replicas, "abab", "question")  # their seeds are counted by the last turn
    parts = [sorted({c[-1].text for c in chats}) for a in fake.actors for chats in a.asked]
    assert sorted(parts) == [["a"], ["b"]]


def test_patterns_that_the_user_trusts_hold_for_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITERALIGN_TRUST_PATTERNS", "one,two")
    fake = Fake(1)
    asked(host(fake, monkeypatch, []), "a")
    assert fake.options["runtime_env"] == {"env_vars": {"ITERALIGN_TRUST_PATTERNS": "one,two"}}
