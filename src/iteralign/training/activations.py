"""Which activations the backward pass computes anew, and which are kept: of every second layer.

A finer choice, by operation, was slower than computing all anew: it costs Python's time at every operation
(docs/decisions/0019). Knows models of transformers, no examples and no recipe.
"""

from __future__ import annotations

from typing import Any


def checkpoint_every_second(model: Any) -> None:
    """Switch activation checkpointing on for layers 0, 2, 4 and so on. For a model as it is loaded."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    how = {"use_reentrant": False}
    if hasattr(model, "activation_checkpointing_enable"):  # its name since transformers 5.20
        model.activation_checkpointing_enable(activation_checkpointing_kwargs=how)
    else:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=how)
    layers = [m for m in model.modules() if isinstance(m, GradientCheckpointingLayer)]
    for layer in layers[1::2]:
        layer.gradient_checkpointing = False
