"""Real servers of other makes, started from an environment of their own (``make integration``)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from iteralign.organism import ORGANISM_PATH

PEERS = Path(os.environ.get("ITERALIGN_PEERS", Path(__file__).parents[2] / ".peers"))
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_NO_USAGE_STATS": "1",
}
VLLM = [
    *(
        "-m",
        "vllm.entrypoints.openai.api_server",
        "--model",
        str(ORGANISM_PATH),
        "--served-model-name",
        "organism",
    ),
    *(
        "--dtype",
        "float32",
        "--enforce-eager",
        "--host",
        "127.0.0.1",
        "--enable-lora",
        "--max-lora-rank",
        "16",
        "--max-num-seqs",
        "32",
    ),
    # on a CPU a request with a seed of its own ends the whole server where its prompt is split into chunks
    *("--no-enable-chunked-prefill", "--max-num-batched-tokens", "32768"),
    *("--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}'),
]


class Peer:
    """A server process at an address that stays the same when it is started again."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        if not (PEERS / "bin" / "python").is_file():
            pytest.skip(f"no servers in {PEERS}: make integration installs them")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}/v1"
        self._arguments = arguments
        self._log = log
        self._home = log.parent / "hub"
        (self._home / "hub").mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, wait: float = 420.0) -> None:
        command = [str(PEERS / "bin" / "python"), *self._arguments, "--port", str(self._port)]
        environment = {**os.environ, **ENVIRONMENT, "HF_HOME": str(self._home)}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        until = time.monotonic() + wait
        while not self._is_up():
            if self._process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise RuntimeError(
                    f"the server did not start:\n{self._log.read_text(errors='replace')[-3000:]}"
                )
            time.sleep(0.3)

    def kill(self) -> None:
        """``kill -9`` of the server with all its processes."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _is_up(self) -> bool:
        try:
            with urllib.request.urlopen(self.url.removesuffix("/v1") + "/health", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture(scope="session")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    peer = Peer(VLLM, tmp_path_factory.mktemp("vllm") / "log")
    peer.start()
    yield peer
    peer.kill()


@pytest.fixture(scope="session")
def transformers_serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    arguments = [
        "-c",
        "from transformers.cli.transformers import main; main()",
        "serve",
        "--device",
        "cpu",
        "--dtype",
        "float32",
    ]
    peer = Peer(
        [*arguments, "--host", "127.0.0.1", str(ORGANISM_PATH)], tmp_path_factory.mktemp("serve") / "log"
    )
    peer.start()
    yield peer
    peer.kill()
