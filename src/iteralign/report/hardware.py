"""Devices as published, and how long a model of some shape works on them: shared by both methods' plans.

Rough: peaks of data sheets and the shares of them that are usually reached. Pure arithmetic; sees no device.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Final, Literal

from iteralign.errors import RecipeError

TRAINING_SHARE: Final = 0.35
"""Of the peak arithmetic, what a training reaches."""
BANDWIDTH_SHARE: Final = 0.6
"""Of the memory's bandwidth, what generation reaches."""
STEP_SECONDS: Final = {"hf": 0.02, "vllm": 0.002, "ray": 0.02, "server": 0.002}
"""Of a step of generation beside the device's work: what launching it takes (`hf`: as an H200 showed)."""
CPU_FLOPS: Final = 2e10
"""What two cores reach: the engine's own count of 20 seconds' work."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """A device. ``None``: not published, or not known here."""

    flops: float | None
    """peak arithmetic in bfloat16 without sparsity, FLOP/s"""
    bandwidth: float | None
    """of the memory, bytes/s"""
    memory: float
    """bytes"""


KNOWN: Final[dict[str, Hardware]] = {
    "h200": Hardware(989e12, 4.8e12, 141e9),
    "h100": Hardware(989e12, 3.35e12, 80e9),
    "a100": Hardware(312e12, 2.0e12, 80e9),
    "l40s": Hardware(362e12, 0.864e12, 48e9),
    "4090": Hardware(165e12, 1.01e12, 24e9),
    "l4": Hardware(121e12, 0.3e12, 24e9),
    "cpu": Hardware(CPU_FLOPS / TRAINING_SHARE, 0.04e12, 32e9),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What a plan is made for. ``here``: the device at hand, where a run would take it; else a named one.

    ``host``: bytes of the machine's own memory, where they are known.
    """

    name: str
    hardware: Hardware
    kind: Literal["gpu", "cpu"] = "gpu"
    count: int = 1
    here: bool = False
    host: float | None = None


def parse_hardware(text: str) -> Device:
    """``h100`` or ``h100x8``. Raises ``RecipeError`` naming the known ones."""
    found = re.fullmatch(r"(.+?)(?:x(\d{1,4}))?", text.strip().casefold())
    name, count = (found[1], int(found[2] or 1)) if found else (text, 1)
    if name not in KNOWN or count < 1:
        near = difflib.get_close_matches(name, KNOWN, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise RecipeError(
            f"--hardware {text}: not known.{hint} Known: {', '.join(KNOWN)}, each also with a count (h100x8)"
        )
    return Device(
        name=text.strip().casefold(),
        hardware=KNOWN[name],
        kind="cpu" if name == "cpu" else "gpu",
        count=count,
    )


def published(name: str) -> Hardware | None:
    """The known device that a driver's name (``NVIDIA H100 80GB HBM3``) speaks of."""
    words = re.findall(r"[a-z0-9]+", name.casefold())
    return next((known for short, known in KNOWN.items() if short in words), None)


def answering_seconds(
    hardware: Hardware,
    *,
    parameters: float,
    cache_bytes: float,
    read: float,
    written: float,
    row: float,
    batch: int,
    engine: str,
    width: int = 2,
) -> float | None:
    """Seconds to read and write so many tokens in batches; None where the device's figures are not known.

    Reading is bound by a share of the peak arithmetic, writing by the bandwidth that weights and cache of a
    batch take in each step. ``row``: tokens of a prompt with its answer; ``width``: bytes of a weight.
    """
    if hardware.flops is None or hardware.bandwidth is None:
        return None
    arithmetic = hardware.flops * TRAINING_SHARE
    reading = 2 * parameters * read / arithmetic
    per_step = width * parameters + batch * row * cache_bytes
    step = max(per_step / (hardware.bandwidth * BANDWIDTH_SHARE), 2 * parameters * batch / arithmetic)
    return reading + written / batch * (step + STEP_SECONDS[engine])


def training_seconds(hardware: Hardware, *, parameters: float, tokens: float, adapters: bool) -> float | None:
    """Seconds of a training on so many tokens; None where the device's figures are not known.

    6 FLOP a parameter and token; 4 with adapters, whose base gets no gradient.
    """
    if hardware.flops is None:
        return None
    return (4 if adapters else 6) * parameters * tokens / (hardware.flops * TRAINING_SHARE)
