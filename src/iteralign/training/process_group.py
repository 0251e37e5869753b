"""What the processes that train together do together: join, gather the trained weights, leave.

Knows no files and no examples.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from iteralign.errors import TrainingError
from iteralign.recipe.training import TrainingSection


def join(settings: TrainingSection, device: str) -> None:
    """Meet the other processes, before a model is loaded. Raises ``TrainingError`` where that cannot be."""
    import torch
    from accelerate import DistributedType, PartialState

    count = settings.processes
    there = torch.cuda.device_count()
    if device == "cuda" and there < count:
        raise TrainingError(
            f"training.gpus = {count}, and {there} {'is' if there == 1 else 'are'} here: start a run with "
            f"training.gpus = {there}, or resume where there are {count}"
        )
    state = PartialState(cpu=device == "cpu")
    if settings.shares == 1:
        return
    if state.distributed_type is not DistributedType.MULTI_GPU:
        raise TrainingError(
            f"training.strategy = fsdp splits a model over GPUs, and trains on the {device} here: use "
            "training.strategy = ddp"
        )
    # the first process alone reads the weights: the others get theirs when they are split
    os.environ["ACCELERATE_USE_FSDP"] = "true"
    os.environ["FSDP_VERSION"] = "2"
    os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = str(reads_once(settings)).lower()


def reads_once(settings: TrainingSection) -> bool:
    """Whether the first process alone holds the weights before they are split; not of those in 4 bits."""
    return settings.shares > 1 and settings.method != "qlora"


def compute_in_bfloat16(trainer: Any) -> None:
    """Let parts be gathered in bfloat16 for arithmetic, and sums of gradients and losses stay in float32."""
    import torch
    from torch.distributed.fsdp import MixedPrecisionPolicy

    trainer.accelerator.state.fsdp_plugin.mixed_precision_policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16, reduce_dtype=torch.float32, output_dtype=torch.float32
    )


def gathered(model: Any, settings: TrainingSection) -> dict[str, Any]:
    """The trained weights, whole and on the CPU: name -> tensor in the first process, empty in others.

    Raises ``TrainingError`` where they should have been split and were not.
    """
    import torch.distributed as dist
    from torch.distributed.tensor import DTensor

    found = {}
    first = dist.get_rank() == 0
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        own = parameter.detach()
        if isinstance(own, DTensor) != (settings.shares > 1):
            raise TrainingError(f"training.strategy = {settings.strategy or 'fsdp'} did not take {name}")
        whole = own.full_tensor() if isinstance(own, DTensor) else own  # all take part in it
        if first:
            found[name.removeprefix("module.")] = whole.cpu()
    return found


def fill(model: Any, parts: Mapping[str, Any]) -> None:
    """Give a model the weights that were gathered. Raises ``TrainingError`` where names differ."""
    import torch

    own = {n: p for n, p in model.named_parameters() if p.requires_grad}
    if set(own) != set(parts):
        odd = sorted(set(own) ^ set(parts))[0]
        raise TrainingError(f"the weights of the processes are not the model's: {odd!r}")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(parts[name])


def leave() -> bool:
    """Part from the other processes; true in the first one, which goes on alone."""
    import torch.distributed as dist

    first = dist.get_rank() == 0
    dist.barrier()
    dist.destroy_process_group()
    os.environ["ACCELERATE_USE_FSDP"] = "false"
    return first
