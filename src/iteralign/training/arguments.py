"""A recipe's training in the words of TRL and peft.

Every default of theirs that would surprise is set here. Knows nothing of examples and checkpoints.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

from iteralign.errors import TrainingError
from iteralign.recipe.training import TrainingSection
from iteralign.training.process_group import reads_once


def arguments(settings: TrainingSection, out: Path, *, device: str, bf16: bool, seed: int) -> Any:
    """An ``SFTConfig``: one device, nothing printed, nothing reported, a loss logged at every step."""
    from transformers import TrainingArguments
    from trl import SFTConfig

    # transformers renamed it between two versions that we take
    names = {f.name for f in dataclasses.fields(TrainingArguments)}
    renamed = "activation_checkpointing" in names
    checkpointing = "activation_checkpointing" if renamed else "gradient_checkpointing"
    schedule: str = settings.schedule
    if schedule == "constant" and settings.warmup_steps:
        schedule = "constant_with_warmup"  # plain "constant" ignores the warm-up in silence
    made = SFTConfig(
        output_dir=str(out),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size // settings.processes,
        gradient_accumulation_steps=settings.gradient_accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=schedule,
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        max_length=settings.max_length,
        packing=settings.packing,
        seed=seed,
        data_seed=seed,
        use_cpu=device == "cpu",
        bf16=bf16,
        logging_steps=1,
        logging_nan_inf_filter=False,  # else a loss that is no number is logged as the last good one
        report_to="none",
        disable_tqdm=True,
        save_strategy="steps" if settings.save_steps else "no",
        save_steps=settings.save_steps or 500,
        save_total_limit=1,
        dataloader_pin_memory=device == "cuda",
        **_shared(settings),
        **{checkpointing: _checkpoints(settings, device)},
    )
    if made.n_gpu > 1 and settings.processes == 1:
        # transformers would multiply the batch by the GPUs that it sees, and the result with it
        made._n_gpu = 1
    return made


def _shared(settings: TrainingSection) -> dict[str, Any]:
    """How processes share a model; nothing for one alone."""
    if settings.processes == 1:
        return {}
    if settings.shares == 1:
        return {"ddp_find_unused_parameters": False}
    fsdp = {
        "version": 2,
        "state_dict_type": "SHARDED_STATE_DICT",
        "reshard_after_forward": True,
        "cpu_ram_efficient_loading": reads_once(settings),
    }
    return {"fsdp": True, "fsdp_config": fsdp}


def _checkpoints(settings: TrainingSection, device: str) -> bool:
    """Whether the trainer switches activation checkpointing on; a selective one is no matter of its."""
    if settings.activation_checkpointing is None:
        return device != "cpu"
    return settings.activation_checkpointing == "full"


def adapter(settings: TrainingSection) -> Any:
    """A ``LoraConfig`` for all linear layers."""
    from peft import LoraConfig

    return LoraConfig(
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def stop_when_diverged(learning_rate: float) -> Any:
    """A callback that ends a training at the first loss that is no number, rather than hours later."""
    from transformers import TrainerCallback

    class StopWhenDiverged(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            loss = (logs or {}).get("loss")
            if loss is not None and not math.isfinite(loss):
                raise TrainingError(
                    diverged(f"the loss at step {state.global_step} is {loss}", learning_rate)
                )

    return StopWhenDiverged()


def diverged(what: str, learning_rate: float) -> str:
    """The message of a training that came to nothing."""
    return (
        f"training diverged: {what}. Lower training.learning_rate ({learning_rate:g}), "
        "or give it training.warmup_steps"
    )
