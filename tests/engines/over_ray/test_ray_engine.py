"""Replicas on a cluster of two nodes of this machine, one of which is lost in mid-run."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iteralign.build.ray import ray_host
from iteralign.data.seeds import red_team_set
from iteralign.engines.hf.host import HFHost
from iteralign.engines.ray.host import RayHost
from iteralign.errors import LeftOut, Unavailable
from iteralign.organism import ORGANISM_PATH
from iteralign.recipe.load import load_recipe
from iteralign.records.chat import Chat, Message, SamplingParams
from iteralign.records.iteralign import Checkpoint

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
ray = pytest.importorskip("ray")

BASE = Checkpoint(path=str(ORGANISM_PATH))
WARM = SamplingParams(max_new_tokens=24, temperature=1.0, seed=3)
CHATS: list[Chat] = [(Message("user", p.text),) for p in red_team_set()[:24]]


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A cluster of two machines, as far as Ray can tell: two nodes on this one."""
    from ray.cluster_utils import Cluster as Nodes

    with pytest.MonkeyPatch.context() as patch:
        quick = {"health_check_period_ms": 500, "health_check_failure_threshold": 4}
        head = {"num_cpus": 1, "include_dashboard": False, "_system_config": quick}
        found = Nodes(initialize_head=True, head_node_args=head)
        patch.setenv("RAY_ADDRESS", found.address)
        yield found
        ray.shutdown()
        found.shutdown()


def host(said: list[str], locate: Any = lambda c: c.path) -> RayHost:
    recipe = load_recipe("smoke", ["model.engine=ray", "model.ray.replicas=2", "model.batch_size=6"])
    return ray_host(recipe, locate, said.append)


def test_a_lost_node_costs_no_record(nodes: Any) -> None:
    second = nodes.add_node(num_cpus=1)
    said: list[str] = []
    replicas = host(said)
    chats = CHATS * 3  # equal chats have seeds of their own, whoever answers
    with HFHost(device="cpu", locate=lambda c: c.path, warn=print, batch_size=6).serve(BASE) as alone:
        expected = alone.attempt(chats, WARM)
        scores = alone.logprobs(CHATS[:8], [c.text for c in expected[:8]])  # type: ignore[union-attr]
    with replicas.serve(BASE) as policy:
        assert policy.attempt(CHATS[:2], WARM) == expected[:2]
        loss = threading.Timer(0.2, nodes.remove_node, [second], {"allow_graceful": False})
        loss.start()
        long: Chat = (Message("user", "tea " * 2000),)
        found = policy.attempt([*chats, long], WARM)
        loss.join()
        assert found[:-1] == expected
        assert isinstance(found[-1], LeftOut)  # it costs the others nothing
        for a, b in zip(policy.logprobs(CHATS[:8], [c.text for c in found[:8]]), scores, strict=True):
            assert a.tokens == b.tokens
            assert a.logprobs == pytest.approx(b.logprobs, abs=1e-4)
        assert any("a worker was lost" in s for s in said)
        elsewhere = Checkpoint(path="/nonexistent/model", weights_hash="x")
    with (
        replicas.serve(elsewhere) as policy,
        pytest.raises(Unavailable, match="all machines of the cluster see"),
    ):
        policy.attempt(CHATS[:2], WARM)
    replicas.free()


LISTENING = """
import os, psutil
from iteralign.engines.ray.host import Cluster, Replicas
from iteralign.build.ray import replica
found = Replicas(Cluster(cluster="local", replicas=1), replica, {}, print)
mine = {p.pid for p in psutil.Process().children(recursive=True)} | {os.getpid()}
for c in psutil.net_connections("inet"):
    if c.status == "LISTEN" and c.pid in mine:
        print("listens", c.laddr.ip)
found.close()
"""


def test_a_local_cluster_listens_on_this_machine_alone(tmp_path: Path) -> None:
    pytest.importorskip("psutil")
    known = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"} | {"HOME": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-c", LISTENING], env=known, capture_output=True, text=True, check=True
    )
    found = [line.split()[1] for line in told.stdout.splitlines() if line.startswith("listens")]
    assert len(found) > 3
    assert set(found) <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    assert (tmp_path / ".ray" / "auth_token").is_file()  # who has no token gets nothing
