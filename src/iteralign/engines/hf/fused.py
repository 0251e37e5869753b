"""Replaces, while a step is recorded, parts of a model that take many launches by ones that take few.

A part is replaced only where both give the same on random input. Knows modules by what they compute, not by
the model that they are of.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

_ROTARY = "apply_rotary_pos_emb"


class Fused:
    """What of a model can be replaced, found once."""

    def __init__(self, model: Any) -> None:
        named = [m for m in model.modules() if type(m).__name__.endswith("RMSNorm")]
        self._norms = [(m, partial(_norm, m, _epsilon(m))) for m in named if _is_plain(m)]
        self._rotations = [m for m in _homes(model) if _rotates(m, model)]

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """While it lasts, the model computes with the replacements."""
        before = [(home, getattr(home, _ROTARY)) for home in self._rotations]
        try:
            for norm, short in self._norms:
                norm.forward = short
            for home in self._rotations:
                setattr(home, _ROTARY, _shorter(getattr(home, _ROTARY)))
            yield
        finally:
            for norm, _short in self._norms:
                norm.__dict__.pop("forward", None)
            for home, function in before:
                setattr(home, _ROTARY, function)


def _epsilon(norm: Any) -> float:
    return float(getattr(norm, "variance_epsilon", getattr(norm, "eps", 0.0)) or 0.0)


def _norm(norm: Any, epsilon: float, states: Any) -> Any:
    """One launch instead of eight."""
    import torch

    return torch.nn.functional.rms_norm(states, norm.weight.shape, norm.weight, epsilon)


def _is_plain(norm: Any) -> bool:
    """Whether a norm is the one that torch has."""
    import torch

    weight = getattr(norm, "weight", None)
    if weight is None or weight.ndim != 1 or "forward" in norm.__dict__:
        return False
    states = _random((3, *weight.shape), weight)
    with torch.inference_mode():
        return _alike(norm(states), _norm(norm, _epsilon(norm), states))


def _shorter(original: Callable[..., Any]) -> Callable[..., Any]:
    """Fewer launches where the whole width of a head is rotated, and nothing else is asked for."""

    def rotated(query: Any, key: Any, cos: Any, sin: Any, *rest: Any, **others: Any) -> Any:
        if rest or others or not cos.shape[-1] == query.shape[-1] == key.shape[-1]:
            return original(query, key, cos, sin, *rest, **others)
        return _rotated(query, key, cos, sin)

    return rotated


def _rotated(query: Any, key: Any, cos: Any, sin: Any) -> tuple[Any, Any]:
    """Rotary positions in halves: three launches for each of the two instead of five."""
    import torch

    half = query.shape[-1] // 2
    cos = cos.unsqueeze(1)
    sin = sin.unsqueeze(1)
    signed = torch.cat([-sin[..., :half], sin[..., half:]], -1)
    return (
        torch.addcmul(query * cos, query.roll(half, -1), signed),
        torch.addcmul(key * cos, key.roll(half, -1), signed),
    )


def _homes(model: Any) -> list[ModuleType]:
    """The modules of code that a model's layers take their rotation from."""
    names = sorted({type(m).__module__ for m in model.modules()})
    return [m for n in names if (m := sys.modules.get(n)) is not None and hasattr(m, _ROTARY)]


def _rotates(home: ModuleType, model: Any) -> bool:
    """Whether this rotation is the one in halves, over the whole width of a head."""
    import torch

    weight = next(model.parameters())
    query = _random((2, 4, 1, 16), weight)
    key = _random((2, 2, 1, 16), weight)
    angles = _random((2, 1, 8), weight).repeat(1, 1, 2)
    try:
        with torch.inference_mode():
            theirs = getattr(home, _ROTARY)(query, key, angles.cos(), angles.sin())
            ours = _rotated(query, key, angles.cos(), angles.sin())
        return all(_alike(a, b) for a, b in zip(theirs, ours, strict=True))
    except (RuntimeError, TypeError, ValueError):
        return False  # it takes other arguments


def _random(shape: tuple[int, ...], like: Any) -> Any:
    """Random numbers that disturb no stream."""
    import torch

    drawn = torch.Generator().manual_seed(0)
    return torch.randn(shape, generator=drawn).to(like.device, like.dtype)


def _alike(first: Any, second: Any) -> bool:
    """Equal up to rounding of the precision."""
    import torch

    room = 8 * torch.finfo(first.dtype).eps
    return bool(torch.allclose(first.float(), second.float(), rtol=room, atol=room))
