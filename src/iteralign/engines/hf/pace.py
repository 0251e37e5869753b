"""How much a loaded model gets through in some 20 seconds, so that a step's work is kept in parts.

Small models are not measured: their parts follow from the settings alone. Knows no step and no store.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from iteralign.engines.facts import Facts

SECONDS = 20
CPU_WORK = 4e11
"""Floating-point operations of so many seconds on two slow cores; a token takes two for each weight."""
BATCHES = 4
"""Whole batches of a part, at most. Sorted by length, they are padded less than one alone."""
TOKENS = 64
"""Tokens that a chat has at least, about: where whole parts of such chats fit, nothing is measured."""
_ENOUGH = 0.5
"""Seconds that a measured pass takes at least: shorter ones say little about a busy machine."""


def pace_of(model: Any, parameters: int, device: str, batch: int, facts: Facts) -> tuple[float, int]:
    """Tokens and chats (``protocols.Paced``).

    On a GPU whole batches. On a CPU what two slow cores would do, times what this machine does better, which
    is measured once for a run and rounded to a power of two.
    """
    chats = BATCHES * batch
    if device != "cpu":
        return math.inf, chats
    tokens = CPU_WORK / (2 * parameters)
    if tokens >= TOKENS * batch:
        return tokens, chats
    return tokens * facts.pace(lambda: rounded(SECONDS * tokens_per_second(model) / tokens)), chats


def rounded(ratio: float) -> float:
    """The nearest power of two, so that two runs on one machine cut alike in spite of a busy clock."""
    return float(2.0 ** round(math.log2(ratio)))


def tokens_per_second(model: Any, clock: Callable[[], float] = time.perf_counter) -> float:
    """What one pass gets through: the more tokens the better, up to a batch of generation."""
    import torch

    tokens = 4
    while True:
        ids = torch.ones((1, tokens), dtype=torch.long, device=model.device)
        began = clock()
        with torch.inference_mode():
            model(input_ids=ids)
        seconds = clock() - began
        if seconds >= _ENOUGH or tokens >= TOKENS:
            return tokens / max(seconds, 1e-6)
        tokens *= 4
