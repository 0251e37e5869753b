"""Weight interpolation: a model between where its training began and where it ended (arXiv 2109.01903).

A point between keeps more of what the start could do, for less of what was learnt. Knows models, no files
and no examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Weights = Mapping[str, Any]
"""Tensors by the name of their parameter."""


def trained_weights(model: Any) -> Weights:
    """Copies of the parameters that a training will change, in float32 on the CPU."""
    return {n: p.detach().cpu().float().clone() for n, p in model.named_parameters() if p.requires_grad}


def blend(model: Any, before: Weights | None, share: float) -> None:
    """Leave the trained parameters of ``model`` at this share of their way from ``before``, in place.

    ``before``: what ``trained_weights`` gave when the training began; None for a fresh adapter, which begins
    as no change at all, so that its second factor is scaled. Raises ``KeyError`` where a parameter was
    trained that is not in it.
    """
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if before is None:
                if ".lora_B." in name or ".lora_embedding_B." in name:
                    parameter.mul_(share)
            elif parameter.requires_grad:
                old = before[name].to(parameter.device)
                parameter.copy_(torch.lerp(old, parameter.float(), share).to(parameter.dtype))
